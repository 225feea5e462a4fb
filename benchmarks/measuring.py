"""What the speed benchmarks share: steps of a search to be timed, their seconds, their memory, and the result's file.

Sides of a comparison are measured in turn within one process, so that what else the machine does falls on all alike.

Memory of a step is that of the tensors which it allocates, at its peak, above what stood before it: on CUDA by the
allocator's counter, on the CPU by the sum of the allocations and releases that torch's profiler records. Weights,
momentum and images are therefore not in it; weight gradients, activations and temporaries are.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_stc import files
from nasbench_stc.data.images import DeviceImages, Images
from nasbench_stc.engine.loop import Search
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.methods.base import Objective, OneShotMethod
from nasbench_stc.models import Mixture
from nasbench_stc.runs import environment
from nasbench_stc.space import EDGES, OPS

MIB = 2**20
Step = Callable[[], Any]


class Size(NamedTuple):
    """A supernet and its batch."""

    channels: int
    cells_per_stage: int
    side: int
    batch: int

    def __str__(self) -> str:
        return f"C={self.channels}, N={self.cells_per_stage}, {self.side}x{self.side}, batch {self.batch}"


SIZES = {"target": Size(16, 5, 32, 64), "cpu": Size(16, 1, 16, 64)}


class Chosen(OneShotMethod):
    """A method that runs what it is told to: `active` is set from outside; alpha learns by Adam, as in every method."""

    learns = True

    def __init__(self) -> None:
        self.alpha = torch.full((len(EDGES), len(OPS)), 0.5, requires_grad=True)
        self.adam = torch.optim.Adam([self.alpha], 3e-4, betas=(0.5, 0.999))
        self.active: tuple[tuple[int, ...], ...] = ()

    def weight_mixture(self) -> Mixture:
        """What was chosen, alpha a constant."""
        return Mixture(self.active, self.alpha.detach())

    def alpha_step(self, objective: Objective) -> Tensor:
        """Adam on alpha; where no operation reaches the result there is nothing to learn."""
        loss = objective.valid_loss(Mixture(self.active, self.alpha))
        if loss.requires_grad:
            (self.alpha.grad,) = torch.autograd.grad(loss, [self.alpha])
            self.adam.step()
        return loss.detach()


class Ours:
    """The engine's own steps, augmentation, clipping and optimizers included, on random images."""

    def __init__(self, size: Size, device: str, precision: str = "float32") -> None:
        protocol = Protocol(
            channels=size.channels, cells_per_stage=size.cells_per_stage, batch_size=size.batch, precision=precision
        )
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (4 * size.batch, 3, size.side, size.side), dtype=np.uint8)
        images = Images(pixels, rng.integers(0, 10, len(pixels)), (120.0,) * 3, (60.0,) * 3, 2)
        on_device = DeviceImages(images, torch.device(device))
        self.method = Chosen()
        self.search = Search(lambda generator: self.method, protocol, on_device, on_device, 10, 0)
        self.search.supernet.train()
        self.index = torch.arange(size.batch, device=device)

    def weights(self) -> None:
        """A weight step."""
        self.search.weight_step(self.index)

    def alpha(self) -> None:
        """An alpha step."""
        self.search.alpha_step(self.index)

    def both(self) -> None:
        """A weight step and an alpha step."""
        self.weights()
        self.alpha()

    def batch(self) -> tuple[Tensor, Tensor]:
        """Images and labels as the steps see them."""
        return self.search.train.augmented(self.index, self.search.generators["augmentation"])


def drawn_paths(n: int, none: bool = True) -> list[tuple[tuple[int, ...], ...]]:
    """`n` paths, each operation equally likely on each edge, as an untrained GDAS draws them; always the same ones."""
    rng = random.Random(201)
    return [tuple((rng.randrange(0 if none else 1, len(OPS)),) for _ in EDGES) for _ in range(n)]


def full() -> tuple[tuple[int, ...], ...]:
    """All operations on all edges."""
    return Mixture.full(torch.ones(len(EDGES), len(OPS))).active


def seconds(step: Step, device: str) -> float:
    """Of one step, until the device has done it."""
    _wait(device)
    begin = time.perf_counter()
    step()
    _wait(device)
    return time.perf_counter() - begin


def peak_memory(step: Step, device: str) -> float:
    """MiB of tensors that a step adds at its peak (see above)."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / MIB
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as recorded:
        step()
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak / MIB


def plain_step(network: torch.nn.Module, batch: Callable[[], tuple[Tensor, Tensor]], clip: float = 5.0) -> Step:
    """A training step of `network`, as the engine does one."""
    sgd = torch.optim.SGD(network.parameters(), 0.025, momentum=0.9, weight_decay=3e-4)

    def step() -> None:
        images, labels = batch()
        loss = F.cross_entropy(network(images), labels)
        sgd.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
        sgd.step()

    return step


def write(out: Path | None, device: str, figures: Mapping[str, Any]) -> None:
    """The figures with what they were measured on, as JSON."""
    if out is None:
        return
    where = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": environment.device_name(device),
        "threads": torch.get_num_threads(),
        "versions": environment.versions(),
        "git_revision": environment.git_revision(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomic(out, (json.dumps({**figures, **where}, indent=1) + "\n").encode())


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on the terminal, numbers to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120
    console.print(f"\n[bold]{title}[/bold]")
    console.print(table)


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
