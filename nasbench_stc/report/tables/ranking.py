"""How well supernets rank cells: Kendall's tau-b with a benchmark, beside what counting parameters gives.

Four scores put the cells in an order: the supernet's accuracy, its loss (the lower the better), and parameters and
FLOPs. The latter two are one row: both rise with the number of 3x3 convolutions, and among equal ones with that of 1x1
convolutions, so that in this space they order cells alike.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.benchmark import COLUMNS, Benchmark, held_columns
from nasbench_stc.errors import DataError
from nasbench_stc.methods import title_of
from nasbench_stc.report import statistics
from nasbench_stc.report.inputs import RESULTS, Inputs, Missing, MissingRecords
from nasbench_stc.report.table import Column, Row, Table, Value
from nasbench_stc.runs import Ranking
from nasbench_stc.space import DATASETS, Cell, params

BEST = 0.1
"""Share of the cells that make up the best slice: over the whole space tau-b is mostly of coarse differences."""

SLICES = (
    "All: cells that compute the same (isomorphic ones) are counted each, as the benchmark trained each; all, merged: "
    "they count once, with the mean of their scores and that of their accuracies. Best tenth: the cells, not merged, "
    "with the best accuracy in the benchmark, those equal to the last of them included."
)
"""Of captions."""

Slice = Callable[[statistics.Numbers], statistics.Numbers]
"""What is left of one number a cell, be it a score or the benchmark's accuracy."""

TAU_COLUMNS = (
    Column("score", "cells in order of"),
    Column("slice", "among"),
    Column("tau_b", "tau-b"),
    Column("low", "from"),
    Column("high", "to"),
    Column("p", "p", form=".1g"),
    Column("n", "n"),
    Column("ties", "ties"),
    Column("benchmark_ties", "benchmark's\nties"),
)


def build(inputs: Inputs) -> Table:
    """A section for each ranking and each of the benchmark's accuracies that it is compared with.

    Raises:
        MissingRecords: there is no ranking.
        DataError: the benchmark holds no accuracy of the searched data set, nor of CIFAR-10, or lacks cells.
    """
    if not inputs.rankings:
        folder = inputs.folders[0] if inputs.folders else RESULTS
        raise MissingRecords(Missing("a ranking by a supernet", f"stc-bench rank {shlex.quote(str(folder))}"))
    benchmark = inputs.benchmark
    rows = [
        row
        for ranking in inputs.rankings
        for name in compared_with(ranking.search_dataset, benchmark)
        for row in _section(ranking, name, benchmark.accuracy(np.array(ranking.cells), *COLUMNS[name]))
    ]
    return Table(
        None, f"How well supernets rank cells of {benchmark.name}", TAU_COLUMNS, tuple(rows), _caption(benchmark)
    )


def compared_with(dataset: str, benchmark: Benchmark) -> list[str]:
    """The report columns of the searched data set; where the benchmark has none of it, those of CIFAR-10."""
    held = held_columns(benchmark)
    for candidate in (dataset, DATASETS[0]):
        names = [name for name, which in held.items() if which[0] == candidate]
        if names:
            return names
    raise DataError(f"benchmark {benchmark.name} holds neither {dataset} nor {DATASETS[0]}; take another --benchmark")


def _section(ranking: Ranking, name: str, truth: NDArray[np.float64]) -> list[Row]:
    cells = [Cell.from_index(index) for index in ranking.cells]
    changed = "".join(f", {key}={value}" for key, value in ranking.changes.items())
    whose = f"{title_of(ranking.method)} on {ranking.search_dataset}"
    section = f"{whose}, {ranking.protocol}{changed}, seed {ranking.seed}: {name}"
    classes = [cell.isomorphism_class for cell in cells]
    note = (
        f"{len(cells):,} cells of {len(set(classes)):,} isomorphism classes; rated on {ranking.images:,} validation "
        f"images, {1e3 * ranking.seconds / len(cells):.1f} ms a cell on {ranking.device} (threads: {ranking.threads})."
    )
    scores = {
        "supernet accuracy": np.array(ranking.accuracy),
        "supernet -loss": -np.array(ranking.loss),
        "parameters, FLOPs": params(cells),
    }
    details = {
        "method": ranking.method,
        "search_dataset": ranking.search_dataset,
        "protocol": ranking.protocol,
        "seed": ranking.seed,
        "compared_with": name,
        "supernet_sha256": ranking.supernet_sha256,
        "images": ranking.images,
        "isomorphism_classes": len(set(classes)),
    }
    return [
        Row(
            section,
            {"score": score, "slice": name_of_slice, **tau_values(left(values), left(truth))},
            (note,),
            details,
        )
        for name_of_slice, left in slices(classes, truth).items()
        for score, values in scores.items()
    ]


def slices(classes: Sequence[str], truth: NDArray[np.float64]) -> dict[str, Slice]:
    """What tau-b is of, by the slice's name: all cells, their isomorphism classes, the cells with the best accuracy."""
    best = statistics.best(truth, BEST)
    return {
        "all": lambda values: values,
        "all, merged": lambda values: statistics.merged(values, classes),
        "best tenth": lambda values: values[best],
    }


def tau_values(values: statistics.Numbers, truth: statistics.Numbers) -> dict[str, Value]:
    """What `TAU_COLUMNS` show of a score's order beside the benchmark's."""
    found = statistics.kendall(values, truth)
    low, high = statistics.kendall_interval(values, truth)
    return {
        "tau_b": statistics.known(found.tau),
        "low": statistics.known(low),
        "high": statistics.known(high),
        "p": statistics.known(found.p),
        "n": found.n,
        "ties": found.ties_x,
        "benchmark_ties": found.ties_y,
    }


def _caption(benchmark: Benchmark) -> tuple[str, ...]:
    return (
        "Kendall's tau-b with the benchmark's accuracy that each section ends with; a data set that the benchmark does "
        "not hold is compared with CIFAR-10. From, to: the 95 % percentile bootstrap interval over cells, or classes "
        "(1,000 resamples); it says nothing of other supernets. p: two-sided, of no association.",
        SLICES,
        "Ties: how many cells share their score with another cell; the benchmark's ties: their accuracy there. "
        "Parameters and FLOPs order the cells of this space alike.",
        f"Benchmark {benchmark.name}: {benchmark.about} ({benchmark.path.name}, sha256 {benchmark.sha256[:12]}).",
    )
