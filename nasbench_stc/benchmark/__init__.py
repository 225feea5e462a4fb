"""What a cell scores when it is trained alone: one `Benchmark` protocol, and the sources behind it.

`open_benchmark` finds one by name or path. Nothing here imports torch.
"""

from nasbench_stc.benchmark.base import COLUMNS, Benchmark, column
from nasbench_stc.benchmark.sources import open_benchmark

__all__ = ["COLUMNS", "Benchmark", "column", "open_benchmark"]
