"""What a black-box method has to say: which cell to train next (`ask`), and what it learns from the answer (`tell`).

Nothing is trained: a benchmark answers, and a clock counts the seconds that it says the training took. The engine owns
the benchmark, the clock and the files; a method owns its search. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from nasbench_stc.methods.base import NoSettings
from nasbench_stc.methods.listing import Listing as Listing
from nasbench_stc.space import TSS, Cell, Space


class Query(NamedTuple):
    """What a method asks: how well a cell does after a training, or by a training-free score."""

    cell: Cell
    epochs: int | None = None
    """Of the training, one of the method's `budgets`; None: the protocol's usual one."""
    score: str = ""
    """Instead of a training the score of that name, of the untrained network."""


class BlackBoxMethod(Protocol):
    """A method that asks for the accuracy of one cell after the other; to be subclassed. An instance lives for one run.

    A method says at least what it asks for (`ask`). The cell that results is the best that it was told of, by the
    largest training that it asked for. The clock may end the run after any answer.

    Args:
        settings: an instance of the method's `Settings`.
        generator: from which it draws everything random.
        budgets: epochs of the trainings that it may ask for, ascending; None is a training of unknown length.
    """

    Settings: ClassVar[type] = NoSettings
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    """Settings that differ from the defaults under a protocol, by its name: the method's own, or the protocol's."""

    listing: ClassVar[Listing | None] = None
    """How it is shown: `Listing("My method", order=125)`; None, or none of its own: by its name, after ours. A subclass
    has to say it anew."""

    settings: Any
    generator: np.random.Generator
    space: Space = TSS
    """That is searched; known before `__init__` is called."""
    budgets: tuple[int | None, ...]

    scored: ClassVar[bool] = False
    """Whether it may ask for training-free scores: these need images, which accuracies do not."""

    def __init__(self, settings: Any, generator: np.random.Generator, budgets: tuple[int | None, ...]) -> None:
        self.settings, self.generator, self.budgets = settings, generator, budgets

    def ask(self) -> Cell | Query | None:
        """What to try next; a cell alone is asked for by the usual training. None ends the run."""
        raise NotImplementedError

    def tell(self, query: Query, value: float) -> None:
        """The answer to the last query: validation accuracy in percent, or the score (higher is better)."""


def random_cell(generator: np.random.Generator, space: Space = TSS) -> Cell:
    """Each cell of the space is equally likely."""
    return Cell.from_index(int(generator.integers(space.num_cells)), space.name)


def mutated(cell: Cell, generator: np.random.Generator) -> Cell:
    """A cell that differs in one decision at most; in `tss` in the operation of one edge, drawn as in NATS-Bench."""
    return Cell(cell.of.mutated(cell.ops, generator), cell.space)


def neighbours(cell: Cell) -> Iterator[Cell]:
    """The cells that differ from it in one operation; in `tss` there are 24."""
    return (Cell(ops, cell.space) for ops in cell.of.neighbours(cell.ops))
