"""The spaces by name: the files of this folder that have a `SPACE`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import nasbench_stc.space as folder
from nasbench_stc.errors import choose
from nasbench_stc.space.base import Space


def names() -> list[str]:
    """Of all spaces; the one that is meant where none is named, first."""
    found = [module.name for module in pkgutil.iter_modules(folder.__path__)]
    spaces = [name for name in found if hasattr(importlib.import_module(f"{folder.__name__}.{name}"), "SPACE")]
    return sorted(spaces, key=lambda name: (not find_space(name).usual, name))


def space_of(text: str, otherwise: str) -> str:
    """The name of the space that a cell is of by its looks; `otherwise`, where none says that it is its own."""
    return next((name for name in names() if find_space(name).owns(text)), otherwise)


@cache
def find_space(name: str) -> Space:
    """The space of that name.

    Raises:
        BadCallError: there is none.
    """
    module = f"{folder.__name__}.{name}"
    try:
        if not name.isidentifier():
            raise AttributeError(name)
        space: Space = importlib.import_module(module).SPACE
    except (ModuleNotFoundError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name != module:
            raise
        raise choose("space", name, names()) from None
    return space
