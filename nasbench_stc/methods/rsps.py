"""RSPS: weights learn on uniformly drawn paths; in the end the supernet chooses among random cells.

Li & Talwalkar, "Random search and reproducibility for neural architecture search", UAI 2019, in the form in which
NAS-Bench-201 and NATS-Bench published it (100 cells, a batch of 512 images each). Departures: a draw is for all cells
of the network, as in NAS-Bench-201 (NATS-Bench draws in each anew), and no candidate is drawn twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nasbench_stc.methods.base import Listing, OneShotMethod, Rate
from nasbench_stc.methods.selection import SelectionSettings, random_cells, select
from nasbench_stc.models import Mixture
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell


@dataclass(frozen=True)
class RspsSettings(SelectionSettings):
    """The selection's settings, and what is drawn."""

    zero_nodes: str = setting(
        "redrawn",
        "a node all of whose inputs are `none` is redrawn (NATS-Bench) or kept (NAS-Bench-201)",
        choices=("redrawn", "kept"),
    )


class RSPS(OneShotMethod):
    """RSPS; see the module."""

    listing: ClassVar[Listing] = Listing(
        "RSPS",
        "RSPS: uniform paths, then the best of random cells (Li & Talwalkar, 2019)",
        name="rsps",
        kind="one-shot",
        order=10,
    )
    Settings: ClassVar[type] = RspsSettings
    on_device = True
    presets: ClassVar[dict[str, dict[str, Any]]] = {"nas-bench-201": {"zero_nodes": "kept"}}

    def weight_mixture(self) -> Mixture:
        """Each operation is equally likely on each edge; redrawing until there is one draws from what is left."""
        drawn: list[Tensor] = []
        ops, device = len(self.space.ops), self.generator.device
        for edges in self.space.inputs:  # of a node: a number in base 5 (of five operations), 0 being `none` on all
            first = 0 if self.settings.zero_nodes == "kept" else 1
            number = torch.randint(first, ops ** len(edges), (), generator=self.generator, device=device)
            drawn += [number // ops**place % ops for place in range(len(edges))]
        return Mixture.path(torch.stack(drawn), space=self.space)  # edges are sorted by their target

    def result(self, rate: Rate) -> Cell:
        """Among random cells the one that the supernet rates best."""
        drawn = random_cells(self.settings.candidates, self.space, self.generator)
        return select(drawn, rate, self.settings.select_images)
