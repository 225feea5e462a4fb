"""The statistics of the tables against plain definitions, scipy, and published figures."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from nasbench_stc.report import statistics
from nasbench_stc.report.statistics import RETRAINING_NOISE
from nasbench_stc.space import Cell

runs = st.lists(st.floats(0, 100), min_size=2, max_size=20)
tied = st.lists(st.integers(0, 5).map(float), min_size=2, max_size=12)


# Means and their intervals


@given(runs)
def test_statistics_agree_with_numpy_and_scipy(values: list[float]) -> None:
    assert statistics.mean(values) == pytest.approx(np.mean(values))
    assert statistics.std(values) == pytest.approx(np.std(values))
    assert statistics.std(values, ddof=1) == pytest.approx(np.std(values, ddof=1))
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    assert statistics.t_half_width(values) == pytest.approx(stats.t.ppf(0.975, len(values) - 1) * error)


def test_the_interval_of_three_runs() -> None:
    """2.48 times the deviation with ddof=1; 0.2 with ddof=0 becomes ±0.61."""
    values = np.array([-1.0, 0.0, 1.0])
    assert statistics.t_half_width(values.tolist()) == pytest.approx(2.484, abs=1e-3)
    assert statistics.t_half_width((values * 0.2 / np.std(values)).tolist()) == pytest.approx(0.61, abs=5e-3)


def test_one_run_has_no_sample_deviation() -> None:
    with pytest.raises(ValueError, match="ddof=1"):
        statistics.std([1.0], ddof=1)


@given(st.dictionaries(st.integers(0, 20), st.integers(0, 900), min_size=2), st.data())
def test_paired_differences_are_those_of_scipy(x: dict[int, float], data: st.DataObject) -> None:
    y = {seed: data.draw(st.integers(0, 900)) / 7 for seed in x} | {99: 1.0}
    seeds = sorted(x)
    found = statistics.paired_difference({**x, 55: 2.0}, dict(reversed(y.items())))  # neither order nor others matter
    differences = np.array([x[seed] - y[seed] for seed in seeds])
    assert (found.mean, found.std) == pytest.approx((differences.mean(), differences.std()))
    assert found.n == len(seeds)
    if differences.std() > 0.01:
        theirs = stats.ttest_rel([x[seed] for seed in seeds], [y[seed] for seed in seeds]).confidence_interval(0.95)
        assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx(theirs)


@pytest.mark.filterwarnings("ignore:Precision loss")  # of scipy, where one of the two has equal runs
@given(tied, runs)
def test_welchs_interval_is_that_of_scipy(x: list[float], y: list[float]) -> None:
    for first, second in ((x, y), (y, x), (x[:2], y[:3])):
        found = statistics.welch_difference(first, second)
        assert found.mean == pytest.approx(np.mean(first) - np.mean(second))
        assert math.isnan(found.std) and found.n == 0
        if max(np.std(first), np.std(second)) > 0.01:
            theirs = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
            assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx(theirs)


def test_differences_of_single_or_equal_runs() -> None:
    single = statistics.paired_difference({0: 3.0, 1: 4.0}, {1: 1.0})
    assert (single.mean, single.n) == (3.0, 1)
    assert math.isnan(single.half_width) and math.isnan(single.std)
    with pytest.raises(ValueError, match="no seed"):
        statistics.paired_difference({0: 1.0}, {1: 1.0})
    assert math.isnan(statistics.welch_difference([1.0, 2.0, 3.0], [1.0]).half_width)
    assert statistics.welch_difference([2.0, 2.0], [1.0, 1.0]) == pytest.approx((1.0, math.nan, 0.0, 0), nan_ok=True)


def test_what_is_told_apart() -> None:
    """Below 0.25 / 0.41 / 0.60 points there are no findings."""
    assert RETRAINING_NOISE == {"cifar10": 0.25, "cifar100": 0.41, "ImageNet16-120": 0.60}
    told = statistics.distinguishable
    assert told(0.3, 0.1, "cifar10") and told(-0.3, 0.1, "cifar10")
    assert not told(0.3, 0.1, "cifar100") and not told(-0.3, 0.1, "cifar100")  # training again does as much
    assert told(0.45, 0.1, "cifar100") and not told(0.45, 0.1, "ImageNet16-120")
    assert not told(3.0, 3.0, "cifar10") and not told(-3.0, 3.5, "cifar10")  # the runs do
    assert not told(3.0, None, "cifar10") and not told(3.0, math.nan, "cifar10")
    assert told(3.0, 0.0, "cifar10")


# The probability of improvement


def brute(x: NDArray[np.float64] | list[float], y: NDArray[np.float64] | list[float]) -> float:
    return float(np.mean([(a > b) + 0.5 * (a == b) for a, b in itertools.product(x, y)]))


@given(tied, tied)
def test_the_probability_of_improvement_is_that_of_pairs(x: list[float], y: list[float]) -> None:
    assert statistics.improvement(x, y) == pytest.approx(brute(x, y))
    assert statistics.improvement(x, y) == pytest.approx(1 - statistics.improvement(y, x))
    assert statistics.improvement(x, y) == pytest.approx(stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)))


@pytest.mark.parametrize("same_x", [False, True])
@pytest.mark.parametrize("same_y", [False, True])
def test_its_intervals_are_those_of_resamples_one_by_one(same_x: bool, same_y: bool) -> None:
    rng = np.random.default_rng(5)
    x = [rng.integers(0, 6, 9).astype(float) for _ in range(3)]
    y = [rng.integers(0, 5, 7).astype(float) for _ in range(3)]
    draw, of_x, of_y = np.random.default_rng(0), [], []
    for stratum in range(3):
        of_x.append(of_x[0] if stratum and same_x else draw.integers(9, size=(150, 9)))
        of_y.append(of_y[0] if stratum and same_y else draw.integers(7, size=(150, 7)))
    slow = np.array(
        [[brute(x[s][a], y[s][b]) for a, b in zip(of_x[s], of_y[s], strict=True)] for s in range(3)],
    )
    each, over_all = statistics.improvement_intervals(x, y, same_x, same_y, resamples=150)
    for found, values in zip([*each, over_all], [*slow, slow.mean(axis=0)], strict=True):
        assert found == pytest.approx(np.quantile(values, [0.025, 0.975]))


def test_its_interval_is_that_of_scipy() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 9, 40) + 1.0, rng.integers(0, 9, 25) + 0.0
    theirs = stats.bootstrap(
        (x, y),
        lambda a, b: stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)),
        vectorized=False,
        n_resamples=1000,
        method="percentile",
        random_state=2,
    ).confidence_interval
    (found,), _ = statistics.improvement_intervals([x], [y])
    assert found == pytest.approx(theirs, abs=0.03)  # other draws


def test_runs_seen_on_three_data_sets_are_not_three_times_as_many() -> None:
    rng = np.random.default_rng(2)
    x, y = [rng.normal(0, 1, 20)] * 3, [rng.normal(0, 1, 30)] * 3
    (one, *_), together = statistics.improvement_intervals(x, y, same_x=True, same_y=True)
    _, apart = statistics.improvement_intervals(x, y)
    assert together == pytest.approx(one)
    assert apart[1] - apart[0] < 0.7 * (together[1] - together[0])


def test_improvement_of_single_runs_has_no_interval() -> None:
    each, over_all = statistics.improvement_intervals([[1.0, 2.0], [1.0]], [[0.0, 3.0], [0.0, 3.0]])
    assert each[0] == (0.0, 1.0)
    assert all(map(math.isnan, (*each[1], *over_all)))


# Kendall's tau-b


def test_figure_5_of_the_paper() -> None:
    truth = np.arange(1, 9)
    for other, tau, p in (((3, 1, 2, 6, 8, 5, 7, 4), 0.357, 0.275), ((2, 3, 5, 4, 1, 6, 7, 8), 0.643, 0.031)):
        found = statistics.kendall(np.array(other), truth)
        assert (round(found.tau, 3), round(found.p, 3)) == (tau, p)
        assert (found.n, found.ties_x, found.ties_y) == (8, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=25))
def test_tau_b_is_that_of_pairs(points: list[tuple[int, int]]) -> None:
    """Kendall, Biometrika 1945."""
    x, y = np.array(points).T
    signs = [np.sign([(a - b), (c - d)]) for (a, c), (b, d) in itertools.combinations(points, 2)]
    of_x, of_y = np.array(signs).T
    untied = np.count_nonzero(of_x) * np.count_nonzero(of_y)
    tau = (of_x * of_y).sum() / math.sqrt(untied) if untied else math.nan
    assert statistics.kendall(x, y).tau == pytest.approx(tau, nan_ok=True)


def test_ties_are_counted() -> None:
    found = statistics.kendall(np.array([1, 1, 2, 3, 3, 3]), np.arange(6))
    assert (found.ties_x, found.ties_y) == (5, 0)
    assert np.isnan(statistics.kendall(np.ones(4), np.arange(4)).tau)
    assert all(map(np.isnan, statistics.kendall_interval(np.ones(4), np.arange(4))))


@pytest.mark.parametrize("block", [16, 1024])
def test_the_interval_is_that_of_resamples_one_by_one(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_BLOCK", block)
    rng = np.random.default_rng(1)
    x = rng.integers(0, 12, 60).astype(float)
    y = np.round(x + rng.normal(0, 4, 60))
    drawn = np.random.default_rng(0).multinomial(60, np.full(60, 1 / 60), size=300)
    taus = [stats.kendalltau(np.repeat(x, counts), np.repeat(y, counts)).statistic for counts in drawn]
    found = statistics.kendall_interval(x, y, resamples=300)
    assert found == pytest.approx(np.quantile(taus, [0.025, 0.975]), abs=1e-9)
    theirs = stats.bootstrap(
        (x, y),
        lambda a, b: stats.kendalltau(a, b).statistic,
        paired=True,
        vectorized=False,
        n_resamples=1000,
        method="percentile",
        random_state=2,
    ).confidence_interval
    assert statistics.kendall_interval(x, y) == pytest.approx(theirs, abs=0.04)  # other draws


def test_minus_infinity_is_the_lowest_rank() -> None:
    x, y = np.array([-np.inf, -np.inf, -np.inf, 1, 2, 3, 3, 5]), np.arange(8.0)
    finite = np.where(np.isinf(x), -9, x)
    assert statistics.kendall(x, y) == statistics.kendall(finite, y)
    assert statistics.kendall_interval(x, y) == statistics.kendall_interval(finite, y)


def test_the_best_tenth_has_those_equal_to_its_last() -> None:
    assert statistics.best(np.arange(30.0)).sum() == 3
    assert statistics.best(np.array([1.0, 2, 2, 2, 0, 0, 0, 0, 0, 0])).sum() == 3
    assert statistics.best(np.array([5.0])).all()


# Cells that compute the same


def test_isomorphic_cells_count_once() -> None:
    # Nothing arrives at the last node of the first two, nor of the fourth; the third and the last are alone.
    classes = [Cell.parse(digits).isomorphism_class for digits in ("100000", "200000", "333333", "020000", "111111")]
    x, y = np.array([1.0, 5.0, 2.0, 3.0, 9.0]), np.array([10.0, 12.0, 90.0, 14.0, 60.0])
    merged = {name: statistics.merged(values, classes) for name, values in (("x", x), ("y", y))}
    assert sorted(merged["x"]) == [2.0, 3.0, 9.0] and sorted(merged["y"]) == [12.0, 60.0, 90.0]
    found = statistics.kendall(merged["x"], merged["y"])
    assert (found.tau, found.n) == (pytest.approx(-1 / 3), 3)  # of (3, 12), (2, 90), (9, 60)
    assert statistics.kendall(x, y).n == 5


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(-100, 100)), min_size=1))
def test_merged_values_are_the_means_of_their_classes(values: list[tuple[str, float]]) -> None:
    classes = [name for name, _ in values]
    expected = [np.mean([value for name, value in values if name == one]) for one in sorted(set(classes))]
    assert statistics.merged(np.array([value for _, value in values]), classes) == pytest.approx(expected, abs=1e-12)


def test_merging_keeps_ties_and_minus_infinity() -> None:
    assert np.mean([0.1] * 3) != 0.1  # which would untie it from a class of one cell
    assert statistics.merged(np.array([0.1, 0.1, 0.1, 0.1]), ["a", "a", "a", "b"]).tolist() == [0.1, 0.1]
    lowest = np.array([-np.inf, -np.inf, 2.0, -np.inf, 3.0, -np.inf, 4.0])
    assert statistics.merged(lowest, list("aabbcdd")).tolist() == [-np.inf, -np.inf, 3.0, -np.inf]
    assert statistics.merged(np.array([1, 2]), ["a", "a"]).tolist() == [1.5]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=7), st.sampled_from([0.1, 0.3, 0.5])
)
def test_the_top_by_a_score_is_the_mean_over_all_orders_of_its_ties(pairs: list[tuple[int, int]], share: float) -> None:
    x, y = (np.array(values, dtype=np.float64) for values in zip(*pairs, strict=True))
    n, count = len(x), math.ceil(share * len(x) - 1e-9)
    right = set(np.flatnonzero(y >= np.sort(y)[-count]))
    rank = [1 + sum(other > own for other in y) for own in y]
    orders = [order for order in itertools.permutations(range(n)) if all(np.diff(x[list(order)]) <= 0)]
    tops = [order[:count] for order in orders]
    precision = np.mean([len(right & set(top)) / count for top in tops])
    best_rank = np.mean([min(rank[cell] for cell in top) / n for top in tops])
    assert statistics.precision_at(x, y, share) == pytest.approx(precision)
    assert statistics.best_rank_at(x, y, share) == pytest.approx(best_rank)


def test_the_top_of_rankings_that_say_all_nothing_and_the_contrary() -> None:
    truth = np.random.default_rng(0).permutation(1000)
    assert statistics.precision_at(truth, truth) == 1 and statistics.best_rank_at(truth, truth) == 0.001
    assert statistics.precision_at(-truth, truth) == 0 and statistics.best_rank_at(-truth, truth) == 0.991
    same = np.zeros(1000)
    assert statistics.precision_at(same, truth) == pytest.approx(0.1)
    assert statistics.best_rank_at(same, truth) == pytest.approx(1001 / 11 / 1000)  # of 10 drawn from 1 to 1000
    assert math.isnan(statistics.precision_at(same[:0], same[:0])) and math.isnan(
        statistics.best_rank_at(same[:0], same[:0])
    )
