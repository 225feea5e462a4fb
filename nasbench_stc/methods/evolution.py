"""Evolution over a supernet's ratings: how SPOS, FairNAS and few-shot NAS choose their cell.

Algorithm 1 of Guo et al., "Single path one-shot neural architecture search with uniform sampling", ECCV 2020, with the
settings of the authors' code. Departures: no limit on FLOPs; batch norm in the protocol's mode rather than recalibrated
for each candidate; ratings on a part of the validation images (`select_images`), the same for all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nasbench_stc.methods.base import Rating
from nasbench_stc.methods.selection import scored
from nasbench_stc.settings import setting
from nasbench_stc.space import TSS, Cell, Space

_TRIES = 10
"""Times the number of children wanted, for those that were rated already count as tries (as in the authors' code)."""


@dataclass(frozen=True)
class EvolutionSettings:
    """Of the evolution."""

    generations: int = setting(20, "of the evolution (max-epochs in the authors' code)", low=1)
    population: int = setting(50, "cells rated in each generation; all are random in the first", low=1)
    mutations: int = setting(25, "of these mutated parents, at most")
    crossovers: int = setting(25, "of these children of two parents, at most; what lacks is drawn at random")
    parents: int = setting(10, "the best cells so far, of which children are made", low=1)
    mutation_rate: float = setting(
        0.1,
        "chance of an edge (or of edges decided at once) of a mutated parent to be drawn anew",
        high=1,
    )
    select_images: int = setting(512, "validation images that rate a cell: a batch; 0: all")


PRESETS: dict[str, dict[str, Any]] = {"smoke": {"generations": 2, "population": 4}}
"""Of methods that end in it."""


def draws(generator: torch.Generator) -> np.random.Generator:
    """What the evolution draws from, seeded by the method's generator."""
    return np.random.default_rng(int(torch.randint(2**62, (), generator=generator, device=generator.device)))


def evolved(
    rate: Callable[[list[Cell], int], Rating],
    settings: EvolutionSettings,
    draws: np.random.Generator,
    space: Space = TSS,
) -> Cell:
    """Algorithm 1: the most accurate of all cells that the generations rated; among equals the lower loss."""
    rated: dict[Cell, tuple[float, float]] = {}
    parents: list[Cell] = []

    decided_by = [place for place, decision in enumerate(space.decisions) for _ in decision.edges]

    def drawn() -> Cell:
        return Cell(space.drawn(draws), space.name)

    def mixed(one: Cell, other: Cell, share: float) -> Cell:
        """Every decision is the other's with that chance."""
        others = (draws.random(len(space.decisions)) < share)[decided_by]
        return Cell(tuple(np.where(others, other.ops, one.ops)), space.name)

    def mutated() -> Cell:
        parent, other = parents[draws.integers(len(parents))], drawn()
        return mixed(parent, other, settings.mutation_rate)

    def crossed() -> Cell:
        other, one = (parents[place] for place in draws.integers(len(parents), size=2))
        return mixed(one, other, 0.5)

    def new(wanted: int, make: Callable[[], Cell], besides: list[Cell]) -> list[Cell]:
        """Up to so many cells that are neither rated nor among `besides`."""
        found: dict[Cell, None] = {}
        for _ in range(_TRIES * wanted):
            cell = make()
            if len(found) < wanted and cell not in rated and cell not in besides:
                found[cell] = None
        return [*besides, *found]

    for generation in range(settings.generations):
        cells: list[Cell] = []
        if generation:
            parents = sorted(rated, key=rated.__getitem__)[: settings.parents]
            cells = new(settings.mutations, mutated, cells)
            cells = new(settings.crossovers, crossed, cells)
        cells = new(max(settings.population - len(cells), 0), drawn, cells)
        if cells:
            rated |= scored(cells, rate, settings.select_images)
    return min(rated, key=rated.__getitem__)
