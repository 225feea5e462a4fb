"""The one bilevel loop (Eq. 10): weights learn on the training half, alpha on the validation half, in turn.

First order: each level's gradient takes the other as it is. The weight step sees alpha as a constant; the
alpha step sees the weights as constants, so no weight gradient is computed there. Weights of
operations that a step did not run get no gradient and are left as they are: no decay, no momentum.

Everything random comes from generators whose state is in the checkpoint, so a run that was killed and
continued is the run that was never killed, bit for bit on the CPU at the same number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_stc.data.images import DeviceImages
from nasbench_stc.engine.clock import Clock
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.errors import RunError
from nasbench_stc.methods.base import OneShotMethod
from nasbench_stc.models import Mixture, Supernet
from nasbench_stc.space import Cell

MakeMethod = Callable[[torch.Generator], OneShotMethod]
Tick = Callable[[int, int], None]
"""Called after each step with (epoch, step)."""


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
    """A search with one method, one seed: built once, then `run_epoch` until `done`, then `evaluate`.

    Args:
        make_method: builds the method from its generator.
        protocol: the settings of supernet and weights.
        train, valid: the images for the weights and for alpha, on the device.
        classes: of the data set.
        seed: everything random follows from it.
    """

    def __init__(
        self,
        make_method: MakeMethod,
        protocol: Protocol,
        train: DeviceImages,
        valid: DeviceImages,
        classes: int,
        seed: int,
    ) -> None:
        self.protocol, self.train, self.valid = protocol, train, valid
        self.device = train.labels.device
        init, order, augmentation, method = (int(s) for s in np.random.SeedSequence(seed).generate_state(4))
        self.generators = {
            "order": torch.Generator().manual_seed(order),
            "augmentation": torch.Generator(self.device).manual_seed(augmentation),
            "method": torch.Generator().manual_seed(method),
        }
        with torch.random.fork_rng(devices=[]):  # the weights are drawn on the CPU: the same on every device
            torch.manual_seed(init)
            supernet = Supernet(protocol.channels, protocol.cells_per_stage, classes, protocol.bn == "running")
        self.supernet = supernet.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.method = make_method(self.generators["method"])
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
        self.method.begin_epoch(epoch, self.protocol.epochs)
        self.supernet.train()
        train_order, valid_order = self._order(self.train), self._order(self.valid)
        train_loss = torch.zeros((), device=self.device)
        valid_loss = torch.zeros((), device=self.device)
        for step in range(self.steps):
            self._set_lr(epoch * self.steps + step)
            with self.clock("weights"):
                train_loss += self.weight_step(train_order[step])
            if self.method.learns:
                with self.clock("alpha"):
                    valid_loss += self.alpha_step(valid_order[step])
            tick(epoch, step)
        seconds = self.clock.lap()
        entry = {
            "epoch": epoch,
            "cell": str(self.method.cell()),
            "train_loss": train_loss.item() / self.steps,
            "valid_loss": valid_loss.item() / self.steps if self.method.learns else None,
            "seconds": sum(seconds.values()),
            **self.method.snapshot(),
        }
        losses = [loss for loss in (entry["train_loss"], entry["valid_loss"]) if loss is not None]
        if not all(map(math.isfinite, losses)):
            raise RunError(
                f"the loss is no number in epoch {epoch}: the search diverged. Lower the learning rate (--set lr=…)"
            )
        self.progress.spend(seconds)
        self.progress.trajectory.append(entry)
        return entry

    def weight_step(self, index: Tensor) -> Tensor:
        """Lower level of Eq. 10: SGD on the weights under the method's mixture; returns the loss, detached."""
        images, labels = self.train.augmented(index, self.generators["augmentation"])
        loss = self._loss(images, labels, self.method.weight_mixture())
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
        images, labels = self.valid.augmented(index, self.generators["augmentation"])

        def valid_loss(mixture: Mixture) -> Tensor:
            self.supernet.requires_grad_(False)  # what only a weight gradient needs is not even kept
            try:
                return self._loss(images, labels, mixture)
            finally:
                self.supernet.requires_grad_(True)

        return self.method.alpha_step(valid_loss)

    def _loss(self, images: Tensor, labels: Tensor, mixture: Mixture) -> Tensor:
        return F.cross_entropy(scores(self.supernet, images, mixture, self.protocol.precision), labels)

    def evaluate(self, cell: Cell) -> dict[str, float]:
        """`cell` under the supernet's weights on all validation images: mean cross-entropy and percent right."""
        with self.clock("evaluation"):
            result = evaluate(
                self.supernet, cell, self.valid, self.protocol.eval_batch, precision=self.protocol.precision
            )
        self.progress.spend(self.clock.lap())
        return result

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

    def _order(self, images: DeviceImages) -> Tensor:
        """Image numbers for the steps of an epoch, shape (steps, batch): whole passes in fresh random orders."""
        needed = self.steps * self.protocol.batch_size
        passes = [
            torch.randperm(len(images), generator=self.generators["order"]) for _ in range(-(-needed // len(images)))
        ]
        return torch.cat(passes)[:needed].view(self.steps, self.protocol.batch_size).to(self.device)

    def _set_lr(self, step: int) -> None:
        p = self.protocol
        done = step / (p.epochs * self.steps)
        self.sgd.param_groups[0]["lr"] = p.lr_min + (p.lr - p.lr_min) * (1 + math.cos(math.pi * done)) / 2


def scores(supernet: Supernet, images: Tensor, mixture: Mixture, precision: str) -> Tensor:
    """The supernet's class scores, float32, computed in `precision`."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        result: Tensor = supernet(images, mixture)
    return result.float()


@torch.inference_mode()
def evaluate(
    supernet: Supernet,
    cell: Cell,
    images: DeviceImages,
    batch_size: int,
    n: int | None = None,
    precision: str = "float32",
) -> dict[str, float]:
    """One cell under the supernet's weights, on the first `n` images (None: all) as they are.

    Returns:
        `loss`, the mean cross-entropy in nats, and `accuracy`, percent right.
    """
    supernet.eval()
    mixture = Mixture.path(cell)
    loss = torch.zeros((), device=images.labels.device)
    right = torch.zeros((), dtype=torch.int64, device=images.labels.device)
    seen = 0
    for batch, labels in images.batches(batch_size, n):
        seen += len(labels)
        logits = scores(supernet, batch, mixture, precision)
        loss += F.cross_entropy(logits, labels, reduction="sum")
        right += (logits.argmax(dim=1) == labels).sum()
    return {"loss": loss.item() / seen, "accuracy": 100 * right.item() / seen}
