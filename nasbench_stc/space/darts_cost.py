"""Parameters and multiply-adds of the stand-alone network of a DARTS cell, by formula.

An operation on an edge costs what it costs in all cells of the network, whatever the other edges have: a table of
costs, shape (edges, operations), and a sum for the rest. Counted as everywhere here: parameters without the auxiliary
head, multiply-adds of convolutions and of the classifier; batch norm, pooling and sums are free.

The network is that of `models/darts.py`, at the sizes of the paper: for CIFAR C=36 and 20 cells, for ImageNet C=48 and
14 cells. DARTS_V2 has 3.3 M parameters on CIFAR-10 and 4.7 M on ImageNet, as printed. Its multiply-adds on ImageNet are
529.9 M. With two more for each value of a batch norm, and one for each that a ReLU or a pooling takes, they are
544.59 M, as in issue 46 of quark0/darts. So counted, P-DARTS and PC-DARTS have the 557, 586 and 597 M that their papers
print; the 574 M that DARTS's paper prints are by no count that is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.space.base import Ops
from nasbench_stc.space.datasets import NUM_CLASSES, check_dataset

_SOURCES = tuple(source for target in (2, 3, 4, 5) for source in range(target))  # of `darts.EDGES`
Cost = NDArray[np.int64]
"""(parameters, multiply-adds)."""


class Size(NamedTuple):
    """Of a network: what it costs depends on this and on its cell."""

    channels: int
    cells_per_stage: int
    classes: int
    side: int
    """Of the images, in pixels."""
    imagenet: bool = False
    """Whether its stem is the one for ImageNet, which takes an eighth of the resolution."""


SIZES = {
    **{name: Size(36, 6, classes, 16 if "16" in name else 32) for name, classes in NUM_CLASSES.items()},
    "imagenet": Size(48, 4, 1000, 224, imagenet=True),
}
"""By data set, of the networks that are compared."""


def params(cells: Sequence[Ops], dataset: str) -> NDArray[np.int64]:
    """Trainable parameters of each cell's network on `dataset`, shape `(len(cells),)`."""
    check_dataset(dataset, SIZES)
    return costs(cells, SIZES[dataset])[:, 0]


def mflops(cells: Sequence[Ops], dataset: str) -> NDArray[np.float64]:
    """Multiply-adds of one forward pass on one image of `dataset`, in millions, shape `(len(cells),)`."""
    check_dataset(dataset, SIZES)
    return costs(cells, SIZES[dataset])[:, 1] / 1e6


def costs(cells: Sequence[Ops], size: Size) -> NDArray[np.int64]:
    """Parameters and multiply-adds of each cell's network of that size, shape (cells, 2)."""
    table, rest = _table(size)
    ops = np.array(cells, dtype=np.int64).reshape(-1, len(table))
    found: NDArray[np.int64] = table[np.arange(len(table)), ops].sum(axis=1) + rest
    return found


def growth(cells_per_stage: int) -> float:
    """Multiply-adds of a supernet that runs all operations, over those of the mean cell, with C=16 on 32x32 pixels.

    Of the mean cell a node keeps each of its k inputs twice in k times, with each operation but `none` equally often.
    """
    table, rest = _table(Size(16, cells_per_stage, 10, 32))
    multiply_adds, inputs = table[..., 1], np.array([target for target in (2, 3, 4, 5) for _ in range(target)] * 2)
    mean = (multiply_adds[:, 1:].mean(axis=1) * 2 / inputs).sum()
    return float((rest[1] + multiply_adds.sum()) / (rest[1] + mean))


@cache
def _table(size: Size) -> tuple[NDArray[np.int64], Cost]:
    """What every operation costs on every edge, shape (28, 8, 2), and what the rest does."""
    channels, side, last_two = size.channels, size.side, [3 * size.channels] * 2
    if size.imagenet:
        half, last_two, side = channels // 2, [channels] * 2, side // 8
        rest = _conv(3, half, 3, 16 * side**2) + _conv(half, channels, 3, 4 * side**2)
        rest += _conv(channels, channels, 3, side**2)
    else:
        rest = _conv(3, 3 * channels, 3, side**2)
    table = np.zeros((2, len(_SOURCES), 8, 2), dtype=np.int64)
    for cell in range(3 * size.cells_per_stage + 2):
        reduces = cell in (size.cells_per_stage, 2 * size.cells_per_stage + 1)
        channels *= 1 + reduces
        rest += sum(_conv(width, channels, 1, side**2) for width in last_two)
        side = -(-side // (1 + reduces))
        for edge, source in enumerate(_SOURCES):
            table[int(reduces), edge] += _operations(channels, side**2, strided=reduces and source < 2)
        last_two = [last_two[1], 4 * channels]
    rest += np.array([last_two[1] * size.classes + size.classes, last_two[1] * size.classes])
    return table.reshape(-1, *table.shape[2:]), rest


def _operations(channels: int, pixels: int, strided: bool) -> NDArray[np.int64]:
    """Of each operation, where it puts out so many pixels; shape (8, 2)."""
    pointwise = _conv(channels, channels, 1, pixels)
    dilated = [pointwise + channels * kernel**2 * np.array([1, pixels]) for kernel in (3, 5)]
    free = 0 * pointwise
    skip = pointwise if strided else free
    return np.array([free, free, free, skip, *(2 * one for one in dilated), *dilated])


def _conv(inputs: int, outputs: int, kernel: int, pixels: int) -> Cost:
    """A convolution that puts out so many pixels, and its batch norm."""
    weights = inputs * outputs * kernel**2
    return np.array([weights + 2 * outputs, weights * pixels])
