"""What a search costs: seconds and peak memory of a method's own steps, and of the target subnet's beside them.

A method's steps are those of a real `Search`, in the first epoch in which alpha learns, on random images: what a step
costs depends on what runs, not on what is seen. Methods that sample draw a new path every step, so there is a value a
step, and enough of them to average over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_stc.data.images import DeviceImages, Images
from nasbench_stc.engine.cost import SUBNETS, StepCost
from nasbench_stc.engine.forms import Batch, StaticForm
from nasbench_stc.engine.graphs import WARM_UP
from nasbench_stc.engine.loop import MakeMethod, Search
from nasbench_stc.engine.precision import computing, kept_in, widened
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.engine.recipe import Recipe
from nasbench_stc.engine.training import build_network
from nasbench_stc.methods.base import OneShotMethod
from nasbench_stc.models import Mixture
from nasbench_stc.models.mixture import Active
from nasbench_stc.models.static import Live
from nasbench_stc.space import TSS, Cell, Space

MIB = 2**20
CLASSES = 10
SIDE = 32
HALF = 25_000
"""Images for the weights, and as many for alpha: a pass over CIFAR-10's training half, as in an epoch of `paper`."""

_SEED = 201
_ALIKE = 4  # steps that all ran the same: the others would, too

Step = Callable[[], Any]


class Measured(NamedTuple):
    """What steps cost by kind (`weights`, `alpha`, `closing`), and how many of each a search takes."""

    costs: dict[str, StepCost]
    steps: dict[str, int]


def measure_method(
    make_method: MakeMethod,
    protocol: Protocol,
    device: torch.device,
    repeats: int,
    on_device: bool = False,
    space: Space = TSS,
) -> Measured:
    """The steps of a method: its weight step and, as far as it has them, its alpha step and its closing step.

    Args:
        make_method: builds the method from its generator.
        protocol: the supernet, the batch, the precision, and how many epochs a search has.
        device: where the supernet is.
        repeats: timed steps of each kind, after one to warm up; as many again record memory. Where all run the same,
            a few are enough for time, and one for memory.
        on_device: as of `Search`.
        space: that is searched; it has a supernet.
    """
    kept = kept_in(protocol.precision)
    images = random_images(protocol.batch_size, protocol.resolution or SIDE, device, kept)
    search = Search(make_method, protocol, images, images, CLASSES, _SEED, on_device=on_device, space=space)
    learning = _begin_learning(search.method, protocol.epochs)
    search.supernet.train()
    index = torch.arange(protocol.batch_size, device=device)
    steps: dict[str, Step] = {"weights": lambda: search.weight_step(index)}
    a_pass = protocol.steps or HALF // protocol.batch_size
    numbers = {"weights": protocol.epochs * a_pass}
    if learning:
        steps["alpha"], numbers["alpha"] = (lambda: search.alpha_step(index)), learning * a_pass
    if search.method.closing_steps:
        steps["closing"] = lambda: search.closing_step(index)
        numbers["closing"] = protocol.epochs * search.method.closing_steps
    return Measured({kind: _cost(step, search, repeats) for kind, step in steps.items()}, numbers)


def _begin_learning(method: OneShotMethod, epochs: int) -> int:
    """Begin the first epoch in which alpha learns, if there is one; in how many it does."""
    learning = []
    for epoch in range(epochs):
        method.begin_epoch(epoch, epochs)
        if method.learns:
            learning.append(epoch)
    method.begin_epoch(learning[0] if learning else 0, epochs)
    return len(learning)


def _cost(step: Step, search: Search, repeats: int) -> StepCost:
    device, form = search.device, search.form
    static = isinstance(form, StaticForm)
    ran: list[Active] = []
    with _told(search, ran):
        first = WARM_UP + 1 if static else 1
        for _ in range(first):
            step()
        passes = len(ran) / first
        if not static:
            ran.clear()  # a replay runs nothing that could tell: there the first calls count, and all steps are alike
        seconds: list[float] = []
        while len(seconds) < repeats and not (len(seconds) == _ALIKE and len(set(ran)) == 1):
            seconds.append(time_step(step, device))
        drawn = len(set(ran)) > 1
        with form.graphs.plainly() if isinstance(form, StaticForm) else nullcontext():  # a replay allocates nothing
            mib = [peak_mib(step, search.supernet, device) for _ in range(repeats if drawn else 1)]
    operations = sum(len(ops) for active in ran for ops in active) / (len(ran) * len(ran[0]))
    return StepCost(seconds, mib, operations, drawn, passes)


@contextmanager
def _told(search: Search, ran: list[Active]) -> Iterator[None]:
    """What runs is added to `ran`: in the plan form the operations, in the static one how many there are an edge."""
    if isinstance(search.form, StaticForm):
        static, live = search.form.static, search.form.static.live

        def told(mixture: Mixture) -> Live:
            ran.append(((0,) if mixture.single else tuple(range(mixture.shape[1])),) * mixture.shape[0])
            return live(mixture)

        static.live = told  # type: ignore[method-assign]
        try:
            yield
        finally:
            static.live = live  # type: ignore[method-assign]
    else:
        hook = search.supernet.register_forward_pre_hook(lambda supernet, inputs: ran.append(inputs[1].active))
        yield
        hook.remove()


def subnet_cells(space: Space = TSS) -> list[Cell]:
    """About `SUBNETS` cells, always the same ones, in which edges have each operation but `none` equally often.

    So their mean number of convolutions is that of all cells without `none`; in `tss` all operations but `none`
    together are four times as many on an edge as in the mean of these cells.
    """
    return [Cell(ops, space.name) for ops in space.even(SUBNETS, np.random.default_rng(_SEED))]


def measure_subnet(protocol: Protocol, device: torch.device, repeats: int, space: Space = TSS) -> Measured:
    """The stand-alone networks of `subnet_cells` trained: what M and T of the target subnet are, on average.

    `weights` is a training step; `alpha` is what of an alpha step is the subnet's: its forward pass, and the way back
    through it without weight gradients. `repeats` are divided among the cells. Networks are without an auxiliary head.
    """
    cells = subnet_cells(space)
    size = Recipe(protocol.channels, protocol.cells_per_stage, auxiliary=0.0, drop_path=0.0)
    kept = kept_in(protocol.precision)
    images = random_images(protocol.batch_size, protocol.resolution or SIDE, device, kept)
    index, generator = torch.arange(protocol.batch_size, device=device), torch.Generator(device).manual_seed(_SEED)
    seconds: dict[str, list[float]] = {"weights": [], "alpha": []}
    mib: dict[str, list[float]] = {"weights": [], "alpha": []}
    for cell in cells:
        network = build_network(cell, size, CLASSES)
        network = network.to(device, kept, memory_format=torch.channels_last)  # type: ignore[call-overload]

        def batch() -> Batch:
            return images.augmented(index, generator)

        steps = {"weights": training_step(network, batch, protocol), "alpha": way_back(network, batch, protocol)}
        for kind, step in steps.items():
            step()
            seconds[kind] += [time_step(step, device) for _ in range(max(1, repeats // len(cells)))]
            mib[kind].append(peak_mib(step, network, device))
    return Measured({kind: StepCost(seconds[kind], mib[kind], 1.0, drawn=True) for kind in seconds}, {})


def training_step(network: nn.Module, batch: Callable[[], Batch], protocol: Protocol) -> Step:
    """A training step of a plain `network`, as `Search.weight_step` is one of a supernet."""
    sgd = torch.optim.SGD(
        network.parameters(),
        protocol.lr,
        momentum=protocol.momentum,
        nesterov=protocol.nesterov,
        weight_decay=protocol.weight_decay,
    )

    def step() -> None:
        loss = _loss(network, batch(), protocol)
        sgd.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if protocol.grad_clip:
            torch.nn.utils.clip_grad_norm_(network.parameters(), protocol.grad_clip)
        sgd.step()

    return step


def way_back(network: nn.Module, batch: Callable[[], Batch], protocol: Protocol) -> Step:
    """The forward pass of a plain `network`, and the way back to its images without weight gradients."""

    def step() -> None:
        images, labels = batch()
        network.requires_grad_(False)
        loss = _loss(network, (images.requires_grad_(), labels), protocol)
        torch.autograd.grad(loss, [images])
        network.requires_grad_(True)

    return step


def _loss(network: nn.Module, batch: Batch, protocol: Protocol) -> Tensor:
    images, labels = batch
    with computing(images.device, protocol.precision):
        logits = network(images)
    return F.cross_entropy(widened(logits), labels)


def random_images(n: int, side: int, device: torch.device, dtype: torch.dtype = torch.float32) -> DeviceImages:
    """`n` images of noise, `side` pixels wide, in `CLASSES` classes; always the same ones."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, 3, side, side), dtype=np.uint8)
    images = Images(pixels, rng.integers(0, CLASSES, n), (120.0,) * 3, (60.0,) * 3, 2)
    return DeviceImages(images, device, dtype)


def time_step(step: Step, device: torch.device) -> float:
    """Seconds of one step, until the device has done it."""
    wait(device)
    begin = time.perf_counter()
    step()
    wait(device)
    return time.perf_counter() - begin


def peak_mib(step: Step, network: nn.Module, device: torch.device) -> float:
    """MiB of tensors at the peak of a step: what stands before it, and what it adds (`peak_memory`).

    What stands are the parameters and buffers of `network`, and a momentum for each parameter, as in a long search.
    Gradients of the step before are let go first, and images are not counted.
    """
    network.zero_grad(set_to_none=True)  # the profiler would not see them go
    parameters = list(network.parameters())
    stands = sum(tensor.nbytes for tensor in (*parameters, *parameters, *network.buffers()))
    return stands / MIB + peak_memory(step, device)


def peak_memory(step: Step, device: torch.device) -> float:
    """MiB of tensors that a step adds at its peak to what stood before it.

    On CUDA by the allocator's counter, on the CPU by the sum of the allocations and releases that torch's profiler
    records. Weights, momentum and images are therefore not in it; weight gradients, activations and temporaries are.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        added: float = (torch.cuda.max_memory_allocated(device) - before) / MIB
        return added
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as recorded:
        step()
    results = recorded.profiler.kineto_results  # type: ignore[union-attr]
    events = [event for event in results.events() if event.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak / MIB


def wait(device: torch.device) -> None:
    """Until the device has done everything."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
