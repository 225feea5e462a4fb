"""DARTS-PT: of DARTS's supernet an edge keeps the operation without which accuracy falls most; the rest trains on.

Wang, Cheng, Chen, Tang & Hsieh, "Rethinking architecture selection in differentiable NAS", ICLR 2021, Algorithm 1 by
the authors' code for NAS-Bench-201. Departures: the last `selecting` of the epochs decide, by the same cosine (there
25 after 100, at a tenth of the rate); in DARTS's space inputs are chosen at once, not one by one; those of DARTS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from nasbench_stc.methods.alpha import ON_MIXTURES, AlphaSettings, strongest
from nasbench_stc.methods.base import Listing, Rate, Weights
from nasbench_stc.methods.darts import DARTS
from nasbench_stc.methods.selection import by_removal
from nasbench_stc.models import Mixture
from nasbench_stc.models.mixture import one_hot
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell

OPEN = -1  # an edge that is not decided


@dataclass(frozen=True)
class DartsPtSettings(AlphaSettings):
    """alpha's settings and the selection's."""

    selecting: float = setting(0.2, "share of the last epochs, in which edges are decided (there 25 of 125)", high=1)
    select_images: int = setting(0, "validation images that decide; 0: all, as the authors")


class DartsPT(DARTS):
    """DARTS-PT; see the module."""

    listing: ClassVar[Listing] = Listing(
        "DARTS-PT", "DARTS-PT: what accuracy misses (Wang et al., 2021)", name="darts_pt", kind="one-shot", order=90
    )
    Settings: ClassVar[type] = DartsPtSettings
    on_device = True
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "cpu": ON_MIXTURES["cpu"] | {"selecting": 0.3, "select_images": 5120},  # an edge an epoch
        "digits": ON_MIXTURES["digits"] | {"selecting": 0.3},
    }

    def __init__(self, settings: DartsPtSettings, generator: torch.Generator) -> None:
        device, edges = generator.device, len(self.space.edges)
        self.order = torch.rand(edges, generator=generator, device=device).argsort()
        self.chosen = torch.full((edges,), OPEN, device=device)
        super().__init__(settings, generator)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """How many edges are to be decided at the end of this epoch: all in equal steps, the last before the end."""
        super().begin_epoch(epoch, epochs)
        first = max(epochs - 1 - round(self.settings.selecting * epochs), 0)
        steps, edges = max(epochs - 1 - first, 1), len(self.space.edges)
        self.due = edges * max(epoch + 1 - first, 0) // steps if epoch + 1 < epochs else edges

    def mixture(self) -> Mixture:
        """softmax(alpha) on edges that are open, the chosen operation alone on others."""
        is_open, kept = self.chosen[:, None] == OPEN, one_hot(self.chosen, self.space.shape[1])
        return Mixture(is_open | kept, torch.where(is_open, self.alpha.softmax(dim=1), kept.to(self.alpha.dtype)))

    @torch.no_grad()
    def end_epoch(self, rate: Rate, weights: Weights) -> None:
        """Decide the edges that are due: of each in turn the operation whose removal costs most accuracy stays."""
        for edge in self.order.tolist()[: self.due]:
            if self.chosen[edge] == OPEN:
                ops = [op for op in range(len(self.space.ops)) if self.space.is_free or op != self.space.none]
                rating = rate([self.mixture().without(edge, op) for op in ops], self.settings.select_images)
                self.chosen[edge] = ops[np.lexsort((-rating.loss, rating.accuracy))[0]]

    def result(self, rate: Rate) -> Cell:
        """What was chosen, and where a node has some of its inputs alone, which these are."""
        return by_removal(self.chosen.tolist(), self.space, rate, self.settings.select_images)

    def super_cell(self) -> None:
        """In the end there are no operations but those chosen."""

    def cell(self) -> Cell:
        """What was chosen, on open edges argmax of alpha."""
        kept = one_hot(self.chosen, self.space.shape[1])
        return strongest(self.space, self.alpha.detach().masked_fill((self.chosen[:, None] != OPEN) & ~kept, -np.inf))

    def snapshot(self) -> dict[str, Any]:
        """alpha, and the operations chosen: -1 where an edge is open."""
        return {**super().snapshot(), "chosen": self.chosen.tolist()}

    def state_dict(self) -> dict[str, Any]:
        """What DARTS keeps, what was chosen, and in which order edges come."""
        return {**super().state_dict(), "chosen": self.chosen.clone(), "order": self.order}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        super().load_state_dict(state)
        self.chosen.copy_(state["chosen"])
        self.order.copy_(state["order"])
