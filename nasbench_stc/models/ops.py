"""The five operations of NAS-Bench-201, and the batch norm that the search and the stand-alone network differ in.

Reference: `xautodl/models/cell_operations.py` in AutoDL-Projects (Dong & Yang). Every candidate keeps
channels and resolution, so `skip_connect` is the identity and the pooling has neither convolution nor norm.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_stc.space import OPS

_KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}


@dataclass(frozen=True)
class Norm:
    """How a batch norm is built: with a learned scale and shift or without, with running statistics or batch ones."""

    affine: bool
    running: bool

    def __call__(self, channels: int) -> nn.BatchNorm2d:
        return nn.BatchNorm2d(channels, affine=self.affine, track_running_stats=self.running)


STANDARD_NORM = Norm(affine=True, running=True)


class ReLUConvBN(nn.Sequential):
    """ReLU, convolution (stride 1, same size), batch norm; the convolution has a bias where the norm has no shift."""

    def __init__(self, channels: int, kernel: int, norm: Norm) -> None:
        conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=not norm.affine)
        super().__init__(nn.ReLU(), conv, norm(channels))


class AvgPool(nn.Module):
    """3x3 average of the pixels that exist (the padding does not count)."""

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, channels, height, width) to the same."""
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def build(op: int, channels: int, norm: Norm) -> nn.Module | None:
    """The module of operation `op` at `channels` channels; None for `none`, which is never computed."""
    name = OPS[op]
    if name in _KERNELS:
        return ReLUConvBN(channels, _KERNELS[name], norm)
    return {"none": None, "skip_connect": nn.Identity(), "avg_pool_3x3": AvgPool()}[name]
