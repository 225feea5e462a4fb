"""The macro skeleton of NAS-Bench-201, filled with mixed cells (`Supernet`) or with one cell (`CellNetwork`).

Reference: `xautodl/models/cell_searchs/generic_model.py` and `cell_infers/tiny_network.py` in AutoDL-Projects.
Stem; N cells at C channels; reduction; N at 2C; reduction; N at 4C; batch norm, ReLU, mean over pixels, classifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from nasbench_stc.models.cell import MixedCell, SharedCell, Weights
from nasbench_stc.models.mixture import Mixture
from nasbench_stc.models.ops import STANDARD_NORM, Norm
from nasbench_stc.models.plan import Plan, in_order, plan
from nasbench_stc.space import EDGES, OPS, Cell


class Reduction(nn.Module):
    """The residual block between stages: half the resolution, twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.conv_a = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, wide, 3, stride=2, padding=1, bias=False), STANDARD_NORM(wide)
        )
        self.conv_b = nn.Sequential(nn.ReLU(), nn.Conv2d(wide, wide, 3, padding=1, bias=False), STANDARD_NORM(wide))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, wide, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, channels, height, width) to (n, 2·channels, height/2, width/2)."""
        wide: Tensor = self.shortcut(x) + self.conv_b(self.conv_a(x))
        return wide


class Skeleton(nn.Module):
    """Everything but the cells' own operations. `norm` is the batch norm of the cells and of the head."""

    def __init__(
        self, channels: int, cells_per_stage: int, classes: int, candidates: Sequence[Sequence[int]], norm: Norm
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), STANDARD_NORM(channels))
        self.blocks = nn.ModuleList()
        for stage in range(3):
            if stage:
                self.blocks.append(Reduction(channels))
                channels *= 2
            self.blocks.extend(MixedCell(channels, candidates, norm) for _ in range(cells_per_stage))
        self.head_norm = norm(channels)
        self.classifier = nn.Linear(channels, classes)
        # Batch statistics without a shift turn a constant into zero: see `plan`.
        self.zeros_vanish = not (norm.affine or norm.running)

    def logits(self, images: Tensor, mixture: Mixture) -> Tensor:
        """Class scores, shape (n, classes), of `images`, shape (n, 3, height, width)."""
        shift = mixture.shift
        cell_plan = plan(mixture.active, self.zeros_vanish, shift is not None)
        if not cell_plan[-1] and shift is None:
            return self._scores(self._nothing(images))
        own = self.classifier.weight
        weights = Weights(
            mixture.weights.to(own.device, own.dtype, non_blocking=True),
            None if shift is None else shift.to(own.device, own.dtype, non_blocking=True),
        )
        return self._scores(_through(self.blocks, self.stem(images), cell_plan, weights))

    def computation(self, cell: Cell) -> Plan:
        """What of the cell reaches the result: cells of which it is the same have the same scores."""
        return plan(Mixture.path(cell).active, self.zeros_vanish)

    def in_order(self, computations: Iterable[Plan]) -> list[Plan]:
        """They in an order in which neighbours have much in common."""
        return in_order(computations)

    def path_logits(self, images: Tensor, plans: Iterable[Plan]) -> Iterator[Tensor]:
        """`logits` of `images` under path after path, every operation counting fully; in evaluation, without gradients.

        The stem is computed once, and so is what neighbours among `plans` have in common in the first cell. After that
        cell every path has features of its own.
        """
        own = self.classifier.weight
        weights = Weights(torch.ones(len(EDGES), len(OPS), device=own.device, dtype=own.dtype))
        first, *others = self.blocks
        assert isinstance(first, MixedCell)
        shared = SharedCell(first, self.stem(images), weights)
        for path in plans:
            last = _through(others, shared(path), path, weights) if path[-1] else self._nothing(images)
            yield self._scores(last)

    def _nothing(self, images: Tensor) -> Tensor:
        """What the last cell yields where no operation reaches its output: zeros, whatever comes in."""
        n, _, height, width = images.shape
        return images.new_zeros(n, self.classifier.in_features, height // 4, width // 4)

    def _scores(self, x: Tensor) -> Tensor:
        """Class scores of what the last cell yields."""
        scores: Tensor = self.classifier(self.head_norm(x).relu().mean(dim=(2, 3)))
        return scores


def _through(blocks: Iterable[nn.Module], x: Tensor, plan: Plan, weights: Weights) -> Tensor:
    for block in blocks:
        x = block(x, plan, weights) if isinstance(block, MixedCell) else block(x)
    return x


class Supernet(Skeleton):
    """All five operations on every edge of every cell, weights shared by the 15,625 cells.

    In the cells and the head, batch norm is without scale and shift; `running=False` (as the reference
    searches) takes batch statistics in evaluation too.

    Args:
        channels: C, of the first stage.
        cells_per_stage: N; the paper's target network has C=16, N=5.
        classes: of the data set.
        running: whether those batch norms keep running statistics.
    """

    def __init__(self, channels: int = 16, cells_per_stage: int = 5, classes: int = 10, running: bool = False) -> None:
        candidates = [range(len(OPS))] * len(EDGES)
        super().__init__(channels, cells_per_stage, classes, candidates, Norm(affine=False, running=running))

    def forward(self, images: Tensor, mixture: Mixture) -> Tensor:
        """Class scores, shape (n, classes), of `images`, shape (n, 3, height, width), under `mixture`."""
        return self.logits(images, mixture)


class CellNetwork(Skeleton):
    """The network of one cell, as the benchmark trained it: affine batch norm with running statistics."""

    def __init__(self, cell: Cell, channels: int = 16, cells_per_stage: int = 5, classes: int = 10) -> None:
        super().__init__(channels, cells_per_stage, classes, [(op,) for op in cell.ops], STANDARD_NORM)
        self.cell = cell

    def forward(self, images: Tensor) -> Tensor:
        """Class scores, shape (n, classes), of `images`, shape (n, 3, height, width)."""
        return self.logits(images, Mixture.path(self.cell))
