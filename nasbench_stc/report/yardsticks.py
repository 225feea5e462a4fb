"""What a search has to beat: cells that nobody searched for, looked up where a table's own cells were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasbench_stc.benchmark import Benchmark, held_columns, open_benchmark
from nasbench_stc.errors import StcBenchError
from nasbench_stc.runs import Record
from nasbench_stc.space import NUM_CELLS, OPS, Cell

LARGEST = Cell((OPS.index("nor_conv_3x3"),) * 6)
"""The cell with the most parameters and FLOPs."""


@dataclass(frozen=True)
class Yardstick:
    """A choice that costs nothing."""

    name: str
    scores: Mapping[str, float]
    """Percent by report column, as far as the benchmark holds them."""


def yardsticks(benchmark: Benchmark) -> tuple[Yardstick, ...]:
    """The mean of all 15,625 cells (which is what a uniformly drawn cell scores on average), and the largest cell."""
    columns = held_columns(benchmark)
    every = range(NUM_CELLS)
    return (
        Yardstick("mean of all cells", {c: float(benchmark.accuracy(every, *of).mean()) for c, of in columns.items()}),
        Yardstick("largest cell", {c: float(benchmark.accuracy([LARGEST], *of)[0]) for c, of in columns.items()}),
    )


def opened_for(records: Sequence[Any], source: str, data_dir: str | Path | None = None) -> list[Benchmark]:
    """The benchmarks in which the records' cells were looked up, as far as they are at hand with the whole space.

    Args:
        records: of searches; others were looked up nowhere.
        source, data_dir: as for `open_benchmark`; the records' own names are tried after it.
    """
    wanted = {
        (record.benchmark["name"], record.benchmark["sha256"]) for record in records if isinstance(record, Record)
    }
    found: dict[tuple[str, str], Benchmark] = {}
    for candidate in dict.fromkeys([source, *sorted(name for name, _ in wanted)]):
        if wanted <= found.keys():
            break
        try:
            opened = open_benchmark(candidate, data_dir)
        except StcBenchError:
            continue
        key = (opened.name, opened.sha256)
        if key in wanted and opened.in_memory:
            found.setdefault(key, opened)
    return [found[key] for key in sorted(found)]
