"""SNAS: every edge is a weighted sum of all operations, the weights a relaxed one-hot draw.

Xie, Zheng, Liu & Lin, "SNAS: Stochastic neural architecture search", ICLR 2019. Equation numbers below are the paper's.
Departures: alpha learns on the validation half in steps of its own, as all methods do here (the paper trains both by
one loss on one set); no resource penalty; NAS-Bench-201's cell, `none` included; alpha's Adam as for DARTS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from nasbench_stc.methods.alpha import AlphaMethod, AlphaSettings
from nasbench_stc.methods.base import Listing, scalar
from nasbench_stc.methods.gdas import gumbel_softmax
from nasbench_stc.models import Mixture
from nasbench_stc.settings import Ramp, setting


@dataclass(frozen=True)
class SnasSettings(AlphaSettings):
    """alpha's settings and the temperature."""

    tau_start: float = setting(1.0, "temperature in the first epoch (--temp in the authors' code)", low=1e-3)
    tau_end: float = setting(0.03, "temperature in the last epoch (--temp_min in the authors' code)", low=1e-3)
    tau_shape: str = setting("linear", "open: the paper says annealed", choices=("linear", "cosine"))


class SNAS(AlphaMethod):
    """SNAS; see the module."""

    listing: ClassVar[Listing] = Listing(
        "SNAS", "SNAS: all operations, concrete relaxation (Xie et al., 2019)", name="snas", kind="one-shot", order=70
    )
    Settings: ClassVar[type] = SnasSettings
    on_device = True

    def __init__(self, settings: SnasSettings, generator: torch.Generator) -> None:
        self.tau = scalar(generator)
        super().__init__(settings, generator)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """The temperature falls."""
        super().begin_epoch(epoch, epochs)
        s = self.settings
        self.tau.fill_(Ramp(s.tau_start, s.tau_end, s.tau_shape).at(*self.now))

    def mixture(self) -> Mixture:
        """Eq. 6: a draw from the concrete distribution weighs the operations of an edge."""
        return Mixture.full(gumbel_softmax(self.alpha, self.tau, self.generator))

    def snapshot(self) -> dict[str, Any]:
        """alpha and the temperature."""
        return {**super().snapshot(), "tau": self.tau.item()}
