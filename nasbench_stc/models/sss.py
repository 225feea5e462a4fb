"""The networks of NATS-Bench's size space: one cell a stage, each layer with a number of channels of its own.

Reference: `xautodl/models/shape_infers/InferTinyCellNet.py` in AutoDL-Projects, with `cell_infers/cells.py` and
`cell_operations.py` beside it.
"""

from __future__ import annotations

from torch import Tensor, nn

from nasbench_stc.space import Cell


class CellNetwork(nn.Module):
    """The network of a cell of the size space, as the benchmark trained it: affine batch norm, running statistics."""

    def __init__(self, cell: Cell, classes: int = 10) -> None:
        super().__init__()
        self.cell = cell
        first, second, third, fourth, fifth = (int(cell.of.ops[op]) for op in cell.ops)
        self.stem = nn.Sequential(nn.Conv2d(3, first, 3, padding=1, bias=False), nn.BatchNorm2d(first))
        self.blocks = nn.Sequential(
            _Stage(first, first),
            _Reduction(first, second),
            _Stage(second, third),
            _Reduction(third, fourth),
            _Stage(fourth, fifth),
        )
        self.head_norm = nn.BatchNorm2d(fifth)
        self.classifier = nn.Linear(fifth, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores, shape (n, classes), of `images`, shape (n, 3, height, width)."""
        x = self.head_norm(self.blocks(self.stem(images))).relu()
        scores: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return scores


def _convolution(channels: int, wide: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(channels, wide, 3, stride, padding=1, bias=False), nn.BatchNorm2d(wide))


class _Stage(nn.Module):
    """The cell: 3x3 convolutions on all edges but that from input to output, a skip, projected where widths differ."""

    def __init__(self, channels: int, wide: int) -> None:
        super().__init__()
        self.into_1, self.into_2 = _convolution(channels, wide), _convolution(channels, wide)
        self.from_1_to_2, self.from_1_to_3, self.from_2_to_3 = (_convolution(wide, wide) for _ in range(3))
        self.skip = nn.Sequential()  # of nothing: the identity
        if channels != wide:
            self.skip.extend([nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide)])

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, channels, height, width) to (n, wide, height, width)."""
        first = self.into_1(x)
        second = self.into_2(x) + self.from_1_to_2(first)
        output: Tensor = self.skip(x) + self.from_1_to_3(first) + self.from_2_to_3(second)
        return output


class _Reduction(nn.Module):
    """The residual block between stages, of half the resolution."""

    def __init__(self, channels: int, wide: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(_convolution(channels, wide, stride=2), _convolution(wide, wide))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, wide, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, channels, height, width) to (n, wide, height/2, width/2)."""
        output: Tensor = self.convolutions(x) + self.shortcut(x)
        return output
