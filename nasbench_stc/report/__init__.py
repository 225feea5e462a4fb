"""Reports: records of runs beside the numbers that the paper printed. Nothing here imports torch.

A table of the paper is one module, a pure function from records to a `Table`; `render` writes it. A figure is one
module, a pure function from `Inputs` to a `Chart`, which draws itself; only that imports matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence

from nasbench_stc.benchmark import Benchmark
from nasbench_stc.errors import BadCallError, choose
from nasbench_stc.report import pareto, ranking, table6
from nasbench_stc.report.chart import Chart, Inputs
from nasbench_stc.report.render import FORMATS, Table, render
from nasbench_stc.runs import Ranking, Record

__all__ = [
    "FIGURES",
    "FORMATS",
    "TABLES",
    "Chart",
    "Inputs",
    "Table",
    "make_figure",
    "make_ranking_table",
    "make_table",
    "render",
]

TABLES = {6: table6.build}
"""By the paper's number."""
FIGURES = {"pareto": pareto.build}
"""By name, or the paper's number."""


def make_table(number: int, records: Sequence[Record]) -> Table:
    """The paper's table of that number, with a row for every group of `records`.

    Raises:
        BadCallError: there is no such table here.
    """
    if number not in TABLES:
        raise BadCallError(f"no table {number!r}: there is {', '.join(f'table {known}' for known in TABLES)}")
    return TABLES[number](records)


def make_ranking_table(rankings: Sequence[Ranking], benchmark: Benchmark) -> Table:
    """How well supernets rank cells, beside what counting parameters gives.

    Raises:
        BadCallError, DataError: the benchmark does not hold what the cells are compared with.
    """
    return ranking.build(rankings, benchmark)


def make_figure(name: str, inputs: Inputs) -> Chart:
    """The figure of that name.

    Raises:
        BadCallError: there is no such figure here, or it lacks an input.
        DataError: what it is made from is not there.
    """
    if name not in FIGURES:
        raise choose("figure", name, FIGURES)
    return FIGURES[name](inputs)
