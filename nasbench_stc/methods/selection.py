"""How methods end that score candidate cells with the supernet: the best of some, on validation images.

As in NAS-Bench-201 and NATS-Bench (`get_best_arch` in AutoDL-Projects), with two departures. There every candidate
is scored on a batch of its own, so that a lucky batch wins; here all are on the same images. And among equally
accurate ones the lower loss decides, not the order. Batch norm is in the protocol's mode (`bn`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nasbench_stc.methods.base import Rate, Rating
from nasbench_stc.models import Mixture
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell, Space


@dataclass(frozen=True)
class SelectionSettings:
    """How many cells are candidates, and on how many images they are scored."""

    candidates: int = setting(100, "cells among which the supernet chooses in the end (NAS-Bench-201: 100)", low=1)
    select_images: int = setting(512, "validation images that score a candidate: a batch, as published; 0: all")


def scored(
    cells: list[Cell], rate: Callable[[list[Cell], int], Rating], n_images: int
) -> dict[Cell, tuple[float, float]]:
    """By which cells are ordered, the best first: minus the accuracy, then the loss, on `n_images` (0: all)."""
    rating = rate(cells, n_images)
    return dict(zip(cells, zip(-rating.accuracy, rating.loss, strict=True), strict=True))


def select(candidates: Sequence[Cell], rate: Rate, n_images: int) -> Cell:
    """The candidate with the highest accuracy on `n_images` validation images (0: all)."""
    rating = rate(candidates, n_images)
    best: int = np.lexsort((rating.loss, -rating.accuracy))[0]
    return candidates[best]


def by_removal(ops: Sequence[int], space: Space, rate: Rate, n_images: int) -> Cell:
    """The cell of an operation an edge; where a node has some of its inputs alone, those without which accuracy falls.

    As topology is selected in DARTS-PT (Wang et al., ICLR 2021, Sec. 5.2), but of all inputs at once.
    """
    if space.is_free:
        return Cell(tuple(ops), space.name)
    whole = Mixture.path(ops, space=space)
    rating = rate([whole.without(edge, op) for edge, op in enumerate(ops)], n_images)
    scores = np.full(space.shape, -np.inf)
    scores[np.arange(len(ops)), ops] = -rating.accuracy
    return Cell(space.strongest(scores), space.name)


def random_cells(number: int, space: Space, generator: torch.Generator) -> list[Cell]:
    """Different cells, all equally likely."""
    if space.is_listable:
        drawn = torch.randperm(space.num_cells, generator=generator, device=generator.device)[:number].tolist()
    else:
        seed = torch.randint(2**62, (), generator=generator, device=generator.device)
        drawn = np.random.default_rng(int(seed)).choice(space.num_cells, number, replace=False).tolist()
    return [Cell.from_index(index, space.name) for index in drawn]
