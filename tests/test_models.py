"""The networks: published parameter counts, and equality with the plain evaluation of every edge."""

import plain
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nasbench_stc import Cell
from nasbench_stc.models import CellNetwork, Mixture, Supernet
from nasbench_stc.models.cell import MixedCell
from nasbench_stc.models.ops import KERNELS, Norm, ReLUConvBN, avg_pool, avg_pool_adjoint
from nasbench_stc.models.plan import plan
from nasbench_stc.space import EDGES, NUM_CELLS, OPS, all_cells, params


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_supernet_parameters():
    assert count(Supernet(16, 5, 10)) == 1_692_698


@pytest.mark.parametrize(
    ("cell", "classes", "expected"),
    [
        (Cell.from_index(0), 10, 129_306),
        (Cell.from_index(0), 100, 135_156),
        (Cell.from_index(0), 120, 136_456),
        (Cell.from_index(11), 10, 802_426),
        (Cell.from_index(284), 10, 101_306),
        (Cell.from_index(9930), 10, 1_288_506),
        (Cell((3,) * 6), 10, 1_531_546),
    ],
)
def test_stand_alone_parameters(cell, classes, expected):
    assert count(CellNetwork(cell, classes=classes)) == expected


def test_stand_alone_parameters_follow_the_formula():
    for index in range(0, NUM_CELLS, 1_201):
        cell = Cell.from_index(index)
        assert count(CellNetwork(cell)) == params([cell])[0]


def test_where_batch_norm_learns_and_remembers():
    # Only the cells and the head are without scale, shift and running statistics in the search.
    supernet = Supernet(4, 1)
    inner = {id(m) for block in supernet.blocks if isinstance(block, MixedCell) for m in block.modules()}
    for module in supernet.modules():
        if isinstance(module, nn.BatchNorm2d):
            bare = id(module) in inner or module is supernet.head_norm
            assert module.affine is not bare
            assert module.track_running_stats is not bare
    for module in CellNetwork(Cell.from_index(11), 4, 1).modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.affine
            assert module.track_running_stats


def test_pooling_counts_the_pixels_that_exist():
    for height, width in ((5, 6), (2, 3), (1, 4)):
        x = torch.randn(2, 4, height, width, requires_grad=True)
        expected = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        assert torch.allclose(avg_pool(x.detach()), expected, atol=1e-6)
        gradient = torch.randn_like(x)
        assert torch.allclose(avg_pool_adjoint(gradient), torch.autograd.grad(expected, x, gradient)[0], atol=1e-6)


def test_convolutions():
    x = torch.randn(2, 4, 5, 5)
    assert {OPS[op]: side for op, side in KERNELS.items()} == {"nor_conv_1x1": 1, "nor_conv_3x3": 3}
    for side in KERNELS.values():
        for norm in (Norm(True, True), Norm(False, False)):
            op = ReLUConvBN(4, side, norm)
            assert [type(part) for part in op] == [nn.ReLU, nn.Conv2d, nn.BatchNorm2d]
            assert op[1].kernel_size == (side, side)
            assert (op[1].bias is None) is norm.affine
            assert op(x).shape == x.shape


def test_a_second_derivative_can_be_taken():
    # DARTS's second order is checked against it.
    torch.manual_seed(0)
    network = Supernet(2, 1, 3).double()
    alpha = torch.rand(6, 5, dtype=torch.float64, requires_grad=True)
    weight = network.stem[0].weight
    found = []
    for forward in (network, lambda images, mixture: plain.logits(network, images, mixture)):
        loss = F.cross_entropy(forward(IMAGES, Mixture.full(alpha)), LABELS)
        (gradient,) = torch.autograd.grad(loss, weight, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), alpha)[0])
    assert same(*found)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", [Norm(True, True), Norm(False, True), Norm(False, False)])
def test_the_norm_applies_the_scale(norm, training):
    torch.manual_seed(0)
    ours, theirs = (ReLUConvBN(4, 3, norm).double().train(training) for _ in range(2))
    if norm.affine:
        nn.init.normal_(ours[2].bias)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 4, 5, 5, dtype=torch.float64)
    alpha = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    results = [ours.after_relu(x.relu(), alpha.expand(4).contiguous()), alpha * theirs(x)]
    assert torch.allclose(*results)
    direction = torch.randn_like(x)
    gradients = []
    for module, result in zip((ours, theirs), results, strict=True):
        leaves = [alpha, *module.parameters()]
        found = torch.autograd.grad(result, leaves, direction, allow_unused=True)
        gradients.append([torch.zeros_like(p) if g is None else g for p, g in zip(leaves, found, strict=True)])
    for mine, plain_one in zip(*gradients, strict=True):
        assert torch.allclose(mine, plain_one, atol=1e-9)
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]) or name == "2.num_batches_tracked"


# A tiny net in double precision: differences are then errors, not rounding.
IMAGES = torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 2])


def same(ours, theirs):
    """Equal but for rounding, which a batch norm of pixels that hardly differ makes larger."""
    return (ours - theirs).norm() <= 1e-6 * max(1, theirs.norm())


def both(network, mixture, alpha=None):
    """Logits and all gradients, ours and by the plain evaluation; a missing gradient counts as zeros."""
    leaves = [*network.parameters(), *([alpha] if alpha is not None else [])]
    results = []
    for forward in (network.logits, lambda images, mixture: plain.logits(network, images, mixture)):
        out = forward(IMAGES, mixture)
        grads = torch.autograd.grad(F.cross_entropy(out, LABELS), leaves, allow_unused=True)
        flat = [torch.zeros_like(p) if g is None else g for p, g in zip(leaves, grads, strict=True)]
        results.append((out, torch.cat([g.reshape(-1) for g in flat])))
    return results


def two_cells():
    """A supernet of a stem, two cells and a head."""
    network = Supernet(2, 2, 3)
    network.blocks = network.blocks[:2]
    network.head_norm, network.classifier = Norm(affine=False, running=False)(2), nn.Linear(2, 3)
    return network.double()


@pytest.mark.parametrize("part", range(4))
def test_every_cell_equals_the_plain_evaluation(part):
    """The scores of each; the gradients of one cell for all that run the same operations, as they then are the same."""
    torch.manual_seed(0)
    network = two_cells()
    known = set()
    for cell in all_cells()[part::4]:
        mixture = Mixture.path(cell)
        running = plan(mixture.active, network.zeros_vanish)
        if running in known:
            with torch.no_grad():
                assert same(network(IMAGES, mixture), plain.logits(network, IMAGES, mixture)), cell
            continue
        known.add(running)
        (ours, our_grads), (theirs, their_grads) = both(network, mixture)
        assert same(ours, theirs), cell
        assert same(our_grads, their_grads), cell


def some_cells():
    return [Cell((0,) * 6), Cell((3, 0, 3, 0, 0, 2)), Cell((0, 0, 3, 1, 2, 0)), *all_cells()[::311]]


def test_weighted_cells_equal_the_plain_evaluation():
    torch.manual_seed(0)
    network = Supernet(2, 2, 3).double()
    alpha = torch.rand(6, 5, dtype=torch.float64, requires_grad=True)
    for cell in some_cells():
        (ours, our_grads), (theirs, their_grads) = both(network, Mixture.path(cell, alpha), alpha)
        assert same(ours, theirs), cell
        assert same(our_grads, their_grads), cell


def test_mixtures_equal_the_plain_evaluation():
    torch.manual_seed(0)
    network = Supernet(2, 1, 3).double()
    alpha = torch.rand(6, 5, dtype=torch.float64, requires_grad=True)
    generator = torch.Generator().manual_seed(3)
    mixtures = [Mixture.full(alpha)]
    for _ in range(40):
        chosen = torch.rand(len(EDGES), len(OPS), generator=generator) < 0.3
        mixtures.append(Mixture(tuple(tuple(row.nonzero().flatten().tolist()) or (0,) for row in chosen), alpha))
    for mixture in mixtures:
        (ours, our_grads), (theirs, their_grads) = both(network, mixture, alpha)
        assert same(ours, theirs), mixture.active
        assert same(our_grads, their_grads), mixture.active


def test_frozen_weights_give_the_same_alpha_gradient():
    # The form of the alpha step: nothing is kept for the weights' gradients, and other things are for alpha's.
    torch.manual_seed(0)
    network = Supernet(2, 2, 3).double().requires_grad_(False)
    alpha = torch.rand(6, 5, dtype=torch.float64, requires_grad=True)
    mixtures = [Mixture.path(cell, alpha) for cell in some_cells()] + [Mixture.full(alpha)]
    learning = 0
    for mixture in mixtures:
        ours, theirs = network(IMAGES, mixture), plain.logits(network, IMAGES, mixture)
        assert same(ours, theirs), mixture.active
        if not ours.requires_grad:  # nothing reaches the result: the plain evaluation says that with zeros
            continue
        learning += 1
        gradients = [torch.autograd.grad(F.cross_entropy(out, LABELS), alpha)[0] for out in (ours, theirs)]
        assert same(*gradients), mixture.active
        assert gradients[1].any()
    assert learning > 40


def test_single_path_equals_the_network_of_that_cell():
    torch.manual_seed(0)
    cell = Cell.from_index(9930)
    supernet = Supernet(4, 1, 3).double()
    network = CellNetwork(cell, 4, 1, 3).double()
    state = {name: value for name, value in supernet.state_dict().items() if name in network.state_dict()}
    network.load_state_dict(state, strict=False)  # all but the cells' norms, which start as scale 1 and shift 0
    assert same(supernet(IMAGES, Mixture.path(cell)), network(IMAGES))


@pytest.mark.parametrize("training", [True, False])
def test_where_norms_have_a_shift_or_remember_zeros_are_computed(training):
    # A convolution of zeros is then a constant other than zero: the plan has to keep it.
    torch.manual_seed(0)
    for cell in some_cells():
        for network in (CellNetwork(cell, 2, 1, 3), Supernet(2, 1, 3, running=True)):
            network = network.double().train(training)
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    nn.init.normal_(module.running_mean)
                    if module.affine:
                        nn.init.normal_(module.bias)
            with torch.no_grad():
                state = {name: value.clone() for name, value in network.state_dict().items()}
                ours = network.logits(IMAGES, Mixture.path(cell))
                network.load_state_dict(state)
                theirs = plain.logits(network, IMAGES, Mixture.path(cell))
            assert same(ours, theirs), cell


def test_only_what_reaches_the_result_is_computed(monkeypatch):
    called = []
    network = Supernet(2, 1, 3).double()
    network.stem.register_forward_hook(lambda *_: called.append("stem"))
    for name, module in network.named_modules():
        if isinstance(module, ReLUConvBN):
            inner = module.after_relu
            monkeypatch.setattr(
                module, "after_relu", lambda *args, name=name, inner=inner: called.append(name) or inner(*args)
            )

    def edges(digits):
        called.clear()
        network(IMAGES, Mixture.path(Cell.parse(digits)))
        return {int(name.split(".")[3]) for name in called if "blocks.0" in name}

    assert edges("333333") == {0, 1, 2, 3, 4, 5}
    assert edges("333300") == {3}  # nodes 1 and 2 lead nowhere
    assert edges("030333") == {1, 3, 5}  # node 1 is zero: its edges carry nothing
    assert edges("000033") == set()  # nothing comes through:
    assert called == []  # not even the stem is computed


def test_plan_is_of_what_the_mixture_activates():
    full = plan(((0, 1, 2, 3, 4),) * 6, True)
    ops = [[(term.edge, term.op) for term in node] for node in full]
    assert ops[0] == []
    assert [sorted(node) for node in ops[1:]] == [
        [(edge, op) for edge in edges for op in (1, 2, 3, 4)] for edges in ((0,), (1, 2), (3, 4, 5))
    ]
    assert [op in KERNELS for _, op in ops[3]] == [True] * 6 + [False] * 6
    assert plan(((3,), (3,), (3,), (3,), (0,), (0,)), True)[1:3] == (None, None)  # nodes 1 and 2 lead nowhere


def test_all_cells_run_at_every_published_size():
    for side in (32, 16, 8):
        assert Supernet(4, 1)(torch.randn(2, 3, side, side), Mixture.path(Cell.from_index(11))).shape == (2, 10)
