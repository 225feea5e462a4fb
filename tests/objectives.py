"""What an alpha step is lent, without a supernet."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from nasbench_stc.models import Mixture


class Objective:
    """A validation loss that is a plain function of the mixture."""

    def __init__(self, valid_loss: Callable[[Mixture], Tensor]) -> None:
        self.valid_loss = valid_loss
