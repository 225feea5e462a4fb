"""DARTS's networks: a stack of cells, mixed ones in the search (`Supernet`), those of a genotype alone (`CellNetwork`).

Source: Liu, Simonyan & Yang, ICLR 2019, and their code, `cnn/model_search.py` and `cnn/model.py` of quark0/darts. As
there:

- A stem, then 3N + 2 cells, of which the cells N and 2N + 1 are reduction cells: they double the channels, and their
  edges from the two inputs have stride 2. Mean over pixels, classifier.
- A cell's inputs, what the last but one and the last cell put out, go through ReLU, 1x1 convolution and batch norm
  first; where the last cell halved the resolution, the last but one's through a `FactorizedReduction` and batch norm.
  The cell puts out its nodes 2 to 5, concatenated.
- In the search, the cells' batch norms have no scale and no shift; those of a genotype's own network have both.
- Path dropout is applied to what each operation puts out but the identity.

Unlike there, the search takes batch statistics in evaluation, too, unless `running`: running statistics, which the
reference has, are those of all paths together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_stc.models.darts_ops import FactorizedReduction, Node, Operation, drop_path, operation
from nasbench_stc.models.mixture import Active, Mixture
from nasbench_stc.models.ops import STANDARD_NORM, Norm
from nasbench_stc.space import Cell
from nasbench_stc.space.base import Ops
from nasbench_stc.space.darts import EDGES, NODES, NONE, OPS

_INTO = [[edge for edge, (_, target) in enumerate(EDGES) if target == node] for node in NODES]


class Weights:
    """A mixture's weights, shape (28, 8), and shift, shape (28,) or None, in the forms in which cells take them."""

    def __init__(self, weights: Tensor, shift: Tensor | None) -> None:
        self._flat, self.shift = weights.reshape(-1), shift
        self._scalars = self._flat.unbind()
        self._scales: dict[int, tuple[Tensor, ...]] = {}

    def scalar(self, edge: int, op: int) -> Tensor:
        """Of an operation, 0-dimensional."""
        return self._scalars[edge * len(OPS) + op]

    def scale(self, edge: int, op: int, channels: int) -> Tensor:
        """Of an operation, for each of `channels`."""
        if channels not in self._scales:  # once a stage, for all of its cells
            self._scales[channels] = self._flat[:, None].expand(-1, channels).contiguous().unbind()
        return self._scales[channels][edge * len(OPS) + op]


class MixedCell(nn.Module):
    """One cell, with the candidates of each of its 14 edges.

    Args:
        inputs: channels of what the last but one and the last cell put out.
        channels: of each node.
        candidates: of all 28 edges; the cell takes those of its kind.
        reduces: whether it is a reduction cell.
        after_reduction: whether the last cell was one.
        norm: of all batch norms.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        channels: int,
        candidates: Sequence[Sequence[int]],
        reduces: bool,
        after_reduction: bool,
        norm: Norm,
    ) -> None:
        super().__init__()
        self.channels, self.stride, self.zeros_vanish = channels, 1 + reduces, not (norm.affine or norm.running)
        pointwise = partial(nn.Conv2d, out_channels=channels, kernel_size=1, bias=False)
        first = FactorizedReduction(inputs[0], channels) if after_reduction else pointwise(inputs[0])
        self.preprocess = nn.ModuleList(Operation(body, norm(channels)) for body in (first, pointwise(inputs[1])))
        self.first_edge = reduces * len(EDGES)  # of its kind, among all
        self.edges: Any = nn.ModuleList()  # of ModuleDict, which the type of ModuleList cannot say
        for edge, (source, _) in enumerate(EDGES):
            stride = self.stride if source < NODES[0] else 1
            made = {OPS[op]: operation(op, channels, stride, norm) for op in candidates[self.first_edge + edge]}
            self.edges.append(nn.ModuleDict({name: one for name, one in made.items() if one is not None}))

    def forward(
        self, inputs: Sequence[Tensor], active: Active, weights: Weights | None = None, dropped: float = 0.0
    ) -> Tensor:
        """Nodes 2 to 5, concatenated; shape (n, 4 · channels, height, width).

        Args:
            inputs: what the last but one and the last cell put out.
            active: the operations that run on each of all 28 edges.
            weights: of these; None: each counts fully.
            dropped: the probability of path dropout.
        """
        nodes = [Node(preprocess(Node(x))) for preprocess, x in zip(self.preprocess, inputs, strict=True)]
        for edges in _INTO:
            value = _summed(self._terms(nodes, edges, active, weights, dropped))
            vanishes = value is None and self.zeros_vanish
            if value is None:
                value = torch.zeros_like(nodes[1].value[:, :, :: self.stride, :: self.stride])
            if weights is not None and weights.shift is not None:
                of_node = weights.shift[self.first_edge + edges[0] : self.first_edge + edges[-1] + 1]
                value, vanishes = value + of_node.sum(), False
            nodes.append(Node(value, vanishes))
        return torch.cat([node.value for node in nodes[NODES[0] :]], dim=1)

    def _terms(
        self, nodes: Sequence[Node], edges: Sequence[int], active: Active, weights: Weights | None, dropped: float
    ) -> Iterator[Tensor]:
        for edge in edges:
            source, place = nodes[EDGES[edge][0]], self.first_edge + edge
            for op in active[place]:
                if op == NONE or source.vanishes:
                    continue
                if OPS[op] not in self.edges[edge]:  # the identity
                    yield source.value if weights is None else source.value * weights.scalar(place, op)
                    continue
                scale = None if weights is None else weights.scale(place, op, self.channels)
                output = self.edges[edge][OPS[op]](source, scale)
                yield drop_path(output, dropped) if dropped else output


def _summed(terms: Iterator[Tensor]) -> Tensor | None:
    """Their sum; the first of them may be a node's value, which is not written to."""
    total = next(terms, None)
    for number, term in enumerate(terms):
        total = total.add_(term) if number else total + term  # type: ignore[operator, union-attr]
    return total


class Skeleton(nn.Module):
    """Everything but the cells' own operations. `norm` is the batch norm of the cells."""

    def __init__(
        self,
        channels: int,
        cells_per_stage: int,
        classes: int,
        candidates: Sequence[Sequence[int]],
        norm: Norm,
        imagenet: bool,
    ) -> None:
        super().__init__()
        if imagenet:
            half = [*_strided(3, channels // 2), nn.ReLU(), *_strided(channels // 2, channels)]
            stems, width = [nn.Sequential(*half), nn.Sequential(nn.ReLU(), *_strided(channels, channels))], channels
        else:
            width = 3 * channels
            stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), STANDARD_NORM(width))
            stems = [stem, nn.Sequential()]
        self.stems, self.cells, inputs = nn.ModuleList(stems), nn.ModuleList(), [width, width]
        self.reductions, after_reduction = (cells_per_stage, 2 * cells_per_stage + 1), imagenet
        for number in range(3 * cells_per_stage + 2):
            reduces = number in self.reductions
            channels *= 1 + reduces
            self.cells.append(MixedCell(inputs, channels, candidates, reduces, after_reduction, norm))
            inputs, after_reduction = [inputs[1], len(NODES) * channels], reduces
        self.classifier = nn.Linear(inputs[1], classes)

    def stem(self, images: Tensor) -> list[Tensor]:
        """The inputs of the first cell."""
        first = self.stems[0](images)
        return [first, self.stems[1](first)]

    def scores(self, x: Tensor) -> Tensor:
        """Class scores, shape (n, classes), of what the last cell puts out."""
        scores: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return scores


def _strided(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), STANDARD_NORM(outputs)]


def _through(
    cells: Iterable[nn.Module], inputs: list[Tensor], active: Active, weights: Weights | None = None
) -> list[Tensor]:
    """What the last two of these cells put out."""
    for cell in cells:
        inputs = [inputs[1], cell(inputs, active, weights)]
    return inputs


class Supernet(Skeleton):
    """All eight operations on each of the 14 edges of every cell.

    Args:
        channels: C, of the first stage.
        cells_per_stage: N; DARTS searches with 8 cells, N=2, and STC-NAS with the 20 of the target network, too, N=6.
        classes: of the data set.
        running: whether the cells' batch norms keep running statistics and take them in evaluation.
        imagenet: whether the stem is the one for ImageNet, which takes an eighth of the resolution.
    """

    def __init__(
        self,
        channels: int = 16,
        cells_per_stage: int = 2,
        classes: int = 10,
        running: bool = False,
        imagenet: bool = False,
    ) -> None:
        every = [range(len(OPS))] * (2 * len(EDGES))
        super().__init__(channels, cells_per_stage, classes, every, Norm(affine=False, running=running), imagenet)

    def forward(self, images: Tensor, mixture: Mixture) -> Tensor:
        """Class scores, shape (n, classes), of `images`, shape (n, 3, height, width), under `mixture`."""
        own, shift = self.classifier.weight, mixture.shift
        weights = Weights(
            mixture.weights.to(own.device, own.dtype, non_blocking=True),
            None if shift is None else shift.to(own.device, own.dtype, non_blocking=True),
        )
        return self.scores(_through(self.cells, self.stem(images), mixture.active, weights)[1])

    def computation(self, cell: Cell) -> Ops:
        """What of the cell reaches the result: every operation does."""
        return cell.ops

    def in_order(self, computations: Iterable[Ops]) -> list[Ops]:
        """They in an order in which those with the same normal cell stand together."""
        return sorted(computations)

    def path_logits(self, images: Tensor, computations: Iterable[Ops]) -> Iterator[Tensor]:
        """Class scores for each of `in_order`, every operation counting fully; in evaluation, without gradients.

        The stem is computed once, and the cells before the first reduction once for each normal cell.
        """
        stem, first = self.stem(images), self.reductions[0]
        for normal, alike in groupby(computations, key=lambda ops: ops[: len(EDGES)]):
            before = _through(self.cells[:first], stem, tuple((op,) for op in normal))
            for ops in alike:
                yield self.scores(_through(self.cells[first:], before, tuple((op,) for op in ops))[1])


class CellNetwork(Skeleton):
    """A genotype's own network: affine batch norm with running statistics, path dropout, and an auxiliary head.

    Args:
        cell: a cell of the space `darts`.
        channels: C; the paper has 36 for CIFAR, 48 for ImageNet.
        cells_per_stage: N; likewise 6, which is 20 cells, and 4, which is 14.
        classes: of the data set.
        auxiliary: whether there is an auxiliary head behind the second reduction cell.
        imagenet: whether stem and auxiliary head are those for ImageNet.

    Attributes:
        drop_path: the probability of path dropout in training mode; 0 until it is set. DARTS raises it linearly.
    """

    def __init__(
        self,
        cell: Cell,
        channels: int = 36,
        cells_per_stage: int = 6,
        classes: int = 10,
        auxiliary: bool = False,
        imagenet: bool = False,
    ) -> None:
        active = tuple((op,) for op in cell.ops)
        super().__init__(channels, cells_per_stage, classes, active, STANDARD_NORM, imagenet)
        self.cell, self.active, self.drop_path = cell, active, 0.0
        self.auxiliary = AuxiliaryHead(4 * len(NODES) * channels, classes, imagenet) if auxiliary else None

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Class scores, shape (n, classes), of `images`, shape (n, 3, height, width).

        In training mode, of a network with an auxiliary head, these and that head's.
        """
        inputs, auxiliary = self.stem(images), None
        for number, cell in enumerate(self.cells):
            output = cell(inputs, self.active, dropped=self.drop_path if self.training else 0.0)
            inputs = [inputs[1], output]
            if self.auxiliary is not None and self.training and number == self.reductions[1]:
                auxiliary = self.auxiliary(output)
        scores = self.scores(inputs[1])
        return scores if auxiliary is None else (scores, auxiliary)


class AuxiliaryHead(nn.Module):
    """A classifier on the features behind the second reduction cell, whose loss helps in training.

    It averages over 5x5 pixels at each corner: of 8x8 pixels (CIFAR) with stride 3, of 7x7 (ImageNet) with stride 2, as
    the reference has it. Features of fewer than 6x6 pixels, which the reference has none of, are averaged to 2x2.
    """

    def __init__(self, inputs: int, classes: int, imagenet: bool) -> None:
        super().__init__()
        wide = [nn.Conv2d(128, 768, 2, bias=False), *([] if imagenet else [STANDARD_NORM(768)]), nn.ReLU()]
        narrow = [nn.Conv2d(inputs, 128, 1, bias=False), STANDARD_NORM(128), nn.ReLU()]
        self.features, self.classifier = nn.Sequential(*narrow, *wide), nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, inputs, height, width) to (n, classes)."""
        x, strides = x.relu().contiguous(), (x.shape[2] - 5, x.shape[3] - 5)  # contiguous: see `Pooling`
        pooled = F.avg_pool2d(x, 5, strides) if min(strides) > 0 else F.adaptive_avg_pool2d(x, 2)
        scores: Tensor = self.classifier(self.features(pooled).flatten(1))
        return scores
