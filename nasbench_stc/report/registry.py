"""Tables and figures by name: those that the modules of a folder say they make."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from nasbench_stc.errors import BadCallError, choose
from nasbench_stc.space import TSS, Space, find_space, names

if TYPE_CHECKING:
    from nasbench_stc.report.chart import Chart
    from nasbench_stc.report.inputs import Inputs
    from nasbench_stc.report.table import Table

T = TypeVar("T")


class Maker(NamedTuple, Generic[T]):
    """A table or a figure: what it is, in a few words, and how it is made."""

    about: str
    build: Callable[[Inputs], T]
    space: str = ""
    """Whose records alone it is of, by name; empty: of any space's."""
    supernet: bool = False
    """Whether it is of searches that train a supernet: of a space that has none it is not there."""
    trained: bool = False
    """Whether its accuracies are of trainings, not looked up."""


@cache
def makers(folder: str, space: str = TSS.name) -> dict[str, Maker[Any]]:
    """What there is of a space, by name: first numbers.

    That is what the modules in `tables` have in `TABLES`, or those in `figures` in `FIGURES`; of two of one name that
    which is of the space alone.
    """
    found: dict[str, Maker[Any]] = {}
    package = importlib.import_module(f"{__package__}.{folder}")
    searched = find_space(space).shares_weights
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for name, maker in getattr(importlib.import_module(module.name), folder.upper(), {}).items():
            own = maker.space == space or (not maker.space and name not in found)
            if own and (searched or not maker.supernet):
                found[name] = maker
    return dict(sorted(found.items(), key=lambda item: (not item[0].isdigit(), item[0].zfill(3))))


def space_of(kind: str, name: str) -> str:
    """The space that a `table` or `figure` is of where none is asked for: the usual one, if it has one of that name."""
    return next((space for space in names() if name in makers(f"{kind}s", space)), TSS.name)


def make_table(name: int | str, inputs: Inputs) -> Table:
    """The table of that name, or the paper's of that number.

    Raises:
        BadCallError: there is no such table here.
        MissingRecords: there is nothing to show.
        DataError: what it is made from is damaged or not at hand.
    """
    made: Table = _find("table", name, inputs.space).build(inputs)
    return made


def make_figure(name: int | str, inputs: Inputs) -> Chart:
    """The figure of that name, or the paper's of that number.

    Raises:
        BadCallError: there is no such figure here, or it lacks an input.
        MissingRecords, DataError: as of `make_table`.
    """
    made: Chart = _find("figure", name, inputs.space).build(inputs)
    return made


def _find(kind: str, name: int | str, space: Space) -> Maker[Any]:
    there = makers(f"{kind}s", space.name)
    if str(name) in there:
        return there[str(name)]
    other = space_of(kind, str(name))
    if str(name) in makers(f"{kind}s", other):
        raise BadCallError(f"{kind} {name} is of another space: --space {other}")
    raise choose(kind, str(name), dict.fromkeys(one for of in names() for one in makers(f"{kind}s", of)))
