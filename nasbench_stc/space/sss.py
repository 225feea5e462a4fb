"""NATS-Bench's size space: how many channels each of five layers has; 8 counts each, 32,768 networks.

Dong et al., "NATS-Bench", TPAMI 2021. The cell is one and the same in all of them, |nor_conv_3x3~0|+|nor_conv_3x3~0|
nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|, one a stage; an "edge" of this space is a layer, an
"operation" its number of channels. The layers are the stem with the first cell, the first reduction, the second cell,
the second reduction, and the third cell.

The order is the official one, that of `itertools.product` (`traverse_net` in `exps/NATS-Bench/sss-collect.py` of
AutoDL-Projects, and the list of networks in the official files): the index is the counts as five digits in base 8.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.errors import BadCallError
from nasbench_stc.space.base import Ops, Space
from nasbench_stc.space.datasets import NUM_CLASSES, check_dataset

COUNTS = (8, 16, 24, 32, 40, 48, 56, 64)
Numbers = NDArray[np.int64]
_SIDES = {"ImageNet16-120": 16}  # pixels; 32 elsewhere


class SizeSpace(Space):
    """See the module."""

    name = "sss"
    title = "NATS-Bench's size space"
    edges = tuple(f"layer {layer}" for layer in range(1, 6))
    ops = tuple(map(str, COUNTS))
    largest = (len(COUNTS) - 1,) * 5
    networks = "nasbench_stc.models.sss"
    has_supernet = False
    example = "8:24:40:16:64"

    def text(self, ops: Ops) -> str:
        """The official string, the numbers of channels: `8:24:40:16:64`."""
        return ":".join(self.ops[op] for op in ops)

    def digits(self, ops: Ops) -> str:
        """The official string: it is short, and five digits could be taken for an index."""
        return self.text(ops)

    def parse(self, text: str) -> Ops:
        """The official string, or the index."""
        text = text.strip()
        if ":" not in text:
            return super().parse(text)
        counts = [count.strip() for count in text.split(":")]
        for count in counts:
            if count not in self.ops:
                raise BadCallError(f"{count!r} in {text!r} is no number of channels: allowed are {', '.join(self.ops)}")
        if len(counts) != len(self.edges):
            raise BadCallError(f"{text!r} has {len(counts)} numbers of channels, not {len(self.edges)}")
        return tuple(map(self.ops.index, counts))

    def listed(self, ops: Iterable[object]) -> Ops:
        """The cell of a list of numbers of channels, `[8, 24, 40, 16, 64]`."""
        return self.parse(":".join(map(str, ops)))

    def mutated(self, ops: Ops, generator: np.random.Generator) -> Ops:
        """The cell with the number of channels of one layer drawn anew.

        As in NATS-Bench (`mutate_size_func`), it may be the one that it was: of eight mutations one changes nothing.
        """
        layer = int(generator.integers(len(self.edges)))
        return (*ops[:layer], int(generator.integers(len(self.ops))), *ops[layer + 1 :])

    def params(self, cells: Sequence[Ops], dataset: str) -> NDArray[np.int64]:
        """Trainable parameters of each network on the data set, shape (cells,), as the official files have them."""
        weights, norms, classifier = _layers(cells, dataset)
        found: NDArray[np.int64] = weights.sum(axis=0) + 2 * norms + classifier
        return found

    def mflops(self, cells: Sequence[Ops], dataset: str) -> NDArray[np.float64]:
        """Multiply-adds of one image's forward pass, in millions, shape (cells,), as the official files have them."""
        weights, _, classifier = _layers(cells, dataset)
        pixels = _SIDES.get(dataset, 32) ** 2 // np.array([1, 4, 4, 16, 16])
        found: NDArray[np.float64] = (pixels @ weights + classifier) / 1e6
        return found


SPACE = SizeSpace()


def _layers(cells: Sequence[Ops], dataset: str) -> tuple[Numbers, Numbers, Numbers]:
    """Each layer's weights of convolutions, shape (5, cells), all channels of batch norms, the classifier's weights."""
    check_dataset(dataset)
    channels = np.array(COUNTS)[np.array(cells, dtype=np.int64).reshape(-1, 5).T]
    first, second, third, fourth, fifth = channels
    weights = np.stack(
        [
            27 * first + _cell(first, first),
            _reduction(first, second),
            _cell(second, third),
            _reduction(third, fourth),
            _cell(fourth, fifth),
        ]
    )
    norms = np.array([6, 2, 5, 2, 6]) @ channels + (second != third) * third + (fourth != fifth) * fifth
    return weights, norms, (fifth + 1) * NUM_CLASSES[dataset]


def _cell(channels: Numbers, wide: Numbers) -> Numbers:
    """Two convolutions from its input, three within, and a projection where its output is of another width."""
    found: Numbers = 9 * wide * (2 * channels + 3 * wide) + (channels != wide) * channels * wide
    return found


def _reduction(channels: Numbers, wide: Numbers) -> Numbers:
    """Two convolutions and a projection."""
    found: Numbers = 9 * wide * (channels + wide) + channels * wide
    return found
