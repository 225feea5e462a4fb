"""The spaces by name: ours, and those that are registered or named by a file."""

from __future__ import annotations

import importlib
from functools import cache

from nasbench_stc.errors import choose
from nasbench_stc.space.base import Space

OURS = ("tss", "darts", "sss")
"""Each a module of this folder that has a `SPACE`."""
_own: dict[str, Space] = {}


def register(space: Space) -> Space:
    """Make a space known by its name, in this process.

    Raises:
        ValueError: it has the name of another one.
    """
    if space.name in OURS or _own.get(space.name, space) is not space:
        raise ValueError(f"there is a space {space.name} already")
    _own[space.name] = space
    find_space.cache_clear()
    return space


@cache
def find_space(name: str) -> Space:
    """The space of that name.

    Raises:
        BadCallError: there is none.
    """
    if name in OURS:
        found: Space = importlib.import_module(f"nasbench_stc.space.{name}").SPACE
        return found
    if name not in _own:
        raise choose("space", name, (*OURS, *_own))
    return _own[name]
