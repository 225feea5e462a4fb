"""GDAS: one operation an edge, drawn by Gumbel-softmax, its gradient straight through.

Dong & Yang, "Searching for a robust neural architecture in four GPU hours", CVPR 2019. Equation numbers below are
the paper's. Departures, all NAS-Bench-201's: one cell is searched and no reduction cell is fixed, `none` may be drawn
and may result, and the draw of the alpha step is not that of the weight step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nasbench_stc.methods.alpha import AlphaMethod, AlphaSettings
from nasbench_stc.methods.base import Listing, scalar
from nasbench_stc.models import Mixture
from nasbench_stc.models.mixture import one_hot
from nasbench_stc.settings import Ramp, setting


@dataclass(frozen=True)
class GdasSettings(AlphaSettings):
    """alpha's settings and the temperature."""

    tau_start: float = setting(10.0, "temperature of the Gumbel-softmax in the first epoch", low=1e-3)
    tau_end: float = setting(0.1, "temperature in the last epoch; it falls linearly", low=1e-3)
    zero_terms: bool = setting(
        True,
        "as the reference: the weight of an operation that was not drawn, which is zero, is added to the edge's "
        "output, and so gets the gradient of that sum (issue 119 of AutoDL-Projects); false: it gets none",
    )


class GDAS(AlphaMethod):
    """GDAS; see the module."""

    listing: ClassVar[Listing] = Listing(
        "GDAS",
        "GDAS: hard Gumbel-softmax, straight through (Dong & Yang, 2019)",
        name="gdas",
        kind="one-shot",
        order=40,
    )
    Settings: ClassVar[type] = GdasSettings
    on_device = True

    def __init__(self, settings: GdasSettings, generator: torch.Generator) -> None:
        self.tau = scalar(generator)
        super().__init__(settings, generator)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """The temperature falls."""
        super().begin_epoch(epoch, epochs)
        self.tau.fill_(Ramp(self.settings.tau_start, self.settings.tau_end).at(*self.now))

    def mixture(self) -> Mixture:
        """Eqs. 4 to 6: the argmax of Gumbel-softmax runs, with the weight one and the softmax's gradient."""
        soft = gumbel_softmax(self.alpha, self.tau, self.generator)
        return straight_through(soft, self.settings.zero_terms)

    def snapshot(self) -> dict[str, Any]:
        """alpha and the temperature."""
        return {**super().snapshot(), "tau": self.tau.item()}


def straight_through(soft: Tensor, zero_terms: bool = False) -> Mixture:
    """The path of the largest weights, each with the weight one and the gradient of `soft`, shape (6, 5).

    Args:
        soft: weights of the operations of each edge.
        zero_terms: whether an edge puts out the sum of the other weights as well, which is zero, for its gradient.
    """
    drawn = soft.argmax(dim=1)
    hard = one_hot(drawn, soft.shape[1]).to(soft.dtype) - soft.detach() + soft
    others = hard.sum(dim=1) - hard.gather(1, drawn[:, None])[:, 0]
    return Mixture.path(drawn, hard, others if zero_terms else None)


def gumbel_softmax(alpha: Tensor, tau: Tensor | float, generator: torch.Generator) -> Tensor:
    """softmax((log softmax(alpha) + Gumbel noise) / tau), row by row; of the shape of `alpha`."""
    return ((alpha.log_softmax(dim=1) + gumbel_noise(alpha, generator)) / tau).softmax(dim=1)


def gumbel_noise(alpha: Tensor, generator: torch.Generator) -> Tensor:
    """Draws from the standard Gumbel distribution, as many as `alpha` has numbers and in its precision; no gradient."""
    exponential = torch.empty_like(alpha, requires_grad=False).exponential_(generator=generator)
    return -exponential.clamp(min=torch.finfo(alpha.dtype).tiny).log()
