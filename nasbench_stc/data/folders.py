"""ImageNet in its published layout, a folder a class, its images read when they are needed.

Below the data folder there are `imagenet/train/<wnid>/*.JPEG` and `imagenet/val/<wnid>/*.JPEG`. Augmented as DARTS does
it: a random part, resized, flipped, colours changed; as they are, images are their middle.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torch import Tensor

from nasbench_stc.data import IMAGENET_FOLDER, IMAGENET_HOW_TO_GET
from nasbench_stc.data.images import Batches, spans
from nasbench_stc.errors import DataError

SIDE = 224
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""In units of 1/255, as ImageNet's images are normalised everywhere."""

_AHEAD = 2  # batches that are read while another one is learned from
_TRIES = 10  # at a random part that lies within the image; then the middle is taken
_NUMBERS = 4 * _TRIES + 9  # uniform ones that an augmentation takes


@dataclass(frozen=True)
class Listed:
    """Images on disk, as `Images` are in memory: which there are. None is read before a batch has it."""

    paths: list[Path]
    labels: NDArray[np.int64]
    """Shape (images,)."""
    classes: int
    side: int = SIDE
    """Of a batch's images, in pixels."""

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, index: NDArray[np.int64]) -> Listed:
        """The images at `index`."""
        return replace(self, paths=[self.paths[number] for number in index.tolist()], labels=self.labels[index])

    def shrink(self, side: int) -> Listed:
        """The same, to be made of that side when they are read; any will do."""
        return replace(self, side=side)

    def on(self, device: torch.device, dtype: torch.dtype = torch.float32) -> FolderImages:
        """See `StoredImages`."""
        return FolderImages(self, device, dtype)


def list_imagenet(data_dir: Path) -> tuple[Listed, Listed]:
    """The images for training and for the test; classes are numbered in the order of their folders' names.

    Raises:
        DataError: there are none, none of a class, or not of the same classes.
    """
    top = data_dir / IMAGENET_FOLDER
    names, parts = [], []
    for part in ("train", "val"):
        folders = sorted(path for path in (top / part).glob("*") if path.is_dir())
        paths = [sorted(folder.glob("*.JPEG")) for folder in folders]
        if not any(paths):
            raise DataError(f"no images {top / part}/<class>/*.JPEG. {IMAGENET_HOW_TO_GET}")
        for folder, of_class in zip(folders, paths, strict=True):
            if not of_class:
                raise DataError(f"{folder}: no images *.JPEG of that class. {IMAGENET_HOW_TO_GET}")
        labels = np.repeat(np.arange(len(folders)), [len(of_class) for of_class in paths])
        parts.append(Listed([path for of_class in paths for path in of_class], labels, len(folders)))
        names.append([folder.name for folder in folders])
    if names[0] != names[1]:
        raise DataError(f"{top}: train has {len(names[0])} classes, val {len(names[1])}, or others")
    return parts[0], parts[1]


class FolderImages:
    """Images on disk, as `DeviceImages` are on a device: batches are `dtype` (n, 3, side, side), normalised there.

    Args:
        listed: which.
        device, dtype: of batches.
        workers: threads that read; None: as many as there are processors.

    Raises:
        DataError: of whatever gives a batch: an image is missing or damaged; the message names it.
    """

    in_graphs = False

    def __init__(
        self, listed: Listed, device: torch.device, dtype: torch.dtype = torch.float32, workers: int | None = None
    ) -> None:
        self.side, self._paths = listed.side, listed.paths
        self.labels = torch.from_numpy(listed.labels).to(device)
        self._mean, self._std = (torch.tensor(numbers, dtype=dtype, device=device) for numbers in (MEAN, STD))
        self._pool = ThreadPoolExecutor(workers or os.cpu_count())
        self._expected: _Reading | None = None

    def __len__(self) -> int:
        return len(self._paths)

    def augmented(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images and labels at `index` (int64, shape (n,), on the device), augmented at random."""
        begun, self._expected = self._expected, None
        assert begun is None or torch.equal(begun.numbers, index)
        return self._whole(begun or self._begin_augmented(index, generator))

    def expect(self, index: Tensor, generator: torch.Generator) -> None:
        """The next call of `augmented` will be this one; it is begun now, and draws from `generator` now."""
        self._expected = self._begin_augmented(index, generator)

    def stream(self, batches: Iterable[Tensor], generator: torch.Generator) -> Batches:
        """Images and labels of each batch of numbers, `augmented`; a few batches are read ahead."""
        return self._ahead(self._begin_augmented(index, generator) for index in batches)

    def plain(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images and labels at `index`, as they are."""
        return self._whole(self._begin_plain(index))

    def batches(self, size: int, n: int | None = None) -> Batches:
        """The first `n` images (None: all) once, in order, `size` at a time; the last batch may be smaller."""
        ends = spans(min(n or len(self), len(self)), size)
        return self._ahead(self._begin_plain(torch.arange(*one, device=self.labels.device)) for one in ends)

    def _begin_augmented(self, index: Tensor, generator: torch.Generator) -> _Reading:
        drawn = torch.rand(len(index), _NUMBERS, generator=generator, device=generator.device).tolist()
        return self._begin(index, [partial(_augmented, side=self.side, drawn=numbers) for numbers in drawn])

    def _begin_plain(self, index: Tensor) -> _Reading:
        return self._begin(index, [partial(_middle, side=self.side)] * len(index))

    def _begin(self, index: Tensor, made: Sequence[partial[Image.Image]]) -> _Reading:
        numbers = index.tolist()
        return _Reading(
            index, [self._pool.submit(_read, self._paths[n], how) for n, how in zip(numbers, made, strict=True)]
        )

    def _ahead(self, begun: Iterable[_Reading]) -> Batches:
        waiting: deque[_Reading] = deque()
        try:
            for reading in begun:
                waiting.append(reading)
                if len(waiting) > _AHEAD:
                    yield self._whole(waiting.popleft())
            while waiting:
                yield self._whole(waiting.popleft())
        finally:  # whoever stops does not wait for what was read ahead
            for reading in waiting:
                for image in reading.images:
                    image.cancel()

    def _whole(self, reading: _Reading) -> tuple[Tensor, Tensor]:
        pixels = torch.from_numpy(np.stack([image.result() for image in reading.images])).to(self.labels.device)
        normalised = (pixels.to(self._mean.dtype) - self._mean) / self._std
        return normalised.permute(0, 3, 1, 2), self.labels[reading.numbers]


class _Reading(NamedTuple):
    numbers: Tensor
    images: list[Future[NDArray[np.uint8]]]


def _read(path: Path, made: partial[Image.Image]) -> NDArray[np.uint8]:
    """Shape (side, side, 3)."""
    try:
        with Image.open(path) as image:
            return np.array(made(image.convert("RGB")))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: cannot be read as an image ({error})") from error


def _middle(image: Image.Image, side: int) -> Image.Image:
    """The middle, when the shorter side has 8/7 as many pixels: of 224 these are 256."""
    scale = side * 8 / 7 / min(image.size)
    width, height = (max(side, round(length * scale)) for length in image.size)
    left, top = round((width - side) / 2), round((height - side) / 2)
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + side, top + side))


def _augmented(image: Image.Image, side: int, drawn: Sequence[float]) -> Image.Image:
    """8 to 100 % of the area, 3:4 to 4:3, flipped or not, colours changed by up to 40 % (hue: a fifth) in any order."""
    *parts, flip = drawn[: 4 * _TRIES + 1]
    image = image.resize((side, side), Image.Resampling.BILINEAR, box=_part(*image.size, parts))
    if flip < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    how_far, order = drawn[4 * _TRIES + 1 : 4 * _TRIES + 5], drawn[4 * _TRIES + 5 :]
    for change in np.argsort(order):
        by = 2 * how_far[change] - 1  # between -1 and 1
        image = _shifted_hue(image, 0.2 * by) if change == 3 else _ENHANCERS[change](image).enhance(1 + 0.4 * by)
    return image


_ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def _part(width: int, height: int, drawn: Sequence[float]) -> tuple[int, int, int, int]:
    """A random box (left, top, right, bottom), by four uniform numbers a try."""
    for area, ratio, left, top in zip(*[iter(drawn)] * 4, strict=True):
        pixels, stretch = width * height * (0.08 + 0.92 * area), math.exp((2 * ratio - 1) * math.log(4 / 3))
        w, h = round(math.sqrt(pixels * stretch)), round(math.sqrt(pixels / stretch))
        if 0 < w <= width and 0 < h <= height:
            x, y = int(left * (width - w + 1)), int(top * (height - h + 1))
            return x, y, x + w, y + h
    short = min(width, height)
    x, y = (width - short) // 2, (height - short) // 2
    return x, y, x + short, y + short


def _shifted_hue(image: Image.Image, by: float) -> Image.Image:
    """By a share of the whole circle."""
    hue, *others = image.convert("HSV").split()
    turned = (np.array(hue).astype(np.int16) + round(255 * by)) % 256
    return Image.merge("HSV", (Image.fromarray(turned.astype(np.uint8)), *others)).convert("RGB")
