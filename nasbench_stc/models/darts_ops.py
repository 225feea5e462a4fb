"""The operations of DARTS's cells, and how they are normalised.

Reference: `cnn/operations.py` and MixedOp of `cnn/model_search.py` in quark0/darts. As there:

- Separable convolutions apply ReLU, depthwise and pointwise convolution and batch norm twice, dilated ones once.
- `skip_connect` of stride 2 is a `FactorizedReduction`, with weights of its own.
- In the search, where batch norm has no scale and no shift, it follows pooling, too; elsewhere pooling stands alone.
- Path dropout (`drop_path` of `cnn/utils.py`) is of single images.

Unlike there, ReLU is computed once a node, not once an operation.
"""

from __future__ import annotations

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_stc.models.ops import Norm, one_over_pixels
from nasbench_stc.space.darts import NONE, OPS, SKIP


class Node:
    """A node's value; the ReLU that convolutions take is computed once.

    `vanishes`: it is zero, and so is whatever an operation makes of it.
    """

    def __init__(self, value: Tensor, vanishes: bool = False) -> None:
        self.value, self.vanishes = value, vanishes

    @cached_property
    def rectified(self) -> Tensor:
        """Its ReLU."""
        return self.value.relu()


class Operation(nn.Module):
    """An operation and its last batch norm, which applies the operation's weight.

    Args:
        body: takes the ReLU of a node, where it `rectifies`, or the node.
        norm: None: there is none.
    """

    def __init__(self, body: nn.Module, norm: nn.Module | None, rectifies: bool = True) -> None:
        super().__init__()
        self.body, self.norm, self.rectifies = body, norm or nn.Identity(), rectifies

    def forward(self, node: Node, scale: Tensor | None = None) -> Tensor:
        """What it puts out; in the search times `scale`, shape (channels,), which takes no pass over memory."""
        x: Tensor = self.body(node.rectified if self.rectifies else node.value)
        norm = self.norm
        if scale is None:
            x = norm(x)
            return x
        assert isinstance(norm, nn.BatchNorm2d) and not norm.affine
        batch = norm.training or norm.running_mean is None
        return F.batch_norm(x, norm.running_mean, norm.running_var, scale, None, batch, norm.momentum or 0.0, norm.eps)


class FactorizedReduction(nn.Module):
    """Half the resolution: two 1x1 convolutions of stride 2 with half of the channels each, one of them off by a pixel.

    Of an odd number of rows or columns the one that is off by a pixel sees zeros beyond the last.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(inputs, outputs - outputs // 2, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, inputs, height, width) to (n, outputs, height/2, width/2), rounded up."""
        shifted = F.pad(x, (-1, x.shape[3] % 2, -1, x.shape[2] % 2))
        return torch.cat([self.even(x), self.odd(shifted)], dim=1)


class Pooling(nn.Module):
    """3x3 maximum or average of the pixels that exist.

    The average is a convolution: on a CPU that is several times as fast as torch's pooling, and on a GPU torch's is
    wrong backwards for channels-last tensors (2.11).
    """

    def __init__(self, average: bool, stride: int) -> None:
        super().__init__()
        self.average, self.stride = average, stride

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, channels, height, width) to (n, channels, height/stride, width/stride), rounded up."""
        if not self.average:
            return F.max_pool2d(x, 3, self.stride, padding=1)
        total = F.conv2d(x, x.new_ones(x.shape[1], 1, 3, 3), stride=self.stride, padding=1, groups=x.shape[1])
        share = one_over_pixels(x.shape[2], x.shape[3], total.dtype, x.device)
        return total * share[:, :, :: self.stride, :: self.stride]


def operation(op: int, channels: int, stride: int, norm: Norm) -> Operation | None:
    """An operation by number; None for `none` and for the identity, which `MixedCell` sees to."""
    name = OPS[op]
    if op == NONE or (op == SKIP and stride == 1):
        return None
    if op == SKIP:
        return Operation(FactorizedReduction(channels, channels), norm(channels))
    if "pool" in name:
        return Operation(Pooling(name.startswith("avg"), stride), None if norm.affine else norm(channels), False)
    kernel, dilation = int(name[-1]), 2 if name.startswith("dil") else 1
    layers = _separable(channels, kernel, stride, dilation)
    if name.startswith("sep"):
        layers += [norm(channels), nn.ReLU(), *_separable(channels, kernel)]
    return Operation(nn.Sequential(*layers), norm(channels))


def _separable(channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    depthwise = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)
    return [depthwise, nn.Conv2d(channels, channels, 1, bias=False)]


def drop_path(x: Tensor, probability: float) -> Tensor:
    """Zero for each of the n images with that probability, else scaled up, so that the expectation stays."""
    kept = torch.empty(len(x), 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(1 - probability)
    return x * (kept / (1 - probability))
