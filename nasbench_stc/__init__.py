"""A benchmarking harness for cell-based neural architecture search on NAS-Bench-201, built around STC-NAS.

These names are imported from the package itself; the docstring of each says its arguments, units and errors:

    from nasbench_stc import Cell, open_benchmark, rank_cells, search, train
    from nasbench_stc import load_incumbents, load_ratings, load_runs, load_status, load_trainings, load_trajectories

    # A cell by its digits, its index or its official string, and how good it is.
    cell = Cell.parse("333133")
    bench = open_benchmark("auto")
    bench.accuracy([cell], dataset="cifar10", split="test")  # percent, shape (1,)

    # A search that trains a supernet, and a black-box one whose trainings are looked up.
    record = search("stc", dataset="digits", seed=0)
    record = search("rea", seed=17, benchmark=bench)

    # The network of a cell trained alone, as papers evaluate what they found.
    train("DARTS_V2", space="darts", dataset="digits").test_accuracy  # percent

    # What the supernet of a finished search says of 500 cells.
    rank_cells("results/rsps-cifar10-cpu-seed0-38de9aa8", 500)
    load_ratings("results")  # of all supernets that were asked, a row a cell

    # Records as pandas frames, for tables and plots of one's own: a row a run, an epoch, or a best cell so far.
    runs = load_runs("results")
    runs.groupby("title", observed=True)["cifar10-test"].agg(["mean", "std", "count"])
    load_trajectories("results")
    load_incumbents("results")

    # What cells reached that were trained alone (`stc-bench train`), a row a training.
    load_trainings("results")

    # How far the runs are that go on, on whatever machine that sees the folder.
    load_status("results")

    # The whole space in one: a row a cell, with accuracies, parameters, FLOPs and metrics.
    bench.frame().nlargest(10, "cifar10-test")

The other names are in these packages. None of them imports from one that stands below it:

    space       cells, operations, the data sets' names; what a cell costs
    benchmark   what a cell scores when it is trained alone, and the sources of such numbers
    data        image sets: fetching, reading and halving them
    models      the supernet, and one cell's own network
    methods     the search methods by name
    engine      the loops that train, simulate and score
    runs        records of searches, and what launches searches
    report      tables and figures of records
    cli         the command line

Tables and figures: `nasbench_stc.report` (`gather`, `make_table`, `make_figure`, `render`). A method of one's own is a
subclass of `nasbench_stc.methods.base.OneShotMethod` or `nasbench_stc.methods.blackbox.BlackBoxMethod`. Every error
that a caller can act on is a `nasbench_stc.errors.StcBenchError`. The command line does all of this, too:
`stc-bench -h`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from nasbench_stc.benchmark import open_benchmark
from nasbench_stc.space import Cell

if TYPE_CHECKING:
    from nasbench_stc.report.frames import (
        load_incumbents,
        load_ratings,
        load_runs,
        load_status,
        load_trainings,
        load_trajectories,
    )
    from nasbench_stc.runs.rank import rank_cells
    from nasbench_stc.runs.search import search
    from nasbench_stc.runs.train import train

__all__ = [
    "Cell",
    "load_incumbents",
    "load_ratings",
    "load_runs",
    "load_status",
    "load_trainings",
    "load_trajectories",
    "open_benchmark",
    "rank_cells",
    "search",
    "train",
]
__version__ = "0.1.0"

# Imported when they are asked for: the runs' import torch, which queries and reports do without, and the report's all
# of its tables and figures.
_LAZY = {
    **dict.fromkeys((name for name in __all__ if name.startswith("load_")), "nasbench_stc.report.frames"),
    "rank_cells": "nasbench_stc.runs.rank",
    "search": "nasbench_stc.runs.search",
    "train": "nasbench_stc.runs.train",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__version__"]
