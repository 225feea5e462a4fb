"""What a search has to beat: cells that nobody searched for, looked up where a table's own cells were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nasbench_stc.benchmark import Benchmark, held_columns
from nasbench_stc.report.table import Row, Spread, Value
from nasbench_stc.space import Cell


@dataclass(frozen=True)
class Yardstick:
    """A choice that costs nothing."""

    name: str
    benchmark: Benchmark
    scores: Mapping[str, float]
    """Percent by report column, as far as the benchmark holds them."""

    @property
    def row(self) -> Row:
        """Of a table that has a column `method`."""
        name = self.benchmark.name
        values: dict[str, Value] = {
            "method": self.name,
            **{column: Spread(score) for column, score in self.scores.items()},
        }
        return Row(f"Without a search: {name}", values, details={"source": f"looked up in {name}"})


def axis_begins(mean: float, best: float) -> float:
    """Where an axis of accuracy begins at the lowest: somewhat below what a uniformly drawn cell scores on average.

    One that showed how bad the failures are would have no room for how the others differ.

    Args:
        mean, best: of all cells, percent.
    """
    return mean - 0.15 * (best - mean)


def best_cells(benchmark: Benchmark) -> Yardstick:
    """What no search can beat: of each column its best cell. It takes the benchmark's test columns to know them."""
    scores = {column: benchmark.optimal(*which)[1] for column, which in held_columns(benchmark).items()}
    return Yardstick("best cell of each column", benchmark, scores)


def yardsticks(benchmark: Benchmark) -> tuple[Yardstick, ...]:
    """The mean of all cells (which is what a uniformly drawn cell scores on average), and the largest cell."""
    space = benchmark.space
    largest = Cell(space.largest, space.name)
    chosen: dict[str, Iterable[int | Cell]] = {"mean of all cells": range(space.num_cells), "largest cell": [largest]}
    held = held_columns(benchmark).items()
    return tuple(
        Yardstick(name, benchmark, {column: float(benchmark.accuracy(cells, *of).mean()) for column, of in held})
        for name, cells in chosen.items()
    )
