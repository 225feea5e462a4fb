"""The statistics of the tables, each with its reference. `values` are one number a run; `x` and `y` one a cell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64] | NDArray[np.int64]
Interval = tuple[float, float]
"""(low, high), both NaN where there is none."""

RETRAINING_NOISE = {"cifar10": 0.25, "cifar100": 0.41, "ImageNet16-120": 0.60}
"""By data set, how far apart in points cells score that compute the same and differ only in how they were trained.

The pooled deviation of test accuracy within the 1,350 isomorphism classes of NATS-Bench (Dong et al., TPAMI 2021) that
have several cells (10,509 in all): √(Σ (nᵢ - 1) sᵢ² / Σ (nᵢ - 1)), of a class nᵢ cells and sᵢ² their variance (ddof=1).
Each accuracy is the mean over the benchmark's own training seeds.
"""

_NONE = (math.nan, math.nan)
_BLOCK = 1024  # cells whose pairs are in memory at a time


def known(value: float) -> float | None:
    """The value, or None for NaN: how tables have what there is none of."""
    return None if math.isnan(value) else value


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


class Difference(NamedTuple):
    """The runs of one method minus those of another."""

    mean: float
    std: float
    """Of the pairs' differences, with ddof=0; NaN of one pair, and without pairs."""
    half_width: float
    """Half the width of the mean's confidence interval; NaN where one run says nothing of how far runs lie apart."""
    n: int
    """How many pairs; 0 without pairs."""


def paired_difference(x: Mapping[int, float], y: Mapping[int, float], confidence: float = 0.95) -> Difference:
    """The mean of x - y over the seeds that both have, with the t-interval of the differences (Student 1908).

    Args:
        x, y: one number a run, by seed.
        confidence: of the interval.

    Raises:
        ValueError: no seed is common.
    """
    differences = [x[seed] - y[seed] for seed in sorted(x.keys() & y.keys())]
    if not differences:
        raise ValueError("no seed is common")
    if len(differences) == 1:
        return Difference(differences[0], math.nan, math.nan, 1)
    half_width = t_half_width(differences, confidence)
    return Difference(mean(differences), std(differences), half_width, len(differences))


def welch_difference(x: Sequence[float], y: Sequence[float], confidence: float = 0.95) -> Difference:
    """The difference of the means of independent runs, whose variances may differ.

    Welch, "The generalization of Student's problem when several different population variances are involved",
    Biometrika 1947: t(ν) · √(a + b) with a = s²/n of x, b of y, and ν = (a + b)² / (a²/(n_x - 1) + b²/(n_y - 1)).
    """
    difference = mean(x) - mean(y)
    if min(len(x), len(y)) < 2:
        return Difference(difference, math.nan, math.nan, 0)
    a, b = (std(values, ddof=1) ** 2 / len(values) for values in (x, y))
    spread = a**2 / (len(x) - 1) + b**2 / (len(y) - 1)
    half_width = _t_quantile((a + b) ** 2 / spread, (1 + confidence) / 2) * math.sqrt(a + b) if spread else 0.0
    return Difference(difference, math.nan, half_width, 0)


def distinguishable(difference: float, half_width: float | None, dataset: str) -> bool:
    """Whether a difference in points is more than the benchmark's noise and more than that of the runs.

    It is not below `RETRAINING_NOISE`, nor where its interval reaches zero or where it has none (None, NaN).
    """
    if half_width is None or math.isnan(half_width):
        return False
    return abs(difference) >= RETRAINING_NOISE[dataset] and abs(difference) > half_width


def improvement(x: Sequence[float], y: Sequence[float]) -> float:
    """P(X > Y) of a run of each, equal ones counted half: 0.5 where neither is better.

    Mann & Whitney, "On a test of whether one of two random variables is stochastically larger than the other", Annals
    of Mathematical Statistics 1947: U / (n m). rliable's probability of improvement (Agarwal et al., NeurIPS 2021) is
    its mean over data sets.
    """
    ordered = np.sort(y)
    below = np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right")
    return float(below.mean() / (2 * len(y)))


def improvement_intervals(
    x: Sequence[Sequence[float]],
    y: Sequence[Sequence[float]],
    same_x: bool = False,
    same_y: bool = False,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[list[Interval], Interval]:
    """The percentile bootstrap intervals of `improvement`: of each stratum, and of the mean over strata.

    Runs are drawn with replacement within each stratum, x and y apart (rliable); a stratum is the runs of one data set,
    and where it has one run there is none. A resample is how often each distinct value was drawn, and U follows from
    the sums of y's counts up to it: 500 against 500 runs on three data sets take a twentieth of a second.

    Args:
        x, y: the runs of each stratum.
        same_x, same_y: the strata are the same runs in the same order, looked up on several data sets. They are then
            drawn together: a cell that is good on one data set is good on the others, and three columns of it are not
            three runs.
        confidence: of the intervals.
        resamples: how many.
        seed: of what is drawn.
    """
    generator = np.random.default_rng(seed)
    found = np.full((len(x), resamples), np.nan)
    drawn_x = drawn_y = None
    for stratum, (of_x, of_y) in enumerate(zip(x, y, strict=True)):
        if min(len(of_x), len(of_y)) < 2:
            continue
        if drawn_x is None or not same_x:
            drawn_x = generator.integers(len(of_x), size=(resamples, len(of_x)))
        if drawn_y is None or not same_y:
            drawn_y = generator.integers(len(of_y), size=(resamples, len(of_y)))
        levels, places = np.unique(np.concatenate([of_x, of_y]), return_inverse=True)
        counts_x = _counts(places[: len(of_x)][drawn_x], len(levels))
        counts_y = _counts(places[len(of_x) :][drawn_y], len(levels))
        below = counts_y.cumsum(axis=1) - counts_y / 2
        found[stratum] = np.einsum("rl,rl->r", counts_x, below) / (len(of_x) * len(of_y))
    low, high = np.quantile([*found, found.mean(axis=0)], [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    *each, mean_of_all = zip(low.tolist(), high.tolist(), strict=True)
    return each, mean_of_all


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

    if len(x) < 2:  # no pairs
        return Kendall(np.nan, np.nan, len(x), 0, 0)
    found = kendalltau(x, y)
    return Kendall(float(found.statistic), float(found.pvalue), len(x), _tied(x), _tied(y))


def kendall_interval(
    x: Numbers, y: Numbers, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
) -> Interval:
    """The percentile bootstrap interval of tau-b: (low, high). Cells are drawn with replacement, x and y together.

    Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13. It says how far tau-b depends on which cells
    were looked at, nothing of other supernets. A resample is n counts w; the concordant minus the discordant pairs of
    all resamples are then products w' S w with one matrix S of signs, 70 times as fast as one by one for 500 cells.
    Resamples in which all of x or y are equal have no tau-b and are left out.
    """
    n = len(x)
    if n == 0:
        return _NONE
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
        return _NONE
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def merged(values: Numbers, classes: Sequence[str]) -> NDArray[np.float64]:
    """The mean of `values` over the cells of each class, in the classes' order; -inf is below all numbers.

    With isomorphism classes, cells that compute the same count once (Dong & Yang, "NAS-Bench-201", ICLR 2020, has 6,466
    of them); `kendall(merged(x, classes), merged(y, classes))` is the tau-b of what is left.
    """
    _, places, counts = np.unique(np.asarray(classes), return_inverse=True, return_counts=True)
    most = np.full(len(counts), -np.inf)
    np.maximum.at(most, places, values)
    # As distances from the largest: the mean of equal values is that value to the last bit, so that ties stay ties.
    with np.errstate(invalid="ignore"):
        distances = np.where(values == most[places], 0.0, values - most[places])
    means: NDArray[np.float64] = most + np.bincount(places, weights=distances) / counts
    return means


def best(values: Numbers, share: float = 0.1) -> NDArray[np.bool_]:
    """Which of `values` are among the best `share` of them, rounded up; those equal to the last one are, too."""
    return np.asarray(values >= np.sort(values)[-_count(share, len(values))])


def precision_at(x: Numbers, y: Numbers, share: float = 0.1) -> float:
    """P@K: the part of the K cells of highest x that are among the best K by y; K is a share of all, rounded up.

    Ning et al., "Evaluating efficient performance estimators of neural architectures", NeurIPS 2021, whose code
    (`examples/research/surgery/evaluation.py` in walkerning/aw_nas) rounds down and breaks ties by position. Here it is
    the mean over all ways to break ties of x; cells equal to the last of the best by y are among these. Without
    information it is K's share.
    """
    if not len(x):
        return math.nan
    count = _count(share, len(x))
    above, equal, drawn = _top(x, count)
    right = best(y, share)
    return float((right[above].sum() + drawn * right[equal].mean()) / count)


def best_rank_at(x: Numbers, y: Numbers, share: float = 0.01) -> float:
    """BR@K: the rank by y of the best among the K cells of highest x, as a share of all; K as of `precision_at`.

    From the same source. Cells of equal y have the rank of the best of them. Where x ties for the last of the K places
    it is the mean over all ways to fill them: the best of g cells, by y, is among m that are drawn with probability
    m / g, else the second best is with m / (g - 1), and so on.
    """
    if not len(x):
        return math.nan
    above, equal, drawn = _top(x, _count(share, len(x)))
    rank = 1 + len(y) - np.searchsorted(np.sort(y), y, "right")
    sure = rank[above].min(initial=len(y))
    tied = np.sort(rank[equal])
    left = np.arange(len(tied), 0, -1)
    is_drawn = np.minimum(drawn / left, 1.0)
    first = is_drawn * np.concatenate([[1.0], np.cumprod(1 - is_drawn)[:-1]])
    return float((first * np.minimum(sure, tied)).sum() / len(y))


def _count(share: float, n: int) -> int:
    """So much of n, rounded up."""
    return math.ceil(share * n - 1e-9)  # 0.1 times 30 is a bit more than 3


def _top(values: Numbers, count: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int]:
    """Which values are among the `count` highest, which are equal to the last of these, how many of the latter are."""
    last = np.sort(values)[-count]
    above = np.asarray(values > last)
    return above, np.asarray(values == last), count - int(above.sum())


def _tied(values: Numbers) -> int:
    _, counts = np.unique(values, return_counts=True)
    return int(counts[counts > 1].sum())


def _squares(counts: NDArray[np.int64], ranks: NDArray[np.float32]) -> NDArray[np.float64]:
    """For each resample the ordered pairs that are equal in `ranks`, each cell with itself among them."""
    order = np.argsort(ranks, kind="stable")
    starts = np.flatnonzero(np.diff(ranks[order], prepend=np.nan) != 0)
    squares: NDArray[np.float64] = (np.add.reduceat(counts[:, order], starts, axis=1).astype(np.float64) ** 2).sum(1)
    return squares


def _counts(places: NDArray[np.int64], levels: int) -> NDArray[np.int64]:
    """How often each of so many levels is in each row."""
    rows = np.arange(len(places))[:, None] * levels
    return np.bincount((rows + places).ravel(), minlength=len(places) * levels).reshape(len(places), levels)


@cache
def _t_quantile(degrees: float, p: float) -> float:
    """Where Student's distribution function is `p` > 0.5: by halving, or by scipy if the degrees are no whole number.

    For whole numbers the function is a finite sum (Abramowitz & Stegun, "Handbook of mathematical functions", 1964,
    26.7.3 and 26.7.4). scipy's import would cost every table a quarter of a second.
    """
    if degrees != int(degrees):
        from scipy.special import stdtrit

        return float(stdtrit(degrees, p))
    odd = int(degrees) % 2
    powers = np.arange(odd, int(degrees) - 1, 2)  # of cos(theta)
    factors = np.cumprod([1.0, *((powers[1:] - 1) / powers[1:])])[: len(powers)]
    low, high = 0.0, math.pi / 2  # theta = arctan(t / sqrt(degrees))
    for _ in range(60):
        theta = (low + high) / 2
        inside = math.sin(theta) * float(factors @ math.cos(theta) ** powers)
        if odd:
            inside = 2 / math.pi * (theta + inside)
        low, high = (theta, high) if inside < 2 * p - 1 else (low, theta)
    return math.tan(low) * math.sqrt(degrees)
