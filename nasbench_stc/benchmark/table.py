"""The columnar benchmark: one array of 15,625 numbers for each thing that can be asked, read from `nb201.csv.gz`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import files
from nasbench_stc.benchmark.base import Benchmark, Key
from nasbench_stc.benchmark.columns import Columns
from nasbench_stc.errors import BadCallError, DataError

FILE_NAME = "nb201.csv.gz"
HOW_TO_GET = (
    f"`stc-bench data fetch nb201` joins it from public tables (15 MB); or put {FILE_NAME} below --data-dir "
    "or $STC_BENCH_DATA"
)
CONTENT_SHA256 = "7296f5f85c9072aa96fc49c8c95343a0207ed995dfd0d1ffd19be497edbbdad0"
"""Of the table that `fetching` joins, unpacked: zlib's versions pack the same content differently."""

# What each column of the file is. CIFAR-10 `valid` is of the training on 25,000 images (`c10valid`), `test` of the
# one on 50,000 (`c10`). Not offered: `c10valid_test_200_v11`, the former's test accuracy, and `*_valtest_*`, the two
# halves of a test set together, which are neither split.
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


class TableBenchmark(Benchmark):
    """A `Benchmark` over arrays in memory, each of shape (15,625,) in index order, NaN where a cell was not run.

    `seconds` are of 200 epochs on CIFAR-10's 25,000 images; others follow by number of images and epochs.
    """

    in_memory = True

    def __init__(
        self,
        name: str,
        about: str,
        path: Path,
        sha256: str,
        accuracies: Mapping[Key, NDArray[np.float64]],
        seconds: NDArray[np.float64] | None = None,
        elsewhere: str = "",
    ) -> None:
        self.name, self.about, self.path, self.sha256, self.elsewhere = name, about, path, sha256, elsewhere
        self._accuracies, self._seconds = accuracies, seconds

    def holds(self) -> Sequence[Key]:
        """Everything that can be asked for."""
        return tuple(self._accuracies)

    def lookup(self, index: NDArray[np.int64], key: Key) -> NDArray[np.float64]:
        """Percent right; see `Benchmark.lookup`."""
        values = self._accuracies[key][index]
        if np.isnan(values).any():
            missing = index[np.isnan(values)]
            raise DataError(
                f"benchmark {self.name} has no run of {key} for {len(missing)} of the {len(index)} cells asked for "
                f"(the first is cell {missing[0]}). Ask for another seed, or for the mean over seeds"
            )
        return values

    def lookup_seconds(self, index: NDArray[np.int64], key: Key) -> NDArray[np.float64]:
        """Seconds of that training; see `Benchmark.lookup_seconds`."""
        if self._seconds is None or key.epochs is None:
            raise BadCallError(f"benchmark {self.name} holds no training times")
        factor = _SECONDS_FACTOR[key.dataset, key.split if key.dataset == "cifar10" else ""]
        return self._seconds[index] * factor * key.epochs / _SECONDS_EPOCHS


def read_table(path: Path) -> TableBenchmark:
    """The benchmark in the table at `path` (gzipped CSV, one row a cell in the official order).

    Raises:
        DataError: the file is damaged or short, lacks a column, or is in another order; it names what is wrong.
    """
    columns = Columns(path, HOW_TO_GET, needed=(*_COLUMNS, _SECONDS))
    return TableBenchmark(
        name="nb201",
        about="table of NATS-Bench accuracies, joined from public sources; means over its training seeds",
        path=path,
        sha256=files.digest(path),
        accuracies={key: columns.numbers(name, 0, 100) for name, key in _COLUMNS.items()},
        seconds=columns.numbers(_SECONDS, 0),
    )
