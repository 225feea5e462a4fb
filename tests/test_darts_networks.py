"""DARTS's networks: published parameter counts, and equality with the plain evaluation of every operation."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nasbench_stc import Cell
from nasbench_stc.models import Mixture
from nasbench_stc.models.darts import AuxiliaryHead, CellNetwork, MixedCell, Supernet
from nasbench_stc.models.darts_ops import FactorizedReduction, Operation, Pooling, drop_path
from nasbench_stc.space.darts import EDGES, NONE, OPS, SPACE
from nasbench_stc.space.darts_cost import Size, costs

DARTS_V2, PDARTS = (Cell.parse(name, space="darts") for name in ("DARTS_V2", "PDARTS"))
IMAGES = torch.randn(3, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 2, 1])
ALL_OPS = (range(len(OPS)),) * 28
Tiny = partial(Supernet, channels=4, cells_per_stage=1, classes=3)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def same(ours, theirs):
    """Equal but for rounding, which a batch norm of pixels that hardly differ makes larger."""
    return (ours - theirs).norm() <= 1e-6 * max(1, theirs.norm())


# What train_search.py and train.py of quark0/darts log, "param size = 1.930618MB" and "3.349342MB" (that leaves the
# auxiliary head out); of P-DARTS, issue 7 of chenxin061/pdarts.
def test_published_parameters():
    with torch.device("meta"):
        assert count(Supernet(16, 2)) == 1_930_618
        assert count(CellNetwork(DARTS_V2)) == 3_349_342
        assert count(CellNetwork(PDARTS)) == 3_433_798
        assert count(CellNetwork(PDARTS, auxiliary=True)) == 3_910_224


def counted(cell, size, elementwise=False):
    """Parameters and multiply-adds of the network itself, these of its convolutions and its classifier as they run.

    `elementwise`: also two for each value that a batch norm puts out, one for each that a ReLU or a pooling takes,
    where each operation has a ReLU of its own.
    """
    seen = []

    def count_output(module, _, output):
        seen.append(output.numel() * (module.weight[0].numel() if module.weight.ndim > 1 else 2))

    def count_input(module, inputs, _):
        x = inputs[0]
        seen.append((x if isinstance(x, torch.Tensor) else x.value).numel())

    with torch.device("meta"):  # nothing is computed
        network = CellNetwork(cell, size.channels, size.cells_per_stage, size.classes, imagenet=size.imagenet).eval()
        images = torch.zeros(1, 3, size.side, size.side)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)) or (elementwise and isinstance(module, nn.BatchNorm2d)):
            module.register_forward_hook(count_output)
        elif elementwise and (isinstance(module, (nn.ReLU, Pooling)) or getattr(module, "rectifies", False)):
            module.register_forward_hook(count_input)
    if elementwise:  # the mean over pixels
        network.cells[-1].register_forward_hook(lambda module, _, output: seen.append(output.numel()))
    with torch.no_grad():
        network(images)
    return [count(network), sum(seen)]


IMAGENET = Size(48, 4, 1000, 224, imagenet=True)


def test_imagenet_at_its_size():
    assert counted(DARTS_V2, IMAGENET) == [4_718_752, 529_911_552]


# P-DARTS (arXiv:1904.12760) prints 557 M on ImageNet, PC-DARTS (arXiv:1907.05737) 586 and 597 M. DARTS prints 574 M,
# which by this count, as in issue 46 of quark0/darts, is 544.59 M.
@pytest.mark.parametrize(
    ("name", "millions"), [("PDARTS", 557), ("PC_DARTS_cifar", 586), ("PC_DARTS_image", 597), ("DARTS_V2", 544.59)]
)
def test_published_multiply_adds(name, millions):
    _, found = counted(Cell.parse(name, space="darts"), IMAGENET, elementwise=True)
    assert round(found / 1e6, 0 if millions == int(millions) else 2) == millions


@pytest.mark.parametrize("seed", range(8))
def test_costs_follow_the_formula(seed):
    generator = np.random.default_rng(seed)
    cell = Cell(SPACE.drawn(generator), "darts")
    side, imagenet = [(32, False), (16, False), (10, False), (64, True)][seed % 4]
    size = Size(*(int(generator.integers(2, 4)) * factor for factor in (4, 1, 5)), side, imagenet)
    np.testing.assert_array_equal(costs([cell.ops], size)[0], counted(cell, size))


def test_the_layers():
    with torch.device("meta"):
        network = Supernet(4, 2)
        assert len(Supernet(4, 6).cells) == 20 and len(Supernet(4, 4).cells) == 14
    cells = list(network.cells)
    assert [cell.stride for cell in cells] == [1, 1, 2, 1, 1, 2, 1, 1]
    assert [cell.channels for cell in cells] == [4, 4, 8, 8, 8, 16, 16, 16]
    factorized = [isinstance(cell.preprocess[0].body, FactorizedReduction) for cell in cells]
    assert factorized == [False, False, False, True, False, False, True, False]
    assert network.stems[0][0].out_channels == 12
    for number, cell in enumerate(cells):
        for (source, _), ops in zip(EDGES, cell.edges, strict=True):
            halves = number in (2, 5) and source < 2
            assert ("skip_connect" in ops) is halves
            assert (
                ops["sep_conv_5x5"].body[0].stride
                == ops["dil_conv_3x3"].body[0].stride
                == ((2, 2) if halves else (1, 1))
            )
            assert ops["dil_conv_5x5"].body[0].dilation == (2, 2) and ops["dil_conv_5x5"].body[0].padding == (4, 4)


def test_what_convolutions_are_made_of():
    cell, once = Supernet(4, 1).cells[0], [nn.Conv2d, nn.Conv2d]
    for name, layers in (("dil_conv_5x5", once), ("sep_conv_5x5", [*once, nn.BatchNorm2d, nn.ReLU, *once])):
        module = cell.edges[0][name]
        assert module.rectifies and isinstance(module.norm, nn.BatchNorm2d)
        assert [type(layer) for layer in module.body] == layers
        convolutions = [layer for layer in module.body if isinstance(layer, nn.Conv2d)]
        assert [(layer.kernel_size[0], layer.groups) for layer in convolutions] == [(5, 4), (1, 1)] * (
            len(convolutions) // 2
        )
        assert all(layer.bias is None for layer in convolutions)


def test_where_batch_norm_learns_and_remembers():
    for network, searching in ((Tiny(), True), (CellNetwork(DARTS_V2, 4, 1, 3), False)):
        inner = {id(module) for module in network.cells.modules()}
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                bare = searching and id(module) in inner
                assert module.affine is not bare and module.track_running_stats is not bare
        poolings = [m for m in network.modules() if isinstance(m, Operation) and isinstance(m.body, Pooling)]
        assert poolings and all(isinstance(pooling.norm, nn.BatchNorm2d) is searching for pooling in poolings)
    running = [m for m in Tiny(running=True).cells.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.track_running_stats and not norm.affine for norm in running)


def test_pooling_counts_the_pixels_that_exist():
    for height, width, stride in ((5, 6, 1), (8, 8, 2), (5, 7, 2)):
        x = torch.randn(2, 4, height, width, dtype=torch.float64, requires_grad=True)
        expected = F.avg_pool2d(x, 3, stride, padding=1, count_include_pad=False)
        found = Pooling(average=True, stride=stride)(x)
        assert torch.allclose(found, expected)
        direction = torch.randn_like(expected)
        gradients = [torch.autograd.grad(of, x, direction)[0] for of in (found, expected)]
        assert torch.allclose(*gradients)


def test_a_factorized_reduction_looks_at_every_other_pixel_twice():
    module = FactorizedReduction(3, 4).double()
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    found = module(x)
    assert torch.allclose(found[:, :2], F.conv2d(x[:, :, ::2, ::2], module.even.weight))
    assert torch.allclose(found[:, 2:], F.conv2d(x[:, :, 1::2, 1::2], module.odd.weight))
    assert module(x[:, :, :5, :5]).shape == (2, 4, 3, 3)  # an odd side is rounded up, as by every other operation


# The plain evaluation: every operation of every edge in the way of the reference's MixedOp, `none` a product with zero.


def plain_operation(cell, edge, op, x):
    stride = cell.stride if EDGES[edge][0] < 2 else 1
    if op == NONE:
        return x[:, :, ::stride, ::stride] * 0.0
    if OPS[op] == "skip_connect" and stride == 1:
        return x
    module = cell.edges[edge][OPS[op]]
    if OPS[op] == "max_pool_3x3":
        y = F.max_pool2d(x, 3, stride, padding=1)
    elif OPS[op] == "avg_pool_3x3":
        y = F.avg_pool2d(x, 3, stride, padding=1, count_include_pad=False)
    else:
        y = module.body(x.relu())
    return module.norm(y)


def plain_cell(cell, inputs, mixture):
    first = 14 if cell.stride == 2 else 0
    nodes = [part.norm(part.body(x.relu())) for part, x in zip(cell.preprocess, inputs, strict=True)]
    for target in range(2, 6):
        terms = []
        for edge, (source, node) in enumerate(EDGES):
            if node != target:
                continue
            for op in (*mixture.active[first + edge], NONE):
                terms.append(plain_operation(cell, edge, op, nodes[source]) * mixture.weights[first + edge, op])
            if mixture.shift is not None:
                terms.append(torch.ones_like(terms[-1]) * mixture.shift[first + edge])
        nodes.append(torch.stack(terms).sum(dim=0))
    return torch.cat(nodes[2:], dim=1)


def plain(network, images, mixture):
    inputs = [network.stems[0](images)]
    inputs.append(network.stems[1](inputs[0]))
    for cell in network.cells:
        inputs = [inputs[1], plain_cell(cell, inputs, mixture)]
    return network.classifier(inputs[1].mean(dim=(2, 3)))


def random_path(seed):
    """One of all eight operations on each of the 28 edges."""
    return torch.randint(len(OPS), SPACE.shape[:1], generator=torch.Generator().manual_seed(seed)).tolist()


def mixtures():
    """Paths over all edges, cells, several operations an edge, all of them, and little or nothing."""
    weights = torch.rand(SPACE.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7)).requires_grad_()
    chosen = torch.rand(SPACE.shape, generator=torch.Generator().manual_seed(3)) < 0.2
    sparse = [0, 0, 4, 0, 5, *random_path(5)[5:14], 0, 0, 3, 1, 7, *random_path(6)[5:14]]  # node 2 is zero
    shift = torch.linspace(-1, 1, 28, dtype=torch.float64)
    yield from (Mixture.path(random_path(seed), weights) for seed in range(4))
    yield Mixture.path(DARTS_V2, weights)
    yield Mixture(chosen, weights)
    yield Mixture.full(weights)
    yield Mixture.path(sparse, weights)
    yield Mixture.path([NONE] * 28, weights)
    yield Mixture.path(sparse, weights, shift)


def both(network, mixture):
    """Logits and all gradients, ours and by the plain evaluation; a missing gradient counts as zeros."""
    leaves = [*network.parameters(), mixture.weights]
    for forward in (network, partial(plain, network)):
        logits = forward(IMAGES, mixture)
        found = torch.autograd.grad(F.cross_entropy(logits, LABELS), leaves, allow_unused=True, materialize_grads=True)
        yield logits, torch.cat([gradient.reshape(-1) for gradient in found])


@pytest.mark.parametrize("mixture", list(mixtures()))
@pytest.mark.parametrize("running", [False, True])
def test_the_supernet_equals_the_plain_evaluation(mixture, running):
    torch.manual_seed(0)
    network = Tiny(running=running).double()
    (ours, our_gradients), (theirs, their_gradients) = both(network, mixture)
    assert same(ours, theirs)
    assert same(our_gradients, their_gradients)


def test_running_statistics_are_used_in_evaluation():
    torch.manual_seed(0)
    network, mixture = Tiny(running=True).double(), Mixture.full(torch.rand(SPACE.shape, dtype=torch.float64))
    with torch.no_grad():
        training = network(IMAGES, mixture)
        network.eval()
        for mixture in mixtures():
            ours = network(IMAGES, mixture)
            assert same(ours, plain(network, IMAGES, mixture)) and not same(ours, training)
            assert same(network(IMAGES[:1], mixture), ours[:1])  # images do not see each other


def test_the_gradient_of_the_weights_by_finite_differences():
    torch.manual_seed(0)
    network = Tiny().double()
    mixture = Mixture.full(torch.rand(SPACE.shape, dtype=torch.float64, requires_grad=True))

    def loss(weights):
        return F.cross_entropy(network(IMAGES, Mixture.full(weights)), LABELS)

    (gradient,) = torch.autograd.grad(loss(mixture.weights), mixture.weights)
    direction = torch.randn(SPACE.shape, dtype=torch.float64)
    with torch.no_grad():
        step = 1e-6
        change = (loss(mixture.weights + step * direction) - loss(mixture.weights - step * direction)) / (2 * step)
    assert change.item() == pytest.approx((gradient * direction).sum().item(), rel=1e-4)
    assert gradient[:, NONE].eq(0).all() and gradient[:, 1:].ne(0).all()


def test_a_second_derivative_can_be_taken():
    # DARTS's second order is checked against it.
    torch.manual_seed(0)
    network = Tiny().double()
    alpha = torch.rand(SPACE.shape, dtype=torch.float64, requires_grad=True)
    found = []
    for forward in (network, partial(plain, network)):
        loss = F.cross_entropy(forward(IMAGES, Mixture.full(alpha)), LABELS)
        (gradient,) = torch.autograd.grad(loss, network.stems[0][0].weight, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), alpha)[0])
    assert same(*found)


def test_frozen_weights_give_the_same_alpha_gradient():
    torch.manual_seed(0)
    network = Tiny().double()
    alpha = torch.rand(SPACE.shape, dtype=torch.float64, requires_grad=True)
    gradients = []
    for learns in (True, False):
        network.requires_grad_(learns)
        loss = F.cross_entropy(network(IMAGES, Mixture.full(alpha)), LABELS)
        gradients.append(torch.autograd.grad(loss, alpha)[0])
    assert torch.equal(*gradients)


def test_only_what_is_active_and_not_zero_is_computed():
    network, called = Tiny().double(), []
    cell = network.cells[0]
    for edge, ops in enumerate(cell.edges):
        for name, module in ops.items():
            module.register_forward_hook(lambda *_, place=(edge, name): called.append(place))
    path = [NONE] * 28
    path[2], path[3], path[4] = 4, 3, 5  # into node 3, from 0, 1 and from node 2, which is zero
    network(IMAGES, Mixture.path(path, torch.ones(SPACE.shape)))
    assert called == [(2, "sep_conv_3x3")]  # and the identity


@pytest.mark.parametrize("running", [False, True])
def test_path_logits_equal_the_forward_pass(running):
    torch.manual_seed(0)
    network = Tiny(running=running).double()
    network(IMAGES, Mixture.full(torch.ones(SPACE.shape)))
    network.eval()
    generator = np.random.default_rng(0)
    cells = [Cell(SPACE.drawn(generator), "darts") for _ in range(4)] + [DARTS_V2, PDARTS]
    cells.append(Cell(DARTS_V2.ops[:14] + PDARTS.ops[14:], "darts"))  # shares a normal cell
    by_computation = {network.computation(cell): cell for cell in cells}
    order = network.in_order(by_computation)
    assert len(order) == len(cells)
    with torch.no_grad():
        for computation, logits in zip(order, network.path_logits(IMAGES, order), strict=True):
            assert same(logits, network(IMAGES, Mixture.path(by_computation[computation])))


def test_path_logits_share_the_cells_before_the_first_reduction():
    network = Supernet(4, 2, 3).double().eval()
    called = []
    for number, cell in enumerate(network.cells):
        assert isinstance(cell, MixedCell)
        cell.register_forward_hook(lambda *_, number=number: called.append(number))
    order = network.in_order([DARTS_V2.ops, PDARTS.ops, DARTS_V2.ops[:14] + PDARTS.ops[14:]])
    with torch.no_grad():
        assert len(list(network.path_logits(IMAGES, order))) == 3
    assert [called.count(number) for number in range(8)] == [2, 2, 3, 3, 3, 3, 3, 3]


@pytest.mark.parametrize("cell", [DARTS_V2, PDARTS])
@pytest.mark.parametrize("training", [True, False])
def test_the_network_of_a_cell_equals_the_plain_evaluation(cell, training):
    torch.manual_seed(0)
    network = CellNetwork(cell, 4, 1, 3).double().train(training)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for of_norm in (module.weight, module.bias, module.running_mean):
                nn.init.normal_(of_norm)
    mixture = Mixture.path(cell, torch.ones(SPACE.shape, dtype=torch.float64))
    leaves, results = list(network.parameters()), []
    for forward in (network, lambda images: plain(network, images, mixture)):
        before = {name: value.clone() for name, value in network.state_dict().items()}
        logits = forward(IMAGES)
        gradients = torch.autograd.grad(F.cross_entropy(logits, LABELS), leaves)
        results.append((logits, torch.cat([gradient.reshape(-1) for gradient in gradients])))
        network.load_state_dict(before)
    (ours, our_gradients), (theirs, their_gradients) = results
    assert same(ours, theirs) and same(our_gradients, their_gradients)


def test_the_auxiliary_head_answers_in_training_alone():
    for imagenet, side in ((False, 32), (True, 224), (False, 16), (False, 8)):  # as far down as the digits
        network = CellNetwork(DARTS_V2, 4, 1, 7, auxiliary=True, imagenet=imagenet)
        images = torch.randn(2, 3, side, side)
        scores, auxiliary = network(images)
        assert scores.shape == auxiliary.shape == (2, 7)
        (scores.sum() + auxiliary.sum()).backward()
        assert all(parameter.grad is not None for parameter in network.parameters())
        assert network.eval()(images).shape == (2, 7)
    assert CellNetwork(DARTS_V2, 4, 1, 7)(torch.randn(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize(("imagenet", "side", "stride"), [(False, 8, 3), (True, 7, 2)])
def test_the_auxiliary_head_of_the_reference(imagenet, side, stride):
    head = AuxiliaryHead(6, 5, imagenet).eval()
    x = torch.randn(2, 6, side, side)
    pooled = F.avg_pool2d(x.relu(), 5, stride, padding=0, count_include_pad=False)
    assert torch.allclose(head(x), head.classifier(head.features(pooled).flatten(1)))
    kinds = [type(part) for part in head.features]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d, *([] if imagenet else [nn.BatchNorm2d]), nn.ReLU]


def test_path_dropout_keeps_the_expectation_and_drops_whole_images():
    torch.manual_seed(0)
    x = torch.ones(20_000, 2, 1, 3)
    dropped = drop_path(x, 0.3)
    assert torch.equal(dropped, dropped[:, :1, :, :1].expand_as(dropped))
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)


def test_path_dropout_is_of_training_and_spares_identities(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "nasbench_stc.models.darts.drop_path", lambda x, probability: seen.append(probability) or torch.zeros_like(x)
    )
    network = CellNetwork(DARTS_V2, 4, 1, 3).double()
    network(IMAGES)
    network.drop_path = 0.2
    network.eval()(IMAGES)
    assert seen == []
    network.train()(IMAGES)
    # 2 of 8 are identities in each of three normal cells; of a reduction cell's four skips those from node 2.
    skips = [sum(OPS[op] == "skip_connect" for op in half) for half in (DARTS_V2.ops[:14], DARTS_V2.ops[14:])]
    assert skips == [2, 3]
    assert seen == [0.2] * (3 * 6 + 2 * 5)


def test_channels_last_stays_and_computes_the_same():
    torch.manual_seed(0)
    network, mixture = Tiny(), Mixture.path(random_path(0), torch.rand(SPACE.shape))
    formats = []
    network.cells[1].register_forward_hook(
        lambda _module, _inputs, output: formats.append(output.is_contiguous(memory_format=torch.channels_last))
    )
    images = torch.randn(4, 3, 16, 16)
    plainly = network(images, mixture)
    last = network.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last), mixture)
    assert formats == [False, True]
    assert torch.allclose(plainly, last, atol=1e-4)
