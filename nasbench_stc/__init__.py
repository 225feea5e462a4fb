"""A benchmarking harness for cell-based neural architecture search on NAS-Bench-201, built around STC-NAS.

What there is from Python, in four names; each has a docstring with its arguments, units and errors:

    from nasbench_stc import Cell, open_benchmark, rank_cells, search

    cell = Cell.parse("333133")                                  # by digits, index or official string
    bench = open_benchmark("auto")                               # what says how good a cell is
    bench.accuracy([cell], dataset="cifar10", split="test")      # percent, shape (1,)
    record = search("stc", dataset="digits", seed=0)             # trains a supernet; a record of all that it did
    record = search("rea", seed=17, benchmark=bench)             # a black-box method, its trainings looked up
    rank_cells("results/rsps-cifar10-cpu-seed0-38de9aa8", 500)   # what a finished search's supernet says of 500 cells

Tables and figures: `nasbench_stc.report` (`gather`, `make_table`, `make_figure`, `render`). A method of one's own is a
subclass of `nasbench_stc.methods.base.OneShotMethod` or `nasbench_stc.methods.blackbox.BlackBoxMethod`. The command
line does all of this, too: `stc-bench -h`.
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


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__version__"]
