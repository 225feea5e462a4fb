"""Cells under a supernet's weights: loss and accuracy on validation images, for the result, selection and ranking."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_stc.data.images import BatchedImages
from nasbench_stc.engine.precision import computing, widened
from nasbench_stc.methods.base import Rating
from nasbench_stc.models import Mixture, Supernet
from nasbench_stc.space import Cell


def scores(supernet: Supernet, images: Tensor, mixture: Mixture, precision: str) -> Tensor:
    """The supernet's class scores, computed in `precision`; float64 where that is it, else float32."""
    with computing(images.device, precision):
        return widened(supernet(images, mixture))


@torch.inference_mode()
def rate(
    supernet: Supernet,
    cells: Sequence[Cell],
    images: BatchedImages,
    batch_size: int,
    n_images: int = 0,
    precision: str = "float32",
    tick: Callable[[int], None] = lambda done: None,
) -> Rating:
    """Each of `cells` on the first `n_images` images (0: all), as they are.

    Cells that differ only where nothing reaches the result are one computation; so is, within a batch, what cells have
    in common in the supernet's first cell. Nothing waits for the device before the end.

    Args:
        supernet: is put into evaluation mode.
        batch_size: images at a time, of which batch norm takes its statistics (if it does not remember any).
        tick: is told how many cells' worth of work is done.
    """
    supernet.eval()
    paths = [supernet.computation(cell) for cell in cells]
    different = supernet.in_order(set(paths))
    device = images.labels.device
    loss, right = torch.zeros(2, len(different), dtype=torch.float64, device=device)
    seen, n = 0, min(n_images or len(images), len(images))
    for batch, labels in images.batches(batch_size, n):
        with computing(device, precision):
            for number, logits in enumerate(supernet.path_logits(batch, different)):
                loss[number] += F.cross_entropy(widened(logits), labels, reduction="sum")
                right[number] += (logits.argmax(dim=1) == labels).sum()
                tick(len(cells) * (seen * len(different) + len(labels) * (number + 1)) // (n * len(different)))
        seen += len(labels)
    number_of = {path: number for number, path in enumerate(different)}
    at = [number_of[path] for path in paths]
    return Rating(loss.cpu().numpy()[at] / n, 100 * right.cpu().numpy()[at] / n)


@torch.inference_mode()
def rate_mixtures(
    supernet: Supernet,
    mixtures: Sequence[Mixture],
    images: BatchedImages,
    batch_size: int,
    n_images: int = 0,
    precision: str = "float32",
) -> Rating:
    """Each of `mixtures` on the first `n_images` images (0: all), as they are; one by one.

    Args:
        supernet, batch_size: as of `rate`.
    """
    supernet.eval()
    loss, right = torch.zeros(2, len(mixtures), dtype=torch.float64, device=images.labels.device)
    n = min(n_images or len(images), len(images))
    for batch, labels in images.batches(batch_size, n):
        for number, mixture in enumerate(mixtures):
            logits = scores(supernet, batch, mixture, precision)
            loss[number] += F.cross_entropy(logits, labels, reduction="sum")
            right[number] += (logits.argmax(dim=1) == labels).sum()
    return Rating(loss.cpu().numpy() / n, 100 * right.cpu().numpy() / n)
