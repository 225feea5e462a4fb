"""Reports: records of runs beside the numbers that the paper printed. Nothing here imports torch.

A table of the paper is one module, a pure function from records to a `Table`; `render` writes it. A figure is one
module, a pure function from `Inputs` to a `Chart`, which draws itself; only that imports matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nasbench_stc.benchmark import Benchmark
from nasbench_stc.errors import BadCallError, choose
from nasbench_stc.report import anytime, pareto, ranking, scores, table3, table6
from nasbench_stc.report.chart import Chart, Inputs
from nasbench_stc.report.render import FORMATS, Table, render
from nasbench_stc.report.scores import Scores
from nasbench_stc.report.yardsticks import opened_for
from nasbench_stc.runs import Ranking, profile, read_all

__all__ = [
    "FIGURES",
    "FORMATS",
    "TABLES",
    "Chart",
    "Inputs",
    "Scores",
    "Table",
    "make_agreement_table",
    "make_figure",
    "make_ranking_table",
    "make_score_table",
    "make_table",
    "opened_for",
    "read_for",
    "render",
]


class Maker(NamedTuple):
    """A table of the paper: how what it is made of is read, and how it is made."""

    read: Callable[[Iterable[Path]], tuple[Sequence[Any], list[str]]]
    """The records below folders, and one sentence for each file that could not be read."""
    build: Callable[..., Table]
    """From what `read` gives, and the benchmarks where it `looks_up`."""
    looks_up: bool = False


TABLES = {3: Maker(profile.read_all, table3.build), 6: Maker(read_all, table6.build, looks_up=True)}
"""By the paper's number."""
FIGURES = {"pareto": pareto.build, "anytime": anytime.build}
"""By name, or the paper's number."""


def make_table(number: int, records: Sequence[Any], benchmarks: Sequence[Benchmark] = ()) -> Table:
    """The paper's table of that number, with rows for `records`: of searches, or for table 3 profiles.

    Args:
        benchmarks: those in which the cells found were looked up, as far as they are at hand (`opened_for`).

    Raises:
        BadCallError: there is no such table here.
    """
    maker = _maker(number)
    return maker.build(records, benchmarks) if maker.looks_up else maker.build(records)


def read_for(number: int, folders: Iterable[Path]) -> tuple[Sequence[Any], list[str]]:
    """The records below `folders` that the table of that number is made of, and what could not be read.

    Raises:
        BadCallError: there is no such table here.
    """
    return _maker(number).read(folders)


def _maker(number: int) -> Maker:
    if number not in TABLES:
        raise BadCallError(f"no table {number!r}: there is {', '.join(f'table {known}' for known in TABLES)}")
    return TABLES[number]


def make_ranking_table(rankings: Sequence[Ranking], benchmark: Benchmark) -> Table:
    """How well supernets rank cells, beside what counting parameters gives.

    Raises:
        BadCallError, DataError: the benchmark does not hold what the cells are compared with.
    """
    return ranking.build(rankings, benchmark)


def make_score_table(found: Scores) -> Table:
    """Training-free scores, a row for each cell."""
    return scores.build_values(found)


def make_agreement_table(found: Scores, benchmark: Benchmark) -> Table:
    """How well training-free scores rank cells.

    Raises:
        BadCallError, DataError: the benchmark does not hold what the cells are compared with.
    """
    return scores.build_agreement(found, benchmark)


def make_figure(name: str, inputs: Inputs) -> Chart:
    """The figure of that name.

    Raises:
        BadCallError: there is no such figure here, or it lacks an input.
        DataError: what it is made from is not there.
    """
    if name not in FIGURES:
        raise choose("figure", name, FIGURES)
    return FIGURES[name](inputs)
