"""The methods by name. Listing them does not import torch; `load` does."""

from __future__ import annotations

import importlib
from typing import NamedTuple

from nasbench_stc.errors import choose
from nasbench_stc.methods.base import OneShotMethod


class Entry(NamedTuple):
    """Where a method is and what it is, in one line."""

    target: str
    about: str


METHODS = {
    "stc": Entry(
        "nasbench_stc.methods.stc:STC",
        "STC-NAS: one sampled operation an edge, ReLU weights, JS divergence to the sample (Sun et al., 2022)",
    ),
}


def load(name: str) -> type[OneShotMethod]:
    """The class of the method called `name`.

    Raises:
        BadCallError: there is none; the message lists those that are.
    """
    if name not in METHODS:
        raise choose("method", name, METHODS)
    module, attribute = METHODS[name].target.split(":")
    loaded: type[OneShotMethod] = getattr(importlib.import_module(module), attribute)
    return loaded
