"""The weight-sharing methods since 2020, each against its authors' formulas, and what they ask of the engine."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from objectives import Objective
from scipy.stats import chisquare, kstest
from test_methods import TINY, make, search, with_alpha
from torch.distributions import Dirichlet, kl_divergence

import nasbench_stc
from nasbench_stc import Cell
from nasbench_stc.methods.base import Rating
from nasbench_stc.methods.beta_darts import BetaDARTS
from nasbench_stc.methods.darts_minus import DARTSMinus
from nasbench_stc.methods.darts_pt import OPEN, DartsPT
from nasbench_stc.methods.drnas import DrNAS, dirichlet, from_uniform
from nasbench_stc.methods.duel import Duel
from nasbench_stc.methods.duel_ls import DuelLS
from nasbench_stc.methods.elimination import Elimination
from nasbench_stc.methods.evolution import EvolutionSettings, evolved
from nasbench_stc.methods.fairnas import FairNAS
from nasbench_stc.methods.few_shot import FewShot
from nasbench_stc.methods.gaea import GAEA
from nasbench_stc.methods.gdas import gumbel_softmax
from nasbench_stc.methods.paired_twins import PairedTwins
from nasbench_stc.methods.selection import by_removal
from nasbench_stc.methods.spos import SPOS
from nasbench_stc.methods.twins import Twins
from nasbench_stc.models import Mixture
from nasbench_stc.settings import changed
from nasbench_stc.space import NONE, OPS, SKIP, find_space

ALL = ((0, 1, 2, 3, 4),) * 6


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


# DrNAS


def test_a_dirichlet_draw_and_its_gradient_are_torchs():
    concentration = torch.rand(6, 5, generator=generator(), dtype=torch.float64) * 3 + 0.05
    towards = torch.randn(6, 5, generator=generator(1), dtype=torch.float64)
    found = []
    for draw in (lambda c: dirichlet(c, generator(2)), lambda c: Dirichlet(c).rsample()):
        torch.manual_seed(2)
        own = concentration.clone().requires_grad_()
        drawn = draw(own)
        found.append((drawn, *torch.autograd.grad((drawn * towards).sum(), own)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_mean_of_pathwise_gradients_is_the_gradient_of_the_mean():
    """E[theta_k²] = c_k (c_k + 1) / (c (c + 1)), c the sum: its derivative in closed form against 200,000 draws."""
    concentration = torch.tensor([0.4, 1.0, 2.5, 1.0, 0.7], dtype=torch.float64)
    rows = concentration.repeat(200_000, 1).requires_grad_()
    (found,) = torch.autograd.grad(dirichlet(rows, generator())[:, 2].square().mean(), rows)
    exact = concentration.clone().requires_grad_()
    total = exact.sum()
    (expected,) = torch.autograd.grad(exact[2] * (exact[2] + 1) / (total * (total + 1)), exact)
    np.testing.assert_allclose(found.sum(dim=0), expected, atol=1e-3)


def test_the_divergence_from_the_flat_dirichlet_is_torchs():
    concentration = torch.rand(6, 5, generator=generator(), dtype=torch.float64) * 4 + 0.01
    expected = kl_divergence(Dirichlet(concentration), Dirichlet(torch.ones_like(concentration)))
    torch.testing.assert_close(from_uniform(concentration), expected)
    torch.testing.assert_close(from_uniform(torch.ones(6, 5)), torch.zeros(6), atol=1e-5, rtol=0)


def test_drnas_draws_around_elu_of_alpha_plus_one():
    method = with_alpha(make(DrNAS), torch.tensor([[-0.5, 0.0, 1.0, 2.0, -2.0]] * 6))
    expected = torch.tensor([math.exp(-0.5), 1.0, 2.0, 3.0, math.exp(-2.0)])
    torch.testing.assert_close(method.concentration()[0].detach(), expected)
    drawn = torch.stack([method.weight_mixture().weights for _ in range(2000)])
    torch.testing.assert_close(drawn.sum(dim=2), torch.ones(2000, 6))
    np.testing.assert_allclose(drawn.mean(dim=(0, 1)), expected / expected.sum(), atol=0.01)
    assert method.mixture().active == ALL and method.cell() == Cell((3,) * 6)


def test_drnas_holds_on_to_the_start_in_either_way():
    """Where the loss says nothing, alpha goes back to zero."""
    for own in ({"anchor": "l2"}, {"anchor": "kl", "alpha_weight_decay": 0.0}):
        method = with_alpha(make(DrNAS, alpha_lr=0.01, **own), torch.full((6, 5), 0.7))
        assert len(method.terms()) == (own["anchor"] == "kl")
        for _ in range(50):
            method.alpha_step(Objective(lambda mixture: 0 * mixture.weights.sum()))
        assert method.alpha.abs().max() < 0.5


# beta-DARTS and DARTS-


def test_beta_decay_is_logsumexp_whose_gradient_is_softmax():
    alpha = torch.randn(6, 5, generator=generator())
    method = with_alpha(make(BetaDARTS), alpha)
    weights = []
    for epoch in (0, 50, 99, 100):
        method.begin_epoch(epoch, 101)
        (term,) = method.terms()
        weights.append(method.snapshot()["decay"])
        (gradient,) = torch.autograd.grad(term, method.alpha)
        torch.testing.assert_close(gradient, weights[-1] * alpha.softmax(dim=1) / 6, check_dtype=False)
    assert weights == pytest.approx([0, 25, 49.5, 50])  # the authors' 50 · epoch / 100


def test_beta_decay_adds_to_the_loss_in_the_alpha_step():
    """Against Adam on the sum of both, written out."""
    alpha, towards = torch.randn(6, 5, generator=generator()), torch.randn(6, 5, generator=generator(1))
    method = with_alpha(make(BetaDARTS), alpha)
    method.begin_epoch(7, 20)
    plain = alpha.clone().requires_grad_()
    adam = torch.optim.Adam([plain], 3e-4, (0.5, 0.999), weight_decay=1e-3)
    for _ in range(5):
        method.alpha_step(Objective(lambda mixture: (mixture.weights * towards).sum()))
        weights = plain.exp() / plain.exp().sum(dim=1, keepdim=True)
        adam.zero_grad()
        ((weights * towards).sum() + 50 * 7 / 19 * plain.exp().sum(dim=1).log().mean()).backward()
        adam.step()
    torch.testing.assert_close(method.alpha, plain)


def test_the_auxiliary_skip_adds_the_edges_input(double):
    """DARTS-'s output in the supernet is DARTS's with beta · x beside every edge."""
    s = search(DARTSMinus, alpha_init=1.0)
    s.supernet.double()
    images = torch.randn(4, 3, 8, 8)
    betas = []
    for epoch in range(3):
        s.method.begin_epoch(epoch, 3)
        betas.append(s.method.snapshot()["beta"])
        weights = s.method.alpha.detach().double().softmax(dim=1)
        mixture = Mixture.full(s.method.mixture().weights.detach().double())
        ours = s.supernet(images, mixture)
        with_twin = weights.clone()
        with_twin[:, OPS.index("skip_connect")] += betas[-1]
        torch.testing.assert_close(ours, s.supernet(images, Mixture.full(with_twin)), rtol=1e-5, atol=1e-6)
    assert betas == [1.0, 0.5, 0.0] and SKIP == 1
    assert make(DARTSMinus, skip_start=0.0).mixture().weights.sum().item() == pytest.approx(6)


# GAEA


def test_gaea_multiplies_by_the_exponential_of_the_gradient():
    gradient = torch.randn(6, 5, generator=generator())
    method = make(GAEA, none=True)
    for _ in range(30):
        method.alpha_step(Objective(lambda mixture: (mixture.weights * gradient).sum()))
    expected = (-0.1 * 30 * gradient).softmax(dim=1)  # of a linear loss the steps add up
    torch.testing.assert_close(method.alpha.detach(), expected)


def test_gaea_leaves_none_out():
    for runs in ("all", "path"):
        method = make(GAEA, runs=runs, entropy=0.01, theta_lr=5.0)
        towards_none = torch.zeros(6, 5)
        towards_none[:, NONE] = -1.0
        for _ in range(20):
            method.alpha_step(Objective(lambda mixture: (mixture.weights * towards_none).sum()))  # noqa: B023
            assert NONE not in method.weight_mixture().active[0] or runs == "all"
        assert torch.equal(method.alpha[:, NONE], torch.zeros(6))
        torch.testing.assert_close(method.alpha.sum(dim=1), torch.ones(6))
        assert NONE not in method.cell().ops


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 50), st.sampled_from(["all", "path"]), st.booleans())
def test_gaea_stays_on_the_simplex(seed, lr, runs, none):
    method = make(GAEA, seed, runs=runs, theta_lr=lr, none=none, entropy=0.01)
    towards = 10 * torch.randn(6, 5, generator=generator(seed))
    for epoch in range(3):
        method.begin_epoch(epoch, 3)
        for _ in range(5):
            method.alpha_step(Objective(lambda mixture: (mixture.weights * towards).sum()))
    assert method.alpha.isfinite().all() and (method.alpha >= 0).all()
    torch.testing.assert_close(method.alpha.sum(dim=1), torch.ones(6))
    assert (method.alpha[:, 1:] > 0).all()  # nothing that competes is lost for good


def test_gaea_of_paths_draws_as_gdas_from_the_logarithm_of_theta():
    method = with_alpha(make(GAEA, runs="path", none=True), torch.tensor([[0.1, 0.2, 0.3, 0.15, 0.25]] * 6))
    method.tau.fill_(0.5)
    state = method.generator.get_state()
    mixture = method.mixture()
    (ours,) = torch.autograd.grad(mixture.weights.square().sum(), method.alpha)
    method.generator.set_state(state)
    soft = gumbel_softmax(method.alpha.log(), method.tau, method.generator)
    hard = F.one_hot(soft.argmax(dim=1), 5) - soft.detach() + soft
    (theirs,) = torch.autograd.grad(hard.square().sum(), method.alpha)
    torch.testing.assert_close(ours, theirs)
    drawn = np.array([method.weight_mixture().active for _ in range(2000)]).reshape(-1)
    expected = 12_000 * method.alpha[0].detach().double().numpy()
    assert chisquare(np.bincount(drawn, minlength=5), expected * 12_000 / expected.sum()).pvalue > 1e-3


# DARTS-PT


def misses(cell):
    """A rating of mixtures: ten percent less for each edge on which `cell`'s operation is not among what runs."""

    def rate(mixtures, n_images=0):
        lost = [sum(op not in ops for op, ops in zip(cell.ops, m.active, strict=True)) for m in mixtures]
        return Rating(np.zeros(len(lost)), 90 - 10.0 * np.array(lost))

    return rate


def test_what_accuracy_misses_most_stays():
    wanted = Cell((3, 0, 4, 1, 2, 3))
    method, decided = make(DartsPT, selecting=0.3), []
    for epoch in range(20):
        method.begin_epoch(epoch, 20)
        method.end_epoch(misses(wanted), None)
        decided.append(int((method.chosen != OPEN).sum()))
    assert decided == [0] * 13 + [1, 2, 3, 4, 5, 6, 6]
    assert method.cell() == wanted
    assert method.mixture().active == tuple((op,) for op in wanted.ops)
    assert method.mixture().weights[range(6), wanted.ops].tolist() == [1.0] * 6
    assert len({tuple(make(DartsPT, seed).order.tolist()) for seed in range(20)}) > 10


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.floats(0, 1))
def test_every_edge_is_decided_by_the_end(epochs, selecting):
    method, wanted = make(DartsPT, selecting=selecting), Cell((1, 2, 3, 4, 0, 1))
    before = 0
    for epoch in range(epochs):
        method.begin_epoch(epoch, epochs)
        method.end_epoch(misses(wanted), None)
        assert before <= method.due <= 6
        before = method.due
    assert method.cell() == wanted


def test_in_dartss_space_inputs_are_those_without_which_accuracy_falls_most():
    """There `none` is not chosen, and of a node's inputs two are kept, by what the supernet misses without them."""
    ops, kept = [1 + edge % 7 for edge in range(28)], {0, 1, 3, 4, 5, 8, 10, 12, 14, 15, 17, 18, 19, 22, 24, 26}

    def rate(mixtures, n_images=0):
        gone = [next(e for e, active in enumerate(m.active) if ops[e] not in active) for m in mixtures]
        return Rating(np.zeros(len(gone)), np.array([40.0 if edge in kept else 60.0 for edge in gone]))

    cell = by_removal(ops, find_space("darts"), rate, 0)
    assert {edge for edge, op in enumerate(cell.ops) if op} == kept
    assert all(cell.ops[edge] == ops[edge] for edge in kept)
    found = nasbench_stc.search(
        "darts_pt", dataset="digits", protocol="smoke", device="cpu", space="darts", select_images=8
    )
    assert 0 not in found.trajectory[-1]["chosen"]


def test_taking_an_operation_away_leaves_the_others_as_they_are():
    weights = torch.rand(6, 5, generator=generator())
    less = Mixture.full(weights).without(2, 3)
    assert less.active == (*ALL[:2], (0, 1, 2, 4), *ALL[3:])
    assert torch.equal(less.weights, weights)


def test_equally_missed_operations_are_told_apart_by_loss():
    method = make(DartsPT)
    method.begin_epoch(9, 10)
    loss = np.array([0.5, 0.9, 0.7, 0.1, 0.2])
    method.end_epoch(lambda mixtures, n_images=0: Rating(loss, np.full(5, 50.0)), None)
    assert method.cell() == Cell((1,) * 6)


def test_few_shot_begins_with_a_common_supernet() -> None:
    for values in ({"epochs": 1}, {"common": 0.0}):
        assert nasbench_stc.search("few_shot", dataset="digits", protocol="smoke", device="cpu", **values).cell


# SPOS and FairNAS


def closeness(cells, n_images=0):
    """The share of edges on which a cell is 310423."""
    hits = np.array([sum(a == b for a, b in zip(cell.ops, (3, 1, 0, 4, 2, 3), strict=True)) for cell in cells])
    closeness.asked.append(list(cells))
    return Rating(1 - hits / 6, hits * 100 / 6)


def test_evolution_finds_the_best_rated_cell_and_rates_none_twice():
    closeness.asked = []
    found = evolved(closeness, EvolutionSettings(), np.random.default_rng(0))
    asked = [cell for cells in closeness.asked for cell in cells]
    assert found.digits == "310423"
    assert len(asked) == len(set(asked)) == 20 * 50
    means = [np.mean(closeness(cells).accuracy) for cells in closeness.asked[:20]]
    assert means[-1] > means[0] + 4


def test_evolution_is_better_than_as_many_random_cells():
    wins = 0
    for seed in range(10):
        closeness.asked = []
        few = EvolutionSettings(generations=5, population=10, mutations=5, crossovers=5)
        found = closeness([evolved(closeness, few, np.random.default_rng(seed))]).accuracy[0]
        rng = np.random.default_rng(1000 + seed)
        wins += found >= closeness([Cell(tuple(rng.integers(5, size=6))) for _ in range(50)]).accuracy.max()
    assert wins >= 7


def test_evolution_ends_where_everything_is_rated():
    """More cells asked for than there are new ones among parents' children."""
    closeness.asked = []
    few = EvolutionSettings(generations=3, population=4, mutations=4, crossovers=0, mutation_rate=0.0)
    assert evolved(closeness, few, np.random.default_rng(0)) in closeness.asked[0] + closeness.asked[1]


def test_spos_draws_uniform_paths_and_asks_for_its_images():
    method, seen = make(SPOS, select_images=77), set()
    drawn = np.array([method.weight_mixture().active for _ in range(2000)])[:, :, 0]
    assert min(chisquare(np.bincount(drawn[:, edge], minlength=5)).pvalue for edge in range(6)) > 1e-4
    closeness.asked = []
    found = method.result(lambda cells, n_images: seen.add(n_images) or closeness(cells))
    assert (found.digits, seen) == ("310423", {77})
    assert method.cell() is None


def test_fairnas_takes_each_operation_of_each_edge_once():
    method = make(FairNAS)
    first = []
    for _ in range(500):
        paths = np.array([mixture.active for mixture in method.weight_mixtures()])[:, :, 0]
        assert (np.sort(paths, axis=0) == np.arange(5)[:, None]).all()
        first.append(paths[0])
    counts = [np.bincount(np.array(first)[:, edge], minlength=5) for edge in range(6)]
    assert min(chisquare(count).pvalue for count in counts) > 1e-4


@pytest.mark.parametrize("form", ["plan", "static"])
def test_a_step_of_several_mixtures_is_one_step_along_the_sum_of_their_gradients(double, form):
    protocol = changed(TINY, {"form": form, "grad_clip": 0.5, "weight_decay": 0.01, "precision": "float64"})
    s, twin = (search(FairNAS, 1, protocol) for _ in range(2))
    optimizer = torch.optim.SGD(twin.supernet.parameters(), 0.1, 0.9, weight_decay=0.01)
    for step in range(3):
        x, y = s.train.plain(torch.arange(8 * step, 8 * step + 8))
        batch = x.double(), y
        mixtures = s.method.weight_mixtures()
        loss = s.form.train(batch, mixtures)
        losses = [F.cross_entropy(twin.supernet(batch[0], mixture), batch[1]) for mixture in mixtures]
        optimizer.zero_grad()
        sum(losses).backward()
        # Both convolutions of the edge from input to output learn in every step; behind `none` others may not.
        assert all(conv.weight.grad is not None for conv in convolutions(twin, edge=3))
        torch.nn.utils.clip_grad_norm_(twin.supernet.parameters(), 0.5)
        optimizer.step()
        torch.testing.assert_close(loss, sum(losses).detach() / 5)
        for ours, theirs in zip(s.supernet.parameters(), twin.supernet.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


# Few-shot NAS


def test_parts_start_from_the_common_weights_and_train_their_own_operation():
    protocol = changed(TINY, {"epochs": 11, "steps": 6})
    s = search(FewShot, 2, protocol, common=1 / 11, generations=2, population=20)
    first = [conv.weight.detach().clone() for conv in convolutions(s, edge=0)]
    s.run_epoch()
    common = [conv.weight.detach().clone() for conv in convolutions(s, edge=0)]
    assert not any(torch.equal(a, b) for a, b in zip(first, common, strict=True))
    trained = []
    for _ in range(10):  # two turns for each of the five
        before = [conv.weight.detach().clone() for conv in convolutions(s, edge=0)]
        turn = s.epoch - 1
        s.method.end_epoch, end = (lambda rate, weights: None), s.method.end_epoch
        s.run_epoch()
        after = [conv.weight for conv in convolutions(s, edge=0)]
        trained.append([not torch.equal(a, b) for a, b in zip(before, after, strict=True)])
        s.method.end_epoch = end
        s.method.end_epoch(s.rate, weights_of(s))
        if turn < 4:  # the next one has not had its turn: it starts from the common weights
            now = [conv.weight for conv in convolutions(s, edge=0)]
            assert all(torch.equal(a, b) for a, b in zip(now, common, strict=True))
    by_op = {OPS.index("nor_conv_1x1"): [True, False], OPS.index("nor_conv_3x3"): [False, True]}
    assert trained == [by_op.get(turn % 5, [False, False]) for turn in range(10)]
    parts = [s.method.parts[op]["supernet"]["stem.0.weight"] for op in range(5)]
    assert all(not torch.equal(a, b) for number, a in enumerate(parts) for b in parts[:number])


def convolutions(s, edge):
    """Those of an edge of the first cell: 1x1, 3x3."""
    return [s.supernet.blocks[0].edges[edge][name][1] for name in ("nor_conv_1x1", "nor_conv_3x3")]


def weights_of(s):
    from nasbench_stc.engine.loop import _Weights

    return _Weights(s)


def test_a_cell_is_rated_in_the_part_that_has_its_operation():
    method = make(FewShot, generations=2, population=30, mutations=10, crossovers=10, edge=3)
    now, seen = [], []
    weights = SimpleNamespace(copy=lambda: {"of": "last"}, restore=lambda kept: now.append(kept["of"]))

    def rate(cells, n_images):
        seen.append((now[-1], {cell.ops[3] for cell in cells}))
        return Rating(np.zeros(len(cells)), np.array([float(cell.index) for cell in cells]))

    method.begin_epoch(9, 10)
    method.turn = 4
    method.parts = {op: {"of": op} for op in range(5)}
    method.end_epoch(rate, weights)
    assert all(ops == {4 if of == "last" else of} for of, ops in seen) and len({of for of, _ in seen}) == 5
    assert now[-1] in (method.found.ops[3], "last") and method.result(None) == method.cell() == method.found


# What the engine lends


@pytest.mark.parametrize("form", ["plan", "static"])
def test_weights_that_are_put_back_go_on_as_before(form):
    s = search(SPOS, 3, changed(TINY, {"form": form}))
    paths = [[Mixture.path(torch.randint(5, (6,), generator=generator(n)))] for n in range(6)]

    def train(which):
        for number in which:
            s.form.train(s.train.plain(torch.arange(8)), paths[number])
        return [p.detach().clone() for p in s.supernet.parameters()]

    train(range(3))
    kept = weights_of(s).copy()
    first = train(range(3, 6))
    for _ in range(2):  # the second time shows that the first one left alone what was kept
        train(range(3))
        weights_of(s).restore(kept)
        again = train(range(3, 6))
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_path_is_rated_alike_as_a_cell_and_as_a_mixture():
    s = search(SPOS)
    cells = [Cell.from_index(index) for index in (0, 77, 9930)]
    as_cells, as_mixtures = s.rate(cells, 32), s.rate([Mixture.path(cell) for cell in cells], 32)
    np.testing.assert_allclose(as_cells.loss, as_mixtures.loss, rtol=1e-5)
    np.testing.assert_array_equal(as_cells.accuracy, as_mixtures.accuracy)


# Duel


def test_two_operations_of_an_edge_meet_with_weights_that_sum_to_one():
    for none in (True, False):
        method, met = make(Duel, none=none), []
        for _ in range(1500):
            mixture = method.weight_mixture()
            met.append(mixture.active)
            assert torch.equal(mixture.mask, mixture.weights > 0)
        torch.testing.assert_close(mixture.weights.sum(dim=1), torch.ones(6))
        pairs = {pair: sum(active[2] == pair for active in met) for pair in {active[2] for active in met}}
        assert len(pairs) == (10 if none else 6) and chisquare(list(pairs.values())).pvalue > 1e-4
        assert none or not any(NONE in ops for active in met for ops in active)


def test_the_leader_meets_any_other():
    method = with_alpha(make(Duel, pairs="leader"), torch.tensor([[0.1, 0.0, 0.3, 0.2, 0.0]] * 6))
    others = [next(op for op in ops if op != 2) for _ in range(500) for ops in method.weight_mixture().active]
    assert set(others) == {0, 1, 3, 4} and chisquare(np.bincount(others, minlength=5)[[0, 1, 3, 4]]).pvalue > 1e-4
    with torch.no_grad():
        method.alpha[:, NONE] = 9.0
    assert method.cell() == Cell((0,) * 6)
    without_none = with_alpha(make(Duel, none=False), method.alpha)
    assert without_none.cell() == Cell((2,) * 6)


def test_weights_of_two_are_those_of_all_five_divided_by_their_sum():
    """Dirichlet distributions are neutral: the means and variances of both ways agree, over 100,000 draws."""
    concentration = torch.tensor([0.5, 1.0, 2.0, 0.8, 1.5])
    whole = dirichlet(concentration.repeat(100_000, 1), generator())[:, [1, 2]]
    of_two = dirichlet(concentration[[1, 2]].repeat(100_000, 1), generator(1))
    share = whole[:, 0] / whole.sum(dim=1)
    np.testing.assert_allclose(share.mean(), of_two[:, 0].mean(), atol=0.005)
    np.testing.assert_allclose(share.var(), of_two[:, 0].var(), atol=0.003)


def test_a_duel_moves_what_met_towards_the_better_one():
    method = make(Duel, alpha_lr=0.01)
    for _ in range(400):
        method.alpha_step(Objective(lambda mixture: -(mixture.weights * torch.arange(5.0)).sum()))
    assert method.cell() == Cell((4,) * 6)
    assert (method.alpha.diff(dim=1) > 0).all()  # the whole order is found


# Twins


def test_twins_differ_in_one_operation_and_are_compared_on_the_same_images():
    method, asked = with_alpha(make(Twins), torch.randn(6, 5, generator=generator())), []
    moved = []
    method.update = moved.append
    for step in range(600):
        losses = iter([torch.tensor(3.0 + step), torch.tensor(1.0)])
        found = method.alpha_step(Objective(lambda mixture: asked.append(mixture.active) or next(losses)))  # noqa: B023
        assert found == (4 + step) / 2
        (edge,) = [e for e in range(6) if asked[-1][e] != asked[-2][e]]
        expected = torch.zeros(6, 5)
        expected[edge, asked[-2][edge][0]] = (2 + step) / 2
        expected[edge, asked[-1][edge][0]] = -(2 + step) / 2
        assert torch.equal(moved[-1], expected)
    edges = [next(e for e in range(6) if a[e] != b[e]) for a, b in zip(asked[::2], asked[1::2], strict=True)]
    assert chisquare(np.bincount(edges, minlength=6)).pvalue > 1e-4


def test_the_mean_of_twins_comparisons_is_the_advantage():
    """Of a loss that is a table over two edges: against the sum over all paths, written out."""
    table = torch.randn(5, 5, generator=generator(), dtype=torch.float64)
    method, total = with_alpha(make(Twins), torch.randn(6, 5, generator=generator(1))), torch.zeros(6, 5)
    method.update = total.add_
    steps = 40_000
    for _ in range(steps):
        method.alpha_step(Objective(lambda mixture: table[mixture.active[0][0], mixture.active[1][0]]))
    expected_loss = table @ method.alpha[1].detach().double().softmax(0)  # of each operation on edge 0
    advantage = expected_loss - expected_loss.mean()
    # One edge of six, two operations of five, half of the difference from the mean of the other four.
    share = 1 / 6 * 2 / 5 * 1 / 2 * 5 / 4
    np.testing.assert_allclose(total[0] / steps / share, advantage, atol=0.1)
    assert np.corrcoef(total[0], advantage)[0, 1] > 0.98
    np.testing.assert_allclose(total[2:].abs().max(), 0, atol=1e-9)  # what changes nothing does not move


def test_twins_finds_the_best_cell_of_an_additive_loss_and_narrows():
    method = make(Twins, alpha_lr=0.02)
    gain = torch.randn(6, 5, generator=generator(3))
    for _ in range(3000):
        method.alpha_step(Objective(lambda mixture: -gain[mixture.mask].sum()))
    assert method.cell() == Cell(tuple(gain.argmax(dim=1).tolist()))
    drawn = [method.weight_mixture().active for _ in range(100)]
    assert sum(active == tuple((op,) for op in method.cell().ops) for active in drawn) > 50


# Paired twins


def test_weights_of_paired_twins_train_on_two_operations_drawn_without_replacement():
    alpha = torch.randn(6, 5, generator=generator())
    method = with_alpha(make(PairedTwins), alpha)
    mixtures = [method.weight_mixture() for _ in range(4000)]
    assert all(len(ops) == 2 for mixture in mixtures[:100] for ops in mixture.active)
    weights = torch.stack([mixture.weights for mixture in mixtures])
    assert not weights.requires_grad
    np.testing.assert_allclose(weights.sum(dim=2), 1, atol=1e-6)
    assert torch.equal(weights != 0, torch.stack([mixture.mask for mixture in mixtures]))
    first = alpha.softmax(dim=1).double()
    expected = first.clone()  # chance to be among the two: drawn first, or after another one
    for other in range(5):
        after = first[:, [other]] * first / (1 - first[:, [other]])
        after[:, other] = 0
        expected += after
    np.testing.assert_allclose((weights != 0).double().mean(dim=0), expected, atol=0.04)
    larger = weights.amax(dim=2).flatten()  # of a share that is uniform in [0, 1]
    assert kstest(larger.numpy(), "uniform", (0.5, 0.5)).pvalue > 1e-4


def test_alpha_of_paired_twins_is_told_what_twins_tell():
    losses = torch.rand(40, generator=generator())
    told = []
    for kind in (Twins, PairedTwins):
        method, each = make(kind), iter(losses)
        found = [method.alpha_step(Objective(lambda mixture: next(each))).item() for _ in range(20)]  # noqa: B023
        told.append((found, method.alpha.tolist()))
    assert told[0] == told[1]


# Elimination


def rated(loss):
    """A `Rate` of cells by a function of their operations; `asked` has how many each call was about."""

    def rate(cells, n_images=0):
        rate.asked.append(len(cells))
        return Rating(np.array([loss(cell.ops) for cell in cells]), np.zeros(len(cells)))

    rate.asked = []
    return rate


def eliminated(method, rate, epochs=10):
    """Its epochs without a supernet; how many operations were left after each."""
    left = []
    for epoch in range(epochs):
        method.begin_epoch(epoch, epochs)
        method.end_epoch(rate, SimpleNamespace())
        left.append(int((method.dropped == 0).sum()))
    return left


def test_elimination_finds_the_best_cell_of_an_additive_loss():
    gain = torch.randn(6, 5, generator=generator(3)).numpy()
    method = make(Elimination, first=0.5)
    assert method.cell() is None
    rate = rated(lambda ops: -sum(gain[edge, op] for edge, op in enumerate(ops)))
    assert eliminated(method, rate) == [30] * 5 + [26, 21, 16, 11, 6]  # 24 operations go, evenly from the middle on
    assert method.cell() == Cell(tuple(gain.argmax(axis=1).tolist()))
    assert sorted(method.dropped.flatten().tolist()) == [0] * 6 + list(range(1, 25))


def test_elimination_drops_what_is_furthest_behind_the_best_of_its_edge():
    gain = np.zeros((6, 5))
    gain[2, 3], gain[4, 0] = -2, 5  # in the fourth edge's company 5 stands out, and the other four are 5 behind it
    method = make(Elimination, first=1.0, rated_cells=5000)
    eliminated(method, rated(lambda ops: -sum(gain[edge, op] for edge, op in enumerate(ops))), epochs=1)
    dropped = method.dropped.numpy()
    assert set(dropped[4]) == {0, 1, 2, 3, 4} and dropped[4, 0] == 0
    assert dropped[2, 3] == 5


def test_elimination_is_not_misled_by_cells_that_what_was_dropped_breaks():
    """Skip alone bears a `none` on the other edge, so its mean over all cells is best; without `none` it is worse."""

    def loss(ops):
        broken = 0.0 if ops[0] == SKIP else 3.0
        return broken if ops[1] == NONE else 1.0 if ops[0] == SKIP else 0.5 + 0.1 * ops[0] + 0.01 * ops[1]

    means = [np.mean([loss((op, other)) for other in range(5)]) for op in range(5)]
    assert np.argmin(means) == SKIP
    method = make(Elimination, first=1.0, rated_cells=1000)
    eliminated(method, rated(loss), epochs=1)
    assert method.cell().ops[:2] == (0, 1)


def test_ratings_serve_as_long_as_all_operations_of_their_cells_are_left():
    method, rate = make(Elimination, first=1.0), rated(lambda ops: float(sum(ops)))
    eliminated(method, rate, epochs=1)
    assert rate.asked[0] == 200 and len(rate.asked) == 24
    assert sum(rate.asked) < 2400  # of 4,800, if each operation took new ones


def test_weights_of_elimination_train_on_two_operations_that_are_left():
    method = make(Elimination)
    method.dropped[0, 1:4] = torch.tensor([1.0, 2.0, 3.0])
    method.dropped[1] = torch.tensor([4.0, 5.0, 0.0, 6.0, 7.0])
    mixtures = [method.weight_mixture() for _ in range(3000)]
    assert {mixture.active[0] for mixture in mixtures} == {(0, 4)}
    assert all(mixture.active[1] == (2,) and mixture.weights[1, 2] == 1 for mixture in mixtures)
    pairs = [mixture.active[2] for mixture in mixtures]
    assert chisquare([pairs.count(pair) for pair in {*pairs}]).pvalue > 1e-4 and len({*pairs}) == 10
    weights = torch.stack([mixture.weights for mixture in mixtures])
    np.testing.assert_allclose(weights.sum(dim=2), 1, atol=1e-6)
    assert kstest(weights[:, 0, 0].numpy(), "uniform").pvalue > 1e-4
    assert all(len(ops) == 1 for ops in make(Elimination, weights="paths").weight_mixture().active)


# Duel-LS


def test_duel_ls_climbs_from_the_cell_that_alpha_stands_for():
    """By accuracies, and among equals by losses: the largest cell's best neighbour is a step away, and its one more."""
    best = {(3, 3, 3, 1, 3, 3): (60.0, 2.0), (3, 3, 3, 1, 2, 3): (60.0, 1.0), (0, 0, 0, 0, 0, 0): (90.0, 0.0)}
    asked = []

    def rate(cells, n_images=0):
        asked.append(([cell.ops for cell in cells], n_images))
        found = [best.get(cell.ops, (50.0, 3.0)) for cell in cells]
        return Rating(np.array([loss for _, loss in found]), np.array([accuracy for accuracy, _ in found]))

    alpha = torch.zeros(6, 5)
    alpha[:, 3] = 1
    method = with_alpha(make(DuelLS), alpha)
    assert method.cell() == Cell((3,) * 6)
    assert method.result(rate) == Cell((3, 3, 3, 1, 2, 3))
    assert [len(cells) for cells, _ in asked] == [25, 20, 19] and {images for _, images in asked} == {4096}
    assert len({ops for cells, _ in asked for ops in cells}) == 64  # each cell is rated once
    for moves, end in ((1, (3, 3, 3, 1, 3, 3)), (2, (3, 3, 3, 1, 2, 3)), (9, (3, 3, 3, 1, 2, 3))):
        assert with_alpha(make(DuelLS, moves=moves), alpha).result(rate) == Cell(end)


def test_in_uniform_epochs_duels_have_weights_that_are_equally_likely():
    method = make(Duel, uniform=0.5, alpha_init=0.0)
    method.begin_epoch(0, 10)
    mixtures = [method.weight_mixture() for _ in range(2000)]
    assert not method.learns and all(len(ops) == 2 for mixture in mixtures for ops in mixture.active)
    first = [mixture.weights[0, mixture.active[0][0]].item() for mixture in mixtures]
    assert kstest(first, "uniform").pvalue > 1e-4


def test_in_duel_ls_none_has_no_duels():
    method = make(DuelLS)
    assert all(NONE not in ops for _ in range(200) for ops in method.weight_mixture().active)
