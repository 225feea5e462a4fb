"""The `Benchmark` protocol: accuracies in percent, vectorised over cells, asked for by data set and split.

CIFAR-10 is two trainings in these benchmarks: `valid` is the validation half under the network trained on
the 25,000 images of the other half, `test` the test set under the network trained on all 50,000. Callers
name the split and get the right one; there is no way to ask for the other pairing. What a source does not
hold is an error that says what it holds, never another number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.errors import BadCallError, choose
from nasbench_stc.space import DATASETS, NUM_CELLS, Cell, flops, params

SPLITS = ("valid", "test")
Cells = Iterable[Cell | int] | NDArray[np.integer]
"""Cells, or their official indices."""


def column(dataset: str, split: str) -> str:
    """The name of a column in reports, like `cifar10-valid`."""
    return f"{dataset}-{split}"


COLUMNS = {column(dataset, split): (dataset, split) for dataset in DATASETS for split in SPLITS}
"""The six columns of Table 6, in its order, to (data set, split)."""


class Key(NamedTuple):
    """What an accuracy is of. `epochs` None: not published; `seed` None: the mean over the source's seeds."""

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

    A source says what it holds and looks it up (`holds`, `lookup`, `lookup_seconds`); the rest follows.
    """

    name: str
    """As `open_benchmark` takes it."""
    about: str
    """One line for captions: what the numbers are."""
    path: Path
    sha256: str
    in_memory: bool
    """Whether the whole space is at hand: else the first `rank` or `optimal` reads it, which takes minutes."""
    elsewhere: str = ""
    """One sentence on how to get what this source lacks, if another has it."""

    def holds(self) -> Sequence[Key]:
        """Everything that can be asked for."""

    def lookup(self, index: NDArray[np.int64], key: Key) -> NDArray[np.float64]:
        """Percent right of the cells at `index`, for a key that this source holds.

        Raises:
            DataError: it was not run for some of the cells; the message names one.
        """

    def lookup_seconds(self, index: NDArray[np.int64], key: Key) -> NDArray[np.float64]:
        """Seconds of those cells' training, on the benchmark's machine.

        Raises:
            BadCallError: this source holds no training times.
        """

    def accuracy(
        self,
        cells: Cells,
        dataset: str = "cifar10",
        split: str = "test",
        epochs: int | None = None,
        seed: int | None = None,
    ) -> NDArray[np.float64]:
        """Percent right. `epochs=None` is the source's full budget, `seed=None` the mean over its seeds.

        Raises:
            BadCallError: this source does not hold it; the message says what it holds.
            DataError: it was not run for some of the cells; the message names one.
        """
        return self.lookup(as_indices(cells), resolve(self, dataset, split, epochs, seed))

    def train_seconds(
        self, cells: Cells, dataset: str = "cifar10", split: str = "valid", epochs: int | None = None
    ) -> NDArray[np.float64]:
        """Seconds that training for that accuracy took, the mean over seeds, on the benchmark's machine.

        Raises:
            BadCallError: this source does not hold that accuracy, or no training times.
        """
        return self.lookup_seconds(as_indices(cells), resolve(self, dataset, split, epochs, None))

    def cost(self, cells: Cells, dataset: str = "cifar10") -> dict[str, NDArray[np.float64]]:
        """What each cell's network on `dataset` costs: `params` and `mflops`, both in millions (see `space.cost`)."""
        chosen = [Cell.from_index(index) for index in as_indices(cells)]
        return {"params": params(chosen, dataset) / 1e6, "mflops": flops(chosen, dataset)}

    def optimal(self, dataset: str = "cifar10", split: str = "test", epochs: int | None = None) -> tuple[Cell, float]:
        """The best cell of the space and its accuracy; of equals the first in index order."""
        values = self.whole(resolve(self, dataset, split, epochs, None))
        best = int(values.argmax())
        return Cell.from_index(best), float(values[best])

    def rank(
        self, cells: Cells, dataset: str = "cifar10", split: str = "test", epochs: int | None = None
    ) -> NDArray[np.int64]:
        """1 for the best of all 15,625 cells; equals share the better rank."""
        values = self.whole(resolve(self, dataset, split, epochs, None))
        return len(values) - np.searchsorted(np.sort(values), values[as_indices(cells)], side="right") + 1

    def whole(self, key: Key) -> NDArray[np.float64]:
        """`lookup` for all cells, in index order."""
        return self.lookup(np.arange(NUM_CELLS), key)


def as_indices(cells: Cells) -> NDArray[np.int64]:
    """The official indices of `cells`, int64.

    Raises:
        BadCallError: an index out of range, or something that is neither cell nor index.
    """
    if isinstance(cells, np.ndarray) and np.issubdtype(cells.dtype, np.integer):
        if cells.size and not (cells.min() >= 0 and cells.max() < NUM_CELLS):
            raise BadCallError(f"cell indices run from 0 to {NUM_CELLS - 1}; got {cells.min()} to {cells.max()}")
        return cells.astype(np.int64).reshape(-1)
    if isinstance(cells, (Cell, str, int)):
        raise BadCallError(f"expected several cells, got one ({cells!r}): put it into a list")
    return np.array(
        [(cell if isinstance(cell, Cell) else Cell.from_index(cell)).index for cell in cells], dtype=np.int64
    )


def resolve(benchmark: Benchmark, dataset: str, split: str, epochs: int | None, seed: int | None) -> Key:
    """The one of the benchmark's keys that is meant; a missing number of epochs means the most there are.

    Raises:
        BadCallError: none is; the message says what the benchmark holds.
    """
    if dataset not in DATASETS:
        raise choose("data set of a benchmark", dataset, DATASETS)
    if split not in SPLITS:
        raise choose("split", split, SPLITS)
    keys = benchmark.holds()
    same_split = [key for key in keys if key[:2] == (dataset, split)]
    if epochs is None and same_split:
        epochs = max((key.epochs for key in same_split), key=lambda e: e or 0)
    wanted = Key(dataset, split, epochs, seed)
    if wanted not in keys:
        held = "; ".join(map(str, same_split or keys))
        more = f". {benchmark.elsewhere}" if benchmark.elsewhere else ""
        raise BadCallError(f"benchmark {benchmark.name} does not hold {wanted}. It holds: {held}{more}")
    return wanted
