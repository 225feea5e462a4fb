"""The columnar benchmark: one array of all cells for each thing that can be asked, read from `nb201.csv.gz`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import files
from nasbench_stc.benchmark.base import Benchmark, Key, check_epoch, lacks
from nasbench_stc.benchmark.columns import Columns
from nasbench_stc.errors import DataError
from nasbench_stc.space import TSS, Space

FILE_NAME = "nb201.csv.gz"
HOW_TO_GET = (
    f"`stc-bench data fetch nb201` joins it from public tables (15 MB); or put {FILE_NAME} below --data-dir "
    "or $STC_BENCH_DATA"
)
CONTENT_SHA256 = "7296f5f85c9072aa96fc49c8c95343a0207ed995dfd0d1ffd19be497edbbdad0"
"""Of the table that `fetching` joins, unpacked: zlib's versions pack the same content differently."""

# What each column of the file is. CIFAR-10 `valid` is of the training on 25,000 images (`c10valid`), `test` of the
# one on 50,000 (`c10`). Not offered: `c10valid_test_200_v11`, the former's test accuracy in another version.
_COLUMNS = {
    "c10valid_val_12": Key("cifar10", "valid", 12, None),
    "c10_test_12": Key("cifar10", "test", 12, None),
    "c100_val_12": Key("cifar100", "valid", 12, None),
    "c100_test_12": Key("cifar100", "test", 12, None),
    "in_val_12": Key("ImageNet16-120", "valid", 12, None),
    "in_test_12": Key("ImageNet16-120", "test", 12, None),
    "c10valid_val_200": Key("cifar10", "valid", 200, None),
    "c10_test_200": Key("cifar10", "test", 200, None),
    "c100_val_200": Key("cifar100", "valid", 200, None),
    "c100_test_200": Key("cifar100", "test", 200, None),
    "in_val_200": Key("ImageNet16-120", "valid", 200, None),
    "in_test_200": Key("ImageNet16-120", "test", 200, None),
    "c10valid_val_200_s777": Key("cifar10", "valid", 200, 777),
    "c10valid_val_200_s888": Key("cifar10", "valid", 200, 888),
    "c10valid_val_200_s999": Key("cifar10", "valid", 200, 999),
    "c100_valtest_200_s777": Key("cifar100", "valtest", 200, 777),
    "c100_valtest_200_s888": Key("cifar100", "valtest", 200, 888),
    "c100_valtest_200_s999": Key("cifar100", "valtest", 200, 999),
    "in_valtest_200_s777": Key("ImageNet16-120", "valtest", 200, 777),
    "in_valtest_200_s888": Key("ImageNet16-120", "valtest", 200, 888),
    "in_valtest_200_s999": Key("ImageNet16-120", "valtest", 200, 999),
}
_SECONDS = "c10valid_train_time_200"  # of 200 epochs on CIFAR-10's 25,000 images
_SECONDS_EPOCHS = 200
# Seconds grow with the number of images: CIFAR-10's whole training set and CIFAR-100's are twice as many.
_SECONDS_FACTOR = {
    ("cifar10", "valid"): 1.0,
    ("cifar10", "test"): 2.0,
    ("cifar100", ""): 2.0,
    ("ImageNet16-120", ""): 6.068,
}


Column = tuple[Key, str]
"""What an array is of: the key, and one of `QUANTITIES`."""


Place = TypeVar("Place", bound=Hashable)


class LazyArrays(Mapping[Column, NDArray[Any]], Generic[Place]):
    """Arrays that are read when they are first asked for; several columns may share a place."""

    def __init__(self, places: Mapping[Column, Place], read: Callable[[Place], NDArray[Any]]) -> None:
        self._places, self._read = places, read
        self._arrays: dict[Place, NDArray[Any]] = {}

    def __getitem__(self, column: Column) -> NDArray[Any]:
        place = self._places[column]
        if place not in self._arrays:
            self._arrays[place] = self._read(place)
        return self._arrays[place]

    def __contains__(self, column: object) -> bool:
        return column in self._places

    def __iter__(self) -> Iterator[Column]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class TableBenchmark(Benchmark):
    """A `Benchmark` over arrays, each of shape (cells,) in index order, NaN where a cell was not run.

    Args:
        name, about, path, sha256, elsewhere, in_memory, space: as in `Benchmark`.
        columns: the arrays.
        curves: values after each epoch, shape (cells, epochs); of single runs, from which means follow.
    """

    def __init__(
        self,
        name: str,
        about: str,
        path: Path,
        sha256: str,
        columns: Mapping[Column, NDArray[np.float64]],
        curves: Mapping[Column, NDArray[np.float32]] | None = None,
        elsewhere: str = "",
        in_memory: bool = True,
        space: Space = TSS,
    ) -> None:
        self.name, self.about, self.path, self.sha256, self.elsewhere = name, about, path, sha256, elsewhere
        self.in_memory, self.space, self._columns, self._curves = in_memory, space, columns, curves or {}
        self._keys = tuple(key for key, quantity in columns if quantity == "accuracy")

    def holds(self) -> Sequence[Key]:
        """Everything of which there are accuracies."""
        return self._keys

    def lookup(
        self, index: NDArray[np.int64], key: Key, quantity: str = "accuracy", at_epoch: int | None = None
    ) -> NDArray[np.float64]:
        """The array's values; see `Benchmark.lookup`."""
        if at_epoch is not None and at_epoch != key.epochs:
            when = check_epoch(key, at_epoch)
            return self._of_curves(index, key, quantity, slice(at_epoch - 1, at_epoch), when)[:, 0]
        if (key, quantity) not in self._columns:
            raise lacks(self, key, quantity, self._columns)
        values = self._columns[key, quantity][index]
        self._check_runs(index, key, values)
        return values

    def lookup_curve(self, index: NDArray[np.int64], key: Key, quantity: str = "accuracy") -> NDArray[np.float64]:
        """The array's rows; see `Benchmark.lookup_curve`."""
        return self._of_curves(index, key, quantity, slice(None), " per epoch")

    def known(self, key: Key) -> NDArray[np.float64]:
        """The array; see `Benchmark.known`."""
        return self._columns[key, "accuracy"]

    def _of_curves(
        self, index: NDArray[np.int64], key: Key, quantity: str, epochs: slice, when: str
    ) -> NDArray[np.float64]:
        """Some epochs of the key's run, or the mean over its runs, in the order of seeds as the official API does."""
        runs = [
            run
            for run, what in self._curves
            if what == quantity and run[:3] == key[:3] and key.seed in (None, run.seed)
        ]
        if not runs:
            raise lacks(self, key, quantity, self._curves, when)
        total, number = np.zeros(()), np.zeros((len(index), 1))
        for run in runs:
            was_run = ~np.isnan(self._columns[run, "accuracy"][index])[:, None]
            total = total + np.where(was_run, self._curves[run, quantity][index, epochs].astype(np.float64), 0)
            number += was_run
        values: NDArray[np.float64] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
        self._check_runs(index, key, values)
        return values

    def _check_runs(self, index: NDArray[np.int64], key: Key, values: NDArray[np.float64]) -> None:
        """That cells without a value were run at all: what is missing then is missing in the source, too."""
        if not np.isnan(values).any():
            return
        missing = index[np.isnan(self._columns[key, "accuracy"][index])]
        if len(missing):
            other = "another seed, or for the mean over seeds" if key.seed is not None else "other cells"
            raise DataError(
                f"benchmark {self.name} has no run of {key} for {len(missing)} of the {len(index)} cells asked for "
                f"(the first is cell {missing[0]}). Ask for {other}"
            )


def read_table(path: Path) -> TableBenchmark:
    """The benchmark in the table at `path` (gzipped CSV, one row a cell in the official order).

    Raises:
        DataError: the file is damaged or short, lacks a column, or is in another order; it names what is wrong.
    """
    columns = Columns(path, HOW_TO_GET, needed=(*_COLUMNS, _SECONDS))
    places: dict[Column, tuple[str, float]] = {(key, "accuracy"): (name, 1.0) for name, key in _COLUMNS.items()}
    for key, _ in list(places):
        if key.seed is None and key.epochs is not None:
            factor = _SECONDS_FACTOR[key.dataset, key.split if key.dataset == "cifar10" else ""]
            places[key, "train-seconds"] = _SECONDS, factor * key.epochs / _SECONDS_EPOCHS
    numbers = cache(lambda name: columns.numbers(name, 0, np.inf if name == _SECONDS else 100))
    arrays = LazyArrays(places, lambda place: numbers(place[0]) * place[1])
    if columns.content_sha256 != CONTENT_SHA256:  # another content than the known one: all of it has to be looked at
        list(arrays.values())
    return TableBenchmark(
        name="nb201",
        about="table of NATS-Bench v1.0 accuracies, joined from public sources; means over its training seeds",
        path=path,
        sha256=files.digest(path),
        columns=arrays,
    )
