"""What methods with a table of architecture parameters share: alpha, Adam, and paths drawn uniformly.

alpha has a row for each edge of the space and a column for each operation. Defaults are those with which NATS-Bench and
NAS-Bench-201 published DARTS, GDAS and SETN (`exps/NATS-algos/search-cell.py` in AutoDL-Projects).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nasbench_stc.methods.base import Objective, OneShotMethod
from nasbench_stc.models import Mixture
from nasbench_stc.settings import setting
from nasbench_stc.space import TSS, Cell, Space

ON_MIXTURES: dict[str, dict[str, Any]] = {name: {"uniform": 0.0, "alpha_lr": 3e-3} for name in ("cpu", "digits")}
"""Presets of the methods since 2020 whose weights train on mixtures: alpha learns from the first step, as with their
authors, at ten times the rate, for the short protocols have a tenth of the steps."""


def uniform_path(generator: torch.Generator, space: Space = TSS) -> Mixture:
    """One operation an edge, all equally likely; drawn where the generator is."""
    edges, ops = space.shape
    return Mixture.path(torch.randint(ops, (edges,), generator=generator, device=generator.device), space=space)


def normal(generator: torch.Generator, space: Space = TSS) -> Tensor:
    """A standard normal number for each operation of each edge."""
    return torch.randn(space.shape, generator=generator, device=generator.device)


def strongest(space: Space, alpha: Tensor) -> Cell:
    """The cell that alpha stands for, where softmax makes weights of it; shape (edges, operations)."""
    return Cell(space.strongest(alpha.double().log_softmax(dim=1).cpu().numpy()), space.name)


def gradients(losses: Sequence[Tensor], of: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Of the sum of the losses by each tensor; zeros where nothing depends on it."""
    found: tuple[Tensor, ...] = torch.autograd.grad(
        [loss for loss in losses if loss.requires_grad], of, allow_unused=True, materialize_grads=True
    )
    return found


@dataclass(frozen=True)
class AlphaSettings:
    """How alpha starts and learns."""

    alpha_lr: float = setting(3e-4, "Adam's learning rate for alpha")
    alpha_beta1: float = setting(0.5, "Adam's first momentum")
    alpha_beta2: float = setting(0.999, "Adam's second momentum")
    alpha_weight_decay: float = setting(1e-3, "of alpha, as part of its gradient")
    alpha_init: float = setting(1e-3, "deviation of alpha around zero at the start")
    uniform: float = setting(
        0.0, "share of the epochs, at the start, in which the weights train on uniform samples and alpha rests", high=1
    )


class TableMethod(OneShotMethod):
    """A method with a table `alpha`, which rests in the uniform epochs (setting `uniform`) and then learns.

    Args:
        alpha: the table at the start, shape (edges, operations).
    """

    def __init__(self, settings: Any, generator: torch.Generator, alpha: Tensor) -> None:
        super().__init__(settings, generator)
        self.alpha = alpha.requires_grad_()
        self.begin_epoch(0, 1)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """alpha learns after the uniform epochs; `now` is (epoch, epochs) counted from there."""
        first = round(self.settings.uniform * epochs)
        self.learns = epoch >= first
        self.now = (max(epoch - first, 0), epochs - first)

    def mixture(self) -> Mixture:
        """What the supernet runs, as a function of alpha."""
        raise NotImplementedError

    def weight_mixture(self) -> Mixture:
        """alpha's mixture, alpha a constant; before alpha learns, a uniformly drawn path."""
        with torch.no_grad():
            return self.mixture() if self.learns else uniform_path(self.generator, self.space)

    def snapshot(self) -> dict[str, Any]:
        """alpha."""
        return {"alpha": self.alpha.tolist()}

    def state_dict(self) -> dict[str, Any]:
        """alpha."""
        return {"alpha": self.alpha.detach().clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        with torch.no_grad():
            self.alpha.copy_(state["alpha"])


class AlphaMethod(TableMethod):
    """A method whose alpha learns by Adam on the validation loss under its `mixture`; the result is alpha's argmax.

    Args:
        settings: `AlphaSettings`, or with more fields.
        generator: of everything random.
        alpha: the parameters at the start, shape (edges, operations); None draws them.
    """

    Settings: ClassVar[type] = AlphaSettings
    # The short protocols have a tenth of the usual steps: weights that mean something before alpha learns, and an
    # alpha that gets as far. The same for every method, as found for STC-NAS: see "Protocols" in docs/methods.md.
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "cpu": {"uniform": 0.65, "alpha_lr": 3e-3},
        "digits": {"uniform": 0.5, "alpha_lr": 3e-3},
    }

    def __init__(self, settings: Any, generator: torch.Generator, alpha: Tensor | None = None) -> None:
        if alpha is None:
            alpha = settings.alpha_init * normal(generator, self.space)
        super().__init__(settings, generator, alpha)
        self.adam = torch.optim.Adam(
            [self.alpha],
            settings.alpha_lr,
            betas=(settings.alpha_beta1, settings.alpha_beta2),
            weight_decay=settings.alpha_weight_decay,
            capturable=self.alpha.device.type != "cpu",  # its step is counted there
        )

    def alpha_step(self, objective: Objective) -> Tensor:
        """First order: Adam on the validation loss and `terms`, the weights taken as they are."""
        loss = objective.valid_loss(self.mixture())
        self.update(*gradients([loss, *self.terms()], [self.alpha]))
        return loss.detach()

    def terms(self) -> Sequence[Tensor]:
        """Functions of alpha, shape (), which the alpha step adds to the validation loss."""
        return ()

    def update(self, gradient: Tensor) -> None:
        """A step of Adam along `gradient`, of the shape of alpha."""
        self.alpha.grad = gradient
        self.adam.step()

    def cell(self) -> Cell | None:
        """What alpha is highest for: see `Space.strongest`."""
        return strongest(self.space, self.alpha.detach())

    def state_dict(self) -> dict[str, Any]:
        """alpha and Adam's state."""
        return {**super().state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        super().load_state_dict(state)
        self.adam.load_state_dict(state["adam"])
