"""The statistics of the tables, each with its reference. `values` are one number a run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


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


def _t_quantile(degrees: int, p: float) -> float:
    """Where Student's distribution function is `p`; for one and two degrees of freedom in closed form."""
    if degrees == 1:
        return math.tan(math.pi * (p - 0.5))
    if degrees == 2:
        return (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
    from scipy.special import stdtrit  # costs a quarter of a second, which the usual three seeds do without

    return float(stdtrit(degrees, p))
