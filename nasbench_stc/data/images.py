"""Image sets as uint8 tensors on the device, augmented and normalised there, a batch at a time.

`StoredImages` are what a data set consists of, here `Images`; `on` a device they become `BatchedImages`, here
`DeviceImages`, of which a search or a training draws. `folders` has the same two for images that are read from disk.

No worker processes: a batch is one gather. Flip and padded crop are drawn for each image, as
NAS-Bench-201's transforms do (RandomHorizontalFlip, RandomCrop with black padding, then normalisation).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasbench_stc.errors import BadCallError

Batches = Generator[tuple[Tensor, Tensor], None, None]
"""Images and labels; closed, it reads no further."""


class StoredImages(Protocol):
    """What a data set, or a part of it, consists of: `Images`, or `Listed`."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Shape (images,)."""

    def __len__(self) -> int: ...

    def take(self, index: NDArray[np.int64]) -> Self:
        """The images at `index`, shape (n,)."""

    def shrink(self, side: int) -> Self:
        """The same images, `side` pixels wide and high.

        Raises:
            BadCallError: they cannot be made that small.
        """

    def on(self, device: torch.device, dtype: torch.dtype = torch.float32) -> BatchedImages:
        """They, to be drawn from; batches are on `device`."""


class BatchedImages(Protocol):
    """What a search or a training draws from: `DeviceImages`, or `FolderImages`.

    Batches are images, `dtype` (n, 3, side, side) in channels-last memory, and labels, int64 (n,), both on the device.
    An index is int64, shape (n,), on the device.
    """

    side: int
    """Of a batch's images, in pixels."""
    labels: Tensor
    """Of all images, int64 (images,), on the device."""

    @property
    def in_graphs(self) -> bool:
        """Whether the device alone makes a batch, so that this may be part of a CUDA graph."""

    def __len__(self) -> int: ...

    def augmented(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images and labels at `index`, augmented at random."""

    def expect(self, index: Tensor, generator: torch.Generator) -> None:
        """The next call of `augmented` will be this one. Whoever reads from a disk begins with it, and draws now."""

    def stream(self, batches: Iterable[Tensor], generator: torch.Generator) -> Batches:
        """Images and labels of each batch of numbers, `augmented`."""

    def plain(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels at `index`, as they are."""

    def batches(self, size: int, n: int | None = None) -> Batches:
        """The first `n` images (None: all) once, in order, `size` at a time; the last batch may be smaller."""


@dataclass(frozen=True)
class Images:
    """Images in memory: `pixels` uint8 (n, 3, side, side), `labels` int64 (n,); the normalisation in units of 1/255."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pad: int

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> Images:
        """The images at `index`."""
        return Images(self.pixels[index], self.labels[index], self.mean, self.std, self.pad)

    def shrink(self, side: int) -> Images:
        """Averaged down to `side` pixels, a whole fraction of what they have."""
        factor, rest = divmod(self.pixels.shape[-1], side)
        if rest or side < 4 or side % 4:
            raise BadCallError(
                f"resolution {side} does not fit images of {self.pixels.shape[-1]} pixels: "
                "it has to divide that evenly and be a multiple of 4 (two reductions halve it)"
            )
        if factor == 1:
            return self
        n, area = len(self), factor**2
        pixels = np.empty((n, 3, side, side), np.uint8)
        whole = np.min_scalar_type(255 * area)  # sums of whole numbers are exact, and quicker than those of floats
        for piece in (slice(start, start + 256) for start in range(0, n, 256)):  # so many stay in a processor's cache
            sums = np.zeros(pixels[piece].shape, whole)
            for row, column in np.ndindex(factor, factor):
                sums += self.pixels[piece, :, row::factor, column::factor]
            pixels[piece] = np.round(sums / np.float32(area))
        return Images(pixels, self.labels, self.mean, self.std, max(self.pad // factor, 1))

    def on(self, device: torch.device, dtype: torch.dtype = torch.float32) -> DeviceImages:
        """See `StoredImages`."""
        return DeviceImages(self, device, dtype)


class DeviceImages:
    """`Images` on a device, ready to be drawn from. Batches are `dtype` (n, 3, side, side) in channels-last memory."""

    in_graphs = True

    def __init__(self, images: Images, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.side, self.pad = images.pixels.shape[-1], images.pad
        self._padded = self.side + 2 * self.pad
        pixels = np.zeros((len(images), self._padded, self._padded, 3), np.uint8)
        inside = slice(self.pad, self.pad + self.side)
        for channel in range(3):
            pixels[:, inside, inside, channel] = images.pixels[:, channel]
        self._pixels = torch.from_numpy(pixels).view(-1, 3).to(device)  # one row a pixel: a batch is one gather of rows
        self.labels = torch.from_numpy(images.labels).to(device)
        mean, std = (
            torch.tensor(numbers, dtype=torch.float64).repeat(self.side) for numbers in (images.mean, images.std)
        )
        self._scale, self._shift = (numbers.to(device, dtype) for numbers in (1 / std, -mean / std))  # of a row
        self._steps = torch.arange(self.side, device=device)

    def __len__(self) -> int:
        return len(self.labels)

    def augmented(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images and labels at `index` (int64, shape (n,), on the device), each flipped and cropped at random."""
        n, device = len(index), self.labels.device
        draw = torch.rand(3, n, generator=generator, device=device)
        top, left = (draw[:2] * (2 * self.pad + 1)).long()
        rows = top[:, None] + self._steps
        columns = torch.where(draw[2, :, None] < 0.5, self._steps.flip(0), self._steps) + left[:, None]
        return self._gather(index, rows, columns)

    def expect(self, index: Tensor, generator: torch.Generator) -> None:
        """See `BatchedImages`: nothing is to be begun here."""

    def stream(self, batches: Iterable[Tensor], generator: torch.Generator) -> Batches:
        """Images and labels of each batch of numbers, `augmented`."""
        return (self.augmented(index, generator) for index in batches)

    def plain(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels at `index`, as they are."""
        middle = (self._steps + self.pad).expand(len(index), self.side)
        return self._gather(index, middle, middle)

    def batches(self, size: int, n: int | None = None) -> Batches:
        """The first `n` images (None: all) once, in order, `size` at a time; the last batch may be smaller."""
        for start, end in spans(min(n or len(self), len(self)), size):
            yield self.plain(torch.arange(start, end, device=self.labels.device))

    def _gather(self, index: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and columns of the padded images, both (n, side), as normalised images."""
        pixel = (index[:, None] * self._padded + rows)[:, :, None] * self._padded + columns[:, None, :]
        images = self._pixels.index_select(0, pixel.view(-1)).view(-1, self.side, 3 * self.side)
        normalised = torch.addcmul(self._shift, images, self._scale)  # from bytes to floats in one pass
        return normalised.view(-1, self.side, self.side, 3).permute(0, 3, 1, 2), self.labels[index]


def spans(n: int, size: int) -> Iterator[tuple[int, int]]:
    """Where batches of `size` of `n` images begin and end. One left over goes with those before: it has no variance."""
    ends = [*range(size, n, size), n]
    if n > size > 1 and n % size == 1:
        del ends[-2]
    return zip([0, *ends], ends, strict=False)


def cut_out(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Zero a square of each image, in place: of normalised images the mean colour (DeVries & Taylor 2017).

    Its middle is a pixel drawn uniformly, so that part of it may be outside, as in DARTS.

    Args:
        images: shape (n, 3, height, width).
        side: of the square, in pixels.
        generator: on the images' device.
    """

    def inside(length: int) -> Tensor:
        middle = torch.randint(length, (len(images), 1), generator=generator, device=images.device)
        distance = torch.arange(length, device=images.device) - middle
        return (distance >= -(side // 2)) & (distance < side - side // 2)

    rows, columns = inside(images.shape[2]), inside(images.shape[3])
    return images.masked_fill_((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)
