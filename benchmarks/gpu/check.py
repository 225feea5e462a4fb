"""The CUDA tests, and the losses of a search's first steps on the GPU beside those on the CPU.

Both start from the same weights and alpha and take the same batches: every batch is all images, in any order, and these
are alike from both sides and not cropped, so that augmentation changes nothing. `darts` runs all operations; `stc`,
without noise, what its alpha says; `paths` is a method of our own that runs given cells. The engine has TF32 off.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from measuring import Chosen, Size, drawn_paths, show

from nasbench_stc.data.images import DeviceImages, Images
from nasbench_stc.engine import profile
from nasbench_stc.engine.precision import kept_in
from nasbench_stc.runs import environment, launch
from nasbench_stc.space import Cell

from .steps import FORMS, TINY, Way, precisions, search_of

SIZE = Size(16, 1, 32, 64)
STEPS = 6
TOLERANCE = {"float32": 5e-4, "bfloat16": 5e-3, "float64": 1e-9}
"""Of a loss, relative, beside the CPU's in float32 (float64: in float64): in any step, of bfloat16 in the first one.

Rounding differs from the first step on, and grows. On a CPU, another order of the images gives 6e-6 (`stc`: 5e-5).
"""
METHODS = ("darts", "paths", "stc")

_ROOT = Path(__file__).parents[2]


class Paths(Chosen):
    """Runs one given cell after another, the same in both steps."""

    def __init__(self) -> None:
        super().__init__()
        self._paths = drawn_paths(STEPS, none=False)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """An epoch is a step here."""
        self.active = self._paths[epoch % len(self._paths)]

    def cell(self) -> Cell:
        """The last one."""
        return Cell(tuple(ops[0] for ops in self.active))


class Losses(NamedTuple):
    """Of a search's first steps."""

    method: str
    way: Way
    device: str
    train: list[float]
    valid: list[float]


def mirrored(n: int, side: int) -> Images:
    """Images that are the same when they are flipped, of which nothing is cropped."""
    rng = np.random.default_rng(0)
    half = rng.integers(0, 256, (n, 3, side, side // 2), dtype=np.uint8)
    pixels = np.concatenate([half, half[..., ::-1]], axis=-1)
    return Images(pixels, rng.integers(0, profile.CLASSES, n), (120.0,) * 3, (60.0,) * 3, 0)


def losses(method: str, way: Way, device: str, size: Size) -> Losses:
    """An epoch is one step on all images."""
    shape = {"channels": size.channels, "cells_per_stage": size.cells_per_stage, "batch_size": size.batch}
    changes = {**shape, "epochs": STEPS, "steps": 1, **way.changes, **({} if method == "darts" else {"noise": 0})}
    todo = launch.plan("stc" if method == "paths" else method, "cifar10", 0, "paper", changes, device)
    images = DeviceImages(mirrored(size.batch, size.side), torch.device(device), kept_in(way.precision))
    search = search_of(todo, images, (lambda generator: Paths()) if method == "paths" else None)
    if method != "paths":  # else drawn where the generator is, which may be the GPU
        with torch.no_grad():
            search.method.alpha.copy_(0.5 + 0.1 * torch.randn(6, 5, generator=torch.Generator().manual_seed(0)))
    entries = [search.run_epoch() for _ in range(STEPS)]
    return Losses(
        method, way, device, [entry["train_loss"] for entry in entries], [entry["valid_loss"] for entry in entries]
    )


def difference(one: Losses, other: Losses) -> float:
    """The largest of the steps, relative."""
    steps = 1 if "bfloat16" in (one.way.precision, other.way.precision) else STEPS
    ours, theirs = (np.array([losses.train[:steps], losses.valid[:steps]]) for losses in (one, other))
    return float(np.max(np.abs(ours - theirs) / np.abs(theirs)))


def compare(device: str, size: Size) -> bool:
    """Show all losses; whether those that have to agree do."""
    rows, agree = [], True
    for precision in (name for name in TOLERANCE if name in precisions(device)):
        for method in METHODS:
            exact = "float64" if precision == "float64" else "float32"
            expected = losses(method, Way("plan", exact), "cpu", size)
            rows.append([method, "cpu", str(expected.way), *_numbers(expected), ""])
            for form in FORMS:
                found = losses(method, Way(form, precision), device, size)
                off = difference(found, expected)
                close = off <= TOLERANCE[precision]
                agree &= close
                said = f"{off:.1e}: {'agrees' if close else 'DIFFERS'}"
                rows.append([method, device, str(found.way), *_numbers(found), said])
    limits = ", ".join(f"{name} {value:g}" for name, value in TOLERANCE.items())
    show(
        f"Losses of {STEPS} steps, {size}; relative difference allowed: {limits}",
        ["", "device", "form, precision", "train, first", "last", "alpha, first", "last", "difference"],
        rows,
    )
    return agree


def _numbers(found: Losses) -> list[str]:
    return [f"{loss:.6f}" for loss in (found.train[0], found.train[-1], found.valid[0], found.valid[-1])]


def run_tests(seconds: float) -> bool:
    """The CUDA tests, which are skipped without a GPU; whether none failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_gpu.py"]
    try:
        return subprocess.run(command, cwd=_ROOT, timeout=seconds, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        click.echo(f"the CUDA tests did not end within {seconds:.0f} s")
        return False


@click.command(help=__doc__)
@click.option("--seconds", type=float, default=90, show_default=True, help="For the tests; the losses take seconds.")
@click.option("--device", default="auto", show_default=True)
@click.option("--tests/--no-tests", default=True, show_default=True)
@click.option("--quick", is_flag=True, help="A tiny supernet.")
@click.pass_obj
def main(begin: float | None, seconds: float, device: str, tests: bool, quick: bool) -> None:
    """Losses first: they say most in the least time."""
    begin = time.monotonic() if begin is None else begin
    device = environment.choose_device(device)
    click.echo(f"{environment.device_name(device)}; {environment.versions()}; revision {environment.git_revision()}")
    if device == "cpu":
        click.echo("no GPU: the CPU is compared with itself, and the CUDA tests are skipped")
    agree = compare(device, TINY if quick else SIZE)
    passed = run_tests(max(1.0, begin + seconds - time.monotonic())) if tests else True
    said = ("passed" if passed else "FAILED") if tests else "not run"
    click.echo(f"losses {'agree' if agree else 'DIFFER'}; CUDA tests: {said}")
    sys.exit(0 if agree and passed else 1)
