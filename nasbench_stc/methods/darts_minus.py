"""DARTS-: DARTS with an auxiliary skip connection beside every edge, which fades away.

Chu, Wang, Zhang, Lu, Wei & Yan, "DARTS-: Robustly stepping out of performance collapse without indicators", ICLR 2021.
Settings are those of the authors' code. Departures as of DARTS (`darts.py`); the protocol's number of epochs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from nasbench_stc.errors import BadCallError
from nasbench_stc.methods.alpha import ON_MIXTURES, AlphaSettings
from nasbench_stc.methods.base import Listing, scalar
from nasbench_stc.methods.darts import DARTS
from nasbench_stc.models import Mixture
from nasbench_stc.settings import Ramp, setting


@dataclass(frozen=True)
class DartsMinusSettings(AlphaSettings):
    """alpha's settings and the auxiliary skip's."""

    skip_start: float = setting(1.0, "beta, the weight of the auxiliary skip, in the first epoch; zero in the last one")
    skip_shape: str = setting("linear", "how beta falls", choices=("linear", "cosine"))


class DARTSMinus(DARTS):
    """DARTS-; see the module."""

    listing: ClassVar[Listing] = Listing(
        "DARTS-", "DARTS-: an extra skip fades away (Chu et al., 2021)", name="darts_minus", kind="one-shot", order=86
    )
    Settings: ClassVar[type] = DartsMinusSettings
    on_device = True
    presets: ClassVar[dict[str, dict[str, Any]]] = ON_MIXTURES

    def __init__(self, settings: DartsMinusSettings, generator: torch.Generator) -> None:
        if self.space.skip is None:
            raise BadCallError(f"DARTS-: {self.space.title} has no skip connection")
        self.skip = self.space.skip
        self.beta = scalar(generator)
        super().__init__(settings, generator)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """beta falls."""
        super().begin_epoch(epoch, epochs)
        s = self.settings
        self.beta.fill_(Ramp(s.skip_start, 0.0, s.skip_shape).at(*self.now))

    def mixture(self) -> Mixture:
        """An edge puts out beta · x + sum of softmax(alpha)_o · o(x): beta is added to the skip connection's weight."""
        weights = self.alpha.softmax(dim=1)
        auxiliary = F.pad(self.beta.to(weights.dtype)[None], (self.skip, weights.shape[1] - 1 - self.skip))
        return Mixture.full(weights + auxiliary)

    def super_cell(self) -> Mixture:
        """All operations without the auxiliary skip, whose weight ends at zero."""
        return Mixture.full(self.alpha.softmax(dim=1))

    def snapshot(self) -> dict[str, Any]:
        """alpha and beta."""
        return {**super().snapshot(), "beta": self.beta.item()}
