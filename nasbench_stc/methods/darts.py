"""DARTS: every edge is a softmax-weighted sum of all operations, and alpha descends the validation loss.

Liu, Simonyan & Yang, "DARTS: Differentiable architecture search", ICLR 2019. Equation numbers below are the paper's.
Departures, all NAS-Bench-201's: `none` competes and may result, every edge is kept, alpha is not shared between
kinds of cells (there is one), and the weights step before alpha, so that the second order's training batch is the
one that the weights have just learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nasbench_stc.methods.alpha import AlphaMethod, AlphaSettings, gradients
from nasbench_stc.methods.base import Listing, Objective
from nasbench_stc.models import Mixture
from nasbench_stc.settings import setting

PRESETS = AlphaMethod.presets | {"nas-bench-201": {"epochs": 50}}
"""NAS-Bench-201 searched with DARTS for 50 epochs, with all others for 250."""


class DARTS(AlphaMethod):
    """First order: ξ = 0 in Eq. 6."""

    listing: ClassVar[Listing] = Listing(
        "DARTS",
        "DARTS, first order: softmax over all operations (Liu et al., 2019)",
        name="darts",
        kind="one-shot",
        order=20,
    )
    on_device = True
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    def mixture(self) -> Mixture:
        """Eq. 2: softmax(alpha) weighs the operations of an edge."""
        return Mixture.full(self.alpha.softmax(dim=1))

    def super_cell(self) -> Mixture | None:
        """The same: it is what the search trains."""
        return self.mixture()


@dataclass(frozen=True)
class Darts2Settings(AlphaSettings):
    """alpha's settings and the finite difference's."""

    radius: float = setting(
        1e-2,
        "how far from the weights, in all, the finite difference looks (the paper's; a network of ReLUs is not smooth "
        "on the way: the difference then has what their kinks add, which no second derivative has)",
        low=1e-9,
    )


class DARTS2(DARTS):
    """Second order: alpha looks one step of the weights ahead. ξ is the weights' learning rate of the moment.

    The step ahead is the whole step of SGD, with momentum and weight decay, as in the authors' code.
    """

    listing: ClassVar[Listing] = Listing(
        "DARTS(2nd)",
        "DARTS, second order: alpha looks one step ahead (Liu et al., 2019)",
        name="darts2",
        kind="one-shot",
        order=30,
    )
    Settings: ClassVar[type] = Darts2Settings
    on_device = True

    def alpha_step(self, objective: Objective) -> Tensor:
        """Eq. 7: the gradient at w' = w - ξ ∇w L_train(w, alpha), minus ξ times a Hessian-vector product."""
        loss = objective.train_loss(self.weight_mixture(), of_weights=True)
        ahead = objective.descent(gradients([loss], objective.weights))
        with objective.moved(ahead):
            loss = objective.valid_loss(self.mixture(), of_weights=True)
            of_alpha, *of_weights = gradients([loss], [self.alpha, *objective.weights])
        self.update(of_alpha - objective.lr * self.hessian_vector(objective, of_weights))
        return loss.detach()

    def hessian_vector(self, objective: Objective, vector: Sequence[Tensor]) -> Tensor:
        """Eq. 8: ∇²(alpha, w) L_train · vector by finite difference, epsilon = radius / ‖vector‖; shape (6, 5)."""
        norm = torch.stack([torch.linalg.vector_norm(part) for part in vector]).norm()
        epsilon = self.settings.radius / norm
        ends: list[Tensor] = []
        for sign in (1, -1):
            with objective.moved(vector, sign * epsilon):
                ends += gradients([objective.train_loss(self.mixture())], [self.alpha])
        product: Tensor = (ends[0] - ends[1]) / (2 * epsilon)
        return product
