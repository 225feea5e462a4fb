"""What a benchmark says of cells that were found, and what a record says of the benchmark."""

from __future__ import annotations

from nasbench_stc.benchmark import Benchmark, held_columns
from nasbench_stc.benchmark.base import Cells, as_indices
from nasbench_stc.records.record import Looked
from nasbench_stc.space import Cell


def scores(cell: Cell, benchmark: Benchmark) -> dict[str, float]:
    """Percent by report column at the benchmark's full budget, for the columns that it holds."""
    return {name: of_cell[str(cell.index)] for name, of_cell in scores_of([cell], benchmark).items()}


def scores_of(cells: Cells, benchmark: Benchmark) -> dict[str, dict[str, float]]:
    """The same of several cells: by column, and there by the cell's index as text, as JSON has it."""
    index = as_indices(cells, benchmark.space)
    names = [str(cell) for cell in index.tolist()]
    return {
        name: dict(zip(names, benchmark.accuracy(index, *which).tolist(), strict=True))
        for name, which in held_columns(benchmark).items()
    }


def identity(benchmark: Benchmark) -> Looked:
    """Which one it is."""
    return {"name": benchmark.name, "about": benchmark.about, "file": benchmark.path.name, "sha256": benchmark.sha256}
