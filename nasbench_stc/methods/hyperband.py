"""Successive halving and Hyperband: many cells get short trainings, the best of them longer ones.

Jamieson & Talwalkar, "Non-stochastic best arm identification", AISTATS 2016; Li et al., "Hyperband", JMLR 2018, with
the brackets of BOHB's authors (HpBandSter), which NATS-Bench ran (`bohb.py`: trainings of 1, 4 and 12 epochs, eta 3).

Here trainings have the lengths that the benchmark holds. Where it holds the epochs of the protocol's usual training,
that is the longest, and the rungs are its thirds, as published; else the rungs are its trainings (12 and 200 epochs in
the table of means). A rung has as many times more cells than the longest one as is the highest power of eta that is not
above how many times shorter its training is; that is HpBandSter's number where its trainings are there. Where one
training only fits, both are random search. A longer training is paid in whole, as published, though the shorter one was
its beginning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, ClassVar

from nasbench_stc.errors import BadCallError
from nasbench_stc.methods.blackbox import BlackBoxMethod, Listing, Query, random_cell
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell

_ROUNDING = 1e-9  # log(81, 3) is a bit less than 4
Bracket = list[tuple[int | None, int]]
"""Of each rung: epochs of its trainings, and how many cells get one."""


@dataclass(frozen=True)
class HyperbandSettings:
    """How sharply cells are chosen."""

    eta: float = setting(3.0, "of that many cells one goes on to the next rung (NATS-Bench's BOHB)", low=1.5)
    longest: int = setting(0, "epochs of a training at most; 0: of the longest one that may be asked for")


def brackets(budgets: tuple[int | None, ...], eta: float, most: int = 0) -> list[Bracket]:
    """Hyperband's brackets, the one with most rungs first.

    Args:
        budgets: epochs of the trainings that there are, ascending; None is one of unknown length.
        eta: of that many cells one goes on.
        most: epochs of a training; 0: as many as there are.

    Raises:
        BadCallError: no training is that short.
    """
    known = [budget for budget in budgets if budget is not None]
    if not known:
        return [[(None, 1)]]
    longest = max((budget for budget in known if not most or budget <= most), default=None)
    if longest is None:
        raise BadCallError(f"setting longest={most}: the shortest training has {known[0]} epochs")
    rungs: list[int] = []
    limit = float(longest)
    while fitting := [budget for budget in known if budget <= limit]:
        if fitting[-1] not in rungs:
            rungs.insert(0, fitting[-1])
        limit /= eta
    found: list[Bracket] = []
    for first in range(len(rungs)):
        last = len(rungs) // (len(rungs) - first)  # cells in the longest rung: HpBandSter's rule
        powers = [math.floor(math.log(longest / rung, eta) + _ROUNDING) for rung in rungs[first:]]
        found.append([(rung, int(last * eta**power)) for rung, power in zip(rungs[first:], powers, strict=True)])
    return found


class Hyperband(BlackBoxMethod):
    """Hyperband: brackets in turn, from the one that trusts short trainings most to plain random search."""

    listing: ClassVar[Listing] = Listing(
        "Hyperband",
        "Hyperband: brackets of successive halving (Li et al., 2018)",
        name="hyperband",
        kind="black-box",
        order=160,
    )
    Settings: ClassVar[type] = HyperbandSettings

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.brackets = brackets(self.budgets, self.settings.eta, self.settings.longest)
        self.begun = 0
        self.left: Bracket = []  # rungs of this bracket that come after this one
        self.waiting: list[Cell] = []
        self.answers: list[tuple[float, Cell]] = []  # of this rung

    def draw(self) -> Cell:
        """A cell for the first rung of a bracket."""
        return random_cell(self.generator, self.space)

    def ask(self) -> Query:
        """The next cell of this rung; after the last one the best of them go on."""
        if not self.waiting:
            if self.left:
                (self.epochs, number), *self.left = self.left
                best = sorted(self.answers, key=itemgetter(0), reverse=True)[:number]
                self.waiting = [cell for _, cell in best]
            else:
                (self.epochs, number), *self.left = self.brackets[self.begun % len(self.brackets)]
                self.begun += 1
                self.undrawn = number - 1
                self.waiting = [self.draw()]
            self.answers = []
        return Query(self.waiting[0], self.epochs)

    def tell(self, query: Query, value: float) -> None:
        """It is compared with the others of its rung."""
        self.answers.append((value, self.waiting.pop(0)))
        if self.undrawn:
            self.undrawn -= 1
            self.waiting = [self.draw()]  # one by one: a model may have learned from the last answer


class SuccessiveHalving(Hyperband):
    """Successive halving: Hyperband's first bracket, again and again."""

    listing: ClassVar[Listing] = Listing(
        "SH", "successive halving: the best go on to longer trainings", name="sh", kind="black-box", order=150
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.brackets = self.brackets[:1]
