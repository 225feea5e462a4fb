"""The one bilevel loop (Eq. 10): weights learn on the training half, alpha on the validation half, in turn.

First order: each level's gradient takes the other as it is. The weight step sees alpha as a constant; the
alpha step sees the weights as constants, so no weight gradient is computed there. Weights of
operations that a step did not run get no gradient and are left as they are: no decay, no momentum.

Everything random comes from generators whose state is in the checkpoint, so a run that was killed and
continued is the run that was never killed, bit for bit on the CPU at the same number of threads.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nasbench_stc.data.images import BatchedImages
from nasbench_stc.engine import graphs
from nasbench_stc.engine.clock import Clock
from nasbench_stc.engine.evaluation import rate, rate_mixtures
from nasbench_stc.engine.forms import Batch, Form, PlanForm, StaticForm
from nasbench_stc.engine.precision import by_default, kept_in, set_cudnn
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.errors import BadCallError, RunError, blamed
from nasbench_stc.methods.base import OneShotMethod, Rating
from nasbench_stc.models import Mixture, Supernet
from nasbench_stc.space import TSS, Cell, Space

MakeMethod = Callable[[torch.Generator], OneShotMethod]
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
        train, valid: the images for the weights and for alpha; both give batches on the same device.
        classes: of the data set.
        seed: everything random follows from it.
        name: of the method, for messages; empty: its class's.
        on_device: whether the method says so of itself (`OneShotMethod.on_device`).
        space: that is searched.

    Raises:
        MethodError: the method made a mistake, now or in any later call; the message says where.
    """

    def __init__(
        self,
        make_method: MakeMethod,
        protocol: Protocol,
        train: BatchedImages,
        valid: BatchedImages,
        classes: int,
        seed: int,
        name: str = "",
        on_device: bool = False,
        space: Space = TSS,
    ) -> None:
        self.device, self.space = train.labels.device, space
        self.protocol, self.train, self.valid = protocol.on(self.device.type, space), train, valid
        init, order, augmentation, method = (int(s) for s in np.random.SeedSequence(seed).generate_state(4))
        static = self.protocol.form == "static"
        self._whole = static and on_device and train.in_graphs
        self.generators = {
            "order": torch.Generator().manual_seed(order),
            "augmentation": torch.Generator(self.device).manual_seed(augmentation),
            "method": torch.Generator(self.device if self._whole else "cpu").manual_seed(method),
        }
        self.supernet = build_supernet(self.protocol, classes, self.device, init, space)
        self.name, self._at = name, "before the first epoch"
        with self._blamed("construction"), by_default(self.protocol.precision):
            self.method = make_method(self.generators["method"])
        self.name = name or type(self.method).__name__
        self.form: Form = (
            StaticForm(self.supernet, self.protocol, self.generators.values())
            if static
            else PlanForm(self.supernet, self.protocol)
        )
        set_cudnn(self.device, self.protocol.deterministic, graphs.in_threads)
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
    def epochs(self) -> int:
        """How many there are to be."""
        return self.protocol.epochs

    @property
    def done(self) -> bool:
        """Whether all epochs are."""
        return self.epoch == self.epochs

    def run_epoch(self, tick: Tick = lambda epoch, step: None) -> dict[str, Any]:
        """One epoch of alternating steps; returns its entry of the trajectory."""
        with by_default(self.protocol.precision):
            return self._run_epoch(tick)

    def _run_epoch(self, tick: Tick) -> dict[str, Any]:
        epoch = self.epoch
        self._at = f"epoch {epoch}"
        with self._blamed("begin_epoch"):
            self.method.begin_epoch(epoch, self.protocol.epochs)
        self.supernet.train()
        train_order, valid_order = self._order(self.train, self.steps), self._order(self.valid, self.steps)
        train_loss = torch.zeros((), device=self.device)
        valid_loss = torch.zeros((), device=self.device)
        alpha_steps = self.steps * self.method.learns + self.method.closing_steps
        # From a disk a batch is read while the one before it is learned from. Draws stay in the order of steps.
        drawing = self.generators["augmentation"]
        self.train.expect(train_order[0], drawing)
        for step in range(self.steps):
            if self.method.learns:
                self.valid.expect(valid_order[step], drawing)
            self._at = f"epoch {epoch}, step {step}"
            self._set_lr(epoch * self.steps + step)
            with self.clock("weights"):
                train_loss += self.weight_step(train_order[step])
            if step + 1 < self.steps:
                self.train.expect(train_order[step + 1], drawing)
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
        self._at = f"end of epoch {epoch}"
        with self.clock("evaluation"), self._blamed("end_epoch"):
            self.method.end_epoch(self.rate, _Weights(self))
        seconds = self.clock.lap()
        with self._blamed("cell"):
            cell = _cell(self.method.cell(), self.space, "a Cell or None", Cell | None)
        with self._blamed("snapshot"):
            snapshot = self.method.snapshot()
            json.dumps(snapshot, allow_nan=False)  # better now than after the last epoch
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
        return self._step("weights", self._weight_step, index)

    def _weight_step(self, index: Tensor) -> Tensor:
        self.train_batch = self.train.augmented(index, self.generators["augmentation"])
        with self._blamed("weight_mixture"):
            mixtures = [
                _checked(mixture, self.space.shape, look=not self._whole) for mixture in self.method.weight_mixtures()
            ]
            if not mixtures:
                raise ValueError("it has to return a mixture at least")
        return self.form.train(self.train_batch, mixtures)

    def alpha_step(self, index: Tensor) -> Tensor:
        """Upper level of Eq. 10: the method's own step on a validation batch.

        The batch is augmented as for training: NAS-Bench-201's search code does so.
        """
        return self._step("alpha", self._alpha_step, index)

    def _alpha_step(self, index: Tensor) -> Tensor:
        return self._method_step(self.valid.augmented(index, self.generators["augmentation"]))

    def closing_step(self, index: Tensor) -> Tensor:
        """The method's own step after the epoch's weight steps, on validation images as they are."""
        return self._step("closing", self._closing_step, index)

    def _closing_step(self, index: Tensor) -> Tensor:
        return self._method_step(self.valid.plain(index))

    def _step(self, kind: str, step: Callable[[Tensor], Tensor], index: Tensor) -> Tensor:
        """The step, the method's part included, as one CUDA graph where that can be."""
        if not self._whole:
            return step(index)
        assert isinstance(self.form, StaticForm)
        loss: Tensor = self.form.graphs((kind, self.method.learns), step, index)
        return loss

    def _method_step(self, valid: Batch) -> Tensor:
        with self._blamed("alpha_step"):
            loss = self.method.alpha_step(_Batches(self, valid))
            if not isinstance(loss, Tensor) or loss.numel() != 1:
                raise TypeError(f"it has to return the validation loss, a tensor of one number; it returned {loss!r}")
        return loss.detach()

    def _blamed(self, what: str) -> AbstractContextManager[None]:
        return blamed(self.name, f"{self._at}, {what}")

    def rate(self, candidates: Sequence[Cell] | Sequence[Mixture], n_images: int = 0) -> Rating:
        """Cells or mixtures under the supernet's weights on the first `n_images` validation images (0: all)."""
        p = self.protocol
        cells = [candidate for candidate in candidates if isinstance(candidate, Cell)]
        if len(cells) == len(candidates):
            return rate(self.supernet, cells, self.valid, p.eval_batch, n_images, p.precision)
        mixtures = [_checked(candidate, self.space.shape) for candidate in candidates]
        return rate_mixtures(self.supernet, mixtures, self.valid, p.eval_batch, n_images, p.precision)

    def result(self) -> tuple[Cell, dict[str, float]]:
        """The cell that results and, on all validation images, its `loss` (nats) and `accuracy` (percent).

        Where the cell is what is left of a super-cell, that one's are there, too: `super_cell_loss` and
        `super_cell_accuracy`. They are no part of the search, and their seconds are not counted.
        """
        with self.clock("evaluation"), by_default(self.protocol.precision):
            self._at = "after the last epoch"
            with self._blamed("result"):
                cell = _cell(self.method.result(self.rate), self.space, "a Cell", Cell)
            rating = self.rate([cell])
        self.progress.spend(self.clock.lap())
        found = {"loss": float(rating.loss[0]), "accuracy": float(rating.accuracy[0])}
        with self._blamed("super_cell"), torch.no_grad():
            mixture = self.method.super_cell()
            if mixture is not None:
                whole = self.rate([mixture])
                found |= {"super_cell_loss": float(whole.loss[0]), "super_cell_accuracy": float(whole.accuracy[0])}
        return cell, found

    def state_dict(self) -> dict[str, Any]:
        """All that a continued run needs, as tensors and plain containers; to be taken between epochs."""
        with self._blamed("state_dict"):
            of_method = self.method.state_dict()
        return {
            "supernet": self.supernet.state_dict(),
            "sgd": self.form.state_dict(),
            "method": of_method,
            "generators": {name: generator.get_state() for name, generator in self.generators.items()},
            "trajectory": self.progress.trajectory,
            "seconds": self.progress.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where the search stood that gave `state`."""
        self.supernet.load_state_dict(state["supernet"])
        self.form.load_state_dict(state["sgd"])
        self.method.load_state_dict(state["method"])
        for name, generator in self.generators.items():
            generator.set_state(state["generators"][name])
        self.progress = Progress(state["trajectory"], state["seconds"])

    def _order(self, images: BatchedImages, steps: int) -> Tensor:
        """Image numbers for so many steps, shape (steps, batch): whole passes in fresh random orders."""
        batch = self.protocol.batch_size
        return in_passes(len(images), steps * batch, self.generators["order"]).view(steps, batch).to(self.device)

    def _set_lr(self, step: int) -> None:
        p = self.protocol
        done = min(step / (p.epochs * self.steps) / p.annealed, 1.0)
        self.form.set_lr(p.lr_min + (p.lr - p.lr_min) * (1 + math.cos(math.pi * done)) / 2)


def in_passes(images: int, needed: int, generator: torch.Generator) -> Tensor:
    """So many image numbers, shape (needed,): whole passes in fresh random orders."""
    passes = [torch.randperm(images, generator=generator) for _ in range(-(-needed // images))]
    return torch.cat(passes)[:needed]


def _checked(mixture: object, shape: tuple[int, int], look: bool = True) -> Mixture:
    """The mixture, if it is one whose weights are numbers.

    Args:
        shape: of its weights.
        look: at the weights, if they are on the CPU: a GPU would have to be awaited.

    Raises:
        TypeError, ValueError: it is not.
    """
    if not isinstance(mixture, Mixture):
        raise TypeError(f"it has to return a Mixture; it returned {mixture!r}")
    if mixture.shape != shape:
        raise ValueError(f"a mixture of this space has weights of shape {shape}; got {mixture.shape}")
    if look and mixture.weights.device.type == "cpu" and not mixture.weights.isfinite().all():
        edges = (~mixture.weights.isfinite()).any(dim=1).nonzero().flatten().tolist()
        raise ValueError(
            f"weights that are no numbers, on edges {edges}; if the search diverged, lower the learning rate "
            "(--set lr=…)"
        )
    return mixture


def _cell(cell: Any, space: Space, expected: str, kind: Any) -> Any:
    if not isinstance(cell, kind):
        raise TypeError(f"it has to return {expected}; it returned {cell!r}")
    if cell is not None:
        cell.check_in(space)
    return cell


def build_supernet(protocol: Protocol, classes: int, device: torch.device, seed: int, space: Space = TSS) -> Supernet:
    """The protocol's supernet of the space on the device, its weights drawn from `seed`.

    Raises:
        BadCallError: the space has none.
    """
    make: Callable[..., Supernet] | None = getattr(space.module(), "Supernet", None)
    if make is None:
        raise BadCallError(f"{space.title} has no supernet: black-box methods search it")
    with torch.random.fork_rng(devices=[]):  # the weights are drawn on the CPU: the same on every device
        torch.manual_seed(seed)
        stem = {"imagenet": True} if protocol.stem == "imagenet" else {}
        supernet = make(protocol.channels, protocol.cells_per_stage, classes, protocol.bn == "running", **stem)
    supernet.to(device, kept_in(protocol.precision), memory_format=torch.channels_last)  # type: ignore[call-overload]
    return supernet


class _Weights:
    """Fulfils `nasbench_stc.methods.base.Weights`."""

    def __init__(self, search: Search) -> None:
        self._parts: dict[str, Any] = {"supernet": search.supernet, "sgd": search.form}

    def copy(self) -> dict[str, Any]:
        """Parameters, running statistics, momentum."""
        return copy.deepcopy({name: part.state_dict() for name, part in self._parts.items()})

    def restore(self, kept: dict[str, Any]) -> None:
        """Take over what `copy` gave."""
        for name, part in self._parts.items():
            part.load_state_dict(copy.deepcopy(kept[name]))  # torch's SGD would go on in the tensors that it is given


class _Batches:
    """What an alpha step is lent: the search's supernet on a validation batch and on the last training batch.

    Fulfils `nasbench_stc.methods.base.Objective`.
    """

    def __init__(self, search: Search, valid: Batch) -> None:
        self._search, self._form, self._valid = search, search.form, valid

    @property
    def weights(self) -> Sequence[Tensor]:
        """The supernet's parameters."""
        return self._form.parameters

    @property
    def lr(self) -> float | Tensor:
        """The weights' learning rate in this step."""
        return self._form.lr

    def valid_loss(self, mixture: Mixture, of_weights: bool = False) -> Tensor:
        """Mean cross-entropy on the validation batch."""
        return self._form.loss(self._valid, mixture, of_weights)

    def train_loss(self, mixture: Mixture, of_weights: bool = False) -> Tensor:
        """Mean cross-entropy on the batch of the last weight step."""
        return self._form.loss(self._search.train_batch, mixture, of_weights)

    def valid_rating(self, mixture: Mixture) -> tuple[Tensor, Tensor]:
        """Loss and share of right answers on the validation batch, in evaluation mode."""
        loss, right = self._form.rating(self._valid, mixture)
        return loss, right.clone()  # a replay of the captured step writes where this one wrote

    def descent(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """By what SGD would change the weights."""
        return self._form.descent(gradients)

    @contextmanager
    def moved(self, by: Sequence[Tensor], times: float | Tensor = 1.0) -> Iterator[None]:
        """The weights are w + times · by within the block."""
        weights = [weight.data for weight in self.weights]
        kept = [weight.clone() for weight in weights]
        if isinstance(times, Tensor):
            by, times = torch._foreach_mul(list(by), times), 1.0
        torch._foreach_add_(weights, list(by), alpha=times)
        try:
            yield
        finally:
            torch._foreach_copy_(weights, kept)
