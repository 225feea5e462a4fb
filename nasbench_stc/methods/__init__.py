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
    "rsps": Entry(
        "nasbench_stc.methods.rsps:RSPS", "RSPS: uniform paths, then the best of random cells (Li & Talwalkar, 2019)"
    ),
    "darts": Entry(
        "nasbench_stc.methods.darts:DARTS", "DARTS, first order: softmax over all operations (Liu et al., 2019)"
    ),
    "darts2": Entry(
        "nasbench_stc.methods.darts:DARTS2", "DARTS, second order: alpha looks one step ahead (Liu et al., 2019)"
    ),
    "gdas": Entry("nasbench_stc.methods.gdas:GDAS", "GDAS: hard Gumbel-softmax, straight through (Dong & Yang, 2019)"),
    "setn": Entry(
        "nasbench_stc.methods.setn:SETN", "SETN: uniform paths, alpha on a template of all (Dong & Yang, 2019)"
    ),
    "enas": Entry(
        "nasbench_stc.methods.enas:ENAS", "ENAS: an LSTM draws cells, learns by REINFORCE (Pham et al., 2018)"
    ),
    "snas": Entry("nasbench_stc.methods.snas:SNAS", "SNAS: all operations, concrete relaxation (Xie et al., 2019)"),
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
