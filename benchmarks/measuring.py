"""What the speed benchmarks share: steps of a search to be timed, their seconds, their memory, and the result's file.

Sides of a comparison are measured in turn within one process, so that what else the machine does falls on all alike.

Memory of a step is that of the tensors which it allocates, at its peak, above what stood before it, as the package's
own `stc-bench profile` measures it: see `nasbench_stc.engine.profile.peak_memory`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nasbench_stc import files
from nasbench_stc.data.images import DeviceImages
from nasbench_stc.engine import checkpoint, profile
from nasbench_stc.engine.loop import Search, build_supernet
from nasbench_stc.engine.profile import CLASSES, Step, random_images
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.methods.base import Objective, OneShotMethod
from nasbench_stc.models import Mixture, Supernet
from nasbench_stc.records import Record, record
from nasbench_stc.runs import environment, launch
from nasbench_stc.settings import changed
from nasbench_stc.space import EDGES, OPS

MIB = profile.MIB


class Size(NamedTuple):
    """A supernet and its batch."""

    channels: int
    cells_per_stage: int
    side: int
    batch: int

    def __str__(self) -> str:
        return f"C={self.channels}, N={self.cells_per_stage}, {self.side}x{self.side}, batch {self.batch}"


SIZES = {"target": Size(16, 5, 32, 64), "cpu": Size(16, 1, 16, 64)}


class Left(NamedTuple):
    """What a finished search left, to be asked on a CPU."""

    run: Record
    engine: Protocol
    supernet: Supernet
    images: DeviceImages
    """Those that it validated on."""


def left_by(folder: Path, data_dir: Path | None) -> Left:
    """What the search in that folder left; raises as the package's own readers."""
    run = record.read(folder / record.FILE_NAME)
    engine = changed(Protocol(), run.settings["protocol"])
    halves = launch.read_halves(run.search_dataset, engine, run.seed, data_dir)
    supernet = build_supernet(engine, halves.classes, torch.device("cpu"), 0)
    supernet.load_state_dict(torch.load(folder / checkpoint.SUPERNET_NAME, weights_only=True))
    return Left(run, engine, supernet, DeviceImages(halves.for_alpha, torch.device("cpu")))


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
        images = random_images(4 * size.batch, size.side, torch.device(device))
        self.method = Chosen()
        self.search = Search(lambda generator: self.method, protocol, images, images, CLASSES, 0)
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
    return profile.time_step(step, torch.device(device))


def peak_memory(step: Step, device: str) -> float:
    """MiB of tensors that a step adds at its peak (see above)."""
    return profile.peak_memory(step, torch.device(device))


def write(out: Path | None, device: str, figures: Mapping[str, Any]) -> None:
    """The figures with what they were measured on, as JSON."""
    if out is None:
        return
    where = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": environment.device_name(device),
        "threads": torch.get_num_threads(),
        "versions": environment.versions(device=device),
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
