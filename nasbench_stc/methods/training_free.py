"""Training-free search: of random cells the one whose untrained network has the highest score.

Mellor, Turner, Storkey & Crowley, "Neural architecture search without training", ICML 2021, Sec. 4 (100 cells; they
also print 10), with any of the scores of `models/scores.py`. As a guide for evolution: `area` in `rea.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nasbench_stc.methods.blackbox import BlackBoxMethod, Listing, Query
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell


@dataclass(frozen=True)
class TrainingFreeSettings:
    """Among how many cells the score chooses."""

    candidates: int = setting(100, "random cells that are scored (NASWOT's N)", low=1, high=10_000)


class TrainingFree(BlackBoxMethod):
    """The best of random cells, none drawn twice, by the score that a subclass names."""

    Settings: ClassVar[type] = TrainingFreeSettings
    scored = True
    score: ClassVar[str]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        drawn = self.generator.choice(self.space.num_cells, self.settings.candidates, replace=False)
        self.waiting = [Cell.from_index(index, self.space.name) for index in drawn.tolist()]

    def ask(self) -> Query | None:
        """The next one's score."""
        return Query(self.waiting.pop(), score=self.score) if self.waiting else None


class Params(TrainingFree):
    """By the number of parameters."""

    listing: ClassVar[Listing] = Listing(
        "#Params", "the most parameters of random cells", name="params", kind="training-free", order=210
    )
    score = "params"


class Flops(TrainingFree):
    """By multiply-adds."""

    listing: ClassVar[Listing] = Listing(
        "FLOPs", "the most multiply-adds of random cells", name="flops", kind="training-free", order=220
    )
    score = "flops"


class Naswot(TrainingFree):
    """By how differently images switch the network's ReLUs on."""

    listing: ClassVar[Listing] = Listing(
        "NASWOT",
        "NASWOT: ReLU patterns of images differ most (Mellor et al., 2021)",
        name="naswot",
        kind="training-free",
        order=230,
    )
    score = "naswot"


class Synflow(TrainingFree):
    """By the saliency of weights where data plays no part."""

    listing: ClassVar[Listing] = Listing(
        "SynFlow",
        "SynFlow: saliency without data (Tanaka et al., 2020)",
        name="synflow",
        kind="training-free",
        order=240,
    )
    score = "synflow"


class JacobCov(TrainingFree):
    """By how little the gradients at different images correlate."""

    listing: ClassVar[Listing] = Listing(
        "Jacob-Cov",
        "Jacobian covariance: gradients at images differ most (Mellor et al.)",
        name="jacob_cov",
        kind="training-free",
        order=250,
    )
    score = "jacob_cov"


class Snip(TrainingFree):
    """By the saliency of weights for the loss."""

    listing: ClassVar[Listing] = Listing(
        "SNIP", "SNIP: saliency for the loss (Lee et al., 2019)", name="snip", kind="training-free", order=260
    )
    score = "snip"


class GradNorm(TrainingFree):
    """By the size of the loss's gradient."""

    listing: ClassVar[Listing] = Listing(
        "GradNorm",
        "GradNorm: the largest gradient (Abdelfattah et al., 2021)",
        name="grad_norm",
        kind="training-free",
        order=270,
    )
    score = "grad_norm"
