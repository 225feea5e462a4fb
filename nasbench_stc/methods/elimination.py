"""Elimination: the weights train on two operations an edge; what is rated worst on its edge is dropped, one by one.

Ours. In the study (`docs/study.md`) gradients by the weights of operations did not tell those of an edge apart, and
means over all cells are decided by cells with broken paths. Backward elimination, as in the selection of variables,
compares the operations of an edge in the company of what is left. With K_e what edge e has left, at first all of them,

    S_e = {a, b}, two different ones of K_e, all pairs equally likely (or the one that is left),        (1)
    the weights train on u · a(x) + (1 - u) · b(x), u uniform in [0, 1], an edge's own in each step,    (2)
    L_val(k) = c + sum over e of R_e,k_e + rest, least squares over cells k drawn from the K,           (3)
    (e, o) = argmax of R_eo - min over K_e of R_e leaves K_e.                                           (4)

Eqs. 3 and 4 are repeated until each edge has one operation: from the share `first` of the epochs on, evenly after each
epoch, the last time after the last one. Cells that are rated serve as long as all of their operations are left. No
gradient of alpha is taken: a weight step runs two operations an edge, and a rating one, forwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from nasbench_stc.methods.alpha import strongest
from nasbench_stc.methods.base import Listing, OneShotMethod, Rate, Weights
from nasbench_stc.methods.evolution import draws
from nasbench_stc.models import Mixture
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell


@dataclass(frozen=True)
class EliminationSettings:
    """When operations are dropped, by how many ratings, and what the weights train on."""

    first: float = setting(
        0.7,
        "share of the epochs before operations are dropped; 1: all after the last one (0.7: by the study)",
        high=1,
    )
    rated_cells: int = setting(200, "cells, at least, whose ratings decide on one operation", low=1)
    select_images: int = setting(1024, "validation images that rate a cell; 0: all")
    weights: str = setting(
        "pairs", "what the weights train on: two operations an edge or one", choices=("pairs", "paths")
    )


class Elimination(OneShotMethod):
    """Elimination; see the module."""

    listing: ClassVar[Listing] = Listing(
        "Elimination",
        "Elimination: operations dropped one by one, by ratings (ours)",
        name="elimination",
        kind="one-shot",
        order=101,
    )
    Settings: ClassVar[type] = EliminationSettings
    on_device = True
    presets: ClassVar[dict[str, dict[str, Any]]] = {"smoke": {"rated_cells": 10, "select_images": 256}}

    def __init__(self, settings: EliminationSettings, generator: torch.Generator) -> None:
        super().__init__(settings, generator)
        self.dropped = torch.zeros(self.space.shape, device=generator.device)
        """When: 1 for the first operation that was, 0 for one that is left."""

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """How many operations are to be dropped after this epoch, those before included."""
        edges, ops = self.space.shape
        first = min(round(self.settings.first * epochs), epochs - 1)
        self.due = edges * (ops - 1) * max(epoch + 1 - first, 0) // (epochs - first)

    def weight_mixture(self) -> Mixture:
        """Eqs. 1 and 2."""
        left = self.dropped == 0
        drawn = torch.rand(left.shape, generator=self.generator, device=left.device).masked_fill(~left, -1)
        if self.settings.weights == "paths":
            return Mixture.path(drawn.argmax(dim=1), space=self.space)
        pair = drawn.topk(2, dim=1).indices
        u = torch.rand(len(pair), 1, generator=self.generator, device=left.device)
        u = u.where(left.sum(dim=1, keepdim=True) > 1, 1.0)
        both = Mixture.several(pair, torch.cat([u, 1 - u], dim=1), left.shape[1])
        return Mixture(both.mask & left, both.weights)

    def end_epoch(self, rate: Rate, weights: Weights) -> None:
        """Eqs. 3 and 4, as often as is due."""
        dropped, generator = self.dropped.cpu().numpy(), draws(self.generator)
        edges, cells, loss = np.arange(len(dropped)), np.empty((0, len(dropped)), int), np.empty(0)
        while dropped.max() < self.due:
            kept = (dropped[edges, cells] == 0).all(axis=1)
            lacking = max(self.settings.rated_cells - int(kept.sum()), dropped.shape[1])  # so each operation occurs
            new = _even(dropped == 0, lacking, generator)
            cells = np.concatenate([cells[kept], new])
            loss = np.concatenate([loss[kept], rate(self._candidates(new), self.settings.select_images).loss])
            dropped[_worst(dropped == 0, cells, loss)] = dropped.max() + 1
        self.dropped.copy_(torch.from_numpy(dropped))

    def cell(self) -> Cell | None:
        """What is left, once that is one operation an edge; where these do not go together, what was left longest."""
        left = self.dropped == 0
        if left.sum() > len(left):
            return None
        return strongest(self.space, self.dropped.masked_fill(left, left.numel()))

    def snapshot(self) -> dict[str, Any]:
        """When each operation was dropped: 1 for the first one, 0 for one that is left."""
        return {"dropped": self.dropped.int().tolist()}

    def state_dict(self) -> dict[str, Any]:
        """The same."""
        return {"dropped": self.dropped.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.dropped.copy_(state["dropped"])

    def _candidates(self, ops: NDArray[np.int64]) -> list[Cell] | list[Mixture]:
        """Rows of operations as the supernet rates them; where not all are cells, as paths."""
        if self.space.is_free:
            return [Cell(tuple(row), self.space.name) for row in ops.tolist()]
        return [Mixture.path(torch.from_numpy(row), space=self.space) for row in ops]


def _even(left: NDArray[np.bool_], n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """n draws, shape (n, edges), in which each operation that an edge has left occurs equally often, but for one."""
    columns = [np.resize(generator.permutation(np.flatnonzero(ops)), n) for ops in left]
    return np.stack([generator.permutation(column) for column in columns], axis=1)


def _worst(left: NDArray[np.bool_], cells: NDArray[np.int64], loss: NDArray[np.float64]) -> tuple[int, int]:
    """Eqs. 3 and 4: of which edge which operation goes."""
    has = cells[:, :, None] == np.arange(left.shape[1])  # whose columns of an edge sum to one: as a constant does
    effects = np.linalg.lstsq(has[:, left].astype(float), loss - loss.mean())[0]
    behind = np.full(left.shape, np.inf)
    behind[left] = effects
    behind -= behind.min(axis=1, keepdims=True)
    behind[~left | (left.sum(axis=1, keepdims=True) == 1)] = -np.inf
    edge, op = divmod(int(behind.argmax()), left.shape[1])
    return edge, op
