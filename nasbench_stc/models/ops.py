"""The five operations of NAS-Bench-201, and the batch norm that the search and the stand-alone network differ in.

Reference: `xautodl/models/cell_operations.py` in AutoDL-Projects (Dong & Yang). Every candidate keeps
channels and resolution, so `skip_connect` is the identity and the pooling has neither convolution nor norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_stc.space import OPS

KERNELS = {op: int(name[-1]) for op, name in enumerate(OPS) if "conv" in name}
"""The convolutions among the operations, and the side of their kernels."""

AVG_POOL = OPS.index("avg_pool_3x3")


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

    def after_relu(self, rectified: Tensor, scale: Tensor) -> Tensor:
        """Convolution and norm of what went through the ReLU (the edges from one node share that), times `scale`.

        Args:
            rectified: shape (n, channels, height, width).
            scale: shape (channels,). The norm applies it where it scales anyway, and its gradient falls out of
                the norm's own: no pass over memory, and nothing more to keep for it.
        """
        _, conv, norm = self
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        # Batch statistics take the bias away again: it is in the reference, and here for the sake of its number alone.
        bias = conv.bias if norm.track_running_stats else None
        if conv.weight.requires_grad or not torch.is_grad_enabled():
            output = F.conv2d(rectified, conv.weight, bias, padding=conv.padding)
        else:
            output = FrozenConv.apply(rectified, conv.weight, bias)  # type: ignore[no-untyped-call]
        return F.batch_norm(
            output,
            norm.running_mean,
            norm.running_var,
            scale * norm.weight if norm.affine else scale,
            scale * norm.bias if norm.affine else None,
            norm.training or norm.running_mean is None,
            norm.momentum or 0.0,
            norm.eps,
        )


class FrozenConv(torch.autograd.Function):
    """A convolution of stride 1 and same size whose weights get no gradient: it does not keep its input.

    Arguments: input, shape (n, channels, height, width); weight, shape (channels, channels, k, k); bias or None.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (weight,) = ctx.saved_tensors
        weight, pad = weight.to(gradient.dtype), weight.shape[-1] // 2
        # Of the input, backward wants shape and memory format alone, and the gradient has the same.
        of_input, _, _ = torch.ops.aten.convolution_backward(
            gradient, gradient, weight, None, [1, 1], [pad, pad], [1, 1], False, [0, 0], 1, [True, False, False]
        )
        return of_input, None, None


def avg_pool(x: Tensor) -> Tensor:
    """3x3 average of the pixels that exist (not of the padding); shape (n, channels, height, width) to the same."""
    return box_sum(x).mul_(one_over_pixels(x.shape[2], x.shape[3], x.dtype, x.device))


def avg_pool_adjoint(gradient: Tensor) -> Tensor:
    """What `avg_pool` sends back: summing over 3x3 pixels is its own adjoint, so nothing has to be kept for this."""
    return box_sum(gradient * one_over_pixels(gradient.shape[2], gradient.shape[3], gradient.dtype, gradient.device))


def box_sum(x: Tensor) -> Tensor:
    """Sums of 3x3 pixels. On the CPU torch's depthwise convolution is several times as fast as its pooling."""
    if x.device.type == "cpu":
        return F.conv2d(x, _ones(x.shape[1], x.dtype), padding=1, groups=x.shape[1])
    return F.avg_pool2d(x, 3, stride=1, padding=1, divisor_override=1)


@lru_cache(maxsize=64)
def _ones(channels: int, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):
        return torch.ones(channels, 1, 3, 3, dtype=dtype)


@lru_cache(maxsize=64)
def one_over_pixels(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """One over the number of pixels around each that exist: 9, 6 at an edge, 4 in a corner; (1, 1, height, width)."""
    with torch.inference_mode(False):
        ones = torch.ones(1, 1, height, width, dtype=torch.float64)
        return (1 / box_sum(ones)).to(device, dtype)


class Source(Protocol):
    """What `WeightedSum` asks of a node."""

    value: Tensor
    pooled: Tensor


class WeightedSum(torch.autograd.Function):
    """`total`, whose memory it takes, plus w_k times a node or its pooling; neither products nor poolings are kept.

    Arguments: the nodes; for each whether it is pooled; `total`, or None where there is nothing yet; the
    w_k, 0-dimensional; the nodes' values.
    """

    @staticmethod
    def forward(
        ctx: Any, nodes: Sequence[Source], pooled: Sequence[bool], total: Tensor | None, *weights_and_values: Tensor
    ) -> Tensor:
        n = len(nodes)
        weights, values = weights_and_values[:n], weights_and_values[n:]
        ctx.pooled = pooled
        ctx.save_for_backward(*weights, *(values if any(ctx.needs_input_grad[3 : 3 + n]) else ()))
        if total is not None:
            ctx.mark_dirty(total)
        for node, pool, weight in zip(nodes, pooled, weights, strict=True):
            term = node.pooled if pool else node.value
            total = term * weight if total is None else total.addcmul_(term, weight)
        assert total is not None
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        n = len(ctx.pooled)
        weights, values = ctx.saved_tensors[:n], ctx.saved_tensors[n:]
        needed = ctx.needs_input_grad
        spread = avg_pool_adjoint(gradient) if any(ctx.pooled) else gradient
        terms = [spread if pool else gradient for pool in ctx.pooled]
        return (
            None,
            None,
            gradient if needed[2] else None,
            *(_inner(terms[k], values[k]) if needed[3 + k] else None for k in range(n)),
            *(terms[k] * weights[k] if needed[3 + n + k] else None for k in range(n)),
        )


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """The sum of a·b over everything, both of shape (n, channels, height, width), in one pass where that is exact."""
    if a.dtype in (torch.float16, torch.bfloat16):
        return (a * b).sum(dtype=torch.float32)
    return torch.dot(a.permute(0, 2, 3, 1).reshape(-1), b.permute(0, 2, 3, 1).reshape(-1))
