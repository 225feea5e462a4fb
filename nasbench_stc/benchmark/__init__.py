"""What a cell scores when it is trained alone: one `Benchmark` protocol, and the sources behind it.

`open_benchmark` finds one by name or path; `find_metrics` what else is known of each cell. Nothing here imports torch.
"""

from nasbench_stc.benchmark.base import COLUMNS, Benchmark, column, held_columns
from nasbench_stc.benchmark.extremes import Extremes, extremes
from nasbench_stc.benchmark.metrics import Metric, find_metric, find_metrics
from nasbench_stc.benchmark.sources import open_benchmark

__all__ = [
    "COLUMNS",
    "Benchmark",
    "Extremes",
    "Metric",
    "column",
    "extremes",
    "find_metric",
    "find_metrics",
    "held_columns",
    "open_benchmark",
]
