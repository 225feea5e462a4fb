"""The training of one cell's network alone: epochs of SGD along a cosine, and after each a test.

Everything random comes from generators whose state is in the checkpoint, so a training that was killed and continued is
the one that was never killed, bit for bit on the CPU at the same number of threads.
"""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nasbench_stc.data.images import DeviceImages, cut_out
from nasbench_stc.engine.clock import Clock
from nasbench_stc.engine.loop import Progress, Tick, in_passes
from nasbench_stc.engine.precision import by_default, computing, kept_in, set_cudnn, widened
from nasbench_stc.engine.recipe import Recipe
from nasbench_stc.errors import BadCallError, RunError
from nasbench_stc.space import Cell


class Training:
    """One training: built once, then `run_epoch` until `done`; the last entry of `progress.trajectory` is the result.

    Args:
        cell: of a space that has networks.
        recipe: the settings.
        train, test: the images, on the device.
        classes: of the data set.
        seed: everything random follows from it.

    Raises:
        BadCallError: cells of that space are not trained, or not by such a recipe.
    """

    def __init__(
        self, cell: Cell, recipe: Recipe, train: DeviceImages, test: DeviceImages, classes: int, seed: int
    ) -> None:
        self.device = train.labels.device
        self.recipe, self.train, self.test = recipe.on(self.device.type), train, test
        init, order, augmentation, own = (int(s) for s in np.random.SeedSequence(seed).generate_state(4))
        self.generators = {
            "order": torch.Generator().manual_seed(order),
            "augmentation": torch.Generator(self.device).manual_seed(augmentation),
            "network": torch.Generator().manual_seed(own),
        }
        set_cudnn(self.device, self.recipe.deterministic)
        with torch.random.fork_rng(devices=[]):  # the weights are drawn on the CPU: the same on every device
            torch.manual_seed(init)
            self.network = build_network(cell, self.recipe, classes)
        kept = kept_in(self.recipe.precision)
        self.network.to(self.device, kept, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.sgd = torch.optim.SGD(
            self.network.parameters(),
            self.recipe.lr,
            momentum=self.recipe.momentum,
            nesterov=self.recipe.nesterov,
            weight_decay=self.recipe.weight_decay,
        )
        self.clock = Clock(self.device)
        self.progress = Progress()

    @property
    def steps(self) -> int:
        """An epoch's. A pass leaves a single image out where that is all that is left: it has no batch statistics."""
        return self.recipe.steps or math.ceil((len(self.train) - 1) / self.recipe.batch_size)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.progress.trajectory)

    @property
    def done(self) -> bool:
        """Whether all epochs are."""
        return self.epoch == self.recipe.epochs

    def run_epoch(self, tick: Tick = lambda epoch, step: None) -> dict[str, Any]:
        """One epoch and the test after it; returns its entry of the trajectory.

        Raises:
            RunError: the loss is no number.
        """
        with by_default(self.recipe.precision), self._seeded():
            return self._run_epoch(tick)

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """What the network draws from torch's own generator in the block follows from one of ours."""
        seed = int(torch.randint(2**62, (), generator=self.generators["network"]))
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield

    def _run_epoch(self, tick: Tick) -> dict[str, Any]:
        epoch = self.epoch
        self.network.train()
        if self.recipe.drop_path:
            self.network.drop_path = self.recipe.drop_path_at(epoch)  # type: ignore[assignment]
        loss, right = torch.zeros(2, dtype=torch.float64, device=self.device)
        seen = 0
        for step, index in enumerate(self._batches()):
            self.sgd.param_groups[0]["lr"] = self.recipe.lr_at((epoch + step / self.steps) / self.recipe.epochs)
            with self.clock("training"):
                of_batch = self.step(index)
                loss += of_batch.loss
                right += of_batch.right
            seen += len(index)
            tick(epoch, step)
        with self.clock("evaluation"):
            tested = self.rate()
        seconds = self.clock.lap()
        entry = {
            "epoch": epoch,
            "train_loss": loss.item() / seen,
            "train_accuracy": 100 * right.item() / seen,
            "test_loss": tested.loss.item() / len(self.test),
            "test_accuracy": 100 * tested.right.item() / len(self.test),
            "seconds": sum(seconds.values()),
        }
        if not all(map(math.isfinite, entry.values())):
            raise RunError(
                f"epoch {epoch}: the loss is no number: the training diverged. Lower the learning rate (--set lr=…)"
            )
        self.progress.spend(seconds)
        self.progress.trajectory.append(entry)
        return entry

    def step(self, index: Tensor) -> Score:
        """A step of SGD on the images at `index`, augmented; what the network said of them before it."""
        recipe, augmentation = self.recipe, self.generators["augmentation"]
        images, labels = self.train.augmented(index, augmentation)
        if recipe.cutout:
            images = cut_out(images, recipe.cutout, augmentation)
        with computing(self.device, recipe.precision):
            output = self.network(images)
        logits, *auxiliary = output if recipe.auxiliary else (output,)
        loss = F.cross_entropy(widened(logits), labels)
        with_heads = sum((recipe.auxiliary * F.cross_entropy(widened(head), labels) for head in auxiliary), loss)
        self.sgd.zero_grad(set_to_none=True)
        with_heads.backward()  # type: ignore[no-untyped-call]
        if recipe.grad_clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.grad_clip)
        self.sgd.step()
        return Score(loss.detach() * len(index), _right(logits, labels))

    @torch.inference_mode()
    def rate(self) -> Score:
        """The network on all test images, as they are, in evaluation mode."""
        self.network.eval()
        loss, right = torch.zeros(2, dtype=torch.float64, device=self.device)
        for images, labels in self.test.batches(self.recipe.eval_batch):
            with computing(self.device, self.recipe.precision):
                logits = self.network(images)
            loss += F.cross_entropy(widened(logits), labels, reduction="sum")
            right += _right(logits, labels)
        return Score(loss, right)

    def state_dict(self) -> dict[str, Any]:
        """All that a continued training needs, as tensors and plain containers; to be taken between epochs."""
        return {
            "network": self.network.state_dict(),
            "sgd": self.sgd.state_dict(),
            "generators": {name: generator.get_state() for name, generator in self.generators.items()},
            "trajectory": self.progress.trajectory,
            "seconds": self.progress.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where the training stood that gave `state`."""
        self.network.load_state_dict(state["network"])
        self.sgd.load_state_dict(state["sgd"])
        for name, generator in self.generators.items():
            generator.set_state(state["generators"][name])
        self.progress = Progress(state["trajectory"], state["seconds"])

    def _batches(self) -> Iterator[Tensor]:
        """The epoch's image numbers, a batch at a time: whole passes in fresh random orders."""
        batch = self.recipe.batch_size
        needed = self.recipe.steps * batch or len(self.train)
        order = in_passes(len(self.train), needed, self.generators["order"]).to(self.device)
        return iter(torch.split(order, batch)[: self.steps])


class Score(NamedTuple):
    """Sums over images, 0-dimensional: cross-entropy in nats, and how many are right."""

    loss: Tensor
    right: Tensor


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(dim=1) == labels).sum()


def build_network(cell: Cell, recipe: Recipe, classes: int) -> nn.Module:
    """The cell's network, on the default device.

    Its space's module of networks has a `CellNetwork`, which takes the cell and, as far as they say something there,
    `channels`, `cells_per_stage`, `classes` and `auxiliary`. One with an auxiliary head returns a pair in training
    mode; one that drops paths has an attribute `drop_path`, and draws from torch's own generator.

    Raises:
        BadCallError: its space has no networks, or none with what the recipe asks for.
    """
    title, module = cell.of.title, cell.of.networks
    if not module:
        raise BadCallError(f"cells of {title} are not trained here: the space has no networks")
    make = importlib.import_module(module).CellNetwork
    taken = inspect.signature(make).parameters
    if recipe.auxiliary and "auxiliary" not in taken:
        raise BadCallError(f"networks of {title} have no auxiliary head: --set auxiliary=0, or another protocol")
    asked = {
        "channels": recipe.channels,
        "cells_per_stage": recipe.cells_per_stage,
        "classes": classes,
        "auxiliary": recipe.auxiliary > 0,
    }
    network: nn.Module = make(cell, **{name: value for name, value in asked.items() if name in taken})
    if recipe.drop_path and not hasattr(network, "drop_path"):
        raise BadCallError(f"networks of {title} drop no paths: --set drop_path=0, or another protocol")
    return network


class Size(NamedTuple):
    """What a network costs."""

    params: int
    """Trainable parameters."""
    mflops: float
    """Multiply-adds of convolutions and classifier in one image's forward pass, in millions."""


def measure_size(cell: Cell, recipe: Recipe, classes: int, side: int) -> Size:
    """Parameters and multiply-adds of the cell's network, without its auxiliary head, on images of that side.

    Counted on a network without memory, which computes nothing.
    """
    with torch.device("meta"), torch.no_grad(), _Counter() as counter:
        network = build_network(cell, replace(recipe, auxiliary=0.0), classes).eval()
        network(torch.empty(1, 3, side, side))
    return Size(sum(parameter.numel() for parameter in network.parameters()), counter.multiply_adds / 1e6)


class _Counter(TorchFunctionMode):
    """Counts the multiply-adds of what has weights that learn; pooling, though it may be a convolution, has none."""

    multiply_adds = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        if function in (F.conv2d, F.linear) and isinstance(args[1], nn.Parameter):
            self.multiply_adds += found.numel() * args[1][0].numel()
        return found
