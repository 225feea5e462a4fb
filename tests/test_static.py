"""The static form computes what the plan form does, and nothing of it needs the host while it runs."""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nasbench_stc import search as run_search
from nasbench_stc.data.images import DeviceImages, Images
from nasbench_stc.engine import forms
from nasbench_stc.engine.graphs import Graphs
from nasbench_stc.engine.loop import Search
from nasbench_stc.engine.precision import kept_in
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.engine.sgd import MaskedSGD
from nasbench_stc.errors import MethodError
from nasbench_stc.methods import load, of_kind
from nasbench_stc.methods.alpha import AlphaMethod, AlphaSettings
from nasbench_stc.methods.stc import STC, StcSettings
from nasbench_stc.models import Mixture, Supernet, static
from nasbench_stc.models import ops as operations
from nasbench_stc.models.mixture import one_hot
from nasbench_stc.models.plan import plan
from nasbench_stc.models.static import StaticSupernet
from nasbench_stc.settings import changed
from nasbench_stc.space import EDGES, OPS, Cell

CPU = torch.device("cpu")
TINY = Protocol(channels=4, cells_per_stage=2, epochs=3, steps=4, batch_size=8, lr=0.1, precision="float64")
ONE_SHOT = of_kind("one-shot")
ON_DEVICE = [name for name in ONE_SHOT if load(name).on_device]


# A forward and a backward pass


def supernet(running: bool = False, dtype: torch.dtype = torch.float64) -> Supernet:
    torch.manual_seed(0)
    return Supernet(4, 2, 10, running).to(dtype, memory_format=torch.channels_last)


IMAGES = torch.randn(6, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(6)


def gradients(net: Supernet, logits: Tensor, mixture: Mixture) -> tuple[list[Tensor], dict[str, Tensor | None]]:
    """Of the loss: by the mixture's weights and shift, and by the parameters, None where there is none."""
    of_mixture = [tensor for tensor in (mixture.weights, mixture.shift) if tensor is not None]
    named = dict(net.named_parameters())
    loss = F.cross_entropy(logits.double(), LABELS)
    found = torch.autograd.grad(loss, [*of_mixture, *named.values()], allow_unused=True)
    by_mixture = [torch.zeros_like(tensor) if of is None else of for tensor, of in zip(of_mixture, found, strict=False)]
    return by_mixture, dict(zip(named, found[len(of_mixture) :], strict=True))


def near(ours: Tensor, theirs: Tensor, tolerance: float, scale: float = 0.0) -> bool:
    """Relative to the largest number, or to `scale` if that is larger."""
    return bool((ours - theirs).detach().abs().max() <= tolerance * max(float(theirs.detach().abs().max()), scale))


def compare(running: bool, mixture: Mixture, tolerance: float = 1e-10) -> None:
    """Both forms of one forward and backward pass in training: everything that they leave behind is the same."""
    net, other = supernet(running), supernet(running)
    theirs = net(IMAGES, mixture)
    by_mixture, by_name = gradients(net, theirs, mixture)
    form = StaticSupernet(other)
    live = form.live(mixture)
    ours = form(IMAGES, mixture, live)
    our_mixture, ours_by_name = gradients(other, ours, mixture)
    assert near(ours, theirs, tolerance)
    scale = max(float(of.abs().max()) for of in by_name.values() if of is not None)
    for mine, plans in zip(our_mixture, by_mixture, strict=True):
        assert near(mine, plans, tolerance, scale)  # of a shift that batch norm takes away it is rounding alone
    learning = dict(zip(form.parameters, form.learning(live).tolist(), strict=True))
    for name, plans in by_name.items():
        assert learning.get(name, False) is (plans is not None), name
        mine = ours_by_name[name]
        if plans is None:
            assert mine is None or not mine.any(), name  # zeros, exactly
        else:
            assert near(mine, plans, tolerance, scale), name
    for (name, mine), plans in zip(other.named_buffers(), net.buffers(), strict=True):
        if plans.is_floating_point():
            assert near(mine, plans, tolerance, 1.0), name


NUMBERS = st.lists(st.floats(0.1, 1.0), min_size=30, max_size=30).map(
    lambda numbers: torch.tensor(numbers, dtype=torch.float64).view(6, 5).requires_grad_()
)
PATHS = st.lists(st.integers(0, 4), min_size=6, max_size=6)
MASKS = st.lists(st.booleans(), min_size=30, max_size=30)


def zero_shift(shifted: bool) -> Tensor | None:
    """As GDAS has it: zeros, for the sake of their gradient."""
    return torch.zeros(6, dtype=torch.float64, requires_grad=True) if shifted else None


@settings(max_examples=30, deadline=None)
@given(ops=PATHS, weights=NUMBERS, shifted=st.booleans())
def test_a_path_is_the_same_in_both_forms(ops: list[int], weights: Tensor, shifted: bool) -> None:
    compare(False, Mixture.path(torch.tensor(ops), weights, zero_shift(shifted)))


@settings(max_examples=30, deadline=None)
@given(mask=MASKS, weights=NUMBERS, shifted=st.booleans())
def test_any_mixture_is_the_same_in_both_forms(mask: list[bool], weights: Tensor, shifted: bool) -> None:
    compare(False, Mixture(torch.tensor(mask).view(6, 5), weights, zero_shift(shifted)))


@pytest.mark.parametrize("seed", range(12))
def test_running_statistics_are_the_same_in_both_forms(seed: int) -> None:
    """Without dead ends: there the norm of a constant is rounding, and what follows makes more of it in either form."""
    generator = torch.Generator().manual_seed(seed)
    weights = (0.1 + 0.9 * torch.rand(6, 5, dtype=torch.float64, generator=generator)).requires_grad_()
    some = torch.rand(6, 5, generator=generator) < 0.5
    compare(True, Mixture.path(torch.randint(1, 5, (6,), generator=generator), weights, zero_shift(seed % 2 == 0)))
    compare(True, Mixture(some | one_hot(torch.full((6,), 1 + seed % 4)), weights, zero_shift(seed % 2 == 1)))


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("digits", ["000000", "300000", "030000", "003300", "000333", "333333", "000001", "200004"])
def test_dead_ends_are_the_same_in_both_forms(digits: str, running: bool) -> None:
    weights = torch.linspace(0.1, 1.0, 30, dtype=torch.float64).view(6, 5).requires_grad_()
    compare(running, Mixture.path(Cell.parse(digits), weights))
    compare(running, Mixture.path(Cell.parse(digits), weights, torch.zeros(6, dtype=torch.float64, requires_grad=True)))


@pytest.mark.parametrize("running", [False, True])
def test_a_full_mixture_is_the_same_in_both_forms(running: bool) -> None:
    compare(running, Mixture.full(torch.linspace(-1.0, 1.0, 30, dtype=torch.float64).view(6, 5).requires_grad_()))


@pytest.mark.parametrize("running", [False, True])
def test_evaluation_is_the_same_in_both_forms(running: bool) -> None:
    net = supernet(running)
    form = StaticSupernet(net)
    mixtures = [Mixture.path(Cell.from_index(index)) for index in (0, 77, 9930, 15624)]
    with torch.no_grad():
        for mixture in mixtures:
            net(IMAGES, mixture)  # statistics to evaluate with
        net.eval()
        before = copy.deepcopy(dict(net.named_buffers()))
        for mixture in mixtures:
            assert near(form(IMAGES, mixture, form.live(mixture)), net(IMAGES, mixture), 1e-10)
    assert all(torch.equal(before[name], buffer) for name, buffer in net.named_buffers())


@pytest.mark.parametrize("zeros_vanish", [False, True])
@pytest.mark.parametrize("shifted", [False, True])
def test_what_is_live_is_what_is_planned(zeros_vanish: bool, shifted: bool) -> None:
    form = StaticSupernet(supernet(running=not zeros_vanish))
    rng = np.random.default_rng(0)
    for mask in rng.random((200, len(EDGES), len(OPS))) < rng.random((200, 1, 1)):
        mixture = Mixture(torch.from_numpy(mask), torch.ones(6, 5), torch.zeros(6) if shifted else None)
        live = form.live(mixture)
        terms = [term for node in plan(mixture.active, zeros_vanish, shifted) for term in node or ()]
        planned = torch.zeros(6, 5, dtype=torch.bool)
        for edge, _, op in terms:
            planned[edge, op] = True
        assert torch.equal(live.ops, planned)
        assert bool(live.input) is any(source == 0 for _, source, _ in terms)
        assert bool(live.cells) is (shifted or bool(terms))


@pytest.mark.parametrize("kind", ["path", "full"])
def test_low_precision_is_as_near_as_the_plan_forms(kind: str) -> None:
    """Against float64: losses to 1e-5 in float32 and 5e-3 in bfloat16; gradients in float32 to 1e-2 of their norm.

    In bfloat16 the gradients of single paths are half rounding in either form, as batch norm lets a common factor of a
    node's inputs cancel: the static form's are no further off than 1.5 times the plan form's.
    """
    found = {}
    for precision, form in itertools.product(("float64", "float32", "bfloat16"), ("plan", "static")):
        settings = changed(TINY, {"precision": precision, "form": form, "channels": 8, "batch_size": 32})
        images = small_images(kept_in(precision))
        batch = images.plain(torch.arange(32))
        s = Search(lambda g: STC(StcSettings(), g), settings, images, images, 10, 0)
        weights = torch.linspace(0.2, 1.0, 30, dtype=kept_in(precision)).view(6, 5).requires_grad_()
        mixture = Mixture.path([3, 2, 1, 4, 3, 2], weights) if kind == "path" else Mixture.full(weights)
        loss = s.form.loss(batch, mixture, of_weights=False)
        (by_alpha,) = torch.autograd.grad(loss, weights)
        before = torch.cat([p.detach().flatten() for p in s.supernet.parameters()])
        s.form.train(batch, [mixture])
        step = torch.cat([p.detach().flatten() for p in s.supernet.parameters()]) - before
        found[precision, form] = loss.detach().double(), by_alpha.double(), step.double()
    exact = found["float64", "plan"]
    off = {way: [float((x - y).norm() / y.norm()) for x, y in zip(of, exact, strict=True)] for way, of in found.items()}
    assert max(off["float64", "static"]) < 1e-10
    assert off["float32", "static"][0] < 1e-5 and max(off["float32", "static"]) < 1e-2
    assert off["bfloat16", "static"][0] < 5e-3
    for ours, plans in zip(off["bfloat16", "static"][1:], off["bfloat16", "plan"][1:], strict=True):
        assert ours < 1.5 * plans + 0.01


# Steps and searches


def small_images(dtype: torch.dtype = torch.float64, device: torch.device = CPU) -> DeviceImages:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (50, 3, 8, 8), dtype=np.uint8)
    return DeviceImages(Images(pixels, rng.integers(0, 10, 50), (120.0,) * 3, (60.0,) * 3, 1), device, dtype)


@pytest.mark.parametrize("method", ONE_SHOT)
def test_a_search_is_the_same_in_both_forms(method: str) -> None:
    """`stc-bench search --protocol smoke --set precision=float64 --set epochs=4`, and the same with form=static."""
    settings = {"epochs": 4, "precision": "float64"} | ({"controller_steps": 1} if method == "enas" else {})
    plans, statics = (
        run_search(method, "digits", 3, "smoke", benchmark="analog", form=form, **settings)
        for form in ("plan", "static")
    )
    assert statics.cell == plans.cell
    assert (statics.settings["protocol"]["form"], plans.settings["protocol"]["form"]) == ("static", "plan")
    for mine, theirs in zip(statics.trajectory, plans.trajectory, strict=True):
        assert mine["cell"] == theirs["cell"]
        for name in ("train_loss", "valid_loss"):
            assert mine[name] == (None if theirs[name] is None else pytest.approx(theirs[name], rel=1e-8))
    assert statics.supernet == pytest.approx(plans.supernet, rel=1e-8)


@pytest.mark.parametrize("bn", ["batch", "running"])
@pytest.mark.parametrize("nesterov", [False, True])
def test_weights_and_momentum_are_the_same_after_many_steps(bn: str, nesterov: bool) -> None:
    settings = changed(TINY, {"bn": bn, "nesterov": nesterov, "weight_decay": 0.01, "grad_clip": 0.5})
    found = {}
    for form in ("plan", "static"):
        images = small_images()
        s = Search(lambda g: STC(StcSettings(), g), changed(settings, {"form": form}), images, images, 10, 0)
        generator = torch.Generator().manual_seed(7)
        for step in range(12):
            s.form.set_lr(0.1 / (step + 1))
            path = torch.randint(5, (6,), generator=generator)
            s.form.train(images.plain(torch.arange(step, step + 8)), [Mixture.path(path)])
        found[form] = dict(s.supernet.named_parameters()), dict(s.supernet.named_buffers())
    for ours, theirs in zip(found["static"], found["plan"], strict=True):
        for name, mine in ours.items():
            assert near(mine.double(), theirs[name].double(), 1e-9, 1e-2 if name.endswith("bias") else 0.0), name


def test_a_parameter_that_does_not_learn_is_left_alone_to_the_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.randn(shape, generator=generator) for shape in ((4, 3, 3, 3), (4,), (2, 5))]
    sgd = MaskedSGD(parameters, Protocol(weight_decay=0.1))
    everything = [torch.randn(p.shape, generator=generator) for p in parameters]
    sgd.step(everything, torch.tensor([True, True, True]))
    before, momentum = [p.clone() for p in parameters], sgd.momentum.clone()
    sgd.step([everything[0], torch.zeros(4), everything[2]], torch.tensor([True, False, True]))
    assert [torch.equal(p, old) for p, old in zip(parameters, before, strict=True)] == [False, True, False]
    assert [torch.equal(*pair) for pair in zip(sgd.split(momentum), sgd.split(sgd.momentum), strict=True)] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("clip", [0.0, 0.5])
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_torchs_where_everything_learns(nesterov: bool, clip: float) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((4, 3, 3, 3), (4,), (2, 5))]
    theirs = [p.clone().requires_grad_() for p in ours]
    protocol = Protocol(lr=0.05, nesterov=nesterov, weight_decay=0.01, grad_clip=clip)
    sgd = MaskedSGD(ours, protocol)
    other = torch.optim.SGD(theirs, 0.05, momentum=0.9, nesterov=nesterov, weight_decay=0.01)
    for _ in range(5):
        gradients = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in ours]
        sgd.step(gradients, torch.ones(3, dtype=torch.bool))
        for p, gradient in zip(theirs, gradients, strict=True):
            p.grad = gradient.clone()
        if clip:
            torch.nn.utils.clip_grad_norm_(theirs, clip)
        other.step()
    for mine, p in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, p.detach(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("method", ["stc", "enas"])
def test_a_continued_static_search_is_the_same_search(method: str) -> None:
    settings = changed(TINY, {"form": "static", "precision": "float32"})
    cls = load(method)

    def search() -> Search:
        own = cls.Settings() if method == "stc" else cls.Settings(controller_steps=1, controller_samples=2)
        images = small_images(torch.float32)
        return Search(lambda g: cls(own, g), settings, images, images, 10, 5, on_device=cls.on_device)

    whole, first, second = search(), search(), search()
    for _ in range(3):
        whole.run_epoch()
    first.run_epoch()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    while not second.done:
        second.run_epoch()
    told = [[{**entry, "seconds": 0} for entry in s.progress.trajectory] for s in (whole, second)]
    assert told[0] == told[1]
    assert all(
        torch.equal(*pair) for pair in zip(whole.supernet.parameters(), second.supernet.parameters(), strict=True)
    )


def test_a_method_on_the_host_gets_the_gradients_of_its_mixture() -> None:
    """Its loss comes with them; it is a node of autograd's like any other, also when two are asked for first."""
    images = small_images()
    batch = images.plain(torch.arange(8))
    by_form = {}
    for form in ("plan", "static"):
        s = Search(lambda g: STC(StcSettings(), g), changed(TINY, {"form": form}), images, images, 10, 0)
        weights = torch.linspace(0.1, 1.0, 30).view(6, 5).requires_grad_()  # float32, as a method's own
        shift = torch.zeros(6, requires_grad=True)
        first = s.form.loss(batch, Mixture.path([1, 3, 2, 4, 3, 0], weights, shift), of_weights=False)
        second = s.form.loss(batch, Mixture.full(weights), of_weights=False)
        by_form[form] = [first.detach(), *torch.autograd.grad(first * second + second, [weights, shift])]
        assert all(p.grad is None and p.requires_grad for p in s.supernet.parameters())
    for ours, theirs in zip(by_form["static"], by_form["plan"], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-9)


# What a CUDA graph may not contain


class NothingOfTheHost(TorchDispatchMode):
    """Refuses what a capture would: looking into a tensor, copies between devices, shapes that depend on numbers."""

    REFUSED = ("_local_scalar_dense", "lift_fresh", "nonzero", "masked_select", "unique", "is_nonzero", "equal.")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(name in str(func) for name in self.REFUSED):
            raise AssertionError(f"{func} looks at numbers")
        result = func(*args, **(kwargs or {}))
        tensors = [x for x in itertools.chain(args, (kwargs or {}).values(), [result]) if isinstance(x, Tensor)]
        if {tensor.device.type for tensor in tensors} - {"meta"}:
            raise AssertionError(f"{func} is not on the device alone")
        return result


class NoGenerator:
    """A generator of the meta device: there is none, and nothing is drawn there."""

    def __init__(self, device: Any = "cpu") -> None:
        self.device = torch.device(device)

    def manual_seed(self, seed: int) -> NoGenerator:
        return self


@pytest.fixture
def meta(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A device on which every tensor has a shape and no numbers: looking at one is an error, as it waits on a GPU."""

    def without_generator(draw: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, generator=None, **kwargs: draw(*args, **kwargs)

    for name in ("rand", "randn", "randint"):
        monkeypatch.setattr(torch, name, without_generator(getattr(torch, name)))
    monkeypatch.setattr(Tensor, "exponential_", without_generator(Tensor.exponential_))
    for name in ("_sample_dirichlet", "_dirichlet_grad"):  # torch has no shapes of their results
        monkeypatch.setattr(torch, name, lambda concentration, *others: torch.empty_like(concentration))
    monkeypatch.setattr(torch, "Generator", NoGenerator)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)
    monkeypatch.setattr(forms, "computing", lambda device, precision: contextlib.nullcontext())
    monkeypatch.setattr(forms, "Graphs", lambda device, generators: Graphs(CPU, []))
    from torch.optim import adam

    devices = adam._get_capturable_supported_devices  # Adam's own code for a captured step, as on a GPU
    monkeypatch.setattr(adam, "_get_capturable_supported_devices", lambda *args, **kwargs: [*devices(), "meta"])
    caches = (static._live_table, static._numbers, operations.one_over_pixels)
    yield torch.device("meta")
    for cached in caches:
        cached.cache_clear()


def steps_without_host(make: Callable[[Any], Any], device: torch.device, **settings: Any) -> None:
    one = {"cells_per_stage": 1, "form": "static", "precision": "float32"}  # of cells, which do all the same
    images = small_images(torch.float32, device)
    s = Search(make, changed(TINY, {**one, **settings}), images, images, 10, 0, on_device=True)
    s.method.begin_epoch(0, 3)
    s.supernet.train()
    index = torch.arange(8, device=device)

    def from_host(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("torch.tensor copies from the host")

    def both() -> None:
        assert s.weight_step(index).device.type == "meta"
        if s.method.learns:
            assert s.alpha_step(index).device.type == "meta"

    both()  # the first time has set-up to do, as before a capture
    with NothingOfTheHost(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "tensor", from_host)
        both()


@pytest.mark.parametrize("bn", ["batch", "running"])
@pytest.mark.parametrize("method", ON_DEVICE)
def test_a_captured_step_needs_nothing_of_the_host(method: str, bn: str, meta: torch.device) -> None:
    cls = load(method)
    steps_without_host(lambda generator: cls(cls.Settings(), generator), meta, bn=bn)


@pytest.mark.parametrize("name", ["activation", "runs", "noise_support", "scale", "js_distribution", "idle_alpha"])
def test_no_setting_of_stc_needs_the_host(name: str, meta: torch.device) -> None:
    item = StcSettings.__dataclass_fields__[name]
    for choice in item.metadata["choices"]:
        steps_without_host(lambda generator: STC(changed(StcSettings(), {name: choice}), generator), meta)  # noqa: B023
    steps_without_host(lambda generator: STC(changed(StcSettings(), {"share_sample": True}), generator), meta)


@pytest.mark.parametrize("looks", ["item", "tolist", "if", "nonzero", "copy", "constant"])
def test_looking_is_found_out(looks: str, meta: torch.device) -> None:
    class Looking(AlphaMethod):
        on_device = True

        def mixture(self) -> Mixture:
            ops = self.alpha.argmax(dim=1)
            if looks == "item":
                self.alpha.sum().item()
            if looks == "tolist":
                ops.tolist()
            if looks == "if" and self.alpha[0, 0] > 0:
                pass
            if looks == "nonzero":
                self.alpha[self.alpha > 0].sum()
            if looks == "copy":
                ops = ops + torch.ones(6, dtype=torch.int64).to("meta")
            if looks == "constant":
                ops = ops + torch.tensor([0] * 6, device=self.alpha.device)
            return Mixture.path(ops, self.alpha)

    with pytest.raises(MethodError, match=r"meta|looks at numbers|on the device alone|from the host|nonzero"):
        steps_without_host(lambda generator: Looking(AlphaSettings(), generator), meta)


def test_the_methods_that_are_captured() -> None:
    assert set(ONE_SHOT) - set(ON_DEVICE) == {"enas"}

    class Changed(STC):
        """A subclass may do what cannot be captured, so it has to say that it does not."""

    assert STC.on_device and not Changed.on_device


# Mixtures


def test_a_mixture_of_tensors_is_the_mixture_of_numbers() -> None:
    ops = torch.tensor([0, 1, 2, 3, 4, 3])
    weights = torch.ones(6, 5)
    path = Mixture.path(ops, weights)
    assert path.active == Mixture.path(ops.tolist(), weights).active == ((0,), (1,), (2,), (3,), (4,), (3,))
    assert path.single and torch.equal(path.mask, one_hot(ops)) and torch.equal(path.runs, ops)
    assert torch.equal(Mixture.path(ops.tolist()).mask, path.mask)
    some = Mixture(torch.rand(6, 5, generator=torch.Generator().manual_seed(0)) < 0.5, weights)
    assert not some.single and Mixture(some.active, weights).mask.equal(some.mask)
    assert Mixture(path.runs, weights).single and not Mixture(some.runs, weights).single
    assert not Mixture.full(weights).single and Mixture.full(weights).mask.all()
    for wrong in (
        torch.zeros(5, dtype=torch.int64),
        torch.zeros(6),
        torch.zeros(6, 5),
        torch.zeros(6, dtype=torch.bool),
    ):
        with pytest.raises(ValueError, match="6 edges"):
            Mixture(wrong, weights)
    with pytest.raises(ValueError, match="numbered 0 to 4"):
        _ = Mixture(torch.full((6,), 7), weights).active
