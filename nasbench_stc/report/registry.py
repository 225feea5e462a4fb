"""Tables and figures by name: those that the modules of a folder say they make."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Generic, NamedTuple, TypeVar

from nasbench_stc.report.inputs import Inputs

T = TypeVar("T")


class Maker(NamedTuple, Generic[T]):
    """A table or a figure: what it is, in a few words, and how it is made."""

    about: str
    build: Callable[[Inputs], T]


def makers(package: ModuleType, attribute: str) -> dict[str, Maker[T]]:
    """What the modules of a package offer, by name: the paper's numbers first, then names.

    Args:
        package: its modules are imported.
        attribute: where a module has its makers by name, if it has any.
    """
    found: dict[str, Maker[T]] = {}
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        offered: Mapping[str, Maker[T]] = getattr(importlib.import_module(module.name), attribute, {})
        found.update(offered)
    return dict(sorted(found.items(), key=lambda item: (not item[0].isdigit(), item[0].zfill(3))))
