"""beta-DARTS: DARTS with a term that keeps the softmax weights from running apart.

Ye, Li, Li, Chen, Fan & Ouyang, "beta-DARTS: Beta-decay regularization for differentiable architecture search", CVPR
2022,

    min over alpha of L_val(w*, alpha) + lambda · log sum exp(alpha), the mean over edges,

with the settings of the authors' code for NAS-Bench-201 (`mlc_loss` in its `architect.py`; the paper's text, and so its
equation numbers, was not at hand). Departures as of DARTS (`darts.py`); 100 epochs there, the protocol's here; lambda
ends at 50 here, at 49.5 there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nasbench_stc.methods.alpha import ON_MIXTURES, AlphaSettings
from nasbench_stc.methods.base import Listing, scalar
from nasbench_stc.methods.darts import DARTS
from nasbench_stc.settings import Ramp, setting


@dataclass(frozen=True)
class BetaDartsSettings(AlphaSettings):
    """alpha's settings and the term's weight."""

    decay_start: float = setting(0.0, "lambda, the weight of Beta-Decay, in the first epoch")
    decay_end: float = setting(50.0, "lambda in the last epoch; it rises linearly")


class BetaDARTS(DARTS):
    """First-order DARTS with Beta-Decay; see the module."""

    listing: ClassVar[Listing] = Listing(
        "β-DARTS", "beta-DARTS: Beta-Decay on alpha (Ye et al., 2022)", name="beta_darts", kind="one-shot", order=84
    )
    Settings: ClassVar[type] = BetaDartsSettings
    on_device = True
    presets: ClassVar[dict[str, dict[str, Any]]] = ON_MIXTURES

    def __init__(self, settings: BetaDartsSettings, generator: torch.Generator) -> None:
        self.decay = scalar(generator)
        super().__init__(settings, generator)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """lambda rises."""
        super().begin_epoch(epoch, epochs)
        self.decay.fill_(Ramp(self.settings.decay_start, self.settings.decay_end).at(*self.now))

    def terms(self) -> Sequence[Tensor]:
        """lambda times the mean over edges of log sum exp(alpha), whose gradient is softmax(alpha)."""
        return (self.decay * self.alpha.logsumexp(dim=1).mean(),)

    def snapshot(self) -> dict[str, Any]:
        """alpha and lambda."""
        return {**super().snapshot(), "decay": self.decay.item()}
