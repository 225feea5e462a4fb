"""Random search: cells drawn uniformly until the clock ends it (NATS-Bench's `random_wo_share.py`)."""

from __future__ import annotations

from typing import ClassVar

from nasbench_stc.methods.blackbox import BlackBoxMethod, Listing, random_cell
from nasbench_stc.space import Cell


class RandomSearch(BlackBoxMethod):
    """Random search; a cell may be drawn twice."""

    listing: ClassVar[Listing] = Listing("RS", "random search", name="rs", kind="black-box", order=110)

    def ask(self) -> Cell:
        """Any cell."""
        return random_cell(self.generator, self.space)
