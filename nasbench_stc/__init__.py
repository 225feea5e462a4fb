"""A benchmarking harness for cell-based neural architecture search on NAS-Bench-201, built around STC-NAS.

from nasbench_stc import Cell, open_benchmark, rank_cells, search
"""

from typing import TYPE_CHECKING, Any

from nasbench_stc.benchmark import open_benchmark
from nasbench_stc.space import Cell

if TYPE_CHECKING:
    from nasbench_stc.runs.rank import rank_cells
    from nasbench_stc.runs.search import search

__all__ = ["Cell", "open_benchmark", "rank_cells", "search"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # These import torch, which queries and reports do without.
    if name == "search":
        from nasbench_stc.runs.search import search

        return search
    if name == "rank_cells":
        from nasbench_stc.runs.rank import rank_cells

        return rank_cells
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
