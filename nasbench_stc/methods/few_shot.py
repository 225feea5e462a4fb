"""Few-shot NAS: one edge's operations each get a supernet of their own, which starts from the weights of a common one.

Zhao, Wang, Tian, Fonseca & Guo, "Few-shot neural architecture search", ICML 2021, as in the authors' code for
NAS-Bench-201: uniform paths, the edge 0→1 split into five, weights transferred. Departures: the common supernet and its
parts share the protocol's epochs (there 600 and five times 300, each under its own cosine); the parts take turns epoch
by epoch, so that all learn at the same rates, and take over the momentum, too; the search over the ratings is the
evolution of SPOS (`evolution.py`), where the paper has several.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from nasbench_stc.errors import BadCallError
from nasbench_stc.methods.alpha import uniform_path
from nasbench_stc.methods.base import Listing, OneShotMethod, Rate, Rating, Weights, scalar
from nasbench_stc.methods.evolution import PRESETS, EvolutionSettings, draws, evolved
from nasbench_stc.models import Mixture
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell


@dataclass(frozen=True)
class FewShotSettings(EvolutionSettings):
    """The evolution's settings and those of the split."""

    common: float = setting(0.5, "share of the epochs in which one supernet trains, before it is split", high=1)
    edge: int = setting(0, "which edge is split, in the order of a cell's digits (the authors': 0→1)")


class FewShot(OneShotMethod):
    """Few-shot NAS; see the module."""

    listing: ClassVar[Listing] = Listing(
        "few-shot", "few-shot NAS: five supernets (Zhao et al., 2021)", name="few_shot", kind="one-shot", order=96
    )
    Settings: ClassVar[type] = FewShotSettings
    on_device = True
    presets = PRESETS

    def __init__(self, settings: FewShotSettings, generator: torch.Generator) -> None:
        super().__init__(settings, generator)
        if settings.edge >= (edges := len(self.space.edges)):
            raise BadCallError(f"setting edge={settings.edge}: the edges of {self.space.title} are 0 to {edges - 1}")
        self.parts: dict[int, dict[str, Any]] = {}
        self.found: Cell | None = None
        self.fixed = scalar(generator)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Whose turn it is: the common supernet's (None), or that of the part for an operation."""
        first = max(round(self.settings.common * epochs), 1)
        self.turn, self.next = ((e - first) % len(self.space.ops) if e >= first else None for e in (epoch, epoch + 1))
        self.last = epoch + 1 == epochs
        self.fixed.fill_(-1 if self.turn is None else self.turn)

    def weight_mixture(self) -> Mixture:
        """Uniform paths, in a part with its operation on the edge that is split."""
        ops, edge = uniform_path(self.generator, self.space).runs, self.settings.edge
        ops[edge] = torch.where(self.fixed < 0, ops[edge], self.fixed.to(ops.dtype))
        return Mixture.path(ops, space=self.space)

    def end_epoch(self, rate: Rate, weights: Weights) -> None:
        """Keep the weights of whose turn it was, and take those of whose turn is next; in the end the evolution."""
        now = weights.copy()
        self.parts = (
            dict.fromkeys(range(len(self.space.ops)), now) if self.turn is None else {**self.parts, self.turn: now}
        )
        if self.last:
            self.found = evolved(partial(self._rated, rate, weights), self.settings, draws(self.generator), self.space)
            weights.restore(self.parts[self.found.ops[self.settings.edge]])
        elif self.next is not None:
            weights.restore(self.parts[self.next])

    def cell(self) -> Cell | None:
        """What the evolution found; None before."""
        return self.found

    def state_dict(self) -> dict[str, Any]:
        """The parts' weights; the cell."""
        return {"parts": self.parts, "found": None if self.found is None else list(self.found.ops)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.parts = state["parts"]
        self.found = None if state["found"] is None else Cell(tuple(state["found"]), self.space.name)

    def _rated(self, rate: Rate, weights: Weights, cells: list[Cell], n_images: int) -> Rating:
        """Cells, each in the part that has its operation."""
        ops = np.array([cell.ops[self.settings.edge] for cell in cells])
        loss, accuracy = np.empty((2, len(cells)))
        for op in np.unique(ops).tolist():
            weights.restore(self.parts[op])
            (places,) = np.nonzero(ops == op)
            loss[places], accuracy[places] = rate([cells[place] for place in places], n_images)
        return Rating(loss, accuracy)
