"""The statistics of the tables, each with its reference. `values` are one number a run; `x` and `y` one a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64] | NDArray[np.int64]
_BLOCK = 1024  # cells whose pairs are in memory at a time


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return float(np.mean(values))


def std(values: Sequence[float], ddof: int = 0) -> float:
    """The standard deviation; ddof=0 divides by n, ddof=1 by n - 1.

    The published tables of NAS-Bench-201 and NATS-Bench have ddof=0 (`np.std`'s default): only with it do the
    cells of NATS-Bench's README (Dong et al., TPAMI 2021) look up to the printed deviations.
    """
    if len(values) <= ddof:
        raise ValueError(f"{len(values)} value(s) have no standard deviation with ddof={ddof}")
    return float(np.std(values, ddof=ddof))


def t_half_width(values: Sequence[float], confidence: float = 0.95) -> float:
    """Half the width of the mean's confidence interval, for normally distributed runs of unknown variance.

    Student, "The probable error of a mean", Biometrika 1908: t(n - 1) · s / √n, s with ddof=1. For n = 3 and
    95 % that is 2.48 s, and 3.04 times the deviation with ddof=0 that tables print.
    """
    return _t_quantile(len(values) - 1, (1 + confidence) / 2) * std(values, ddof=1) / math.sqrt(len(values))


def t_half_widths(values: NDArray[np.float64], confidence: float = 0.95) -> NDArray[np.float64]:
    """`t_half_width` of each column; a row is one run."""
    runs = len(values)
    result: NDArray[np.float64] = values.std(axis=0, ddof=1) * _t_quantile(runs - 1, (1 + confidence) / 2)
    return result / math.sqrt(runs)


class Kendall(NamedTuple):
    """How alike two rankings are."""

    tau: float
    """tau-b, from -1 (reversed) to 1 (the same); NaN where all of x or all of y are equal."""
    p: float
    """Two-sided, of no association."""
    n: int
    ties_x: int
    """How many cells share their x with another cell."""
    ties_y: int


def kendall(x: Numbers, y: Numbers) -> Kendall:
    """Kendall's tau-b: concordant minus discordant pairs, over the geometric mean of those untied in x and in y.

    Kendall, "The treatment of ties in ranking problems", Biometrika 1945. Exact p for few cells without ties, else
    by the normal approximation (`scipy.stats.kendalltau`).
    """
    from scipy.stats import kendalltau  # costs half a second, which other tables do without

    found = kendalltau(x, y)
    return Kendall(float(found.statistic), float(found.pvalue), len(x), _tied(x), _tied(y))


def kendall_interval(
    x: Numbers, y: Numbers, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The percentile bootstrap interval of tau-b: (low, high). Cells are drawn with replacement, x and y together.

    Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13. It says how far tau-b depends on which cells
    were looked at, nothing of other supernets. A resample is n counts w; the concordant minus the discordant pairs of
    all resamples are then products w' S w with one matrix S of signs, 70 times as fast as one by one for 500 cells.
    Resamples in which all of x or y are equal have no tau-b and are left out.
    """
    n = len(x)
    if n == 0:
        return math.nan, math.nan
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    weights = counts.astype(np.float32)  # of which whole numbers up to 2^24 are exact
    ranks = [np.unique(values, return_inverse=True)[1].astype(np.float32) for values in (x, y)]  # x may have -inf
    pairs = np.zeros(resamples)
    for start in range(0, n, _BLOCK):  # S is symmetric: each block of rows against itself and those to its right
        rows = slice(start, min(start + _BLOCK, n))
        signs = np.sign(ranks[0][rows, None] - ranks[0][start:]) * np.sign(ranks[1][rows, None] - ranks[1][start:])
        signs[:, : len(signs)] /= 2
        pairs += 2 * np.einsum("ri,ri->r", counts[:, rows], weights[:, start:] @ signs.T)
    untied = [n**2 - _squares(counts, of_one) for of_one in ranks]
    with np.errstate(invalid="ignore"):
        taus = pairs / np.sqrt(untied[0] * untied[1])
    known = taus[np.isfinite(taus)]
    if not known.size:
        return math.nan, math.nan
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def best(values: Numbers, share: float = 0.1) -> NDArray[np.bool_]:
    """Which of `values` are among the best `share` of them, rounded up; those equal to the last one are, too."""
    count = math.ceil(share * len(values) - 1e-9)  # 0.1 times 30 is a bit more than 3
    return np.asarray(values >= np.sort(values)[-count])


def _tied(values: Numbers) -> int:
    _, counts = np.unique(values, return_counts=True)
    return int(counts[counts > 1].sum())


def _squares(counts: NDArray[np.int64], ranks: NDArray[np.float32]) -> NDArray[np.float64]:
    """For each resample the ordered pairs that are equal in `ranks`, each cell with itself among them."""
    order = np.argsort(ranks, kind="stable")
    starts = np.flatnonzero(np.diff(ranks[order], prepend=np.nan) != 0)
    squares: NDArray[np.float64] = (np.add.reduceat(counts[:, order], starts, axis=1).astype(np.float64) ** 2).sum(1)
    return squares


def _t_quantile(degrees: int, p: float) -> float:
    """Where Student's distribution function is `p`; for one and two degrees of freedom in closed form."""
    if degrees == 1:
        return math.tan(math.pi * (p - 0.5))
    if degrees == 2:
        return (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
    from scipy.special import stdtrit  # costs a quarter of a second, which the usual three seeds do without

    return float(stdtrit(degrees, p))
