"""What the setting `precision` means: in which numbers things are kept, and in which they are computed.

float32 and float64 are both. bfloat16 is autocast's: convolutions and what they yield are bfloat16, while weights,
statistics, alpha and images stay float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


def kept_in(precision: str) -> torch.dtype:
    """Of weights, images, alpha and losses."""
    return torch.float64 if precision == "float64" else torch.float32


def computing(device: torch.device, precision: str) -> Any:
    """The context for a forward pass."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def widened(logits: Tensor) -> Tensor:
    """At least float32: what a loss is taken of."""
    return logits.float() if logits.dtype == torch.bfloat16 else logits


@contextmanager
def by_default(precision: str) -> Iterator[None]:
    """Tensors that are made in the block without saying of what are of `kept_in`: so a method need not know."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(kept_in(precision))
    try:
        yield
    finally:
        torch.set_default_dtype(usual)


def set_cudnn(device: torch.device, deterministic: bool, in_threads: bool = False) -> None:
    """How cuDNN computes, for the whole process: runs beside this one are of the same command.

    Args:
        device: nothing is set for a CPU.
        deterministic: algorithms that give the same bits again, and no others.
        in_threads: several runs share the process, so that none may try algorithms out.
    """
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = deterministic
        torch.backends.cudnn.benchmark = not (deterministic or in_threads)
        torch.backends.cudnn.allow_tf32 = False  # float32 is float32
