"""What a weight-sharing method has to say: what to sample, how alpha learns, which cell results.

The engine owns the loop, the supernet, the data and the files; a method owns its architecture parameters. They
live on the CPU, where what runs is decided; the supernet takes a mixture's weights to its own device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from nasbench_stc.space import Cell

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from nasbench_stc.models import Mixture

ValidLoss = Callable[["Mixture"], "Tensor"]
"""The supernet's mean cross-entropy under a mixture, on the validation batch of this step."""


class OneShotMethod(Protocol):
    """A method that trains a supernet. One instance lives for one run.

    Args:
        settings: an instance of the method's `Settings`.
        generator: the CPU generator from which it draws everything random.
    """

    Settings: ClassVar[type]
    presets: ClassVar[dict[str, dict[str, Any]]]
    """Settings that differ from the defaults under a protocol, by its name."""

    learns: bool
    """Whether this epoch has alpha steps; set by `begin_epoch`."""

    def __init__(self, settings: Any, generator: torch.Generator) -> None: ...

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Anneal: `epoch` runs from 0 to `epochs - 1`."""

    def weight_mixture(self) -> Mixture:
        """The mixture under which the next weight step trains; its weights, if any, carry no gradient."""

    def alpha_step(self, valid_loss: ValidLoss) -> Tensor:
        """Update the architecture parameters, and only those; returns the detached validation loss."""

    def cell(self) -> Cell:
        """The cell that would result now."""

    def snapshot(self) -> dict[str, Any]:
        """Plain values worth keeping in the trajectory of this epoch."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that a continued run needs (tensors and plain containers), but for the generator."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
