"""The benchmark that comes with pip: CIFAR-10 test accuracies of all cells in the package `analog-nasbench`.

Its authors trained every cell of NAS-Bench-201 anew for their study of analog hardware; what is read here
is the digital baseline. It is their retraining, not NATS-Bench's, and is named `analog` wherever it is shown.
The package is not imported: its one data file is a pickle, read by the admit-list unpickler.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import files, unpickle
from nasbench_stc.benchmark import table
from nasbench_stc.benchmark.base import Key
from nasbench_stc.errors import DataError
from nasbench_stc.space import EDGES, NUM_CELLS, indices_of

VERSION = "0.1.3"
HOW_TO_GET = f"pip install analog-nasbench=={VERSION}"
DATA_SHA256 = "85f3435b877aa2d36268d55ce07f6ff6d73643d17a840f1941745da5eb80db32"
"""Of the package's data file, in that version."""

_ELSEWHERE = f"NATS-Bench's own numbers (three data sets; 12 and 200 epochs): {table.HOW_TO_GET}"

# The package's own order of operations (their positions in our `OPS`) and of edges.
_THEIR_OPS = (1, 0, 3, 2, 4)
_THEIR_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


class _Fields:
    """Stands for the package's two record classes; unpickling fills its `__dict__`."""


_ADMITTED = {f"analognasbench.data.{name}": _Fields for name in ("Architecture", "DriftMeasurement")} | unpickle.NUMPY


def find_file() -> Path | None:
    """The data file of the installed package, without importing the package."""
    spec = importlib.util.find_spec("analognasbench")
    folders = spec.submodule_search_locations if spec else None
    found = [Path(folder) / "data.anb" for folder in folders or ()]
    return next((path for path in found if path.is_file()), None)


def read_analog() -> table.TableBenchmark:
    """The installed package's baseline accuracies as a `Benchmark` (CIFAR-10, test, its own full training).

    Raises:
        DataError: the package is not installed, or its file is not what it was.
    """
    path = find_file()
    if path is None:
        raise DataError(f"the benchmark 'analog' needs the package analog-nasbench: {HOW_TO_GET}")
    with path.open("rb") as file:
        records = unpickle.load(file, path, _ADMITTED)
    accuracies = np.full(NUM_CELLS, np.nan)
    try:
        accuracies[to_indices(np.array(list(records)))] = [record.baseline_accuracy for record in records.values()]
    except (AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path}: not the file of analog-nasbench {VERSION} ({error}); {HOW_TO_GET}") from None
    if np.isnan(accuracies).any() or not (accuracies.min() >= 0 and accuracies.max() <= 100):
        raise DataError(f"{path}: lacks accuracies of some cells, or holds some outside 0-100; {HOW_TO_GET}")
    return table.TableBenchmark(
        name="analog",
        about="analog-nasbench's own retraining of all cells (CIFAR-10 test, digital baseline), not NATS-Bench",
        path=path,
        sha256=files.digest(path),
        accuracies={Key("cifar10", "test", None, None): accuracies},
        elsewhere=_ELSEWHERE,
    )


def to_indices(theirs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The official indices of cells that the package writes as rows of six numbers in its own orders, shape (n, 6)."""
    by_our_edges = theirs[:, [_THEIR_EDGES.index(edge) for edge in EDGES]]
    return indices_of(np.array(_THEIR_OPS)[by_our_edges])
