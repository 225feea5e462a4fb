"""A benchmark as black-box methods see it: what a cell's training came to, and the seconds that it took."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.benchmark.base import Benchmark, Key
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.space import DATASETS

Epochs = int | None
"""Of a training; None: of a source that does not say how many its own has."""


class Answer(NamedTuple):
    """What a training came to."""

    accuracy: float
    """Percent right."""
    seconds: float
    """Of the training and one evaluation, the latter as far as the benchmark has it; 0 where it has no times."""
    seed: int | None
    """Of the training; None: the mean over seeds."""


class _Training(NamedTuple):
    """One that may be asked for: the key of its mean, those of its seeds, and after which epoch (None: its end)."""

    mean: Key
    seeds: list[Key]
    at_epoch: int | None


class Oracle:
    """The trainings of one data set. Accuracies are `valid` ones, and `test` ones where the benchmark has no other.

    Args:
        benchmark: what answers.
        dataset: one of the space's three.
        epochs: of the usual training; a source that has one training only takes that.
        single: whether to tell the accuracies of single training seeds, where the benchmark has them.

    Raises:
        BadCallError: the benchmark does not hold such trainings; the message says what it holds.
    """

    def __init__(self, benchmark: Benchmark, dataset: str, epochs: int = 12, single: bool = True) -> None:
        self._benchmark = benchmark
        of_dataset = [key for key in benchmark.holds() if key.dataset == dataset]
        self.split = "valid" if any(key.split == "valid" for key in of_dataset) else "test"
        keys = [key for key in of_dataset if key.split == self.split]
        if not benchmark.holds():
            raise BadCallError(f"simulated searches live on a benchmark: {benchmark.about}")
        if not keys:
            held = ", ".join(dict.fromkeys(key.dataset for key in benchmark.holds()))
            raise BadCallError(
                f"benchmark {benchmark.name} has no trainings on {dataset!r}, which simulated searches live on; it has "
                f"{held}. {benchmark.elsewhere if dataset in DATASETS else ''}".rstrip(" .")
            )
        lengths: list[Epochs] = sorted({key.epochs for key in keys}, key=lambda length: length or 0)
        self.usual: Epochs = lengths[0] if len(lengths) == 1 else epochs
        """Epochs of the training that is asked for unless a method says otherwise."""
        if self.usual not in lengths:
            raise BadCallError(
                f"setting epochs={epochs}: benchmark {benchmark.name} has trainings of "
                f"{', '.join(map(str, lengths))} epochs on {dataset}"
            )
        self._trainings = {
            length: _Training(
                Key(dataset, self.split, length, None),
                [key for key in keys if single and key.epochs == length and key.seed is not None],
                None,
            )
            for length in lengths
        }
        usual = self._trainings[self.usual]
        if self.usual is not None and self._has(usual._replace(at_epoch=1), "accuracy"):
            inside: dict[Epochs, _Training] = {epoch: usual._replace(at_epoch=epoch) for epoch in range(1, self.usual)}
            self._trainings = {**inside, self.usual: usual}
        self.timed = self._has(usual, "train-seconds")
        """Whether the benchmark has times."""
        self._evaluated = self._has(usual, "eval-seconds")
        self._answers: dict[tuple[int, Epochs], list[Answer]] = {}
        if benchmark.in_memory and not usual.seeds:
            self._look_all_up(self.usual)
        what = f"{self.split} accuracy" + ("" if self.split == "valid" else " itself, for it has no other,")
        length = "its full training" if self.usual is None else f"{self.usual} epochs"
        runs = "one training seed, drawn anew each time" if usual.seeds else "the mean over training seeds"
        self.about = f"{what} after {length}: {runs}"
        """What is told, in words."""

    @property
    def budgets(self) -> tuple[Epochs, ...]:
        """Epochs of the trainings that may be asked for, ascending.

        Every epoch of the usual training where the benchmark has its curve, else the lengths of its trainings.
        """
        return tuple(self._trainings)

    def answers(self, index: int, epochs: Epochs) -> list[Answer]:
        """What the cell's training of so many epochs came to: one answer, or one for each training seed.

        Raises:
            DataError: it was not run.
        """
        found = self._answers.get((index, epochs))
        if found is None:
            found = self._answers[index, epochs] = self._look_up(index, self._trainings[epochs])
        return found

    def _look_up(self, index: int, training: _Training) -> list[Answer]:
        cell = np.array([index])
        seconds = float(self._seconds(cell, training)[0])
        found = []
        for key in training.seeds:
            try:
                accuracy = self._benchmark.lookup(cell, key, "accuracy", training.at_epoch)[0]
            except DataError:  # not every cell was trained with every seed
                continue
            found.append(Answer(float(accuracy), seconds, key.seed))
        if found:
            return found
        accuracy = self._benchmark.lookup(cell, training.mean, "accuracy", training.at_epoch)[0]
        return [Answer(float(accuracy), seconds, None)]

    def _look_all_up(self, epochs: Epochs) -> None:
        """All cells at once: milliseconds for all instead of tens of microseconds each."""
        training, every = self._trainings[epochs], np.arange(self._benchmark.space.num_cells)
        accuracy = self._benchmark.lookup(every, training.mean, "accuracy", training.at_epoch).tolist()
        seconds = self._seconds(every, training).tolist()
        self._answers.update({(i, epochs): [Answer(accuracy[i], seconds[i], None)] for i in every.tolist()})

    def _seconds(self, cells: NDArray[np.int64], training: _Training) -> NDArray[np.float64]:
        """As NATS-Bench counts them: a training of some epochs takes their share of the whole one."""
        if not self.timed:
            return np.zeros(len(cells))
        seconds = self._benchmark.lookup(cells, training.mean, "train-seconds")
        if training.at_epoch is not None and training.mean.epochs is not None:
            seconds = seconds * (training.at_epoch / training.mean.epochs)
        if self._evaluated:
            seconds = seconds + self._benchmark.lookup(cells, training.mean, "eval-seconds")
        return seconds

    def _has(self, training: _Training, quantity: str) -> bool:
        try:
            self._benchmark.lookup(np.array([0]), training.mean, quantity, training.at_epoch)
        except BadCallError:
            return False
        except DataError:  # of cell 0, as in a folder that was cut: others may have it
            return training.at_epoch is None
        return True
