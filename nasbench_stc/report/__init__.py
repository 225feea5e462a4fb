"""Reports: records of runs as frames, and tables and figures beside the numbers that the paper printed.

`frames` makes pandas frames of records; `tables` and `figures` have a file for each table and figure, made from
`Inputs`; `writers` writes a table, and `page` all of them. Adding a table or a figure is one file. Nothing here imports
torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from nasbench_stc.errors import choose

if TYPE_CHECKING:
    from nasbench_stc.benchmark import Benchmark
    from nasbench_stc.report.chart import Chart
    from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords, gather, opened_for
    from nasbench_stc.report.page import Entry, render_all
    from nasbench_stc.report.registry import Maker
    from nasbench_stc.report.table import Table
    from nasbench_stc.report.tables.scores import Scores
    from nasbench_stc.report.writers import FORMATS, render

    TABLES: dict[str, Maker[Table]]
    FIGURES: dict[str, Maker[Chart]]

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

_HOMES = {
    "chart": ["Chart"],
    "inputs": ["Inputs", "Missing", "MissingRecords", "gather", "opened_for"],
    "page": ["Entry", "render_all"],
    "table": ["Table"],
    "tables.scores": ["Scores"],
    "writers": ["FORMATS", "render"],
}


def __getattr__(name: str) -> Any:
    # Imported when they are asked for: `stc-bench query`, which has to answer at once, needs a writer alone.
    if name == "TABLES":
        return _tables()
    if name == "FIGURES":
        return _figures()
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__doc__"]


@cache
def _tables() -> dict[str, Maker[Table]]:
    """By the paper's number, or a name."""
    from nasbench_stc.report import registry, tables

    return registry.makers(tables, "TABLES")


@cache
def _figures() -> dict[str, Maker[Chart]]:
    """By the paper's number, or a name."""
    from nasbench_stc.report import figures, registry

    return registry.makers(figures, "FIGURES")


def make_table(name: int | str, inputs: Inputs) -> Table:
    """The table of that name, or the paper's of that number.

    Raises:
        BadCallError: there is no such table here.
        MissingRecords: there is nothing to show.
        DataError: what it is made from is damaged or not at hand.
    """
    if str(name) not in _tables():
        raise choose("table", str(name), _tables())
    return _tables()[str(name)].build(inputs)


def make_figure(name: int | str, inputs: Inputs) -> Chart:
    """The figure of that name, or the paper's of that number.

    Raises:
        BadCallError: there is no such figure here, or it lacks an input.
        MissingRecords: there is nothing to show.
        DataError: what it is made from is damaged or not at hand.
    """
    if str(name) not in _figures():
        raise choose("figure", str(name), _figures())
    return _figures()[str(name)].build(inputs)


def make_all(inputs: Inputs, tick: Callable[[str], None] = lambda title: None) -> list[Entry]:
    """An entry for every table and figure: itself, or what it lacks and the command that makes it.

    Args:
        tick: is told what comes next.
    """
    from nasbench_stc.report.page import make_entry

    entries = []
    for kind, made in (("table", _tables()), ("figure", _figures())):
        for name, (about, build) in made.items():
            tick(f"{kind} {name}")
            entries.append(make_entry(kind, name, about, build, inputs))
    return entries


def make_score_table(found: Scores) -> Table:
    """Training-free scores, a row for each cell."""
    from nasbench_stc.report.tables import scores

    return scores.build_values(found)


def make_agreement_table(found: Scores, benchmark: Benchmark) -> Table:
    """How well training-free scores rank cells.

    Raises:
        BadCallError, DataError: the benchmark does not hold what the cells are compared with.
    """
    from nasbench_stc.report.tables import scores

    return scores.build_agreement(found, benchmark)
