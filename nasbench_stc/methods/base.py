"""What a weight-sharing method has to say: what to sample, how alpha learns, which cell results.

The engine owns the loop, the supernet, the data and the files; a method owns its architecture parameters. What it
needs of the supernet it is lent: an `Objective` for a step, a `Rate` and the `Weights` between epochs, a `Rate` for the
end. So a method is one file that imports no more than this module, mixtures and the space.

A method's tensors live where its generator draws. That is the CPU, and the supernet takes a mixture's weights to its
own device; but of a method whose steps are operations on tensors alone (`on_device`) it may be the GPU, where such a
step is captured as one CUDA graph, method and supernet together.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.methods.listing import Listing as Listing
from nasbench_stc.space import TSS, Cell, Space

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from nasbench_stc.models import Mixture


class Objective(Protocol):
    """The supernet on the batches of this step, as an alpha step may ask about it. Losses are mean cross-entropies."""

    @property
    def weights(self) -> Sequence[Tensor]:
        """The supernet's own parameters, in a fixed order."""

    @property
    def lr(self) -> float | Tensor:
        """The learning rate of the weights in this step; shape (), if it is a tensor."""

    def valid_loss(self, mixture: Mixture, of_weights: bool = False) -> Tensor:
        """On the validation batch; differentiable in the mixture, and in the weights if `of_weights`."""

    def train_loss(self, mixture: Mixture, of_weights: bool = False) -> Tensor:
        """On the batch of the last weight step, likewise."""

    def valid_rating(self, mixture: Mixture) -> tuple[Tensor, Tensor]:
        """Loss on the validation batch and the share of it that is right, in evaluation mode, without gradients.

        Both of shape (), on the supernet's device; the second stays as it is in later steps.
        """

    def descent(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """By what SGD would change the weights: -lr · (momentum · buffer + gradient + decay · weight)."""

    def moved(self, by: Sequence[Tensor], times: float | Tensor = 1.0) -> AbstractContextManager[None]:
        """Within the block the weights are w + times · by; after it they are, to the bit, what they were."""


def scalar(generator: torch.Generator) -> Tensor:
    """A number that steps read and `begin_epoch` writes (`fill_`): shape (), float64, where the generator draws."""
    import torch

    return torch.zeros((), dtype=torch.float64, device=generator.device)


class Rating(NamedTuple):
    """How cells or mixtures do under the supernet's weights; a value for each, in their order."""

    loss: NDArray[np.float64]
    """Mean cross-entropy, in nats."""
    accuracy: NDArray[np.float64]
    """Percent right."""


class Rate(Protocol):
    """Rates by the supernet on validation images."""

    def __call__(self, candidates: Sequence[Cell] | Sequence[Mixture], n_images: int = 0) -> Rating:
        """All candidates, cells or mixtures, on the same images: the first `n_images` (0: all).

        Cells share what they have in common; mixtures are computed one by one.
        """


class Weights(Protocol):
    """What the supernet has learned, SGD's momentum included: to be kept, and put back later."""

    def copy(self) -> dict[str, Any]:
        """All of it, as tensors and plain containers, which do not change any more; fit for `state_dict`."""

    def restore(self, kept: dict[str, Any]) -> None:
        """What `copy` gave is what the next step starts from."""


@dataclass(frozen=True)
class NoSettings:
    """Of a method that has none."""


class OneShotMethod(Protocol):
    """A method that trains a supernet; to be subclassed. One instance lives for one run.

    A method says at least what the weights train on (`weight_mixture`) and which cell results (`cell`, or `result`
    if that takes ratings). What else it does not say is as here: no settings, no alpha steps, nothing to keep.

    Args:
        settings: an instance of the method's `Settings`.
        generator: from which it draws everything random, on the CPU (but see `on_device`).
    """

    Settings: ClassVar[type] = NoSettings
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    """Settings that differ from the defaults under a protocol, by its name: the method's own, or the protocol's."""

    listing: ClassVar[Listing | None] = None
    """How it is shown: `Listing("My method", order=85)`; None, or none of its own: by its name, after ours. A subclass
    has to say it anew."""

    on_device: ClassVar[bool] = False
    """Whether the steps (`weight_mixtures`, `alpha_step`) do nothing but the same operations on tensors, whatever
    these hold.

    Such steps are captured once and replayed. So they make tensors on `generator.device`, look into none (no `item`, no
    `tolist`, no `if` on one), and change what they keep in place; numbers that change with the epoch are tensors, too
    (`scalar`). A subclass has to say it anew: what it adds may be otherwise.
    """

    learns: bool = False
    """Whether an alpha step follows each weight step of this epoch; `begin_epoch` may set it."""
    closing_steps: int = 0
    """How many alpha steps follow the last weight step of every epoch, on validation images as they are."""

    settings: Any
    generator: torch.Generator
    space: Space = TSS
    """That is searched; known before `__init__` is called."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.on_device = cls.__dict__.get("on_device", False)

    def __init__(self, settings: Any, generator: torch.Generator) -> None:
        self.settings, self.generator = settings, generator

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Anneal: `epoch` runs from 0 to `epochs - 1`."""

    def weight_mixture(self) -> Mixture:
        """The mixture under which the next weight step trains; its weights carry no gradient."""
        raise NotImplementedError

    def weight_mixtures(self) -> Sequence[Mixture]:
        """For a weight step of several mixtures on the same images: their gradients add up to one step of SGD."""
        return (self.weight_mixture(),)

    def alpha_step(self, objective: Objective) -> Tensor:
        """Update the architecture parameters, and only those; returns the detached validation loss."""
        raise NotImplementedError

    def end_epoch(self, rate: Rate, weights: Weights) -> None:
        """After an epoch's steps: decide something by ratings, or take other weights for the next epoch."""

    def cell(self) -> Cell | None:
        """The cell that would result now, or from which `result` would go on; None where that takes ratings."""
        return None

    def result(self, rate: Rate) -> Cell:
        """The cell that results, after the last epoch."""
        cell = self.cell()
        if cell is None:
            raise NotImplementedError(f"{type(self).__name__} has neither `cell` nor `result`")
        return cell

    def super_cell(self) -> Mixture | None:
        """All operations as alpha weighs them now, where the resulting cell is what is left of that; else None.

        What such a cell loses beside it is the paper's Table 1.
        """
        return None

    def snapshot(self) -> dict[str, Any]:
        """Plain values worth keeping in the trajectory of this epoch."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Everything that a continued run needs (tensors and plain containers), but for the generator."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
