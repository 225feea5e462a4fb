"""REINFORCE: one categorical distribution an edge draws cells; rewards above their running mean make a draw likelier.

Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning", Machine Learning
1992, as NATS-Bench ran it (`reinforce.py`): a 6x5 table of logits, Adam, an exponential moving average as baseline,
accuracy in percent as the reward. The gradient of log softmax is written out: torch would take longer than the search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nasbench_stc.methods.blackbox import BlackBoxMethod, Listing, Query
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell

_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8  # torch.optim.Adam's defaults


@dataclass(frozen=True)
class ReinforceSettings:
    """How the distributions start and learn."""

    policy_lr: float = setting(0.01, "Adam's learning rate for the logits (NATS-Bench's)")
    baseline_decay: float = setting(0.9, "of the rewards' moving average (NATS-Bench's)", high=1 - 1e-9)
    policy_init: float = setting(1e-3, "deviation of the logits around zero at the start (NATS-Bench's)")


class Reinforce(BlackBoxMethod):
    """REINFORCE; see the module."""

    listing: ClassVar[Listing] = Listing(
        "REINFORCE",
        "REINFORCE: a distribution an edge learns from rewards (Williams, 1992)",
        name="reinforce",
        kind="black-box",
        order=140,
    )
    Settings: ClassVar[type] = ReinforceSettings

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.logits = self.settings.policy_init * self.generator.standard_normal(self.space.shape)
        self.moment, self.square = np.zeros_like(self.logits), np.zeros_like(self.logits)
        self.total = self.weight = 0.0  # of the moving average: decayed sum of rewards, and of ones
        self.steps = 0

    def probabilities(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """softmax of the logits, shape (edges, operations)."""
        powers = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        found: np.ndarray[Any, np.dtype[np.float64]] = powers / powers.sum(axis=1, keepdims=True)
        return found

    def ask(self) -> Cell:
        """A draw."""
        self.likely = self.probabilities()
        reached = self.likely.cumsum(axis=1)[:, :-1] <= self.generator.random((len(self.space.edges), 1))
        return Cell(tuple(reached.sum(axis=1).tolist()), self.space.name)

    def tell(self, query: Query, value: float) -> None:
        """A step of Adam on -log p(cell) · (reward - baseline); the reward counts in its own baseline, as there."""
        decay = self.settings.baseline_decay
        self.total = decay * self.total + (1 - decay) * value
        self.weight = decay * self.weight + (1 - decay)
        gradient = self.likely.copy()
        gradient[range(len(gradient)), query.cell.ops] -= 1
        gradient *= value - self.total / self.weight
        self.steps += 1
        self.moment += (1 - _BETA1) * (gradient - self.moment)
        self.square += (1 - _BETA2) * (gradient**2 - self.square)
        size = np.sqrt(self.square / (1 - _BETA2**self.steps)) + _EPS
        self.logits -= self.settings.policy_lr / (1 - _BETA1**self.steps) * self.moment / size
