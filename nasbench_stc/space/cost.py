"""Parameters and FLOPs of the stand-alone network of a NAS-Bench-201 cell, by formula.

The formulas reproduce the `params` and `flop` fields of the official files for all cells: a fixed
skeleton (C=16, N=5: stem, two reductions, head) and a constant for each 1x1 and each 3x3 convolution.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.space.base import Ops
from nasbench_stc.space.datasets import check_dataset

_CONV_1X1, _CONV_3X3 = 2, 3  # positions in `tss.OPS`
_PARAMS = {"cifar10": 73_306, "cifar100": 79_156, "ImageNet16-120": 80_456}  # skeleton
_PARAMS_1X1, _PARAMS_3X3 = 28_000, 243_040
_MFLOPS = {  # skeleton, one 1x1 and one 3x3 convolution on an edge of all cells; multiply-adds in millions
    "cifar10": (7.78305, 3.93216, 35.38944),
    "cifar100": (7.78890, 3.93216, 35.38944),
    "ImageNet16-120": (1.95340, 0.98304, 8.84736),
}


def params(cells: Sequence[Ops], dataset: str) -> NDArray[np.int64]:
    """Trainable parameters of each cell's network on `dataset`, shape `(len(cells),)`."""
    check_dataset(dataset)
    ones, threes = _convolutions(cells)
    return _PARAMS[dataset] + _PARAMS_1X1 * ones + _PARAMS_3X3 * threes


def mflops(cells: Sequence[Ops], dataset: str) -> NDArray[np.float64]:
    """Multiply-adds of one forward pass on one image of `dataset`, in millions, as the official API counts them."""
    check_dataset(dataset)
    skeleton, one, three = _MFLOPS[dataset]
    ones, threes = _convolutions(cells)
    return skeleton + one * ones + three * threes


def growth(cells_per_stage: int) -> float:
    """Multiply-adds of a supernet that runs all operations, over those of a cell with one of four on each edge."""
    skeleton, one, three = _MFLOPS["cifar10"]
    everything = 6 * (one + three) * cells_per_stage / 5  # the constants are of N=5
    return (skeleton + everything) / (skeleton + everything / 4)


def _convolutions(cells: Sequence[Ops]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    ops = np.array(cells, dtype=np.int64).reshape(-1, 6)
    return (ops == _CONV_1X1).sum(axis=1), (ops == _CONV_3X3).sum(axis=1)
