"""The table of all cells, joined from small public tables that were each taken from the official files.

Four tables, six files (`fetching` says from where): NAS-Bench-201 v1.1's means, NATS-Bench's mean test accuracies,
the accuracies at 12 epochs, and NATS-Bench's single runs. Each is in the official order of cells, or it is refused.
Its pickles are read by the admit-list unpickler, that of pandas as the plain state of its objects.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import unpickle
from nasbench_stc.errors import DataError
from nasbench_stc.space import DATASETS, NUM_CELLS, all_cells, flops, params

OLDER = {dataset: f"nasbench201_{dataset}.csv" for dataset in DATASETS}
"""NAS-Bench-201 v1.1, means at 200 epochs; CIFAR-10 is its training on 25,000 images."""
TEST = "nats_bench.csv"
"""NATS-Bench, means at 200 epochs on the test sets; CIFAR-10 is its training on 50,000 images."""
SHORT = "mini-bench-arch-cell-accs.pd"
"""12 epochs."""
RUNS = "metric_vals.pkl"
"""NATS-Bench, single runs at 200 epochs: CIFAR-10 on its validation half, the others on validation and test at once."""

_SEEDS = (777, 888, 999)  # in this order; every cell was run with two of them or three
_SHORT_NAMES = {"cifar10": "c10", "cifar100": "c100", "ImageNet16-120": "in"}  # in the columns of the table
_TEST_COLUMNS = {
    "cifar10": "CIFAR10TestAccuracy200Epochs",
    "cifar100": "CIFAR100TestAccuracy200Epochs",
    "ImageNet16-120": "ImageNetTestAccuracy200Epochs",
}
_RUNS_NAMES = {"cifar10": "cifar10", "cifar100": "cifar100", "ImageNet16-120": "imagenet"}
_ROUNDING = 1e-3  # points
# How far 2·mean(validation and test) − mean(test) is from the validation accuracy where that is known, at most, in
# points: an image or two, which the older evaluation of the halves saw otherwise than the newer one of the whole.
_DERIVED_WITHIN = {"cifar100": 0.014, "ImageNet16-120": 0.034}

Numbers = NDArray[np.float64]


class _Runs(NamedTuple):
    number: NDArray[np.int64]  # of each cell
    seconds: Numbers  # of a cell's training on CIFAR-10's 25,000 images; its runs have all the same
    accuracy: dict[str, Numbers]  # by data set, (seed, cell); NaN where it was not run


def join(content: Mapping[str, bytes]) -> bytes:
    """The table, as CSV, from the content of the six files by their names.

    Raises:
        DataError: a file is damaged, asks for more than plain data, or is in another order.
    """
    cells = all_cells()
    order = [str(cell) for cell in cells]
    short = _short(content[SHORT], order)
    runs = _runs(content[RUNS])
    test = _test(content[TEST], order)
    older = {dataset: _older(name, content[name], order) for dataset, name in OLDER.items()}
    mean = {dataset: np.nansum(runs.accuracy[dataset], axis=0) / runs.number for dataset in DATASETS}
    valid = _validation(older, mean, test)

    columns: dict[str, list[str]] = {
        "arch": order,
        "n_seeds_nats": list(map(str, runs.number)),
        "params_c10": list(map(str, params(cells))),
        "flops_m_c10": _written(flops(cells), decimals=5),
    }
    for dataset, name in _SHORT_NAMES.items():
        columns[f"{'c10valid' if name == 'c10' else name}_val_12"] = _written(short[dataset, "val"])
        columns[f"{name}_test_12"] = _written(short[dataset, "test"])
    columns["c10valid_val_200"] = _written(mean["cifar10"])
    columns["c10valid_test_200_v11"] = _written(older["cifar10"]["test accuracy"])
    columns["c10_test_200"] = _written(test["cifar10"])
    for dataset, values in valid.items():
        columns[f"{_SHORT_NAMES[dataset]}_val_200"] = _written(values)
        columns[f"{_SHORT_NAMES[dataset]}_test_200"] = _written(test[dataset])
    for dataset, name in _SHORT_NAMES.items():
        for seed, values in zip(_SEEDS, runs.accuracy[dataset], strict=True):
            columns[f"{'c10valid_val' if name == 'c10' else f'{name}_valtest'}_200_s{seed}"] = _written(values)
    columns["c10valid_train_time_200"] = _written(runs.seconds)

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def _written(values: Numbers, decimals: int = 4) -> list[str]:
    """Numbers as the table has them: rounded to `decimals`, then to six digits; nothing for NaN."""
    return ["" if value != value else f"{round(value, decimals):.6g}" for value in values.tolist()]


def _validation(
    older: Mapping[str, Mapping[str, Numbers]], mean: Mapping[str, Numbers], test: Mapping[str, Numbers]
) -> dict[str, Numbers]:
    """NATS-Bench's mean validation accuracies on CIFAR-100 and ImageNet16-120.

    They are NAS-Bench-201 v1.1's, except for the cells of which the two average different runs, as their means tell.
    For these cells they follow from the means of both halves together and of the test half.
    """
    derived = {dataset: 2 * mean[dataset] - test[dataset] for dataset in _DERIVED_WITHIN}
    known = {dataset: older[dataset]["validation accuracy"] for dataset in DATASETS}
    other_runs = np.abs(mean["cifar10"] - known["cifar10"]) > _ROUNDING
    for dataset, within in _DERIVED_WITHIN.items():
        other_runs |= np.abs(derived[dataset] - known[dataset]) > within
    return {dataset: np.where(other_runs, derived[dataset], known[dataset]) for dataset in _DERIVED_WITHIN}


def _older(name: str, raw: bytes, order: list[str]) -> dict[str, Numbers]:
    return _csv(name, raw, order, "arch str", ("validation accuracy", "test accuracy"))


def _test(raw: bytes, order: list[str]) -> dict[str, Numbers]:
    columns = _csv(TEST, raw, order, "ArchitectureString", _TEST_COLUMNS.values())
    return {dataset: columns[name] for dataset, name in _TEST_COLUMNS.items()}


def _csv(name: str, raw: bytes, order: list[str], cells: str, wanted: Iterable[str]) -> dict[str, Numbers]:
    try:
        header, *rows = csv.reader(io.StringIO(raw.decode()))
        columns = dict(zip(header, zip(*rows, strict=True), strict=True))
        _check_order(name, columns[cells], order)
        return {column: np.array(columns[column], np.float64) for column in wanted}
    except (KeyError, ValueError, csv.Error) as error:
        raise _damaged(name, error) from None


def _short(raw: bytes, order: list[str]) -> dict[tuple[str, str], Numbers]:
    """By data set and split. A pandas frame is a list of axes and blocks of rows, each with its labels."""
    frame = unpickle.load(io.BytesIO(raw), Path(SHORT), _PANDAS | unpickle.NUMPY)
    try:
        _, blocks, labels, _ = frame.state["_data"].state
        columns = {
            name: row
            for block, names in zip(blocks, labels, strict=True)
            for name, row in zip(names["data"], block, strict=True)
        }
        _check_order(SHORT, columns["cellstr"], order)
        return {
            (dataset, split): _numbers(columns[f"{name}-{split}"], NUM_CELLS)
            for dataset, name in _RUNS_NAMES.items()
            for split in ("val", "test")
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(SHORT, error) from None


def _runs(raw: bytes) -> _Runs:
    """One long array a quantity, cell after cell; the runs of one cell have the same seconds, to the last bit."""
    content = unpickle.load(io.BytesIO(raw), Path(RUNS), unpickle.NUMPY)
    try:
        seconds = _numbers(content["cifar10"]["runtime"])
        first = np.flatnonzero(np.append(True, seconds[1:] != seconds[:-1]))
        count = np.diff(np.append(first, len(seconds)))
        if len(first) != NUM_CELLS or count.min() < 2 or count.max() > len(_SEEDS):
            raise ValueError(f"{len(seconds)} runs do not part into two or three a cell")
        accuracy = {}
        for dataset, name in _RUNS_NAMES.items():
            right = 100 - _numbers(content[name]["loss"], len(seconds))
            accuracy[dataset] = np.full((len(_SEEDS), NUM_CELLS), np.nan)
            for number, values in enumerate(accuracy[dataset]):
                values[count > number] = right[first[count > number] + number]
        return _Runs(count, seconds[first], accuracy)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise _damaged(RUNS, error) from None


def _numbers(values: Any, length: int | None = None) -> Numbers:
    if not isinstance(values, np.ndarray) or values.dtype != np.float64 or values.ndim != 1:
        raise ValueError("no row of numbers")
    if length not in (None, len(values)):
        raise ValueError(f"{len(values)} numbers instead of {length}")
    return values


def _check_order(name: str, found: Any, order: list[str]) -> None:
    if list(found) != order:
        raise DataError(f"{name}: its cells are not all {NUM_CELLS:,} in the official order")


def _damaged(name: str, error: Exception) -> DataError:
    return DataError(f"{name}: not the published file ({type(error).__name__}: {error})")


class _State:
    """Stands for an object of pandas; unpickling leaves its state here."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _new_index(kind: type, fields: dict[str, Any]) -> dict[str, Any]:
    """For pandas' function of that name: an axis is what it was made of."""
    return fields


_PANDAS: dict[str, Any] = {
    "builtins.slice": slice,
    "pandas.core.frame.DataFrame": _State,
    "pandas.core.internals.managers.BlockManager": _State,
    "pandas.core.indexes.base.Index": _State,
    "pandas.core.indexes.base._new_Index": _new_index,
    "pandas.core.indexes.range.RangeIndex": _State,
}
