"""How well supernets rank cells: Kendall's tau-b with a benchmark, beside what counting parameters gives.

Four scores put the cells in an order: the supernet's accuracy, its loss (the lower the better), and parameters and
FLOPs. The latter two are one row: both rise with the number of 3x3 convolutions, and among equal ones with that of 1x1
convolutions, so that in this space they order cells alike.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.benchmark import COLUMNS, Benchmark, held_columns
from nasbench_stc.errors import DataError
from nasbench_stc.methods import title_of
from nasbench_stc.records import Ranking
from nasbench_stc.report import statistics
from nasbench_stc.report.inputs import RESULTS, Inputs, Missing, MissingRecords
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.table import Column, Row, Table, Value
from nasbench_stc.space import DATASETS, Cell, params

BEST = 0.1
"""Share of the cells that make up the best slice: over the whole space tau-b is mostly of coarse differences."""
FIRST = 0.01
"""Share of the cells, those that a score puts first, of which the best one counts."""
_COLUMNS = (
    Column("score", "cells in order of"),
    Column("slice", "among"),
    Column("tau_b", "tau-b"),
    Column("low", "from"),
    Column("high", "to"),
    Column("p", "p", form=".1g"),
    Column("precision", "P@10%"),
    Column("best_rank", "BR@1%\nin %", form=".1f"),
    Column("n", "n"),
    Column("ties", "ties", drop=1),
    Column("benchmark_ties", "benchmark's\nties", drop=1),
)
_CAPTION = (
    "Kendall's tau-b with the benchmark's accuracy that a section ends with; from, to: its 95 % percentile bootstrap "
    "interval over the n cells or classes, which says nothing of other seeds; p: two-sided, of no association. Merged: "
    "cells that compute the same count once; best tenth: of the cells, by the benchmark. P@10%: how much of the tenth "
    "that the score puts first is of the best tenth. BR@1%: the benchmark's rank of the best of the hundredth that the "
    "score puts first, in percent of n."
)
_MORE = (
    "All: cells that compute the same (isomorphic ones) are counted each, as the benchmark trained each; all, merged: "
    "with the mean of their scores and that of their accuracies. Best tenth: not merged, those equal to the last of "
    "them included. Ties: how many cells share their score with another cell; the benchmark's ties: their accuracy "
    "there. The bootstrap has 1,000 resamples. A data set that the benchmark does not hold is compared with CIFAR-10. "
    "Parameters and FLOPs order the cells of this space alike. P@10% and BR@1% are of Ning et al., NeurIPS 2021, here "
    "the mean over all ways to break ties of the score; without information they are 0.10 and about 100 / "
    "(0.01 n + 1) %."
)


def build(inputs: Inputs) -> Table:
    """A section for each ranking and each of the benchmark's accuracies that it is compared with.

    Raises:
        MissingRecords: there is no ranking.
        DataError: the benchmark holds no accuracy of the searched data set, nor of CIFAR-10, or lacks cells.
    """
    if not inputs.rankings:
        raise MissingRecords(lacking(inputs))
    benchmark = inputs.benchmark
    rows = [
        row
        for ranking in inputs.rankings
        for name in compared_with(ranking.search_dataset, benchmark)
        for row in _section(ranking, name, benchmark)
    ]
    return tau_table("supernets", rows, benchmark)


def lacking(inputs: Inputs) -> Missing:
    """What makes rankings of the supernets that are there."""
    folder = inputs.folders[0] if inputs.folders else RESULTS
    return Missing("a ranking by a supernet", f"stc-bench rank {shlex.quote(str(folder))}{inputs.options('rank')}")


def compared_with(dataset: str, benchmark: Benchmark) -> list[str]:
    """The report columns of the searched data set; where the benchmark has none of it, those of CIFAR-10."""
    held = held_columns(benchmark)
    for candidate in (dataset, DATASETS[0]):
        if names := [name for name, which in held.items() if which[0] == candidate]:
            return names
    why = f"benchmark {benchmark.name} holds neither {dataset} nor {DATASETS[0]}; take another --benchmark"
    raise DataError(why if benchmark.holds() else f"no accuracies to compare a ranking with: {benchmark.about}")


def _section(ranking: Ranking, name: str, benchmark: Benchmark) -> list[Row]:
    cells = [Cell.from_index(index, ranking.space) for index in ranking.cells]
    changed = "".join(f", {key}={value}" for key, value in ranking.changes.items())
    whose = f"{title_of(ranking.method)} on {ranking.search_dataset}, {ranking.protocol}{changed}, seed {ranking.seed}"
    scores = {
        "supernet accuracy": np.array(ranking.accuracy),
        "supernet -loss": -np.array(ranking.loss),
        "parameters, FLOPs": params(cells),
    }
    note = (
        f"{len(cells):,} cells of {len({cell.isomorphism_class for cell in cells}):,} isomorphism classes; rated on "
        f"{ranking.images:,} validation images, {1e3 * ranking.seconds / len(cells):.1f} ms a cell on {ranking.device} "
        f"(threads: {ranking.threads})."
    )
    same = ("method", "search_dataset", "protocol", "seed", "supernet_sha256", "images")
    details = {**{key: getattr(ranking, key) for key in same}, "compared_with": name}
    truth = benchmark.accuracy(cells, *COLUMNS[name])
    return tau_rows(f"{whose}: {name}", scores, cells, truth, details, (note,))


def tau_rows(
    section: str,
    scores: Mapping[str, statistics.Numbers],
    cells: Sequence[Cell],
    truth: NDArray[np.float64],
    details: Mapping[str, Any],
    notes: tuple[str, ...] = (),
) -> list[Row]:
    """How well each score, one number a cell, orders the cells: all, their classes, and the best by `truth`."""
    classes, best = [cell.isomorphism_class for cell in cells], statistics.best(truth, BEST)
    slices: dict[str, Callable[[statistics.Numbers], statistics.Numbers]] = {
        "all": lambda values: values,
        "all, merged": lambda values: statistics.merged(values, classes),
        "best tenth": lambda values: values[best],
    }
    rows = []
    for name, left in slices.items():
        for score, values in scores.items():
            of_score, of_benchmark = left(values), left(truth)
            found = statistics.kendall(of_score, of_benchmark)
            low, high = statistics.kendall_interval(of_score, of_benchmark)
            numbers = {"tau_b": found.tau, "low": low, "high": high, "p": found.p}
            if name != "best tenth":
                numbers["precision"] = statistics.precision_at(of_score, of_benchmark, BEST)
                numbers["best_rank"] = 100 * statistics.best_rank_at(of_score, of_benchmark, FIRST)
            shown: dict[str, Value] = {
                **{"score": score, "slice": name, "n": found.n, "ties": found.ties_x, "benchmark_ties": found.ties_y},
                **{key: statistics.known(value) for key, value in numbers.items()},
            }
            rows.append(Row(section, shown, notes, {**details, "isomorphism_classes": len(set(classes))}))
    return rows


def tau_table(what: str, rows: Sequence[Row], benchmark: Benchmark, more: tuple[str, ...] = ()) -> Table:
    """Of `tau_rows`, with what there is to say of the scores besides."""
    title = f"How well {what} rank cells of {benchmark.name}"
    return Table(None, title, _COLUMNS, tuple(rows), (_CAPTION,), more=(*more, _MORE, source_of(benchmark)))


def source_of(benchmark: Benchmark) -> str:
    """A sentence on what rankings are compared with."""
    return f"Benchmark {benchmark.name}: {benchmark.about} ({benchmark.path.name}, sha256 {benchmark.sha256[:12]})."


TABLES = {"ranking": Maker("how well supernets rank cells", build, supernet=True)}
