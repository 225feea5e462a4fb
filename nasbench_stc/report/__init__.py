"""Reports: records of runs beside the numbers that the paper printed. Nothing here imports torch.

A table is one module, a pure function from `Inputs` to a `Table`, which `render` writes. A figure is one module, a pure
function from `Inputs` to a `Chart`, which draws itself; only that imports matplotlib. `TABLES` and `FIGURES` name all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from nasbench_stc.benchmark import Benchmark
from nasbench_stc.errors import choose
from nasbench_stc.report import (
    ablation_figures,
    ablation_tables,
    anytime,
    cells,
    differences,
    figure5,
    heatmap,
    pareto,
    ranking,
    records,
    scores,
    skips,
    study,
    table1,
    table3,
    table6,
)
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords, gather, opened_for
from nasbench_stc.report.overview import Entry, make_entry, render_all
from nasbench_stc.report.render import FORMATS, Table, render
from nasbench_stc.report.scores import Scores

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


class TableMaker(NamedTuple):
    """A table: what it is, in a few words, and how it is made."""

    about: str
    build: Callable[[Inputs], Table]


class FigureMaker(NamedTuple):
    """A figure, likewise."""

    about: str
    build: Callable[[Inputs], Chart]


TABLES = {
    "1": TableMaker("what discretization costs", table1.build),
    "3": TableMaker("what a search costs", table3.build),
    "6": TableMaker("accuracy of the cells found", table6.build),
    "7": TableMaker("the coefficient of the JS loss", ablation_tables.build_lambda),
    "8": TableMaker("without one of the consistencies", ablation_tables.build_consistency),
    "differences": TableMaker("methods against one of them, by common seeds", differences.build),
    "ranking": TableMaker("how well supernets rank cells", ranking.build),
    "study": TableMaker("arms of the study, by its criterion", study.build),
    "records": TableMaker("the runs behind all this", records.build),
}
"""By the paper's number, or a name."""

FIGURES = {
    "2": FigureMaker("cells that DARTS found", partial(cells.build, method="darts")),
    "3": FigureMaker("weights of operations at the end of DARTS", partial(heatmap.build, method="darts")),
    "5": FigureMaker("the search's ranking of its runs against the benchmark's", figure5.build),
    "6": FigureMaker("softmax, sigmoid or ReLU", ablation_figures.build_activation),
    "7": FigureMaker("the range of the sampling noise", ablation_figures.build_noise),
    "8": FigureMaker("skip connections and accuracy over the epochs", skips.build),
    "9": FigureMaker("weights of operations at the end of STC-NAS", partial(heatmap.build, method="stc")),
    "10": FigureMaker("cells that STC-NAS found", partial(cells.build, method="stc")),
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


def make_all(inputs: Inputs, tick: Callable[[str], None] = lambda title: None) -> list[Entry]:
    """An entry for every table and figure: itself, or what it lacks and the command that makes it.

    Args:
        tick: is told what comes next.
    """
    entries = []
    for kind, makers in (("table", TABLES), ("figure", FIGURES)):
        for name, (about, build) in makers.items():
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
