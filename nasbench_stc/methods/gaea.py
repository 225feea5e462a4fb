"""GAEA: an edge's weights are a point of the simplex, which learns by exponentiated gradient.

Li, Khodak, Balcan & Talwalkar, "Geometry-aware gradient algorithms for neural architecture search", ICLR 2021: the
update of its Algorithm 1, and of the variants for NAS-Bench-201 those of the authors' code: GAEA DARTS (`edarts`: all
operations run, weighed by theta) and GAEA GDAS (`egdas`: one is drawn). Departures: one level of images for weights and
another for theta (the paper's bilevel rows; its ERM rows use one for both); the protocol's number of epochs (25 there).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nasbench_stc.methods.alpha import TableMethod, gradients
from nasbench_stc.methods.base import Listing, Objective, scalar
from nasbench_stc.methods.gdas import gumbel_softmax, straight_through
from nasbench_stc.models import Mixture
from nasbench_stc.settings import Ramp, setting
from nasbench_stc.space import Cell


@dataclass(frozen=True)
class GaeaSettings:
    """What runs, and how theta learns."""

    runs: str = setting("all", "GAEA DARTS: all operations; path: GAEA GDAS, one drawn", choices=("all", "path"))
    theta_lr: float = setting(0.1, "of the exponentiated gradient (edarts; egdas: 0.01)")
    entropy: float = setting(0.0, "weight of sum of theta log theta, which is kept low (edarts: 0; egdas: 0.01)")
    smallest: float = setting(1e-5, "below which no weight of what competes falls", low=1e-12, high=0.1)
    none: bool = setting(False, "whether `none` competes: the authors search NAS-Bench-201 without it (exclude_zero)")
    tau_start: float = setting(10.0, "path: temperature of the Gumbel-softmax in the first epoch", low=1e-3)
    tau_end: float = setting(0.1, "path: temperature in the last epoch; it falls linearly", low=1e-3)
    uniform: float = setting(0.0, "share of the epochs, at the start, with uniform paths, theta at rest", high=1)


class GAEA(TableMethod):
    """GAEA; see the module.

    `alpha` is theta, shape (edges, operations): rows sum to one, and what does not compete has zero.
    """

    listing: ClassVar[Listing] = Listing(
        "GAEA", "GAEA: exponentiated gradient on the simplex (Li et al., 2021)", name="gaea", kind="one-shot", order=88
    )
    Settings: ClassVar[type] = GaeaSettings
    on_device = True

    def __init__(self, settings: GaeaSettings, generator: torch.Generator) -> None:
        self.competes = torch.ones(self.space.shape, device=generator.device)
        if self.space.none is not None:
            self.competes[:, self.space.none] = float(settings.none)
        self.tau = scalar(generator)
        super().__init__(settings, generator, self.competes / self.competes.sum(dim=1, keepdim=True))

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """The temperature falls while theta learns."""
        super().begin_epoch(epoch, epochs)
        self.tau.fill_(Ramp(self.settings.tau_start, self.settings.tau_end).at(*self.now))

    def mixture(self) -> Mixture:
        """theta weighs all operations, or GDAS draws one from it."""
        if self.settings.runs == "all":
            return Mixture.full(self.alpha)
        return straight_through(gumbel_softmax(self.positive().log(), self.tau, self.generator), zero_terms=True)

    def positive(self) -> Tensor:
        """theta, with the smallest positive number and no gradient in place of zeros: its logarithm is a number."""
        return self.alpha.clamp(min=torch.finfo(self.alpha.dtype).tiny)

    def alpha_step(self, objective: Objective) -> Tensor:
        """theta ← theta · exp(-lr · gradient), row by row normalized (here by softmax, which does not overflow)."""
        s = self.settings
        loss = objective.valid_loss(self.mixture())
        theta = self.positive()
        (gradient,) = gradients([loss, s.entropy * (theta * theta.log()).sum()], [self.alpha])
        with torch.no_grad():
            moved = (theta.log() - s.theta_lr * gradient).softmax(dim=1).clamp(min=s.smallest) * self.competes
            self.alpha.copy_(moved / moved.sum(dim=1, keepdim=True))
        return loss.detach()

    def cell(self) -> Cell:
        """What theta is highest for: see `Space.strongest`."""
        return Cell(self.space.strongest(self.alpha.detach().cpu().numpy()), self.space.name)

    def super_cell(self) -> Mixture | None:
        """All operations under theta, where that is what the search trains."""
        return Mixture.full(self.alpha) if self.settings.runs == "all" else None
