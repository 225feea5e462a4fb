"""Reports: records of runs beside the numbers that the paper printed. Nothing here imports torch.

A table is one module, a pure function from `Inputs` to a `Table`, which `render` writes. A figure is one module, a pure
function from `Inputs` to a `Chart`, which draws itself; only that imports matplotlib. `TABLES` and `FIGURES` name all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from nasbench_stc.benchmark import Benchmark
from nasbench_stc.errors import choose
from nasbench_stc.report import anytime, differences, pareto, ranking, scores, table3, table6
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords, gather, opened_for
from nasbench_stc.report.render import FORMATS, Table, render
from nasbench_stc.report.scores import Scores

__all__ = [
    "FIGURES",
    "FORMATS",
    "TABLES",
    "Chart",
    "Inputs",
    "Missing",
    "MissingRecords",
    "Scores",
    "Table",
    "gather",
    "make_agreement_table",
    "make_figure",
    "make_score_table",
    "make_table",
    "opened_for",
    "render",
]


class TableMaker(NamedTuple):
    """A table: what it is, in a few words, and how it is made."""

    about: str
    build: Callable[[Inputs], Table]


class FigureMaker(NamedTuple):
    """A figure, likewise."""

    about: str
    build: Callable[[Inputs], Chart]


TABLES = {
    "3": TableMaker("what a search costs", table3.build),
    "6": TableMaker("accuracy of the cells found", table6.build),
    "differences": TableMaker("methods against one of them, by common seeds", differences.build),
    "ranking": TableMaker("how well supernets rank cells", ranking.build),
}
"""By the paper's number, or a name."""

FIGURES = {
    "pareto": FigureMaker("accuracy against a metric, and what was found", pareto.build),
    "anytime": FigureMaker("the best cell so far over the search's seconds", anytime.build),
}
"""By the paper's number, or a name."""


def make_table(name: int | str, inputs: Inputs) -> Table:
    """The table of that name, or the paper's of that number.

    Raises:
        BadCallError: there is no such table here.
        MissingRecords: there is nothing to show.
        DataError: what it is made from is damaged or not at hand.
    """
    if str(name) not in TABLES:
        raise choose("table", str(name), TABLES)
    return TABLES[str(name)].build(inputs)


def make_figure(name: int | str, inputs: Inputs) -> Chart:
    """The figure of that name, or the paper's of that number.

    Raises:
        BadCallError: there is no such figure here, or it lacks an input.
        MissingRecords: there is nothing to show.
        DataError: what it is made from is damaged or not at hand.
    """
    if str(name) not in FIGURES:
        raise choose("figure", str(name), FIGURES)
    return FIGURES[str(name)].build(inputs)


def make_score_table(found: Scores) -> Table:
    """Training-free scores, a row for each cell."""
    return scores.build_values(found)


def make_agreement_table(found: Scores, benchmark: Benchmark) -> Table:
    """How well training-free scores rank cells.

    Raises:
        BadCallError, DataError: the benchmark does not hold what the cells are compared with.
    """
    return scores.build_agreement(found, benchmark)
