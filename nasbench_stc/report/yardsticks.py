"""What a search has to beat: cells that nobody searched for, looked up where a table's own cells were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nasbench_stc.benchmark import Benchmark, held_columns
from nasbench_stc.report.table import Spread
from nasbench_stc.space import NUM_CELLS, OPS, Cell

LARGEST = Cell((OPS.index("nor_conv_3x3"),) * 6)
"""The cell with the most parameters and FLOPs."""


@dataclass(frozen=True)
class Yardstick:
    """A choice that costs nothing."""

    name: str
    scores: Mapping[str, float]
    """Percent by report column, as far as the benchmark holds them."""

    @property
    def spreads(self) -> dict[str, Spread]:
        """The same as values of a table."""
        return {column: Spread(score) for column, score in self.scores.items()}


def best_cells(benchmark: Benchmark) -> Yardstick:
    """What no search can beat: of each column its best cell. It takes the benchmark's test columns to know them."""
    columns = held_columns(benchmark)
    return Yardstick("best cell of each column", {c: benchmark.optimal(*of)[1] for c, of in columns.items()})


def yardsticks(benchmark: Benchmark) -> tuple[Yardstick, ...]:
    """The mean of all 15,625 cells (which is what a uniformly drawn cell scores on average), and the largest cell."""
    columns = held_columns(benchmark)
    every = range(NUM_CELLS)
    return (
        Yardstick("mean of all cells", {c: float(benchmark.accuracy(every, *of).mean()) for c, of in columns.items()}),
        Yardstick("largest cell", {c: float(benchmark.accuracy([LARGEST], *of)[0]) for c, of in columns.items()}),
    )
