"""The `Benchmark` protocol: accuracies in percent, vectorised over cells, asked for by data set and split.

CIFAR-10 is two trainings in these benchmarks: `valid` is the validation half under the network trained on
the 25,000 images of the other half, `test` the test set under the network trained on all 50,000. Callers
name the split and get the right one; what else a source has goes by names of its own. What a source does not
hold is an error that says what it holds, never another number.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import files
from nasbench_stc.errors import BadCallError, DataError, choose
from nasbench_stc.seeds import told
from nasbench_stc.space import DATASETS, TSS, Cell, Space, all_cells, check_dataset

if TYPE_CHECKING:
    from pandas import DataFrame

SPLITS = {
    "valid": "the validation images; on CIFAR-10, of the network trained on the other 25,000",
    "test": "the test images; on CIFAR-10, of the network trained on all 50,000",
    "train": "the training images of the network behind `test`",
    "valtest": "CIFAR-100, ImageNet16-120: the images of `valid` and `test` together",
    "half-test": "CIFAR-10: the test images, of the network trained on 25,000",
    "half-train": "CIFAR-10: the training images of the network trained on 25,000",
}
QUANTITIES = {
    "accuracy": "percent right",
    "loss": "mean cross-entropy, nats",
    "train-seconds": "seconds of the whole training, on the benchmark's machine",
    "eval-seconds": "seconds of one evaluation on the split's images, on the benchmark's machine",
    "latency": "seconds of one forward pass of a batch of 256 images, on the benchmark's machine",
    "params": "trainable parameters of the network, in millions, as the source has them",
    "mflops": "multiply-adds of one image's forward pass, in millions, as the source has them",
}
_NAMES = ("digits", "isomorphism_class")  # of a cell, besides its official string and its index
Cells = Iterable[Cell | int] | NDArray[np.integer]
"""Cells, or their official indices."""


def column(dataset: str, split: str) -> str:
    """The name of a column in reports, like `cifar10-valid`."""
    return f"{dataset}-{split}"


COLUMNS = {column(dataset, split): (dataset, split) for dataset in DATASETS for split in ("valid", "test")}
"""The six columns of Table 6, in its order, to (data set, split)."""


class Key(NamedTuple):
    """What a number is of. `epochs` None: not published; `seed` None: the mean over the source's seeds."""

    dataset: str
    split: str
    epochs: int | None
    seed: int | None

    def __str__(self) -> str:
        budget = "full training" if self.epochs is None else f"{self.epochs} epochs"
        runs = "mean over seeds" if self.seed is None else f"seed {self.seed}"
        return f"{self.dataset} {self.split} at {budget}, {runs}"


class Benchmark(Protocol):
    """A source of accuracies. `cells` are cells or official indices; results have shape `(len(cells),)`.

    A source says what it holds and looks it up (`holds`, `lookup`, `lookup_curve`); the rest follows.
    """

    name: str
    """For reports; of official numbers with their version, like `NATS-Bench v1.0`."""
    space: Space = TSS
    """Whose cells it has."""
    about: str
    """One line for captions: what the numbers are."""
    path: Path
    sha256: str
    in_memory: bool
    """Whether the whole space is at hand: else `rank` and `optimal` read it, for minutes, or find that cells lack."""
    elsewhere: str = ""
    """One sentence on how to get what this source lacks, if another has it."""
    opened_by: tuple[Callable[..., Benchmark], str, str, str] | None = None
    """What opens it in another process, what that is asked for, the data folder and the space; None: it is pickled."""

    def __reduce_ex__(self, protocol: Any) -> str | tuple[Any, ...]:
        if self.opened_by is None:
            return super().__reduce_ex__(protocol)
        function, *where = self.opened_by
        return function, (*where, self.name, self.sha256)

    def holds(self) -> Sequence[Key]:
        """Everything of which there are accuracies."""

    def lookup(
        self, index: NDArray[np.int64], key: Key, quantity: str = "accuracy", at_epoch: int | None = None
    ) -> NDArray[np.float64]:
        """One of `QUANTITIES` of the cells at `index`, for a key that this source holds.

        Args:
            at_epoch: after how many epochs of that training; None: at its end.

        Raises:
            BadCallError: this source does not hold that quantity, or not per epoch; the message says what it holds.
            DataError: it was not run for some of the cells; the message names one.
        """

    def lookup_curve(self, index: NDArray[np.int64], key: Key, quantity: str = "accuracy") -> NDArray[np.float64]:
        """`lookup` after each epoch, shape `(len(index), key.epochs)`.

        Raises:
            BadCallError, DataError: as `lookup`.
        """

    def accuracy(
        self,
        cells: Cells,
        dataset: str = "cifar10",
        split: str = "test",
        epochs: int | None = None,
        seed: int | None = None,
        at_epoch: int | None = None,
    ) -> NDArray[np.float64]:
        """Percent right.

        Args:
            cells: cells or their official indices.
            dataset: one of the space's three.
            split: one of `SPLITS`.
            epochs: for how many the network was trained in all; None is the source's full budget.
            seed: of the training; None is the mean over the source's seeds.
            at_epoch: after how many epochs of that training; None is its end.

        Raises:
            BadCallError: this source does not hold it; the message says what it holds.
            DataError: it was not run for some of the cells; the message names one.
        """
        return self.quantity("accuracy", cells, dataset, split, epochs, seed, at_epoch)

    def curve(
        self,
        cells: Cells,
        dataset: str = "cifar10",
        split: str = "test",
        epochs: int | None = None,
        seed: int | None = None,
        quantity: str = "accuracy",
    ) -> NDArray[np.float64]:
        """The quantity (`accuracy` or `loss`) after each epoch, shape `(len(cells), epochs)`; see `accuracy`."""
        return self.lookup_curve(as_indices(cells, self.space), resolve(self, dataset, split, epochs, seed), quantity)

    def quantity(
        self,
        name: str,
        cells: Cells,
        dataset: str = "cifar10",
        split: str = "valid",
        epochs: int | None = None,
        seed: int | None = None,
        at_epoch: int | None = None,
    ) -> NDArray[np.float64]:
        """One of `QUANTITIES`; the rest as in `accuracy`."""
        key = resolve(self, dataset, split, epochs, seed)
        return self.lookup(as_indices(cells, self.space), key, name, at_epoch)

    def train_seconds(
        self, cells: Cells, dataset: str = "cifar10", split: str = "valid", epochs: int | None = None
    ) -> NDArray[np.float64]:
        """Seconds that training for that accuracy took, the mean over seeds, on the benchmark's machine.

        Raises:
            BadCallError: this source does not hold that accuracy, or no training times.
        """
        return self.quantity("train-seconds", cells, dataset, split, epochs)

    def cost(self, cells: Cells, dataset: str = "cifar10") -> dict[str, NDArray[np.float64]]:
        """What each cell's network on `dataset` costs: `params` and `mflops`, both in millions (see `Space.params`)."""
        chosen = list(map(self.space.at, as_indices(cells, self.space).tolist()))
        return {"params": self.space.params(chosen, dataset) / 1e6, "mflops": self.space.mflops(chosen, dataset)}

    def optimal(self, dataset: str = "cifar10", split: str = "test", epochs: int | None = None) -> tuple[Cell, float]:
        """The best cell of the space and its accuracy; of equals the first in index order."""
        values = self.whole(resolve(self, dataset, split, epochs, None))
        best = int(values.argmax())
        return Cell.from_index(best, self.space.name), float(values[best])

    def rank(
        self, cells: Cells, dataset: str = "cifar10", split: str = "test", epochs: int | None = None
    ) -> NDArray[np.int64]:
        """1 for the best of all cells of the space; equals share the better rank."""
        values = self.whole(resolve(self, dataset, split, epochs, None))
        return len(values) - np.searchsorted(np.sort(values), values[as_indices(cells, self.space)], side="right") + 1

    def whole(self, key: Key) -> NDArray[np.float64]:
        """`lookup` for all cells, in index order."""
        return self.lookup(np.arange(self.space.num_cells), key)

    def known(self, key: Key) -> NDArray[np.float64]:
        """`whole`, with NaN for cells that were not run: not all were with every seed."""
        return self.whole(key)

    def frame(self, metrics: bool = True, data_dir: str | Path | None = None) -> DataFrame:
        """All cells of the space, a row each in index order; the index is named `cell_index`.

        `cell` is the official string; `digits` and `isomorphism_class` are as of `Cell`. Every accuracy that is held is
        a column, in percent, NaN for cells that were not run. `cifar10-test` is of the full budget and the mean over
        seeds; other names say what differs, like `cifar10-valid@12` (epochs) and `cifar10-valid seed 777`. By data set,
        `cifar10-params` and `cifar10-mflops` are what `cost` says, in millions.

            bench.frame(metrics=False).nlargest(10, "cifar10-test")

        Args:
            metrics: with all of `find_metrics`, which takes some seconds; in their own units, by name, after the data
                set if they are of one (`cifar10-train-seconds-valid`, `help-pixel2-latency`).
            data_dir: as for `find_metrics`.

        Raises:
            DataError: not the whole space is at hand, or a file of metrics is damaged.
        """
        from pandas import DataFrame, RangeIndex

        from nasbench_stc.benchmark.metrics import at_hand  # which imports this module

        if not self.in_memory:
            raise DataError(
                f"benchmark {self.name} ({self.about}) does not have the whole space at hand, of which a frame is. "
                "`stc-bench data import` makes a table of an official file that has it"
            )
        cells, keys = all_cells(self.space.name), self.holds()
        every = np.arange(len(cells))
        columns: dict[str, Any] = {name: [getattr(cell, name) for cell in cells] for name in _NAMES}
        columns |= {column_of(key, keys): self.known(key) for key in keys}
        with suppress(BadCallError):  # the space has no formula
            for dataset in DATASETS:
                columns |= {f"{dataset}-{name}": values for name, values in self.cost(every, dataset).items()}
        for metric in at_hand(self, files.data_dir(data_dir)) if metrics else ():
            columns["-".join(filter(None, (metric.dataset, metric.name)))] = metric.values(every)
        return DataFrame({"cell": list(map(str, cells)), **columns}, RangeIndex(len(cells), name="cell_index"))


class NoBenchmark(Benchmark):
    """Of a space of which there is none here: it holds nothing, so that cells found are not looked up."""

    name, path, sha256, in_memory = "none", Path("none"), "", False

    def __init__(self, space: Space) -> None:
        self.space = space
        self.about = f"there is no table of {space.title}; `stc-bench train` trains what was found"

    def holds(self) -> Sequence[Key]:
        """Nothing."""
        return ()

    def lookup(
        self, index: NDArray[np.int64], key: Key, quantity: str = "accuracy", at_epoch: int | None = None
    ) -> NDArray[np.float64]:
        """Not called: it holds no key."""
        raise lacks(self, key, quantity, ())

    def lookup_curve(self, index: NDArray[np.int64], key: Key, quantity: str = "accuracy") -> NDArray[np.float64]:
        """Likewise."""
        raise lacks(self, key, quantity, ())


def column_of(key: Key, keys: Sequence[Key]) -> str:
    """The name of a key's column in a frame of all those `keys`: what differs from full budget and mean stands last."""
    full = max(other.epochs or 0 for other in keys if other[:2] == key[:2])
    budget = "" if (key.epochs or 0) == full else f"@{key.epochs}"
    return column(key.dataset, key.split) + budget + ("" if key.seed is None else f" seed {key.seed}")


def held_columns(benchmark: Benchmark) -> dict[str, tuple[str, str]]:
    """Those of `COLUMNS` that the benchmark holds."""
    held = {(key.dataset, key.split) for key in benchmark.holds()}
    return {name: which for name, which in COLUMNS.items() if which in held}


def as_indices(cells: Cells, space: Space = TSS) -> NDArray[np.int64]:
    """The official indices of `cells`, int64.

    Raises:
        BadCallError: an index out of range, a cell of another space, or something that is neither cell nor index.
    """
    if isinstance(cells, np.ndarray) and np.issubdtype(cells.dtype, np.integer):
        if cells.size and not (cells.min() >= 0 and cells.max() < space.num_cells):
            raise BadCallError(f"cell indices run from 0 to {space.num_cells - 1}; got {cells.min()} to {cells.max()}")
        return cells.astype(np.int64).reshape(-1)
    if isinstance(cells, (Cell, str, int)):
        raise BadCallError(f"expected several cells, got one ({cells!r}): put it into a list")
    cells = list(cells)
    if set(map(type, cells)) == {int}:  # quicker than one by one
        with suppress(OverflowError):
            return as_indices(np.array(cells, dtype=np.int64), space)
    return np.array([_index(cell, space) for cell in cells], dtype=np.int64)


def _index(cell: Cell | int, space: Space) -> int:
    cell = cell if isinstance(cell, Cell) else Cell.from_index(cell, space.name)
    if cell.space != space.name:
        raise BadCallError(f"{cell} is a cell of {cell.of.title} ({cell.space}), not of {space.title} ({space.name})")
    return cell.index


def resolve(benchmark: Benchmark, dataset: str, split: str, epochs: int | None, seed: int | None) -> Key:
    """The one of the benchmark's keys that is meant; a missing number of epochs means the most there are.

    Raises:
        BadCallError: none is; the message says what the benchmark holds.
    """
    check_dataset(dataset, kind="data set of a benchmark")
    if split not in SPLITS:
        raise choose("split", split, SPLITS)
    keys = benchmark.holds()
    if not keys:
        raise BadCallError(f"no benchmark to look up in: {benchmark.about}")
    same_split = [key for key in keys if key[:2] == (dataset, split)]
    if epochs is None and same_split:
        epochs = max((key.epochs for key in same_split), key=lambda e: e or 0)
    wanted = Key(dataset, split, epochs, seed)
    if wanted not in keys:
        held = "; ".join(_told(same_split or keys))
        more = f". {benchmark.elsewhere}" if benchmark.elsewhere else ""
        raise BadCallError(f"benchmark {benchmark.name} does not hold {wanted}. It holds: {held}{more}")
    return wanted


def check_epoch(key: Key, at_epoch: int) -> str:
    """` after … epochs`, for messages.

    Raises:
        BadCallError: no epoch of that training.
    """
    if key.epochs is None:
        raise BadCallError(f"at_epoch={at_epoch}: {key} has no epochs")
    if not 1 <= at_epoch <= key.epochs:
        raise BadCallError(f"at_epoch={at_epoch}: {key} has the epochs 1 to {key.epochs}")
    return f" after {at_epoch} epochs"


def lacks(
    benchmark: Benchmark, key: Key, quantity: str, held: Iterable[tuple[Key, str]], when: str = ""
) -> BadCallError:
    """The error for a quantity that a benchmark does not hold of a key that it holds; `held`: which it has `when`."""
    if quantity not in QUANTITIES:
        return choose("quantity", quantity, QUANTITIES)
    held = list(held)
    same = [other for other, what in held if what == quantity]
    if same:
        says = f"It holds it{when and ' per epoch'} of: {'; '.join(_told(same))}"
    else:
        names = dict.fromkeys(what for _, what in held)
        says = f"It holds{when and ' per epoch'}: {', '.join(names) or 'nothing'}"
    return BadCallError(f"benchmark {benchmark.name} does not hold the {quantity} of {key}{when}. {says}")


def _told(keys: Sequence[Key]) -> Iterator[str]:
    """Keys in few words: one phrase for each data set, split and number of epochs."""
    for (dataset, split, epochs), group in itertools.groupby(sorted(keys, key=_order), key=lambda key: key[:3]):
        seeds = [key.seed for key in group]
        single = [seed for seed in seeds if seed is not None]
        runs = ["the mean over seeds"] * (None in seeds) + [told(single)] * bool(single)
        budget = "full training" if epochs is None else f"{epochs} epochs"
        yield f"{dataset} {split} at {budget} ({', '.join(runs)})"


def _order(key: Key) -> tuple[int, int, int, int]:
    splits = list(SPLITS)
    return DATASETS.index(key.dataset), splits.index(key.split), key.epochs or 0, key.seed or 0
