"""The one bilevel loop (Eq. 10): weights learn on the training half, alpha on the validation half, in turn.

First order: each level's gradient takes the other as it is. The weight step sees alpha as a constant; the
alpha step sees the weights as constants, so no weight gradient is computed there. Weights of
operations that a step did not run get no gradient and are left as they are: no decay, no momentum.

Everything random comes from generators whose state is in the checkpoint, so a run that was killed and
continued is the run that was never killed, bit for bit on the CPU at the same number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_stc.data.images import DeviceImages
from nasbench_stc.engine.clock import Clock
from nasbench_stc.engine.evaluation import rate, rate_mixture, scores
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.errors import RunError, blamed
from nasbench_stc.methods.base import OneShotMethod, Rating
from nasbench_stc.models import Mixture, Supernet
from nasbench_stc.space import Cell

MakeMethod = Callable[[torch.Generator], OneShotMethod]
Batch = tuple[Tensor, Tensor]
"""Images and labels."""
Tick = Callable[[int, int], None]
"""Called after each step with (epoch, step); an epoch's steps are its weight steps and its closing steps."""


@dataclass
class Progress:
    """What has been done: one entry an epoch, and the seconds spent by kind."""

    trajectory: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def spend(self, seconds: dict[str, float]) -> None:
        """Add seconds by kind."""
        for kind, spent in seconds.items():
            self.seconds[kind] = self.seconds.get(kind, 0.0) + spent


class Search:
    """A search with one method, one seed: built once, then `run_epoch` until `done`, then `result`.

    Args:
        make_method: builds the method from its generator.
        protocol: the settings of supernet and weights.
        train, valid: the images for the weights and for alpha, on the device.
        classes: of the data set.
        seed: everything random follows from it.
        name: of the method, for messages; empty: its class's.

    Raises:
        MethodError: the method made a mistake, now or in any later call; the message says where.
    """

    def __init__(
        self,
        make_method: MakeMethod,
        protocol: Protocol,
        train: DeviceImages,
        valid: DeviceImages,
        classes: int,
        seed: int,
        name: str = "",
    ) -> None:
        self.protocol, self.train, self.valid = protocol, train, valid
        self.device = train.labels.device
        init, order, augmentation, method = (int(s) for s in np.random.SeedSequence(seed).generate_state(4))
        self.generators = {
            "order": torch.Generator().manual_seed(order),
            "augmentation": torch.Generator(self.device).manual_seed(augmentation),
            "method": torch.Generator().manual_seed(method),
        }
        self.supernet = build_supernet(protocol, classes, self.device, init)
        self.name, self._at = name, "before the first epoch"
        with self._blamed("construction"):
            self.method = make_method(self.generators["method"])
        self.name = name or type(self.method).__name__
        self.sgd = torch.optim.SGD(
            self.supernet.parameters(),
            protocol.lr,
            momentum=protocol.momentum,
            nesterov=protocol.nesterov,
            weight_decay=protocol.weight_decay,
        )
        self.clock = Clock(self.device)
        self.progress = Progress()

    @property
    def steps(self) -> int:
        """Weight steps an epoch."""
        return self.protocol.steps or len(self.train) // self.protocol.batch_size

    @property
    def ticks(self) -> int:
        """Steps that an epoch's `tick` tells of."""
        return self.steps + self.method.closing_steps

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.progress.trajectory)

    @property
    def done(self) -> bool:
        """Whether all epochs are."""
        return self.epoch == self.protocol.epochs

    def run_epoch(self, tick: Tick = lambda epoch, step: None) -> dict[str, Any]:
        """One epoch of alternating steps; returns its entry of the trajectory."""
        epoch = self.epoch
        self._at = f"epoch {epoch}"
        with self._blamed("begin_epoch"):
            self.method.begin_epoch(epoch, self.protocol.epochs)
        self.supernet.train()
        train_order, valid_order = self._order(self.train, self.steps), self._order(self.valid, self.steps)
        train_loss = torch.zeros((), device=self.device)
        valid_loss = torch.zeros((), device=self.device)
        alpha_steps = self.steps * self.method.learns + self.method.closing_steps
        for step in range(self.steps):
            self._at = f"epoch {epoch}, step {step}"
            self._set_lr(epoch * self.steps + step)
            with self.clock("weights"):
                train_loss += self.weight_step(train_order[step])
            if self.method.learns:
                with self.clock("alpha"):
                    valid_loss += self.alpha_step(valid_order[step])
            tick(epoch, step)
        if self.method.closing_steps:
            for step, index in enumerate(self._order(self.valid, self.method.closing_steps), start=self.steps):
                self._at = f"epoch {epoch}, step {step}"
                with self.clock("alpha"):
                    valid_loss += self.closing_step(index)
                tick(epoch, step)
        seconds = self.clock.lap()
        self._at = f"end of epoch {epoch}"
        with self._blamed("cell"):
            cell = _cell(self.method.cell(), "a Cell or None", Cell | None)
        with self._blamed("snapshot"):
            snapshot = self.method.snapshot()
        entry = {
            "epoch": epoch,
            "cell": None if cell is None else str(cell),
            "train_loss": train_loss.item() / self.steps,
            "valid_loss": valid_loss.item() / alpha_steps if alpha_steps else None,
            "seconds": sum(seconds.values()),
            **snapshot,
        }
        losses = [loss for loss in (entry["train_loss"], entry["valid_loss"]) if loss is not None]
        if not all(map(math.isfinite, losses)):
            raise RunError(
                f"method {self.name}, epoch {epoch}: the loss is no number: the search diverged. Lower the learning "
                "rate (--set lr=…); of a method of your own, look at its mixtures' weights"
            )
        self.progress.spend(seconds)
        self.progress.trajectory.append(entry)
        return entry

    def weight_step(self, index: Tensor) -> Tensor:
        """Lower level of Eq. 10: SGD on the weights under the method's mixture; returns the loss, detached."""
        self.train_batch = self.train.augmented(index, self.generators["augmentation"])
        with self._blamed("weight_mixture"):
            mixture = _checked(self.method.weight_mixture())
        loss = self.loss(self.train_batch, mixture)
        self.sgd.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.protocol.grad_clip:
            torch.nn.utils.clip_grad_norm_(self.supernet.parameters(), self.protocol.grad_clip)
        self.sgd.step()
        return loss.detach()

    def alpha_step(self, index: Tensor) -> Tensor:
        """Upper level of Eq. 10: the method's own step on a validation batch.

        The batch is augmented as for training: NAS-Bench-201's search code does so.
        """
        return self._method_step(self.valid.augmented(index, self.generators["augmentation"]))

    def closing_step(self, index: Tensor) -> Tensor:
        """The method's own step after the epoch's weight steps, on validation images as they are."""
        return self._method_step(self.valid.plain(index))

    def _method_step(self, valid: Batch) -> Tensor:
        with self._blamed("alpha_step"):
            loss = self.method.alpha_step(_Batches(self, valid))
            if not isinstance(loss, Tensor) or loss.numel() != 1:
                raise TypeError(f"it has to return the validation loss, a tensor of one number; it returned {loss!r}")
        return loss.detach()

    def _blamed(self, what: str) -> AbstractContextManager[None]:
        return blamed(self.name, f"{self._at}, {what}")

    def loss(self, batch: Batch, mixture: Mixture) -> Tensor:
        """Mean cross-entropy of a batch."""
        images, labels = batch
        return F.cross_entropy(scores(self.supernet, images, mixture, self.protocol.precision), labels)

    def rate(self, cells: Sequence[Cell], n_images: int = 0) -> Rating:
        """Cells under the supernet's weights on the first `n_images` validation images (0: all)."""
        p = self.protocol
        return rate(self.supernet, cells, self.valid, p.eval_batch, n_images, p.precision)

    def result(self) -> tuple[Cell, dict[str, float]]:
        """The cell that results and, on all validation images, its `loss` (nats) and `accuracy` (percent).

        Where the cell is what is left of a super-cell, that one's are there, too: `super_cell_loss` and
        `super_cell_accuracy`. They are no part of the search, and their seconds are not counted.
        """
        with self.clock("evaluation"):
            self._at = "after the last epoch"
            with self._blamed("result"):
                cell = _cell(self.method.result(self.rate), "a Cell", Cell)
            rating = self.rate([cell])
        self.progress.spend(self.clock.lap())
        found = {"loss": float(rating.loss[0]), "accuracy": float(rating.accuracy[0])}
        with self._blamed("super_cell"), torch.no_grad():
            mixture = self.method.super_cell()
            whole = None if mixture is None else _checked(mixture)
        if whole is not None:
            p = self.protocol
            loss, accuracy = rate_mixture(self.supernet, whole, self.valid, p.eval_batch, p.precision)
            found |= {"super_cell_loss": loss, "super_cell_accuracy": accuracy}
        return cell, found

    def state_dict(self) -> dict[str, Any]:
        """All that a continued run needs, as tensors and plain containers; to be taken between epochs."""
        return {
            "supernet": self.supernet.state_dict(),
            "sgd": self.sgd.state_dict(),
            "method": self.method.state_dict(),
            "generators": {name: generator.get_state() for name, generator in self.generators.items()},
            "trajectory": self.progress.trajectory,
            "seconds": self.progress.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where the search stood that gave `state`."""
        self.supernet.load_state_dict(state["supernet"])
        self.sgd.load_state_dict(state["sgd"])
        self.method.load_state_dict(state["method"])
        for name, generator in self.generators.items():
            generator.set_state(state["generators"][name])
        self.progress = Progress(state["trajectory"], state["seconds"])

    def _order(self, images: DeviceImages, steps: int) -> Tensor:
        """Image numbers for so many steps, shape (steps, batch): whole passes in fresh random orders."""
        needed = steps * self.protocol.batch_size
        passes = [
            torch.randperm(len(images), generator=self.generators["order"]) for _ in range(-(-needed // len(images)))
        ]
        return torch.cat(passes)[:needed].view(steps, self.protocol.batch_size).to(self.device)

    def _set_lr(self, step: int) -> None:
        p = self.protocol
        done = step / (p.epochs * self.steps)
        self.sgd.param_groups[0]["lr"] = p.lr_min + (p.lr - p.lr_min) * (1 + math.cos(math.pi * done)) / 2


def _checked(mixture: Mixture) -> Mixture:
    """The mixture, if it is one whose weights are numbers.

    Raises:
        TypeError, ValueError: it is not.
    """
    if not isinstance(mixture, Mixture):
        raise TypeError(f"it has to return a Mixture; it returned {mixture!r}")
    if mixture.weights.device.type == "cpu" and not mixture.weights.isfinite().all():  # a GPU would have to be awaited
        edges = (~mixture.weights.isfinite()).any(dim=1).nonzero().flatten().tolist()
        raise ValueError(
            f"weights that are no numbers, on edges {edges}; if the search diverged, lower the learning rate "
            "(--set lr=…)"
        )
    return mixture


def _cell(cell: Any, expected: str, kind: Any) -> Any:
    if not isinstance(cell, kind):
        raise TypeError(f"it has to return {expected}; it returned {cell!r}")
    return cell


def build_supernet(protocol: Protocol, classes: int, device: torch.device, seed: int) -> Supernet:
    """The protocol's supernet on the device, its weights drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):  # the weights are drawn on the CPU: the same on every device
        torch.manual_seed(seed)
        supernet = Supernet(protocol.channels, protocol.cells_per_stage, classes, protocol.bn == "running")
    supernet.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return supernet


class _Batches:
    """What an alpha step is lent: the search's supernet on a validation batch and on the last training batch.

    Fulfils `nasbench_stc.methods.base.Objective`.
    """

    def __init__(self, search: Search, valid: Batch) -> None:
        self._search, self._valid = search, valid

    @property
    def weights(self) -> Sequence[Tensor]:
        """The supernet's parameters."""
        return tuple(self._search.supernet.parameters())

    @property
    def lr(self) -> float:
        """The weights' learning rate in this step."""
        lr: float = self._search.sgd.param_groups[0]["lr"]
        return lr

    def valid_loss(self, mixture: Mixture, of_weights: bool = False) -> Tensor:
        """Mean cross-entropy on the validation batch."""
        return self._loss(self._valid, mixture, of_weights)

    def train_loss(self, mixture: Mixture, of_weights: bool = False) -> Tensor:
        """Mean cross-entropy on the batch of the last weight step."""
        return self._loss(self._search.train_batch, mixture, of_weights)

    def _loss(self, batch: Batch, mixture: Mixture, of_weights: bool) -> Tensor:
        supernet = self._search.supernet
        supernet.requires_grad_(of_weights)  # what only a weight gradient needs is else not even kept
        try:
            return self._search.loss(batch, mixture)
        finally:
            supernet.requires_grad_(True)

    def valid_rating(self, mixture: Mixture) -> tuple[Tensor, float]:
        """Loss and share of right answers on the validation batch, in evaluation mode."""
        supernet, (images, labels) = self._search.supernet, self._valid
        supernet.eval()
        with torch.inference_mode():
            logits = scores(supernet, images, mixture, self._search.protocol.precision)
            right = (logits.argmax(dim=1) == labels).float().mean().item()
            loss = F.cross_entropy(logits, labels)
        supernet.train()
        return loss, right

    def descent(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """By what SGD would change the weights; as NAS-Bench-201's, without Nesterov's look ahead."""
        group = self._search.sgd.param_groups[0]
        changes = []
        for weight, gradient in zip(self.weights, gradients, strict=True):
            change = torch.add(gradient, weight.detach(), alpha=group["weight_decay"])
            buffer = self._search.sgd.state[weight].get("momentum_buffer")
            if buffer is not None:
                change.add_(buffer, alpha=group["momentum"])
            changes.append(change.mul_(-group["lr"]))
        return changes

    @contextmanager
    def moved(self, by: Sequence[Tensor], times: float = 1.0) -> Iterator[None]:
        """The weights are w + times · by within the block."""
        weights = [weight.data for weight in self.weights]
        kept = [weight.clone() for weight in weights]
        torch._foreach_add_(weights, list(by), alpha=times)
        try:
            yield
        finally:
            torch._foreach_copy_(weights, kept)
