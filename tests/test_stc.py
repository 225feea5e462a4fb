"""STC-NAS against its equations."""

import copy
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from objectives import Objective
from scipy.spatial.distance import jensenshannon
from scipy.stats import chisquare

from nasbench_stc import Cell
from nasbench_stc.methods.stc import STC, StcSettings, jensen_shannon, one_hot, project
from nasbench_stc.settings import Ramp
from nasbench_stc.space import EDGES, OPS

CPU = torch.device("cpu")


def stc(seed=0, **settings):
    return STC(StcSettings(**settings), torch.Generator().manual_seed(seed))


def with_alpha(method, rows):
    method.load_state_dict({"alpha": torch.tensor(rows), "adam": method.adam.state_dict()})
    return method


ROW = [0.10, 0.50, 0.45, 0.20, 0.40]


def frequencies(method, n=4000):
    counts = torch.zeros(len(EDGES), len(OPS))
    for _ in range(n):
        counts += one_hot(method.sample())
    return counts / n


def expected_frequencies(alpha, low, high):
    """P(op is argmax of alpha + U[low, high]) by numeric integration over the value of the op."""
    ts = np.linspace(low, high, 20_001)
    result = []
    for k, a in enumerate(alpha):
        others = [np.clip((a + ts - b - low) / (high - low), 0, 1) for j, b in enumerate(alpha) if j != k]
        result.append(np.trapezoid(np.prod(others, axis=0), ts) / (high - low))
    return np.array(result)


@pytest.mark.parametrize(("support", "low"), [("positive", 0.0), ("symmetric", -0.3)])
def test_eq_5_sampling_frequencies_under_the_noise(support, low):
    method = with_alpha(stc(noise_support=support), [ROW] * 6)
    method.begin_epoch(0, 50)
    expected = expected_frequencies(ROW, low, 0.3)
    assert expected.sum() == pytest.approx(1, abs=1e-3)
    assert bool(expected[0] < 1e-4) is (support == "positive")  # 0.10 + 0.3 reaches no more than 0.40, below 0.50
    pooled = frequencies(method).mean(dim=0).numpy()  # 6 edges alike: 24,000 draws, three deviations are 0.01
    np.testing.assert_allclose(pooled, expected, atol=0.012)


def test_without_noise_the_sample_is_the_argmax():
    method = with_alpha(stc(), [ROW, ROW[::-1], *[ROW] * 4])
    method.begin_epoch(49, 50)
    assert method.noise == 0
    assert {tuple(method.sample().tolist()) for _ in range(50)} == {(1, 3, 1, 1, 1, 1)}
    assert method.cell() == Cell((1, 3, 1, 1, 1, 1))


def test_annealing_end_points():
    method = stc()
    seen = []
    for epoch in range(50):
        method.begin_epoch(epoch, 50)
        assert method.learns
        seen.append((float(method.noise), float(method.js_weight)))
    assert seen[0] == (0.3, 0.0)
    assert seen[-1] == pytest.approx((0.0, 2.0))
    noise, js_weight = zip(*seen, strict=True)
    assert list(noise) == sorted(noise, reverse=True)
    assert list(js_weight) == sorted(js_weight)


def test_annealing_runs_over_the_epochs_in_which_alpha_learns():
    method = stc(uniform=0.6)
    learns = []
    for epoch in range(50):
        method.begin_epoch(epoch, 50)
        learns.append(method.learns)
        if epoch == 30:
            assert (method.noise, method.js_weight) == (0.3, 0.0)
    assert learns == [False] * 30 + [True] * 20
    assert (float(method.noise), float(method.js_weight)) == pytest.approx((0.0, 2.0))


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_ramps(shape):
    ramp = Ramp(0.3, 0.0, shape)
    assert ramp.at(0, 11) == 0.3
    assert ramp.at(10, 11) == pytest.approx(0.0, abs=1e-12)
    assert ramp.at(5, 11) == pytest.approx(0.15)
    assert ramp.at(0, 1) == 0.3
    assert ramp.at(2, 11) == pytest.approx(0.3 * (0.8 if shape == "linear" else (1 + math.cos(0.2 * math.pi)) / 2))


def test_uniform_epochs_ignore_alpha_and_its_weights():
    method = with_alpha(stc(uniform=1.0, sample_none=True), [[1.0, 0, 0, 0, 0]] * 6)
    method.begin_epoch(0, 10)
    np.testing.assert_allclose(frequencies(method).mean(dim=0).numpy(), 0.2, atol=0.012)
    assert torch.equal(method.weight_mixture().weights, torch.ones(6, 5))


def test_none_can_be_kept_out():
    rows = [[0.9, 0.1, 0.2, 0.3, 0.1]] * 6
    for sampled in (True, False):
        method = with_alpha(stc(sample_none=sampled, result_none=not sampled), rows)
        method.begin_epoch(49, 50)
        assert method.sample().tolist() == [0 if sampled else 3] * 6
        assert method.cell() == Cell((3 if sampled else 0,) * 6)
    uniform = stc(sample_none=False, uniform=1.0)
    uniform.begin_epoch(0, 10)
    assert frequencies(uniform, 500)[:, 0].sum() == 0


@given(hnp.arrays(np.float32, (6, 5), elements=st.floats(-3, 3, width=32)))
def test_eqs_6_to_8_projection_is_the_closest_point(alpha):
    projected = project(torch.from_numpy(alpha)).numpy()
    assert projected.min() >= 0
    assert projected.max() <= 1
    inside = np.random.default_rng(0).random((50, 6, 5))
    distances = ((inside - alpha) ** 2).sum(axis=(1, 2))
    assert ((projected - alpha) ** 2).sum() <= distances.min() + 1e-6
    np.testing.assert_array_equal(project(torch.from_numpy(projected)).numpy(), projected)


positive = st.floats(0, 1, width=32)


@given(hnp.arrays(np.float64, (4, 5), elements=positive), hnp.arrays(np.float64, (4, 5), elements=positive))
def test_eq_9_equals_scipy(p, q):
    p, q = (x + 1e-9 for x in (p, q))
    p, q = (x / x.sum(axis=1, keepdims=True) for x in (p, q))
    ours = jensen_shannon(torch.from_numpy(p), torch.from_numpy(q)).numpy()
    np.testing.assert_allclose(ours, jensenshannon(p, q, axis=1) ** 2, atol=1e-9)


def test_eq_9_of_a_sample_equals_scipy():
    sample = torch.tensor([1, 3, 0, 4, 2, 1])
    for kind in ("weights", "softmax"):
        method = with_alpha(stc(js_distribution=kind), [ROW] * 6)
        row = np.array(ROW) if kind == "weights" else np.exp(ROW)
        expected = np.mean([jensenshannon(np.eye(5)[k], row / row.sum()) ** 2 for k in sample])
        assert method.divergence(sample).item() == pytest.approx(expected, abs=1e-6)
    assert torch.isfinite(with_alpha(stc(), [[0.0] * 5] * 6).divergence(sample))


def test_eq_9_pulls_the_super_cell_to_its_sample():
    method = with_alpha(stc(), [ROW] * 6)
    sample = torch.tensor([1, 3, 0, 4, 2, 1])
    (gradient,) = torch.autograd.grad(method.divergence(sample), [method.alpha])
    chosen = one_hot(sample).bool()
    assert (gradient[chosen] < 0).all()  # descent raises what was sampled
    assert (gradient[~chosen] > 0).all()


def linear_loss(slope):
    """A validation loss whose gradient with respect to the weight of each active operation is `slope`."""

    def loss(mixture):
        weights = [mixture.weights[edge, op] for edge, ops in enumerate(mixture.active) for op in ops]
        return slope * torch.stack(weights).sum()

    return loss


@pytest.mark.parametrize("scale", ["alpha", "straight-through"])
def test_eq_3_and_5_weights(scale):
    method = with_alpha(stc(scale=scale), [ROW] * 6)
    method.begin_epoch(49, 50)
    mixture = method.weight_mixture()
    assert mixture.active == ((1,),) * 6
    if scale == "alpha":
        assert not mixture.weights.requires_grad
        assert torch.allclose(mixture.weights, torch.tensor([ROW] * 6))
    else:
        assert torch.equal(mixture.weights, torch.ones(6, 5))

    seen = []

    def loss(mixture):
        seen.append(mixture.weights.detach().clone())
        return linear_loss(1.0)(mixture)

    method.js_weight = 0.0
    method.alpha_step(Objective(loss))
    assert torch.allclose(seen[0][:, 1], torch.tensor(0.5 if scale == "alpha" else 1.0))
    assert method.alpha.grad[:, 1].tolist() == [1.0] * 6  # straight through: the same gradient
    assert method.alpha.grad[:, [0, 2, 3, 4]].abs().sum() == 0


@pytest.mark.parametrize("idle", ["held", "moves"])
def test_which_alphas_move(idle):
    method = with_alpha(stc(idle_alpha=idle), [ROW] * 6)
    method.begin_epoch(49, 50)  # no noise, lambda 2
    before = method.alpha.detach().clone()
    method.alpha_step(Objective(linear_loss(-1.0)))
    moved = method.alpha.detach() - before
    assert torch.allclose(moved[:, 1], torch.tensor(3e-4), atol=1e-6)  # Adam's first step is its learning rate
    others = moved[:, [0, 2, 3, 4]]
    if idle == "held":
        assert (others == 0).all()
    else:  # JS alone moves them, and Adam makes full steps of it
        assert torch.allclose(others, torch.tensor(-3e-4), atol=1e-6)


def test_alpha_stays_in_the_unit_interval():
    for slope, end in ((-1.0, 1.0), (1.0, 0.0)):
        method = stc(alpha_lr=0.3, idle_alpha="moves", lambda_end=0.0)
        method.begin_epoch(0, 2)
        for _ in range(200):
            method.alpha_step(Objective(linear_loss(slope)))
            assert method.alpha.min() >= 0
            assert method.alpha.max() <= 1
        assert (method.alpha == end).any()


def test_samples_are_shared_if_asked():
    for shared in (True, False):
        method = stc(share_sample=shared)
        method.begin_epoch(0, 50)
        pairs = []
        for _ in range(20):
            first = method.weight_mixture().active
            method.alpha_step(Objective(lambda m: pairs.append((first, m.active)) or linear_loss(1.0)(m)))  # noqa: B023
        assert all(a == b for a, b in pairs) is shared


def test_continued_state_is_the_same_state():
    one, other = stc(seed=1), stc(seed=2)
    for method in (one, other):
        method.begin_epoch(3, 50)
    for _ in range(5):
        one.alpha_step(Objective(linear_loss(0.3)))
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    other.generator.set_state(one.generator.get_state())
    for _ in range(5):
        one.alpha_step(Objective(linear_loss(0.3)))
        other.alpha_step(Objective(linear_loss(0.3)))
    assert torch.equal(one.alpha, other.alpha)
    assert one.snapshot()["alpha"] == other.snapshot()["alpha"]


@pytest.mark.parametrize(
    ("activation", "expected"), [("softmax", np.exp(ROW)), ("sigmoid", 1 / (1 + np.exp(-np.array(ROW))))]
)
def test_fig_6_other_functions_weigh_the_sample_and_make_the_distribution(activation, expected):
    method = with_alpha(stc(activation=activation), [ROW] * 6)
    method.begin_epoch(49, 50)  # no noise: the sample is the argmax
    expected = expected / expected.sum() if activation == "softmax" else expected
    np.testing.assert_allclose(method.weight_mixture().weights.numpy(), [expected] * 6, rtol=1e-6)
    distance = jensenshannon(np.eye(5)[1], expected / expected.sum()) ** 2
    assert method.divergence(method.sample()).item() == pytest.approx(distance, abs=1e-6)


@pytest.mark.parametrize("activation", ["relu", "softmax", "sigmoid"])
def test_only_relu_keeps_alpha_within_zero_and_one(activation):
    method = with_alpha(stc(activation=activation, alpha_lr=0.1), [[0.95] * 5] * 6)
    method.begin_epoch(0, 50)
    for _ in range(5):
        method.alpha_step(Objective(linear_loss(-1.0)))
    assert (method.alpha.max().item() > 1) is (activation != "relu")


@pytest.mark.parametrize("scale", ["alpha", "straight-through"])
def test_a_pair_is_the_two_largest_of_eq_5_instead_of_one(scale):
    method = with_alpha(stc(runs="pair", scale=scale, alpha_lr=0.1), [ROW, ROW[::-1], *[ROW] * 4])
    method.begin_epoch(49, 50)  # no noise
    mixture = method.weight_mixture()
    assert [sorted(ops) for ops in mixture.active] == [[1, 2], [2, 3], *[[1, 2]] * 4]
    counts = [0.50, 0.45] if scale == "alpha" else [0.5, 0.5]
    np.testing.assert_allclose(mixture.weights[0].numpy(), [0, *counts, 0, 0], rtol=1e-6)
    part, whole = np.array([0, 0.50, 0.45, 0, 0]) / 0.95, np.array(ROW) / sum(ROW)
    assert method.divergence(method.sample()).item() == pytest.approx(jensenshannon(part, whole) ** 2, abs=1e-6)
    before = method.alpha.detach().clone()
    method.alpha_step(Objective(linear_loss(1.0)))
    assert torch.equal(method.alpha != before, mixture.mask)  # two of an edge moved, the others did not
    assert method.alpha.isfinite().all()


def test_in_uniform_epochs_each_pair_is_equally_likely_and_counts_half_each():
    method = stc(runs="pair", uniform=0.5)
    method.begin_epoch(0, 50)
    mixtures = [method.weight_mixture() for _ in range(1000)]
    pairs = Counter(mixture.active[0] for mixture in mixtures)
    assert len(pairs) == 6 and chisquare(list(pairs.values())).pvalue > 1e-4  # of four, without none
    assert all(torch.equal(mixture.weights, 0.5 * mixture.mask) for mixture in mixtures)


def test_the_super_cell_is_all_operations_weighed_by_eq_3():
    method = with_alpha(stc(), [ROW] * 6)
    whole = method.super_cell()
    assert whole.active == (tuple(range(5)),) * 6
    np.testing.assert_allclose(whole.weights.detach().numpy(), [ROW] * 6)


def test_without_cell_consistency_everything_runs_and_all_alpha_moves():
    method = with_alpha(stc(runs="super-cell"), [ROW] * 6)
    method.begin_epoch(0, 50)
    before = method.alpha.detach().clone()
    assert method.weight_mixture().active == (tuple(range(5)),) * 6
    seen = []
    method.alpha_step(Objective(lambda mixture: seen.append(mixture) or mixture.weights.sum()))
    assert seen[0].active == (tuple(range(5)),) * 6
    assert (method.alpha.detach() != before).all()
