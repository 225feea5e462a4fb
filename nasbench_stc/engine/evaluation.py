"""Cells under a supernet's weights: loss and accuracy on validation images, for the result, selection and ranking."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_stc.data.images import DeviceImages
from nasbench_stc.methods.base import Rating
from nasbench_stc.models import Mixture, Supernet
from nasbench_stc.space import Cell


def scores(supernet: Supernet, images: Tensor, mixture: Mixture, precision: str) -> Tensor:
    """The supernet's class scores, float32, computed in `precision`."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        result: Tensor = supernet(images, mixture)
    return result.float()


@torch.inference_mode()
def rate(
    supernet: Supernet,
    cells: Sequence[Cell],
    images: DeviceImages,
    batch_size: int,
    n_images: int = 0,
    precision: str = "float32",
    tick: Callable[[int], None] = lambda done: None,
) -> Rating:
    """Each of `cells` on the first `n_images` images (0: all), as they are; nothing is rebuilt between two of them.

    Args:
        supernet: is put into evaluation mode.
        batch_size: images at a time, of which batch norm takes its statistics (if it does not remember any).
        tick: is told how many cells are done.
    """
    supernet.eval()
    loss = torch.zeros(len(cells), dtype=torch.float64)
    right = torch.zeros(len(cells), dtype=torch.float64)
    seen = 0
    for batch, labels in images.batches(batch_size, n_images or None):
        seen += len(labels)
        for number, cell in enumerate(cells):
            logits = scores(supernet, batch, Mixture.path(cell), precision)
            loss[number] += F.cross_entropy(logits, labels, reduction="sum").cpu()
            right[number] += (logits.argmax(dim=1) == labels).sum().cpu()
            tick(number)
    return Rating(np.asarray(loss / seen), np.asarray(100 * right / seen))
