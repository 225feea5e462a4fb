"""Rankings of cells by supernets that belong together: those of one method's supernets, which are one row or panel.

A supernet's score of a cell is its accuracy, or minus its loss, on validation images; how well it ranks cells is said
by measures against the accuracy that the cells have in a benchmark when they are trained alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.benchmark import COLUMNS, Benchmark
from nasbench_stc.methods import ours, title_of
from nasbench_stc.records import Ranking
from nasbench_stc.report import statistics
from nasbench_stc.report.inputs import Inputs, MissingRecords
from nasbench_stc.report.table import Spread
from nasbench_stc.report.tables.ranking import BEST, FIRST, compared_with, lacking
from nasbench_stc.space import Cell, params

Floats = NDArray[np.float64]
SCORES = ("accuracy", "loss")
PARAMETERS = "parameters, FLOPs"
"""What is ranked by where nothing is trained."""


@dataclass(frozen=True)
class Supernets:
    """The rankings of one method's supernets, made alike: a row."""

    rankings: Sequence[Ranking]
    """By rising seed."""
    benchmark: Benchmark

    @property
    def first(self) -> Ranking:
        """That of the lowest seed."""
        return self.rankings[0]

    @property
    def name(self) -> str:
        """Of the method, with what of its settings is changed."""
        return title_of(self.first.method) + "".join(f", {key}={value}" for key, value in self.first.changes.items())

    @property
    def order(self) -> tuple[Any, ...]:
        """By what they are put in a row: circumstances, then methods as in Table 6."""
        known = list(ours())
        place = known.index(self.first.method) if self.first.method in known else len(known)
        return self._circumstances, place, len(self.first.changes), self.name

    @property
    def _circumstances(self) -> tuple[str, str, int, int, list[int]]:
        one = self.first
        return one.search_dataset, one.protocol, one.images, len(one.cells), one.cells

    @property
    def section(self) -> str:
        """What it has in common with others: data set, protocol, cells and images, and what it is compared with."""
        one = self.first
        where = f"{one.search_dataset} by protocol {one.protocol}"
        return f"{where}; {len(one.cells):,} cells on {one.images:,} images: {self.column}"

    @property
    def column(self) -> str:
        """Of the benchmark, which the rankings are compared with: validation accuracy, if it holds that."""
        return compared_with(self.first.search_dataset, self.benchmark)[0]

    @cached_property
    def cells(self) -> list[Cell]:
        """That were ranked."""
        return [Cell.from_index(index, self.first.space) for index in self.first.cells]

    @cached_property
    def truth(self) -> Floats:
        """What they score in the benchmark, percent."""
        return self.benchmark.accuracy(self.cells, *COLUMNS[self.column])

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Their parameters."""
        return params(self.cells)

    def measures(self, score: str) -> dict[str, Spread]:
        """`tau_b`, `precision` (P@10%) and `best_rank` (BR@1% in percent) by one of `SCORES`, over the supernets.

        And `capacity`, the tau-b of their order with that by parameters: how far they say what counting would. Those
        that are not defined (of a supernet that rates all cells alike) are left out.
        """
        signs = {"accuracy": 1, "loss": -1}
        of_each = []
        for one in self.rankings:
            values = signs[score] * np.array(getattr(one, score))
            capacity = statistics.kendall(values, self.counts).tau
            of_each.append({**measured(values, self.truth), "capacity": capacity})
        known = {key: [one[key] for one in of_each if not np.isnan(one[key])] for key in of_each[0]}
        return {key: Spread.over(values) for key, values in known.items() if values}

    @property
    def by_parameters(self) -> dict[str, Spread]:
        """The same of an order by parameters."""
        found = measured(self.counts, self.truth)
        return {key: Spread(value) for key, value in found.items() if not np.isnan(value)}


def alike(inputs: Inputs) -> list[Supernets]:
    """All rankings by method; of two by supernets of one seed the later one, by path, counts.

    Raises:
        MissingRecords: there is none.
        DataError: as of `compared_with`; there is no benchmark.
    """
    if not inputs.rankings:
        raise MissingRecords(lacking(inputs))
    found: dict[tuple[Any, ...], dict[int, Ranking]] = {}
    for one in inputs.rankings:
        circumstances = (one.search_dataset, one.protocol, tuple(one.cells), one.images)
        key = (*circumstances, one.method, tuple(sorted(one.changes.items())))
        found.setdefault(key, {})[one.seed] = one
    rows = [Supernets([of[seed] for seed in sorted(of)], inputs.benchmark) for of in found.values()]
    return sorted(rows, key=lambda row: row.order)


def measured(score: statistics.Numbers, truth: Floats) -> Mapping[str, float]:
    """How well a score, one number a cell, ranks cells."""
    return {
        "tau_b": statistics.kendall(score, truth).tau,
        "precision": statistics.precision_at(score, truth, BEST),
        "best_rank": 100 * statistics.best_rank_at(score, truth, FIRST),
    }
