"""The benchmark that comes with pip: CIFAR-10 test accuracies of all cells in the package `analog-nasbench`.

AnalogNAS-Bench (arXiv 2506.18495; IBM/analog-nas on GitHub): its authors trained every cell of NAS-Bench-201 anew,
and evaluated it digitally, quantised, and on simulated analog hardware. Each of these is a condition; `digital` is
the one that stands for a benchmark of usual accuracies. It is their retraining, not NATS-Bench's, and is named
`analog` wherever it is shown. The package is not imported: its one data file is a pickle, read by the admit-list
unpickler.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import files, unpickle
from nasbench_stc.benchmark import table
from nasbench_stc.benchmark.base import Key
from nasbench_stc.errors import DataError, choose
from nasbench_stc.space import EDGES, NUM_CELLS, indices_of

VERSION = "0.1.3"
HOW_TO_GET = f"pip install analog-nasbench=={VERSION}"
DATA_SHA256 = "85f3435b877aa2d36268d55ce07f6ff6d73643d17a840f1941745da5eb80db32"
"""Of the package's data file, in that version."""

_ELSEWHERE = f"NATS-Bench's own numbers (three data sets; 12 and 200 epochs): {table.HOW_TO_GET}"

# The package's own order of operations (their positions in our `OPS`) and of edges.
_THEIR_OPS = (1, 0, 3, 2, 4)
_THEIR_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


class Condition(NamedTuple):
    """One way in which the package's authors evaluated each cell."""

    field: str
    """Of the package's records; a dot leads into a drift measurement."""
    about: str
    spread: str = ""
    """The field with its standard deviation over evaluations, where there is one."""


def _conditions() -> dict[str, Condition]:
    found = {
        "digital": Condition("baseline_accuracy", "trained and evaluated digitally, in full precision"),
        "ptq": Condition("ptq_accuracy", "the digital network, quantised after training"),
        "qat": Condition("qat_accuracy", "the digital network, trained on with quantisation in the loop"),
        "noisy": Condition("noisy_accuracy", "the digital network on simulated analog hardware, as it is"),
        "hwt": Condition(
            "analog_accuracy", "the digital network, trained on with analog noise, on simulated analog hardware"
        ),
    }
    for prefix, field, network in (
        ("noisy-drift", "baseline_drift", "the digital network"),
        ("drift", "analog_drift", "the network of hwt"),
    ):
        for seconds, time in ((60, "a minute"), (3600, "an hour"), (86400, "a day"), (2592000, "30 days")):
            about = f"{network} on simulated analog hardware that has drifted for {time}"
            measured = f"{field}_{seconds}"
            found[f"{prefix}@{seconds}s"] = Condition(f"{measured}.value", about, f"{measured}.uncertainty")
    return found


CONDITIONS = _conditions()
"""By name. `analog` as a benchmark is `digital`; the others are `analog:NAME`."""


class _Fields:
    """Stands for the package's two record classes; unpickling fills its `__dict__`."""


_ADMITTED = {f"analognasbench.data.{name}": _Fields for name in ("Architecture", "DriftMeasurement")} | unpickle.NUMPY


def find_file() -> Path | None:
    """The data file of the installed package, without importing the package."""
    spec = importlib.util.find_spec("analognasbench")
    folders = spec.submodule_search_locations if spec else None
    found = [Path(folder) / "data.anb" for folder in folders or ()]
    return next((path for path in found if path.is_file()), None)


def read_analog(condition: str = "digital") -> table.TableBenchmark:
    """The installed package's accuracies under a condition as a `Benchmark` (CIFAR-10, test, its own full training).

    Raises:
        BadCallError: no such condition.
        DataError: the package is not installed, or its file is not what it was.
    """
    if condition not in CONDITIONS:
        raise choose("condition of the benchmark 'analog'", condition, CONDITIONS)
    records = Records()
    digital = condition == "digital"
    what = "digital baseline" if digital else f"condition {condition}: {CONDITIONS[condition].about}"
    return table.TableBenchmark(
        name="analog" if digital else f"analog:{condition}",
        about=f"analog-nasbench's own retraining of all cells (CIFAR-10 test, {what}), not NATS-Bench",
        path=records.path,
        sha256=files.digest(records.path),
        columns={(Key("cifar10", "test", None, None), "accuracy"): records.percent(CONDITIONS[condition].field)},
        elsewhere=_ELSEWHERE if digital else "",
    )


class Records:
    """What the installed package holds of each cell.

    Raises:
        DataError: the package is not installed, or its file is not what it was.
    """

    def __init__(self) -> None:
        path = find_file()
        if path is None:
            raise DataError(f"the benchmark 'analog' needs the package analog-nasbench: {HOW_TO_GET}")
        self.path = path
        with path.open("rb") as file:
            records = unpickle.load(file, path, _ADMITTED)
        self._index = self._checked(lambda: to_indices(np.array(list(records))))
        self._records = self._checked(lambda: list(records.values()))

    def percent(self, field: str) -> NDArray[np.float64]:
        """A field of all cells' records, percent, in index order."""
        values = np.full(NUM_CELLS, np.nan)
        values[self._index] = self._checked(lambda: [float(value) for value in map(attrgetter(field), self._records)])
        if np.isnan(values).any() or not (values.min() >= 0 and values.max() <= 100):
            raise DataError(f"{self.path}: lacks accuracies of some cells, or holds some outside 0-100; {HOW_TO_GET}")
        return values

    def _checked(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
            raise DataError(f"{self.path}: not the file of analog-nasbench {VERSION} ({error}); {HOW_TO_GET}") from None


def to_indices(theirs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The official indices of cells that the package writes as rows of six numbers in its own orders, shape (n, 6)."""
    by_our_edges = theirs[:, [_THEIR_EDGES.index(edge) for edge in EDGES]]
    return indices_of(np.array(_THEIR_OPS)[by_our_edges])
