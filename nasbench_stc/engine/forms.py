"""The two forms in which a step is carried out. They compute the same, which is tested in float64.

`PlanForm`: Python decides what runs, and nothing else is computed: for a CPU, where arithmetic is the cost.
`StaticForm`: what runs is a tensor, every step does the same operations, and on a GPU they are one CUDA graph: for a
card on which launching is the cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_stc.engine.evaluation import scores
from nasbench_stc.engine.graphs import Graphs
from nasbench_stc.engine.precision import computing, widened
from nasbench_stc.engine.protocol import Protocol as Settings
from nasbench_stc.engine.sgd import MaskedSGD
from nasbench_stc.models import Mixture, Supernet
from nasbench_stc.models.static import Live, StaticSupernet

Batch = tuple[Tensor, Tensor]
"""Images and labels."""


class Form(Protocol):
    """The supernet and the SGD of its weights, as a search asks of them. Losses are mean cross-entropies."""

    settings: Settings

    @property
    def parameters(self) -> Sequence[Tensor]:
        """The supernet's, as far as they may learn, in a fixed order."""

    def set_lr(self, lr: float) -> None:
        """The weights' learning rate from now on."""

    @property
    def lr(self) -> float | Tensor:
        """The learning rate of this step."""

    def train(self, batch: Batch, mixtures: Sequence[Mixture]) -> Tensor:
        """A step of SGD along the sum of the mixtures' gradients; returns the mean of their losses, detached."""

    def loss(self, batch: Batch, mixture: Mixture, of_weights: bool) -> Tensor:
        """Differentiable in the mixture, and in the weights if `of_weights`."""

    def rating(self, batch: Batch, mixture: Mixture) -> tuple[Tensor, Tensor]:
        """Loss and share of right answers, in evaluation mode and without gradients."""

    def descent(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """By what SGD would change the parameters; as NAS-Bench-201's, without Nesterov's look ahead."""

    def state_dict(self) -> dict[str, Any]:
        """SGD's state."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""


class PlanForm:
    """Weights of operations that a step did not run have no gradient, so that torch's SGD leaves them alone."""

    def __init__(self, supernet: Supernet, settings: Settings) -> None:
        self.supernet, self.settings = supernet, settings
        self.parameters: Sequence[Tensor] = tuple(supernet.parameters())
        self.sgd = torch.optim.SGD(
            self.parameters,
            settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
        )

    def set_lr(self, lr: float) -> None:
        """See `Form`."""
        self.sgd.param_groups[0]["lr"] = lr

    @property
    def lr(self) -> float:
        """See `Form`."""
        lr: float = self.sgd.param_groups[0]["lr"]
        return lr

    def _loss(self, batch: Batch, mixture: Mixture) -> Tensor:
        images, labels = batch
        return F.cross_entropy(scores(self.supernet, images, mixture, self.settings.precision), labels)

    def train(self, batch: Batch, mixtures: Sequence[Mixture]) -> Tensor:
        """See `Form`."""
        self.sgd.zero_grad(set_to_none=True)
        losses = []
        for mixture in mixtures:  # one after the other: what a gradient needs is kept for one at a time
            loss = self._loss(batch, mixture)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        if self.settings.grad_clip:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.grad_clip)
        self.sgd.step()
        return torch.stack(losses).mean()

    def loss(self, batch: Batch, mixture: Mixture, of_weights: bool) -> Tensor:
        """See `Form`."""
        with _learning(self.supernet, of_weights):
            return self._loss(batch, mixture)

    def rating(self, batch: Batch, mixture: Mixture) -> tuple[Tensor, Tensor]:
        """See `Form`."""
        images, labels = batch
        self.supernet.eval()
        with torch.inference_mode():
            rated = _rated(scores(self.supernet, images, mixture, self.settings.precision), labels)
        self.supernet.train()
        return rated

    def descent(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """See `Form`."""
        buffers = [self.sgd.state[weight].get("momentum_buffer") for weight in self.parameters]
        return _descent(self, gradients, buffers)

    def state_dict(self) -> dict[str, Any]:
        """See `Form`."""
        return self.sgd.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Form`."""
        self.sgd.load_state_dict(state)


class StaticForm:
    """The supernet's static form under graphs. A step that a method is part of may be captured as a whole (`graphs`).

    Else, for a method that decides on the host, what the supernet does is captured alone: it takes the mixture as
    tensors, and the gradient of a loss by them is computed with the loss.
    """

    def __init__(self, supernet: Supernet, settings: Settings, generators: Iterable[torch.Generator]) -> None:
        self.supernet, self.settings = supernet, settings
        self.static = StaticSupernet(supernet, settings.compiled)
        self.parameters: Sequence[Tensor] = tuple(self.static.parameters.values())
        self.device = self.parameters[0].device
        self.sgd = MaskedSGD(self.parameters, settings)
        self.graphs = Graphs(self.device, generators)

    def set_lr(self, lr: float) -> None:
        """See `Form`."""
        self.sgd.lr.fill_(lr)

    @property
    def lr(self) -> Tensor:
        """See `Form`; shape (), on the device."""
        return self.sgd.lr

    def train(self, batch: Batch, mixtures: Sequence[Mixture]) -> Tensor:
        """See `Form`."""
        loss: Tensor = self._captured("train", self._train, batch, mixtures)
        return loss

    def _train(self, batch: Batch, mixtures: Sequence[Mixture]) -> Tensor:
        losses, gradients, learning = [], None, None
        for mixture in mixtures:
            live = self.static.live(mixture)
            loss = F.cross_entropy(self._scores(batch[0], mixture, live), batch[1])
            found, learns = torch.autograd.grad(loss, self.parameters), self.static.learning(live)
            gradients = found if gradients is None else torch._foreach_add(gradients, found)
            learning = learns if learning is None else learning | learns
            losses.append(loss.detach())
        assert gradients is not None and learning is not None
        self.sgd.step(gradients, learning)
        return torch.stack(losses).mean()

    def loss(self, batch: Batch, mixture: Mixture, of_weights: bool) -> Tensor:
        """See `Form`."""
        if self.graphs.inside or of_weights or not torch.is_grad_enabled():
            return self._loss(batch, mixture, of_weights)
        compute = partial(self._captured, "loss", self._loss_and_gradients, batch, [mixture])
        return _Known.apply(mixture.weights, mixture.shift, compute)  # type: ignore[no-untyped-call, no-any-return]

    def _loss_and_gradients(self, batch: Batch, mixtures: Sequence[Mixture]) -> tuple[Tensor, ...]:
        """The loss, and its gradient by the mixture's weights and, if there is one, by its shift."""
        (mixture,) = mixtures
        by = [given.detach().requires_grad_() for given in (mixture.weights, mixture.shift) if given is not None]
        loss = self._loss(batch, Mixture(mixture.runs, *by), of_weights=False)
        return loss.detach(), *torch.autograd.grad(loss, by)

    def _loss(self, batch: Batch, mixture: Mixture, of_weights: bool) -> Tensor:
        with _learning(self.supernet, of_weights):
            return F.cross_entropy(self._scores(batch[0], mixture, self.static.live(mixture)), batch[1])

    def rating(self, batch: Batch, mixture: Mixture) -> tuple[Tensor, Tensor]:
        """See `Form`."""
        rated: tuple[Tensor, Tensor] = self._captured("rating", self._rating, batch, [mixture])
        return rated

    @torch.no_grad()
    def _rating(self, batch: Batch, mixtures: Sequence[Mixture]) -> tuple[Tensor, Tensor]:
        (mixture,) = mixtures
        self.supernet.eval()
        rated = _rated(self._scores(batch[0], mixture, self.static.live(mixture)), batch[1])
        self.supernet.train()
        return rated

    def descent(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """See `Form`."""
        return _descent(self, gradients, self.sgd.split(self.sgd.momentum))

    def state_dict(self) -> dict[str, Any]:
        """See `Form`."""
        return self.sgd.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Form`."""
        self.sgd.load_state_dict(state)

    def _scores(self, images: Tensor, mixture: Mixture, live: Live) -> Tensor:
        with computing(self.device, self.settings.precision):
            logits = self.static(images, mixture, live)
        return widened(logits)

    def _captured(
        self,
        name: str,
        function: Callable[[Batch, Sequence[Mixture]], Any],
        batch: Batch,
        mixtures: Sequence[Mixture],
    ) -> Any:
        """`function` of the batch and mixtures of tensors on the device, which a graph takes as its inputs."""
        inputs: list[Tensor] = []
        kinds = []
        for mixture in mixtures:
            weights, shift = mixture.weights.detach().to(self.device, self.parameters[0].dtype), mixture.shift
            inputs += [mixture.runs.to(self.device), weights, *([] if shift is None else [shift.detach().to(weights)])]
            kinds.append((mixture.single, shift is not None))

        def of_tensors(images: Tensor, labels: Tensor, *of_mixtures: Tensor) -> Any:
            left = iter(of_mixtures)
            made = [Mixture(*islice(left, 2 + shifted)) for _, shifted in kinds]
            return function((images, labels), made)

        return self.graphs((name, *kinds), of_tensors, *batch, *inputs)


class _Known(torch.autograd.Function):
    """A loss whose gradient by a mixture's weights and shift is computed with it. Arguments: these two; how."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, shift: Tensor | None, compute: Callable[[], tuple[Tensor, ...]]) -> Tensor:
        with torch.enable_grad():
            loss, *gradients = (found.clone() for found in compute())  # a graph would write over them
        given = [weights] if shift is None else [weights, shift]
        ctx.save_for_backward(*(found.to(of) for found, of in zip(gradients, given, strict=True)))
        return loss

    @staticmethod
    def backward(ctx: Any, of_loss: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        found = [of_loss.to(gradient) * gradient for gradient in ctx.saved_tensors]
        return *found, *[None] * (3 - len(found))


@contextmanager
def _learning(supernet: Supernet, of_weights: bool) -> Iterator[None]:
    """Whether losses of the block are differentiable in the weights; if not, what only that needs is not even kept."""
    supernet.requires_grad_(of_weights)
    try:
        yield
    finally:
        supernet.requires_grad_(True)


def _rated(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy, and the share that is right; 0-dimensional."""
    return F.cross_entropy(logits, labels), (logits.argmax(dim=1) == labels).float().mean()


def _descent(form: Form, gradients: Sequence[Tensor], momentum: Sequence[Tensor | None]) -> list[Tensor]:
    """-lr · (momentum · buffer + gradient + decay · weight), for each parameter."""
    changes = []
    for weight, gradient, buffer in zip(form.parameters, gradients, momentum, strict=True):
        change = torch.add(gradient, weight.detach(), alpha=form.settings.weight_decay)
        if buffer is not None:
            change.add_(buffer, alpha=form.settings.momentum)
        changes.append(change.mul_(-form.lr))
    return changes
