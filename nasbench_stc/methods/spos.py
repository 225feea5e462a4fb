"""SPOS: weights learn on uniformly drawn paths; then evolution searches for the cell that the supernet rates best.

Guo, Zhang, Mu, Heng, Liu, Wei & Sun, "Single path one-shot neural architecture search with uniform sampling", ECCV
2020: uniform sampling, and evolution as in its Algorithm 1 (`evolution.py`, with the departures).
"""

from __future__ import annotations

from typing import ClassVar

from nasbench_stc.methods import evolution
from nasbench_stc.methods.alpha import uniform_path
from nasbench_stc.methods.base import Listing, OneShotMethod, Rate
from nasbench_stc.models import Mixture
from nasbench_stc.space import Cell


class SPOS(OneShotMethod):
    """SPOS; see the module."""

    listing: ClassVar[Listing] = Listing(
        "SPOS", "SPOS: uniform paths, then evolution (Guo et al., 2020)", name="spos", kind="one-shot", order=92
    )
    Settings: ClassVar[type] = evolution.EvolutionSettings
    on_device = True
    presets = evolution.PRESETS

    def weight_mixture(self) -> Mixture:
        """Each operation is equally likely on each edge."""
        return uniform_path(self.generator, self.space)

    def result(self, rate: Rate) -> Cell:
        """What the evolution finds."""
        return evolution.evolved(rate, self.settings, evolution.draws(self.generator), self.space)
