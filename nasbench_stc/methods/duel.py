"""Duel: two operations of an edge meet in each step, weighed by a draw from DrNAS's Dirichlet distribution of them.

Ours. STC-NAS runs one operation an edge, and so its alpha is told how an edge compares with its parallel edges; DrNAS
runs all, and its alpha is told how an edge's operations compare, at several times the cost. Here, on each edge,

    S = {a, b}, drawn from the five operations,                                         (1)
    theta_S ~ Dir(beta_a, beta_b), beta = elu(alpha) + 1,                               (2)
    the edge puts out theta_a · a(x) + theta_b · b(x),                                  (3)

and alpha descends the validation loss through theta (pathwise). Under a Dirichlet distribution of all five the weights
of two, divided by their sum, have just the distribution of Eq. 2, whatever the other three have. So a step of DrNAS is
asked about two operations alone, and its gradient compares these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_stc.methods.alpha import ON_MIXTURES, strongest
from nasbench_stc.methods.base import Listing
from nasbench_stc.methods.drnas import DrNAS, DrnasSettings, dirichlet
from nasbench_stc.models import Mixture
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell


@dataclass(frozen=True)
class DuelSettings(DrnasSettings):
    """DrNAS's settings and who meets whom."""

    pairs: str = setting(
        "uniform",
        "the two operations of Eq. 1: each pair equally likely, or the leader, argmax of alpha, and any other",
        choices=("uniform", "leader"),
    )
    none: bool = setting(True, "whether `none` competes: against it an edge is compared with its parallel edges alone")


class Duel(DrNAS):
    """Duel; see the module."""

    listing: ClassVar[Listing] = Listing(
        "Duel", "Duel: two operations an edge compared (ours)", name="duel", kind="one-shot", order=98
    )
    Settings: ClassVar[type] = DuelSettings
    on_device = True
    presets: ClassVar[dict[str, dict[str, Any]]] = ON_MIXTURES

    def pair(self) -> Tensor:
        """Eq. 1: two different operations on each edge; int64, shape (edges, 2)."""
        chances = torch.rand(self.alpha.shape, generator=self.generator, device=self.alpha.device)
        if self.settings.pairs == "leader":
            chances = chances + F.one_hot(self._of_those_that_compete(self.alpha).argmax(dim=1), len(self.space.ops))
        return self._of_those_that_compete(chances).topk(2, dim=1).indices

    def _of_those_that_compete(self, values: Tensor) -> Tensor:
        values = values.detach().clone()
        if not self.settings.none and self.space.none is not None:
            values[:, self.space.none] = -torch.inf
        return values

    def mixture(self) -> Mixture:
        """Eqs. 2 and 3."""
        pair = self.pair()
        theta = dirichlet(self.concentration().gather(1, pair), self.generator)
        return Mixture.several(pair, theta, len(self.space.ops))

    def weight_mixture(self) -> Mixture:
        """alpha's mixture, alpha a constant; in uniform epochs alpha rests where all weights are equally likely."""
        with torch.no_grad():
            return self.mixture()

    def cell(self) -> Cell:
        """What alpha is highest for, of what competes."""
        return strongest(self.space, self._of_those_that_compete(self.alpha))
