"""The training of one cell's network alone: epochs of SGD along a cosine, and after each a test.

Everything random comes from generators whose state is in the checkpoint, so a training that was killed and continued is
the one that was never killed, bit for bit on the CPU at the same number of threads.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nasbench_stc.data.images import BatchedImages, cut_out
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
        train, test: the images; both give batches on the same device.
        classes: of the data set.
        seed: everything random follows from it.

    Raises:
        BadCallError: cells of that space are not trained, or not by such a recipe.
    """

    def __init__(
        self, cell: Cell, recipe: Recipe, train: BatchedImages, test: BatchedImages, classes: int, seed: int
    ) -> None:
        self.device = train.labels.device
        self.recipe, self.train, self.test = recipe.on(self.device.type), train, test
        init, order, augmentation, cutout, own = (int(s) for s in np.random.SeedSequence(seed).generate_state(5))
        self.generators = {
            "order": torch.Generator().manual_seed(order),
            "augmentation": torch.Generator(self.device).manual_seed(augmentation),
            "cutout": torch.Generator(self.device).manual_seed(cutout),
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
    def ticks(self) -> int:
        """Steps of an epoch. A pass leaves a single image out, if it ends with that: it has no batch statistics."""
        return self.recipe.steps or math.ceil((len(self.train) - 1) / self.recipe.batch_size)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.progress.trajectory)

    @property
    def epochs(self) -> int:
        """How many there are to be."""
        return self.recipe.epochs

    @property
    def done(self) -> bool:
        """Whether all epochs are."""
        return self.epoch == self.epochs

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
        trained, seen = Score(*torch.zeros(3, dtype=torch.float64, device=self.device)), 0
        with closing(self.train.stream(self._batches(), self.generators["augmentation"])) as batches:
            for step in range(self.ticks):
                self.sgd.param_groups[0]["lr"] = self.recipe.lr_at((epoch + step / self.ticks) / self.epochs)
                with self.clock("training"):
                    images, labels = next(batches)
                    trained = trained.plus(self.step(images, labels))
                seen += len(labels)
                tick(epoch, step)
        with self.clock("evaluation"):
            tested = self.rate()
        seconds = self.clock.lap()
        entry = {
            "epoch": epoch,
            "train_loss": trained.loss.item() / seen,
            "train_accuracy": 100 * trained.right.item() / seen,
            "test_loss": tested.loss.item() / len(self.test),
            "test_accuracy": 100 * tested.right.item() / len(self.test),
            "test_top5": 100 * tested.among_five.item() / len(self.test),
            "seconds": sum(seconds.values()),
        }
        if not all(map(math.isfinite, entry.values())):
            raise RunError(
                f"epoch {epoch}: the loss is no number: the training diverged. Lower the learning rate (--set lr=…)"
            )
        self.progress.spend(seconds)
        self.progress.trajectory.append(entry)
        return entry

    def step(self, images: Tensor, labels: Tensor) -> Score:
        """A step of SGD on augmented images, of which a square is cut out; what the network said of them before it."""
        recipe = self.recipe
        if recipe.cutout:
            images = cut_out(images, recipe.cutout, self.generators["cutout"])
        with computing(self.device, recipe.precision):
            output = self.network(images)
        logits, *heads = output if recipe.auxiliary else (output,)
        whole = self._loss(logits, labels)
        for head in heads:
            whole = whole + recipe.auxiliary * self._loss(head, labels)
        self.sgd.zero_grad(set_to_none=True)
        whole.backward()  # type: ignore[no-untyped-call]
        if recipe.grad_clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.grad_clip)
        self.sgd.step()
        return _score(logits.detach(), labels)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(widened(logits), labels, label_smoothing=self.recipe.label_smoothing)

    @torch.inference_mode()
    def rate(self) -> Score:
        """The network on all test images, as they are, in evaluation mode."""
        self.network.eval()
        total = Score(*torch.zeros(3, dtype=torch.float64, device=self.device))
        with closing(self.test.batches(self.recipe.eval_batch)) as batches:
            for images, labels in batches:
                with computing(self.device, self.recipe.precision):
                    logits = self.network(images)
                total = total.plus(_score(logits, labels))
        return total

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

    def _batches(self) -> Sequence[Tensor]:
        """The epoch's image numbers, a batch at a time: whole passes in fresh random orders."""
        batch = self.recipe.batch_size
        needed = self.recipe.steps * batch or len(self.train)
        order = in_passes(len(self.train), needed, self.generators["order"]).to(self.device)
        return torch.split(order, batch)[: self.ticks]


class Score(NamedTuple):
    """Sums over images, 0-dimensional."""

    loss: Tensor
    """Cross-entropy in nats."""
    right: Tensor
    """How many have the highest score at their own class."""
    among_five: Tensor
    """How many have one of the five highest there."""

    def plus(self, other: Score) -> Score:
        """Of these images and the others."""
        return Score(*(one + more for one, more in zip(self, other, strict=True)))


def _score(logits: Tensor, labels: Tensor) -> Score:
    best = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
    return Score(F.cross_entropy(widened(logits), labels, reduction="sum"), best[:, 0].sum(), best.sum())


def build_network(cell: Cell, recipe: Recipe, classes: int) -> nn.Module:
    """The cell's network, on the default device.

    Its space's module of networks has a `CellNetwork`, which takes the cell and, as far as they say something there,
    `channels`, `cells_per_stage`, `classes`, `auxiliary` and `imagenet`. One with an auxiliary head returns a pair in
    training mode; one that drops paths has an attribute `drop_path`, and draws from torch's own generator.

    Raises:
        BadCallError: its space has no networks, or none with what the recipe asks for.
    """
    title, make = cell.of.title, getattr(cell.of.module(), "CellNetwork", None)
    if make is None:
        raise BadCallError(f"cells of {title} are not trained here: the space has no networks of them")
    taken = inspect.signature(make).parameters
    if recipe.stem == "imagenet" and "imagenet" not in taken:
        raise BadCallError(f"networks of {title} have no stem for ImageNet: another data set, or --set stem=plain")
    if recipe.auxiliary and "auxiliary" not in taken:
        raise BadCallError(f"networks of {title} have no auxiliary head: --set auxiliary=0, or another protocol")
    asked = {
        "channels": recipe.channels,
        "cells_per_stage": recipe.cells_per_stage,
        "classes": classes,
        "auxiliary": recipe.auxiliary > 0,
        "imagenet": recipe.stem == "imagenet",
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
