"""BOHB: Hyperband whose cells are drawn near good ones, by the ratio of two densities.

Falkner, Klein & Hutter, "BOHB: robust and efficient hyperparameter optimization at scale", ICML 2018, with NATS-Bench's
settings (`bohb.py`, `run-all.sh`: 4 samples, no random fraction, bandwidths from 0.3, trainings of 12 epochs at most)
and HpBandSter's defaults. For each length of training kernel densities are fitted to the best 15 % and to the rest of
the cells that had it; of the cells drawn around good ones, the one with the highest ratio of densities is tried. The
model of the longest training that has one decides.

A benchmark without the epochs of its short training (the table of means) leaves one rung of 12 epochs. Then this is
BOHB's model without Hyperband, a tree-structured Parzen estimator.

Departures: HpBandSter's bandwidths are those of a normal distribution, applied to the operations' numbers, and may
exceed 1, where the kernel of Aitchison & Aitken, "Multivariate binary discrimination by the kernel method", Biometrika
1976, is negative. Here they end where it is uniform, at (c - 1) / c for c operations. There c is how many of them occur
on the edge, here how many there are; and all cells that are not good are bad, where HpBandSter at times leaves
the worst out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.methods.blackbox import Listing, Query, random_cell
from nasbench_stc.methods.hyperband import Hyperband, HyperbandSettings
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell

_TINY = 1e-32


@dataclass(frozen=True)
class BohbSettings(HyperbandSettings):
    """Hyperband's, and the model's."""

    longest: int = setting(12, "epochs of a training at most (NATS-Bench's); 0: of the longest that may be asked for")
    samples: int = setting(4, "cells drawn around good ones, of which one is tried (NATS-Bench's)", low=1)
    random_fraction: float = setting(0.0, "share of cells that are drawn uniformly all the same (NATS-Bench's)", high=1)
    top: float = setting(0.15, "share of cells that count as good (HpBandSter's)", high=1)
    min_bandwidth: float = setting(0.3, "of the kernel on an edge, at least (NATS-Bench's)", high=1)


class Density:
    """A product of kernels, one an edge, averaged over cells.

    Args:
        ops: the cells' operations, shape (n, edges).
        number: of operations that an edge may have.
        min_bandwidth: of each kernel, at least.
    """

    def __init__(self, ops: NDArray[np.int64], number: int, min_bandwidth: float) -> None:
        self.ops, self.number = ops, number
        spread = 1.06 * ops.std(axis=0) * len(ops) ** (-1 / (4 + ops.shape[1]))
        self.bandwidth = np.clip(spread, min_bandwidth, (number - 1) / number)

    def __call__(self, ops: NDArray[np.int64]) -> NDArray[np.float64]:
        """At cells given by their operations, shape (m, edges): shape (m,)."""
        same = ops[:, None] == self.ops
        kernels = np.where(same, 1 - self.bandwidth, self.bandwidth / (self.number - 1))
        found: NDArray[np.float64] = kernels.prod(axis=2).mean(axis=1)
        return found

    def draw(self, number: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Cells near those of the density, shape (number, edges): an edge may take any operation instead."""
        around = self.ops[generator.integers(len(self.ops), size=number)]
        others = generator.integers(self.number, size=around.shape)
        kept = generator.random(around.shape) < 1 - self.bandwidth
        return np.where(kept, around, others)


class BOHB(Hyperband):
    """BOHB; see the module."""

    listing: ClassVar[Listing] = Listing(
        "BOHB",
        "BOHB: Hyperband, cells drawn by a ratio of densities (Falkner et al., 2018)",
        name="bohb",
        kind="black-box",
        order=170,
    )
    Settings: ClassVar[type] = BohbSettings

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.told: dict[int | None, tuple[list[tuple[int, ...]], list[float]]] = {}
        self.models: dict[int | None, tuple[Density, Density]] = {}

    def draw(self) -> Cell:
        """Of cells near good ones the one with the highest ratio of densities; a random one while there is no model."""
        if not self.models or self.generator.random() < self.settings.random_fraction:
            return random_cell(self.generator, self.space)
        good, bad = self.models[max(self.models, key=lambda epochs: epochs or 0)]
        drawn = good.draw(self.settings.samples, self.generator)
        ratio = np.maximum(good(drawn), _TINY) / np.maximum(bad(drawn), _TINY)
        return Cell(tuple(drawn[ratio.argmax()].tolist()), self.space.name)

    def tell(self, query: Query, value: float) -> None:
        """The models of that length of training learn, unless there are some of a longer one."""
        cells, values = self.told.setdefault(query.epochs, ([], []))
        cells.append(query.cell.ops)
        values.append(value)
        if all((query.epochs or 0) >= (longer or 0) for longer in self.models):
            self._fit(query.epochs, np.array(cells), np.array(values))
        super().tell(query, value)

    def _fit(self, epochs: int | None, ops: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        fewest = ops.shape[1] + 1
        number = max(fewest, int(self.settings.top * len(ops)))
        if len(ops) - number < fewest:
            return
        order = np.argsort(-values, kind="stable")
        good, bad = (
            Density(ops[part], len(self.space.ops), self.settings.min_bandwidth)
            for part in (order[:number], order[number:])
        )
        self.models[epochs] = good, bad
