"""Regularized evolution: the best of a few drawn parents has a mutated child, and the oldest of the population dies.

Real, Aggarwal, Huang & Le, "Regularized evolution for image classifier architecture search", AAAI 2019, Algorithm 1;
settings and mutation of NATS-Bench (`regularized_ea.py`: population 10, sample 3). `area` is it with a training-free
score as a guide: Mellor, Turner, Storkey & Crowley, "Neural architecture search without training", ICML 2021, Sec. 4.1
(there parents are drawn without replacement).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, ClassVar

from nasbench_stc.methods.blackbox import BlackBoxMethod, Listing, Query, mutated, random_cell
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell


@dataclass(frozen=True)
class ReaSettings:
    """How many live, and how many compete to be a parent."""

    population: int = setting(10, "cells that live at a time (NATS-Bench's)", low=1)
    sample: int = setting(3, "cells drawn from them, with replacement; the best is the parent (NATS-Bench's)", low=1)


class REA(BlackBoxMethod):
    """Regularized evolution; see the module."""

    listing: ClassVar[Listing] = Listing(
        "REA",
        "regularized evolution: mutated children, the oldest dies (Real et al., 2019)",
        name="rea",
        kind="black-box",
        order=120,
    )
    Settings: ClassVar[type] = ReaSettings

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # A new one ousts the oldest.
        self.population: deque[tuple[float, Cell]] = deque(maxlen=self.settings.population)

    def ask(self) -> Cell | Query:
        """A random cell until the population is full, then a child."""
        size = len(self.population)
        if size < self.settings.population:
            return random_cell(self.generator, self.space)
        drawn = self.generator.integers(size, size=self.settings.sample).tolist()
        _, parent = max((self.population[place] for place in drawn), key=itemgetter(0))
        return mutated(parent, self.generator)

    def tell(self, query: Query, value: float) -> None:
        """It lives, and the oldest one no more."""
        self.population.append((value, query.cell))


@dataclass(frozen=True)
class AreaSettings(ReaSettings):
    """Regularized evolution's, and what guides it."""

    score: str = setting(
        "naswot",
        "training-free score that chooses the first population",
        choices=("params", "flops", "naswot", "synflow", "jacob_cov", "snip", "grad_norm"),
    )
    pool: int = setting(20, "random cells that are scored, of which the first population is the best (theirs)", low=1)


class AREA(REA):
    """Assisted regularized evolution: its first population are the best by a training-free score of a random pool."""

    listing: ClassVar[Listing] = Listing(
        "AREA",
        "AREA: regularized evolution, begun with the best by a score (Mellor et al., 2021)",
        name="area",
        kind="training-free",
        order=280,
    )
    Settings: ClassVar[type] = AreaSettings
    scored = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pool: list[tuple[float, Cell]] = []
        self.chosen: list[Cell] | None = None

    def ask(self) -> Cell | Query:
        """Scores of random cells, then the trainings of the best of them, then children."""
        if len(self.pool) < self.settings.pool:
            return Query(random_cell(self.generator, self.space), score=self.settings.score)
        if self.chosen is None:
            best = sorted(self.pool, key=itemgetter(0), reverse=True)[: self.settings.population]
            self.chosen = [cell for _, cell in reversed(best)]
        return self.chosen.pop() if self.chosen else super().ask()

    def tell(self, query: Query, value: float) -> None:
        """A score joins the pool, an accuracy the population."""
        if query.score:
            self.pool.append((value, query.cell))
        else:
            super().tell(query, value)
