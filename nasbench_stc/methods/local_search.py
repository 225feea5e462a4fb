"""Local search: all cells that differ on one edge are tried, the best is moved to; at a local optimum it starts anew.

White, Nolen & Savani, "Exploring the loss landscape in neural architecture search", UAI 2021, Algorithm 1. Open there:
where to go on at a local optimum (here a random cell). No cell is asked for twice.
"""

from __future__ import annotations

from typing import Any, ClassVar

from nasbench_stc.methods.blackbox import BlackBoxMethod, Listing, Query, neighbours, random_cell
from nasbench_stc.space import Cell


class LocalSearch(BlackBoxMethod):
    """Local search; see the module."""

    listing: ClassVar[Listing] = Listing(
        "LS",
        "local search: moves to the best cell one edge away (White et al., 2021)",
        name="ls",
        kind="black-box",
        order=130,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.known: dict[Cell, float] = {}
        self.around: list[Cell] = []  # of which the best so far is looked for: where the search is, and its neighbours
        self.waiting: list[Cell] = []

    def ask(self) -> Cell | None:
        """A neighbour of where the search is that is not known yet, in random order."""
        while not self.waiting:
            if len(self.known) == self.space.num_cells:
                return None
            here = max(self.around, key=self.known.__getitem__, default=None)
            if here is None or here is self.around[0]:  # nothing around is better: a local optimum
                here = random_cell(self.generator, self.space)
                while here in self.known:
                    here = random_cell(self.generator, self.space)
                self.around, self.waiting = [here], [here]
            else:
                self._move(here)
        return self.waiting.pop()

    def tell(self, query: Query, value: float) -> None:
        """At a random start its neighbours come next."""
        self.known[query.cell] = value
        if len(self.around) == 1:
            self._move(query.cell)

    def _move(self, here: Cell) -> None:
        self.around = [here, *neighbours(here)]
        order = self.generator.permutation(len(self.around)).tolist()
        self.waiting = [self.around[place] for place in order if self.around[place] not in self.known]
