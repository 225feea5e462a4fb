"""A benchmarking harness for cell-based neural architecture search on NAS-Bench-201, built around STC-NAS.

from nasbench_stc import Cell, open_benchmark, search
"""

from typing import TYPE_CHECKING, Any

from nasbench_stc.benchmark import open_benchmark
from nasbench_stc.space import Cell

if TYPE_CHECKING:
    from nasbench_stc.runs.launch import search

__all__ = ["Cell", "open_benchmark", "search"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "search":  # imports torch, which queries and reports do without
        from nasbench_stc.runs.launch import search

        return search
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
