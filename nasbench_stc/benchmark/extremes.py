"""The cells at one end of a column or a metric: the best, or the worst."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Extremes(NamedTuple):
    """The cells at one end, and what has to be said of the others."""

    cells: NDArray[np.int64]
    """Their indices, from that end inwards; of equals the lower index first."""
    equal: int
    """Cells that are not among them and have the same value as the last."""
    left_out: int
    """Cells of which there is no finite number."""


def extremes(values: NDArray[np.float64], number: int, highest: bool) -> Extremes:
    """The `number` cells, or fewer if there are no more, with the highest values or with the lowest.

    Args:
        values: of all cells, in index order.
    """
    known = np.flatnonzero(np.isfinite(values))
    ordered = known[np.argsort(-values[known] if highest else values[known], kind="stable")]
    chosen = ordered[:number]
    equal = int((values[ordered[number:]] == values[chosen[-1]]).sum()) if len(chosen) else 0
    return Extremes(chosen, equal, len(values) - len(known))
