"""Twins: two cells that differ in one operation are compared on the same images; what does better is drawn more often.

Ours. STC-NAS learns alpha by the gradient of the loss by operations' weights, and with one operation an edge that
gradient compares an edge with its parallel edges, not its operations with each other. The loss itself compares them.
A path k has one operation an edge, and with p = softmax(alpha), row by row,

    k_e ~ p_e, by argmax(alpha_e + Gumbel noise): the weights train on it,                              (1)
    twins: a path of Eq. 1, an edge e, and on it a and b, two different operations, equally likely,     (2)
    A = (L_val(k with a) - L_val(k with b)) / 2, both on the same images, without a gradient,           (3)
    alpha_ea descends along A, alpha_eb along -A.                                                       (4)

The mean of Eq. 3 over b and k is the advantage of an operation where the others are drawn from p, and the natural
gradient of the expected loss of a softmax is the advantage. So Eq. 4 is natural gradient descent on the expected loss
of the cells drawn, and as the draws narrow, operations are compared in the company that they will have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nasbench_stc.methods.alpha import AlphaMethod, AlphaSettings
from nasbench_stc.methods.base import Listing, Objective
from nasbench_stc.methods.gdas import gumbel_noise
from nasbench_stc.models import Mixture
from nasbench_stc.models.mixture import one_hot
from nasbench_stc.settings import setting


@dataclass(frozen=True)
class TwinsSettings(AlphaSettings):
    """alpha's settings, without a decay: nothing but comparisons moves it."""

    alpha_weight_decay: float = setting(0.0, "of alpha, as part of its gradient")
    uniform: float = setting(
        0.5,
        "share of the epochs, at the start, in which paths are uniform and alpha rests: losses of weights that "
        "mean nothing compare nothing",
        high=1,
    )


class Twins(AlphaMethod):
    """Twins; see the module."""

    listing: ClassVar[Listing] = Listing(
        "Twins", "Twins: cells compared that differ in one operation (ours)", name="twins", kind="one-shot", order=99
    )
    Settings: ClassVar[type] = TwinsSettings
    on_device = True
    presets: ClassVar[dict[str, dict[str, Any]]] = {name: {"alpha_lr": 1e-2} for name in ("cpu", "digits")}

    def sample(self) -> Tensor:
        """Eq. 1; int64, shape (edges,)."""
        return (self.alpha.detach() + gumbel_noise(self.alpha, self.generator)).argmax(dim=1)

    def mixture(self) -> Mixture:
        """A path of Eq. 1, every operation counting fully."""
        return Mixture.path(self.sample(), space=self.space)

    def alpha_step(self, objective: Objective) -> Tensor:
        """Eqs. 2 to 4."""
        device, path = self.alpha.device, self.sample()
        edges, ops = self.space.shape
        edge = torch.rand(edges, generator=self.generator, device=device).argmax()
        here = torch.arange(edges, device=device) == edge
        pair = torch.rand(ops, generator=self.generator, device=device).topk(2).indices
        with torch.no_grad():
            paths = [Mixture.path(torch.where(here, op, path), space=self.space) for op in pair.unbind()]
            first, second = map(objective.valid_loss, paths)
            advantage = (first - second).to(self.alpha) / 2
            a, b = one_hot(pair, ops).to(self.alpha.dtype).unbind()
            self.update(advantage * here[:, None] * (a - b))
        return (first + second) / 2
