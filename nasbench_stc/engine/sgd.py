"""SGD on parameters of which a tensor says whether they learn in this step: the static form's.

What a step of the plan form did not run has no gradient, and torch's SGD leaves it alone: no decay, no momentum. In
the static form everything has a gradient, of zeros where it did not run, and the host does not know where that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nasbench_stc.engine.protocol import Protocol


class MaskedSGD:
    """torch's SGD (momentum, Nesterov, decay as part of the gradient) with clipping, in a few operations for all.

    Parameters are taken together as one vector. `lr` is a number on the device, float64: the host may write it
    between replays of a captured step.

    Args:
        parameters: of one device and one precision.
        protocol: momentum, nesterov, weight_decay, grad_clip.
    """

    def __init__(self, parameters: Sequence[Tensor], protocol: Protocol) -> None:
        self.parameters, self.protocol = list(parameters), protocol
        first = self.parameters[0]
        self._sizes = [parameter.numel() for parameter in self.parameters]
        self._owner = torch.repeat_interleave(
            torch.arange(len(self._sizes), dtype=torch.int32), torch.tensor(self._sizes)
        ).to(first.device)
        self.momentum = torch.zeros(sum(self._sizes), dtype=first.dtype, device=first.device)
        self.lr = torch.full((), protocol.lr, dtype=torch.float64, device=first.device)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], learning: Tensor) -> None:
        """Clip the gradients together, then change those parameters that are learning.

        Args:
            gradients: of each parameter; zeros where it is not learning.
            learning: bool, shape (parameters,).
        """
        p = self.protocol
        gradient = _joined(gradients)
        if p.grad_clip:
            gradient = gradient * (p.grad_clip / (torch.linalg.vector_norm(gradient) + 1e-6)).clamp(max=1.0)
        gradient = gradient.add(_joined(self.parameters), alpha=p.weight_decay)
        learns = learning.index_select(0, self._owner)
        self.momentum.copy_(torch.where(learns, p.momentum * self.momentum + gradient, self.momentum))
        descent = gradient.add(self.momentum, alpha=p.momentum) if p.nesterov else self.momentum
        torch._foreach_add_(self.parameters, self.split(torch.where(learns, -self.lr * descent, 0.0)))

    def split(self, joined: Tensor) -> list[Tensor]:
        """A vector as tensors of the parameters' shapes; views."""
        parts = torch.split(joined, self._sizes)
        return [_in_shape_of(parameter, part) for parameter, part in zip(self.parameters, parts, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """The momentum."""
        return {"momentum": self.momentum}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.momentum.copy_(state["momentum"])


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    """One vector. Kernels are read in channels-last order, in which they lie, so that nothing is copied twice."""
    return torch.cat([(t.detach().permute(0, 2, 3, 1) if t.dim() == 4 else t.detach()).reshape(-1) for t in tensors])


def _in_shape_of(parameter: Tensor, part: Tensor) -> Tensor:
    if parameter.dim() != 4:
        return part.view(parameter.shape)
    outputs, inputs, height, width = parameter.shape
    return part.view(outputs, height, width, inputs).permute(0, 3, 1, 2)
