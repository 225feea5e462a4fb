"""Training-free search: of random cells the one whose untrained network has the highest score.

Mellor, Turner, Storkey & Crowley, "Neural architecture search without training", ICML 2021, Sec. 4 (100 cells; they
also print 10), with any of the scores of `models/scores.py`. As a guide for evolution: `area` in `rea.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nasbench_stc.methods.blackbox import BlackBoxMethod, Query
from nasbench_stc.settings import setting
from nasbench_stc.space import NUM_CELLS, Cell


@dataclass(frozen=True)
class TrainingFreeSettings:
    """Among how many cells the score chooses."""

    candidates: int = setting(100, "random cells that are scored (NASWOT's N)", low=1, high=NUM_CELLS)


class TrainingFree(BlackBoxMethod):
    """The best of random cells, none drawn twice, by the score that a subclass names."""

    Settings: ClassVar[type] = TrainingFreeSettings
    scored = True
    score: ClassVar[str]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        drawn = self.generator.choice(NUM_CELLS, self.settings.candidates, replace=False)
        self.waiting = [Cell.from_index(index) for index in drawn.tolist()]

    def ask(self) -> Query | None:
        """The next one's score."""
        return Query(self.waiting.pop(), score=self.score) if self.waiting else None


class Params(TrainingFree):
    """By the number of parameters."""

    score = "params"


class Flops(TrainingFree):
    """By multiply-adds."""

    score = "flops"


class Naswot(TrainingFree):
    """By how differently images switch the network's ReLUs on."""

    score = "naswot"


class Synflow(TrainingFree):
    """By the saliency of weights where data plays no part."""

    score = "synflow"


class JacobCov(TrainingFree):
    """By how little the gradients at different images correlate."""

    score = "jacob_cov"


class Snip(TrainingFree):
    """By the saliency of weights for the loss."""

    score = "snip"


class GradNorm(TrainingFree):
    """By the size of the loss's gradient."""

    score = "grad_norm"
