"""FairNAS: every operation of every edge learns in every weight step; evolution over the ratings finds the cell.

Chu, Zhang & Xu, "FairNAS: Rethinking evaluation fairness of weight sharing neural architecture search", ICCV 2021:
strict fairness (its Algorithm 1). Departures: the search over the supernet's ratings is the evolution of SPOS
(`evolution.py`) for accuracy alone, where the paper has NSGA-II for accuracy, multiply-adds and parameters; and behind
a `none`, which the paper's space does not have, an operation of a path does not learn. A step's paths see the same
images, as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from nasbench_stc.methods.base import Listing
from nasbench_stc.methods.spos import SPOS
from nasbench_stc.models import Mixture


class FairNAS(SPOS):
    """FairNAS; see the module."""

    listing: ClassVar[Listing] = Listing(
        "FairNAS",
        "FairNAS: five paths a step, then evolution (Chu et al., 2021)",
        name="fairnas",
        kind="one-shot",
        order=94,
    )
    on_device = True
    # A step is five paths: a fifth of the steps trains on as many.
    presets: ClassVar[dict[str, dict[str, Any]]] = SPOS.presets | {"cpu": {"steps": 80}}

    def weight_mixtures(self) -> Sequence[Mixture]:
        """As many paths as operations; on each edge they take all of them, in an order drawn for it."""
        device = self.generator.device
        orders = torch.rand(self.space.shape, generator=self.generator, device=device).argsort(dim=1)
        return [Mixture.path(ops, space=self.space) for ops in orders.unbind(dim=1)]
