"""The weight-sharing baselines: each against its equations, and all as what a method has to be."""

import ast
import copy
import math
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import plain
import pytest
import torch
import torch.nn.functional as F
from objectives import Objective
from scipy.stats import chisquare
from torch import nn

from nasbench_stc import Cell, methods
from nasbench_stc.data.images import DeviceImages, Images
from nasbench_stc.engine.loop import Search
from nasbench_stc.engine.protocol import PROTOCOLS, Protocol
from nasbench_stc.errors import MethodError
from nasbench_stc.methods.base import OneShotMethod, Rating
from nasbench_stc.methods.darts import DARTS, DARTS2
from nasbench_stc.methods.enas import ENAS
from nasbench_stc.methods.gdas import GDAS, gumbel_softmax
from nasbench_stc.methods.rsps import RSPS
from nasbench_stc.methods.selection import select
from nasbench_stc.methods.setn import SETN
from nasbench_stc.methods.snas import SNAS
from nasbench_stc.models import Mixture, Supernet
from nasbench_stc.settings import changed
from nasbench_stc.space import EDGES, NONE, OPS, all_cells

TINY = Protocol(channels=4, cells_per_stage=1, epochs=3, steps=4, batch_size=8, lr=0.1)
CPU = torch.device("cpu")


def images(seed=0, n=50):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, 3, 8, 8), dtype=np.uint8)
    return DeviceImages(Images(pixels, rng.integers(0, 10, n), (120.0,) * 3, (60.0,) * 3, 1), CPU)


def make(method_class, seed=0, **settings):
    return method_class(changed(method_class.Settings(), settings), torch.Generator().manual_seed(seed))


def search(method_class, seed=0, protocol=TINY, **settings):
    chosen = changed(method_class.Settings(), settings)
    return Search(lambda g: method_class(chosen, g), protocol, images(0), images(1), 10, seed)


def with_alpha(method, rows):
    with torch.no_grad():
        method.alpha.copy_(torch.as_tensor(rows))
    return method


# DARTS


def test_darts_mixes_by_softmax():
    method = with_alpha(make(DARTS), torch.randn(6, 5))
    mixture = method.weight_mixture()
    assert mixture.active == ((0, 1, 2, 3, 4),) * 6
    assert not mixture.weights.requires_grad
    torch.testing.assert_close(mixture.weights, method.alpha.detach().softmax(dim=1))


def test_dartss_mixture_in_the_supernet_is_the_plain_sum_over_all_edges_and_operations():
    torch.manual_seed(4)
    network = Supernet(4, 2, 10).train()
    x, y = torch.randn(16, 3, 8, 8), torch.randint(0, 10, (16,))
    method = make(DARTS, alpha_init=1.0)
    tensors = [method.alpha, *network.parameters()]
    found = []
    for forward in (network, lambda images, mixture: plain.logits(network, images, mixture)):
        logits = forward(x, method.mixture())
        loss = F.cross_entropy(logits, y)
        gradients = torch.autograd.grad(loss, tensors, allow_unused=True, materialize_grads=True)
        found.append([logits, *gradients])
    assert found[0][1].abs().min() > 0  # softmax ties all alphas of an edge together
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.fixture
def double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


class Smooth(nn.Module):
    """A net without kinks that a mixture weighs: six layers, each a mixture of five smooth functions."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ParameterList(torch.randn(8, 8) / 3 for _ in EDGES)
        self.last = nn.Linear(8, 10)

    def forward(self, x, mixture):
        functions = (torch.zeros_like, lambda v: v, torch.tanh, torch.sin, F.softplus)
        for layer, weights in zip(self.layers, mixture.weights, strict=True):
            x = sum(w * f(x @ layer) for w, f in zip(weights, functions, strict=True))
        return self.last(x)


class Exact:
    """An `Objective` in double precision, without a search around it."""

    lr = 0.07

    def __init__(self, network, *shape):
        self.network, self.weights = network, list(network.parameters())
        self.batches = [(torch.randn(*shape), torch.randint(0, 10, shape[:1])) for _ in range(2)]

    def train_loss(self, mixture, of_weights=False, weights=None):
        x, y = self.batches[0]
        return F.cross_entropy(self.network(x, mixture), y)

    def valid_loss(self, mixture, of_weights=False, weights=None):
        x, y = self.batches[1]
        return F.cross_entropy(torch.func.functional_call(self.network, weights or {}, (x, mixture)), y)

    def descent(self, gradients):
        return [-self.lr * gradient for gradient in gradients]

    @contextmanager
    def moved(self, by, times=1.0):
        kept = [w.detach().clone() for w in self.weights]
        for weight, change in zip(self.weights, by, strict=True):
            weight.data.add_(change, alpha=times)
        yield
        for weight, before in zip(self.weights, kept, strict=True):
            weight.data.copy_(before)


def weight_gradients(loss, weights):
    return torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True, materialize_grads=True)


# In the supernet six images of random weights have no kink within so small a radius; at the published one they do.
@pytest.mark.parametrize(("network", "radius"), [("smooth", 1e-2), ("supernet", 1e-4)])
def test_the_finite_difference_is_the_hessian_vector_product(double, network, radius):
    torch.manual_seed(0)
    objective = Exact(Smooth(), 20, 8) if network == "smooth" else Exact(Supernet(4, 1, 10).train(), 6, 3, 8, 8)
    method = make(DARTS2, alpha_init=1.0, radius=radius)
    vector = [torch.randn_like(w) for w in objective.weights]
    of_weights = weight_gradients(objective.train_loss(method.mixture()), objective.weights)
    along = sum((gradient * v).sum() for gradient, v in zip(of_weights, vector, strict=True))
    (exact,) = torch.autograd.grad(along, [method.alpha])
    assert exact.abs().max() > 1e-2
    found = method.hessian_vector(objective, vector)
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-4 * float(exact.abs().max()))


def test_the_second_order_step_is_the_gradient_through_the_step_ahead(double):
    """Eq. 7 by finite difference, against autograd through w' = w - ξ ∇w L_train(w, alpha)."""
    torch.manual_seed(1)
    objective, seen = Exact(Smooth(), 20, 8), []
    method, first = make(DARTS2, alpha_init=1.0), make(DARTS, alpha_init=1.0)
    method.update = first.update = seen.append
    mixture = method.mixture()
    of_weights = weight_gradients(objective.train_loss(mixture), objective.weights)
    named = zip(objective.network.named_parameters(), of_weights, strict=True)
    ahead = {name: weight - objective.lr * gradient for (name, weight), gradient in named}
    loss = objective.valid_loss(mixture, weights=ahead)
    (exact,) = torch.autograd.grad(loss, [method.alpha])
    before = [w.detach().clone() for w in objective.weights]
    assert method.alpha_step(objective).item() == pytest.approx(loss.item(), rel=1e-9)
    first.alpha_step(objective)
    torch.testing.assert_close(seen[0], exact, rtol=0, atol=1e-4 * float(exact.abs().max()))
    assert (seen[1] - exact).abs().max() > 0.01 * exact.abs().max()  # the first order is another gradient
    assert all(torch.equal(a, b) for a, b in zip(before, objective.weights, strict=True))


@pytest.mark.parametrize("form", ["plan", "static"])
def test_the_engine_lends_the_step_that_sgd_would_take_and_puts_the_weights_back(form):
    protocol = changed(TINY, {"grad_clip": 0, "weight_decay": 0.01, "form": form})
    s = search(DARTS2, protocol=protocol)
    s.weight_step(torch.arange(8))  # so that there is momentum
    lent = []
    s.method.alpha_step = lambda objective: lent.append(objective) or torch.zeros(())
    s.alpha_step(torch.arange(8))
    (objective,) = lent
    mixture = s.method.weight_mixture()
    before = [w.detach().clone() for w in objective.weights]
    found = torch.autograd.grad(
        objective.train_loss(mixture, of_weights=True), objective.weights, allow_unused=True, materialize_grads=True
    )
    ahead = objective.descent(found)
    with objective.moved(ahead):
        moved = [w.detach().clone() for w in objective.weights]
    assert all(torch.equal(a, b) for a, b in zip(before, objective.weights, strict=True))
    twin = copy.deepcopy(s)
    if form == "static":
        twin.form.sgd.step(found, torch.ones(len(found), dtype=torch.bool))
    else:
        for weight, gradient in zip(twin.form.parameters, found, strict=True):
            weight.grad = gradient.clone()
        twin.form.sgd.step()
    for a, b in zip(moved, twin.form.parameters, strict=True):
        torch.testing.assert_close(a, b)


# GDAS and SNAS


def test_gdas_draws_by_softmax_at_any_temperature():
    alpha = torch.tensor([[0.0, 1.0, 0.5, -1.0, 2.0]] * 6)
    for tau in (10.0, 0.1):
        method = with_alpha(make(GDAS), alpha)
        method.tau = tau
        drawn = torch.tensor([method.mixture().active for _ in range(1000)]).view(-1)
        counts = np.bincount(drawn, minlength=5)
        assert chisquare(counts, 6000 * alpha[0].double().softmax(0).numpy()).pvalue > 1e-3


def test_gdas_anneals_over_the_epochs():
    method = make(GDAS)
    taus = []
    for epoch in range(100):
        method.begin_epoch(epoch, 100)
        taus.append(float(method.tau))
    assert (taus[0], taus[-1]) == (10.0, pytest.approx(0.1))
    np.testing.assert_allclose(np.diff(taus), -9.9 / 99)


def reference_gdas(network, x, alpha, tau, generator, zero_terms):
    """The forward pass of the reference by its definition: all five operations, those not drawn as plain zeros."""
    soft = gumbel_softmax(alpha, tau, generator)
    drawn = soft.argmax(dim=1)
    hard = F.one_hot(drawn, 5) - soft.detach() + soft
    out = network.stem(x)
    for block in network.blocks:
        if not hasattr(block, "edges"):
            out = block(out)
            continue
        nodes = [out]
        for target in range(1, 4):
            total = 0
            for edge, (source, node) in enumerate(EDGES):
                if node == target:
                    for op in range(5):
                        if op == drawn[edge]:
                            value = plain._operation(block, edge, OPS[op], nodes[source])
                            total = total + hard[edge, op] * value
                        elif zero_terms:
                            total = total + hard[edge, op]
            nodes.append(total)
        out = nodes[-1]
    return network.classifier(network.head_norm(out).relu().mean(dim=(2, 3)))


@pytest.mark.parametrize("zero_terms", [True, False])
def test_gdas_has_the_references_output_and_gradient(double, zero_terms):
    torch.manual_seed(2)
    network = Supernet(4, 2, 10).train()
    x, y = torch.randn(6, 3, 8, 8), torch.randint(0, 10, (6,))
    unsampled = 0.0
    for seed in range(12):
        method = make(GDAS, seed, zero_terms=zero_terms, alpha_init=1.0)
        method.tau = 0.7
        state = method.generator.get_state()
        loss = F.cross_entropy(network(x, method.mixture()), y)
        (ours,) = torch.autograd.grad(loss, [method.alpha], allow_unused=True, materialize_grads=True)
        method.generator.set_state(state)
        logits = reference_gdas(network, x, method.alpha, method.tau, method.generator, zero_terms)
        expected = F.cross_entropy(logits, y)
        (theirs,) = torch.autograd.grad(expected, [method.alpha], allow_unused=True, materialize_grads=True)
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9)
        unsampled = max(unsampled, float(theirs.abs().max()))
    assert unsampled > 1e-4


def test_zero_terms_change_the_gradient():
    s = search(GDAS)
    x, y = s.train.plain(torch.arange(16))
    gradients = []
    for zero_terms in (True, False):
        method = make(GDAS, 5, zero_terms=zero_terms)
        loss = F.cross_entropy(s.supernet(x, method.mixture()), y)
        gradients += torch.autograd.grad(loss, [method.alpha])
    assert not torch.allclose(*gradients)


def test_snas_weights_are_on_the_simplex_and_sharpen():
    method = make(SNAS)
    sharpness = []
    for epoch in (0, 49):
        method.begin_epoch(epoch, 50)
        weights = torch.stack([method.mixture().weights.detach() for _ in range(200)])
        torch.testing.assert_close(weights.sum(dim=2), torch.ones(200, 6))
        sharpness.append(weights.amax(dim=2).mean().item())
    assert (method.tau, method.mixture().active) == (pytest.approx(0.03), ((0, 1, 2, 3, 4),) * 6)
    assert sharpness[0] < 0.8 < 0.95 < sharpness[1]
    method.mixture().weights.sum().backward()
    assert method.alpha.grad is not None


# SETN, RSPS, ENAS: selection


def favours(cell):
    """A rating by which `cell` is the best one."""

    def rate(cells, n_images=0):
        rate.asked.append((list(cells), n_images))
        hits = np.array([100.0 * (c == cell) for c in cells])
        return Rating(1 - hits / 100, hits)

    rate.asked = []
    return rate


def test_setn_takes_the_likeliest_cells():
    method = with_alpha(make(SETN, candidates=30, select_images=7), torch.randn(6, 5, generator=torch.manual_seed(3)))
    likeliest = method.likeliest(15_625)
    log_prob = method.alpha.detach().double().log_softmax(1).numpy()
    by_hand = {cell: sum(log_prob[edge, op] for edge, op in enumerate(cell.ops)) for cell in all_cells()}
    assert [by_hand[cell] for cell in likeliest] == sorted(by_hand.values(), reverse=True)
    assert likeliest[0] == Cell(tuple(log_prob.argmax(axis=1).tolist()))
    rate = favours(likeliest[29])
    assert method.result(rate) == likeliest[29]
    assert rate.asked == [(likeliest[:30], 7)]
    assert method.cell() is None


def test_setn_trains_weights_on_uniform_paths_and_alpha_on_the_template():
    method = make(SETN)
    drawn = np.array([method.weight_mixture().active for _ in range(2000)])[:, :, 0]
    assert min(chisquare(np.bincount(drawn[:, edge], minlength=5)).pvalue for edge in range(6)) > 1e-4
    seen = []
    method.alpha_step(Objective(lambda mixture: seen.append(mixture) or mixture.weights.square().sum()))
    assert seen[0].active == ((0, 1, 2, 3, 4),) * 6


@pytest.mark.parametrize("zero_nodes", ["redrawn", "kept"])
def test_rsps_draws_uniformly(zero_nodes):
    method = make(RSPS, zero_nodes=zero_nodes)
    drawn = np.array([method.weight_mixture().active for _ in range(4000)])[:, :, 0]
    zero = [(drawn[:, edges] == NONE).all(axis=1).mean() for edges in ([0], [1, 2], [3, 4, 5])]
    if zero_nodes == "redrawn":
        assert zero == [0, 0, 0]
    else:
        np.testing.assert_allclose(zero, [0.2, 0.04, 0.008], atol=0.02)
    assert chisquare(np.bincount(drawn[:, 3], minlength=5)[1:]).pvalue > 1e-4


def test_rsps_takes_the_best_of_different_cells():
    candidates = favours(None)
    make(RSPS, 4, candidates=200).result(candidates)
    ((cells, n_images),) = candidates.asked
    assert (len(set(cells)), n_images) == (200, 512)
    assert make(RSPS, 4, candidates=200).result(favours(cells[77])) == cells[77]
    assert make(RSPS, 4, candidates=1).result(favours(None)) == cells[0]


def test_equally_accurate_candidates_are_told_apart_by_loss():
    cells = [Cell.from_index(i) for i in range(4)]
    accuracy, loss = np.array([50.0, 60.0, 60.0, 10.0]), np.array([0.1, 0.9, 0.8, 0.2])
    assert select(cells, lambda cells, n_images=0: Rating(loss, accuracy), 512) == cells[2]


def test_the_controller_is_a_distribution_over_cells():
    controller = make(ENAS).controller
    drawn = controller(3000, torch.Generator().manual_seed(0))
    assert drawn.log_prob.shape == drawn.entropy.shape == (3000,)
    # untrained, its logits are nearly equal
    np.testing.assert_allclose(drawn.entropy, 6 * math.log(5), atol=0.01)
    np.testing.assert_allclose(drawn.log_prob.detach().mean(), -6 * math.log(5), atol=0.01)
    assert chisquare(np.bincount([cell.ops[2] for cell in drawn.cells], minlength=5)).pvalue > 1e-4


class Rewards:
    """An `Objective` in which the share of 3x3 convolutions is the accuracy."""

    def valid_rating(self, mixture):
        ops = [op for (op,) in mixture.active]
        return torch.zeros(()), torch.tensor(ops.count(3) / 6, dtype=torch.float64)


def test_reinforce_learns_what_is_rewarded():
    method = make(ENAS, controller_lr=0.02, baseline_decay=0.9)
    means = []
    for epoch in range(4):
        method.begin_epoch(epoch, 4)
        for _ in range(method.closing_steps):
            method.alpha_step(Rewards())
        means.append(method.snapshot()["controller_accuracy"])
    assert means[0] < 85 < 95 < means[-1]
    assert method.result(
        lambda cells, n_images=0: Rating(np.zeros(len(cells)), np.array([c.ops.count(3) for c in cells]))
    )


def test_a_step_of_the_controller_is_the_mean_over_its_samples():
    method = make(ENAS, controller_samples=4, controller_clip=1e9, entropy_weight=0.0, controller_steps=1)
    twin = copy.deepcopy(method.controller)
    drawn = twin(4, torch.Generator().manual_seed(0))
    method.generator.manual_seed(0)
    for _ in range(4):
        method.alpha_step(Rewards())
    rewards = [cell.ops.count(3) / 6 for cell in drawn.cells]
    baseline, advantages = rewards[0], []
    for reward in rewards:
        baseline = 0.99 * baseline + 0.01 * reward
        advantages.append(reward - baseline)
    loss = -sum(a * p for a, p in zip(advantages, drawn.log_prob, strict=True)) / 4
    loss.backward()
    for ours, theirs in zip(method.controller.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


# All of them


@pytest.mark.parametrize("name", methods.of_kind("one-shot"))
def test_a_continued_search_is_the_same_search(name):
    loaded = methods.load(name)
    small = {"candidates": 5, "controller_steps": 2, "controller_samples": 3, "uniform": 0.3, "generations": 2}
    small = {key: value for key, value in small.items() if hasattr(loaded.Settings(), key)}
    whole, first, second = (search(loaded, 3, **small) for _ in range(3))
    whole.run_epoch()
    whole.run_epoch()
    first.run_epoch()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.run_epoch()
    for s in (whole, second):
        s.run_epoch()
    untimed = [[{k: v for k, v in e.items() if k != "seconds"} for e in s.progress.trajectory] for s in (whole, second)]
    assert untimed[0] == untimed[1]
    assert whole.result() == second.result()
    assert all(
        torch.equal(a, b) for a, b in zip(whole.supernet.parameters(), second.supernet.parameters(), strict=True)
    )


@pytest.mark.parametrize("name", methods.of_kind("one-shot"))
def test_alpha_steps_leave_the_weights_alone(name):
    s = search(methods.load(name))
    s.method.begin_epoch(2, 3)
    s.weight_step(torch.arange(8))
    before = [w.detach().clone() for w in s.supernet.parameters()]
    if s.method.learns:
        s.alpha_step(torch.arange(8))
    for _ in range(min(s.method.closing_steps, 20)):
        s.closing_step(torch.arange(8))
    assert all(torch.equal(a, b) for a, b in zip(before, s.supernet.parameters(), strict=True))


@pytest.mark.parametrize("name", methods.of_kind("one-shot"))
def test_published_settings_and_protocols_fit_every_method(name):
    loaded = methods.load(name)
    for protocol, preset in loaded.presets.items():
        own = {key: value for key, value in preset.items() if hasattr(loaded.Settings(), key)}
        engine = {key: value for key, value in preset.items() if key not in own}
        changed(loaded.Settings(), own)
        changed(PROTOCOLS[protocol].settings, engine)


def test_what_was_published_for_nas_bench_201():
    """configs/nas-benchmark/algos/*.config and the scripts beside them, in AutoDL-Projects."""
    for name in ("darts", "gdas", "setn"):
        s = methods.load(name).Settings()
        adam = (s.alpha_lr, s.alpha_beta1, s.alpha_beta2, s.alpha_weight_decay, s.alpha_init)
        assert adam == (3e-4, 0.5, 0.999, 1e-3, 1e-3)
    nats, old = PROTOCOLS["nats-bench"].settings, PROTOCOLS["nas-bench-201"].settings
    for p in (nats, old):
        assert (p.channels, p.cells_per_stage, p.batch_size, p.eval_batch) == (16, 5, 64, 512)
        assert (p.lr, p.lr_min, p.momentum, p.nesterov, p.weight_decay) == (0.025, 0.001, 0.9, True, 5e-4)
    assert (nats.epochs, nats.grad_clip, nats.bn) == (100, 0, "batch")
    assert (old.epochs, old.grad_clip, old.bn) == (250, 5, "running")


FORBIDDEN = ("nasbench_stc.models.network", "nasbench_stc.models.cell", "nasbench_stc.data", "nasbench_stc.cli")


def test_no_method_knows_the_supernet_the_data_or_the_command_line():
    files = sorted(Path(methods.__file__).parent.glob("*.py"))
    assert len(files) > 8
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [f"{node.module}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            assert not [n for n in names if n.startswith(FORBIDDEN) or n == "nasbench_stc.models.Supernet"], file


class Toy(OneShotMethod):
    """The first cell that it happens to draw and that has no `none`."""

    def weight_mixture(self):
        return Mixture.path(torch.randint(5, (6,), generator=self.generator).tolist())

    def cell(self):
        return Cell((3, 1, 3, 1, 3, 1))


def test_a_toy_method_is_a_few_lines():
    s = search(Toy)
    while not s.done:
        s.run_epoch()
    cell, rating = s.result()
    assert cell == Cell((3, 1, 3, 1, 3, 1))
    assert s.progress.trajectory[-1]["cell"] == str(cell)
    assert 0 <= rating["accuracy"] <= 100


def test_a_method_without_a_result_is_named():
    class Nothing(Toy):
        def cell(self):
            return None

    with pytest.raises(MethodError, match=r"method Nothing: after the last epoch, result: .*Nothing has neither"):
        search(Nothing).result()
