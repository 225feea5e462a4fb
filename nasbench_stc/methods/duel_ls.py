"""Duel-LS: a search with `duel`, without `none`; then local search over the supernet's ratings from the cell it found.

Ours. In the study (`docs/study.md`) gradients by operations' weights find capacity: `duel` and DrNAS end in the largest
cell. But DrNAS's supernet rates 333133 above it, as the benchmark does. So

    k_0 = argmax of alpha, after the last epoch of `duel` (its Eqs. 1 to 3),                            (1)
    k_t+1 = the most accurate of k_t and the cells that differ from it on one edge, until it is k_t.    (2)

Eq. 2 is local search as White, Nolen & Savani have it in "Exploring the loss landscape in neural architecture search",
UAI 2021 (`ls` does it on trainings), here on validation images by the supernet's weights. It has no gradients.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

from nasbench_stc.methods.base import Listing, Rate
from nasbench_stc.methods.duel import Duel, DuelSettings
from nasbench_stc.methods.selection import scored
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell


@dataclass(frozen=True)
class DuelLsSettings(DuelSettings):
    """Duel's settings, without `none`, and the local search's."""

    none: bool = setting(False, "whether `none` competes in duels; local search knows it always")
    select_images: int = setting(4096, "validation images that rate a cell; 0: all")
    moves: int = setting(
        0, "local search ends after so many moves (t of Eq. 2) at the latest; 0: where none is better", earlier=0
    )


class DuelLS(Duel):
    """Duel-LS; see the module."""

    listing: ClassVar[Listing] = Listing(
        "Duel-LS",
        "Duel-LS: two operations an edge compared, then local search by ratings (ours)",
        name="duel_ls",
        kind="one-shot",
        order=102,
    )
    Settings: ClassVar[type] = DuelLsSettings
    on_device = True
    presets: ClassVar[dict[str, dict[str, Any]]] = {**Duel.presets, "smoke": {"select_images": 256}}

    def result(self, rate: Rate) -> Cell:
        """Eqs. 1 and 2."""
        return climb(self.cell(), rate, self.settings.select_images, self.settings.moves)[-1]


def climb(start: Cell, rate: Rate, n_images: int, moves: int = 0) -> list[Cell]:
    """Eq. 2: k_0 and what each move leads to, rated on so many validation images (0: all), after `moves` (0: any)."""
    path, rated = [start], dict[Cell, tuple[float, float]]()
    for _ in range(moves) if moves else itertools.count():
        cells = [path[-1], *(Cell(ops, start.space) for ops in start.of.neighbours(path[-1].ops))]
        if new := [cell for cell in cells if cell not in rated]:
            rated |= scored(new, rate, n_images)
        if (best := min(cells, key=rated.__getitem__)) == path[-1]:
            break
        path.append(best)
    return path
