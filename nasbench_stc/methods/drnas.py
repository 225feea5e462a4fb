"""DrNAS: every edge is a weighted sum of all operations, the weights a draw from a Dirichlet distribution.

Chen, Wang, Cheng, Tang & Hsieh, "DrNAS: Dirichlet neural architecture search", ICLR 2021,

    min over beta of E[L_val(w*, theta)] + d(beta, 1), theta ~ Dir(beta), beta = elu(alpha) + 1,

with the settings of the authors' code for NAS-Bench-201 (the paper's text, and so its equation numbers, was not at
hand). Departures: no partial channels and no progressive stages (for NAS-Bench-201 the authors have none, either); 100
epochs there, the protocol's here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from nasbench_stc.methods.alpha import ON_MIXTURES, AlphaMethod, AlphaSettings
from nasbench_stc.methods.base import Listing
from nasbench_stc.models import Mixture
from nasbench_stc.settings import setting


@dataclass(frozen=True)
class DrnasSettings(AlphaSettings):
    """alpha's settings and what holds the distribution near the start, at which all weights are equally likely."""

    anchor: str = setting(
        "l2",
        "l2: alpha's weight decay, for alpha = 0 is Dirichlet(1) (the authors' code for NAS-Bench-201); kl: the "
        "divergence from Dirichlet(1), the weight decay is to be set to 0 then",
        choices=("l2", "kl"),
    )
    kl_weight: float = setting(1e-3, "of that divergence (--reg_scale in the authors' code)")


class DrNAS(AlphaMethod):
    """DrNAS; see the module."""

    listing: ClassVar[Listing] = Listing(
        "DrNAS", "DrNAS: all operations, Dirichlet weights (Chen et al., 2021)", name="drnas", kind="one-shot", order=82
    )
    Settings: ClassVar[type] = DrnasSettings
    on_device = True
    presets: ClassVar[dict[str, dict[str, Any]]] = ON_MIXTURES

    def concentration(self) -> Tensor:
        """beta = elu(alpha) + 1, positive, one at the start; shape (6, 5)."""
        return F.elu(self.alpha) + 1

    def mixture(self) -> Mixture:
        """theta ~ Dir(beta) weighs the operations of an edge, differentiable through the draw."""
        return Mixture.full(dirichlet(self.concentration(), self.generator))

    def terms(self) -> Sequence[Tensor]:
        """d(beta, 1) where it is a divergence; as a weight decay it is Adam's."""
        if self.settings.anchor == "l2":
            return ()
        return (self.settings.kl_weight * from_uniform(self.concentration()).sum(),)


def dirichlet(concentration: Tensor, generator: torch.Generator) -> Tensor:
    """A draw from Dir(concentration), row by row, with the pathwise gradient; of the shape (n, k) given."""
    drawn: Tensor = _Dirichlet.apply(concentration, generator)  # type: ignore[no-untyped-call]
    return drawn


def from_uniform(concentration: Tensor) -> Tensor:
    """KL(Dir(concentration) ‖ Dir(1)) in nats, row by row; from (n, k) to (n,)."""
    total = concentration.sum(dim=1, keepdim=True)
    log_beta = concentration.lgamma().sum(dim=1) - total.lgamma()[:, 0]
    log_beta_of_ones = -torch.lgamma(torch.full_like(log_beta, concentration.shape[1]))
    log_theta = concentration.digamma() - total.digamma()  # its expectation
    return log_beta_of_ones - log_beta + ((concentration - 1) * log_theta).sum(dim=1)


class _Dirichlet(torch.autograd.Function):
    """torch's own draw and gradient (`torch.distributions.Dirichlet.rsample`), from a generator of one's own."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, generator: torch.Generator) -> Tensor:
        drawn = torch._sample_dirichlet(concentration, generator)
        ctx.save_for_backward(drawn, concentration)
        return drawn

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, of_drawn: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        drawn, concentration = ctx.saved_tensors
        total = concentration.sum(dim=1, keepdim=True).expand_as(concentration)
        along = torch._dirichlet_grad(drawn, concentration, total)
        return along * (of_drawn - (drawn * of_drawn).sum(dim=1, keepdim=True)), None
