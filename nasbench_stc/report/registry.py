"""Tables and figures by name: those that the modules of a folder say they make."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from nasbench_stc.errors import choose

if TYPE_CHECKING:
    from nasbench_stc.report.chart import Chart
    from nasbench_stc.report.inputs import Inputs
    from nasbench_stc.report.table import Table

T = TypeVar("T")


class Maker(NamedTuple, Generic[T]):
    """A table or a figure: what it is, in a few words, and how it is made."""

    about: str
    build: Callable[[Inputs], T]


@cache
def makers(folder: str) -> dict[str, Maker[Any]]:
    """By name what the modules in `tables` have in `TABLES`, or those in `figures` in `FIGURES`: first numbers."""
    found: dict[str, Maker[Any]] = {}
    package = importlib.import_module(f"{__package__}.{folder}")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        found |= getattr(importlib.import_module(module.name), folder.upper(), {})
    return dict(sorted(found.items(), key=lambda item: (not item[0].isdigit(), item[0].zfill(3))))


def make_table(name: int | str, inputs: Inputs) -> Table:
    """The table of that name, or the paper's of that number.

    Raises:
        BadCallError: there is no such table here.
        MissingRecords: there is nothing to show.
        DataError: what it is made from is damaged or not at hand.
    """
    made: Table = _find("table", name).build(inputs)
    return made


def make_figure(name: int | str, inputs: Inputs) -> Chart:
    """The figure of that name, or the paper's of that number.

    Raises:
        BadCallError: there is no such figure here, or it lacks an input.
        MissingRecords, DataError: as of `make_table`.
    """
    made: Chart = _find("figure", name).build(inputs)
    return made


def _find(kind: str, name: int | str) -> Maker[Any]:
    there = makers(f"{kind}s")
    if str(name) not in there:
        raise choose(kind, str(name), there)
    return there[str(name)]
