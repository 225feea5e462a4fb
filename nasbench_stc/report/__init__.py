"""Reports: records of runs as frames, and tables and figures beside the numbers that the paper printed.

`frames` makes pandas frames of records; `tables` and `figures` have a file for each table and figure, made from
`Inputs`; `writers` writes a table, and `page` all of them. Adding a table or a figure is one file. Nothing here imports
torch.
"""

from __future__ import annotations

from collections.abc import Callable

from nasbench_stc.benchmark import Benchmark
from nasbench_stc.errors import choose
from nasbench_stc.report import figures, tables
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords, gather, opened_for
from nasbench_stc.report.page import Entry, make_entry, render_all
from nasbench_stc.report.registry import Maker, makers
from nasbench_stc.report.table import Table
from nasbench_stc.report.tables import scores
from nasbench_stc.report.tables.scores import Scores
from nasbench_stc.report.writers import FORMATS, render

__all__ = [
    "FIGURES",
    "FORMATS",
    "TABLES",
    "Chart",
    "Entry",
    "Inputs",
    "Missing",
    "MissingRecords",
    "Scores",
    "Table",
    "gather",
    "make_agreement_table",
    "make_all",
    "make_figure",
    "make_score_table",
    "make_table",
    "opened_for",
    "render",
    "render_all",
]

TABLES: dict[str, Maker[Table]] = makers(tables, "TABLES")
"""By the paper's number, or a name."""
FIGURES: dict[str, Maker[Chart]] = makers(figures, "FIGURES")
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


def make_all(inputs: Inputs, tick: Callable[[str], None] = lambda title: None) -> list[Entry]:
    """An entry for every table and figure: itself, or what it lacks and the command that makes it.

    Args:
        tick: is told what comes next.
    """
    entries = []
    for kind, made in (("table", TABLES), ("figure", FIGURES)):
        for name, (about, build) in made.items():
            tick(f"{kind} {name}")
            entries.append(make_entry(kind, name, about, build, inputs))
    return entries


def make_score_table(found: Scores) -> Table:
    """Training-free scores, a row for each cell."""
    return scores.build_values(found)


def make_agreement_table(found: Scores, benchmark: Benchmark) -> Table:
    """How well training-free scores rank cells.

    Raises:
        BadCallError, DataError: the benchmark does not hold what the cells are compared with.
    """
    return scores.build_agreement(found, benchmark)
