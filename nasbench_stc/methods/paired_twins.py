"""Paired twins: the weights train on two operations an edge, and cells that differ in one operation are compared.

Ours. In the study (`docs/study.md`) a supernet that was trained on two operations an edge rated cells better than one
that was trained on single paths, and losses told operations of an edge apart where gradients by their weights did not.
So the weights are trained as `duel` trains them, and alpha is told what `twins` tells it. With p = softmax(alpha), row
by row,

    S_e = {a, b}, drawn from p_e without replacement: the two largest of alpha_e + Gumbel noise,        (1)
    the weights train on u · a(x) + (1 - u) · b(x), u uniform in [0, 1], an edge's own in each step,    (2)

and then Eqs. 2 to 4 of `twins.py`. A weight step runs two operations an edge, and an alpha step one, twice forwards.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from nasbench_stc.methods.base import Listing
from nasbench_stc.methods.gdas import gumbel_noise
from nasbench_stc.methods.twins import Twins
from nasbench_stc.models import Mixture


class PairedTwins(Twins):
    """Paired twins; see the module. Before alpha learns it is near zero, and all pairs are about equally likely."""

    listing: ClassVar[Listing] = Listing(
        "Paired twins",
        "Paired twins: weights on two operations an edge, cells compared that differ in one (ours)",
        name="paired_twins",
        kind="one-shot",
        order=100,
    )
    on_device = True

    def weight_mixture(self) -> Mixture:
        """Eqs. 1 and 2."""
        with torch.no_grad():
            pair = (self.alpha.detach() + gumbel_noise(self.alpha, self.generator)).topk(2, dim=1).indices
            u = torch.rand(len(pair), 1, generator=self.generator, device=pair.device, dtype=self.alpha.dtype)
            return Mixture.several(pair, torch.cat([u, 1 - u], dim=1), len(self.space.ops))
