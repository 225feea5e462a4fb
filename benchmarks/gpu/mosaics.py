"""Image sets as lossless WebP mosaics in parts that fit a copy, and back again.

A part is a folder of mosaics with a `manifest.json`: which images are in which file (numbered through the training
images and then the test images), their labels, each file's sha256, and a sha256 of the whole set by which parts are
known to belong together.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nasbench_stc import files
from nasbench_stc.errors import BadCallError, DataError

Pixels = NDArray[np.uint8]
"""Shape (n, 3, side, side)."""

MANIFEST = "manifest.json"
IMAGES = 2500
"""Images a mosaic."""

_COLUMNS = 50
# A mosaic of CIFAR-10: 4.24 MB in 1.7 s; the slowest settings (6, 100) give 4.20 MB in 57 s.
_WEBP = {"lossless": True, "method": 4, "quality": 75}


class ImageSet(NamedTuple):
    """Images of a set, the training images before the test images."""

    pixels: Pixels
    labels: NDArray[np.int64]
    train: int

    @property
    def sha256(self) -> str:
        """Of all pixels and labels."""
        found = hashlib.sha256(np.ascontiguousarray(self.pixels).data)
        found.update(f"{self.train} {self.labels.tolist()}".encode())
        return found.hexdigest()


def encode(pixels: Pixels) -> bytes:
    """A mosaic of the images, row by row."""
    n, channels, high, wide = pixels.shape
    columns = min(n, _COLUMNS)
    rows = -(-n // columns)
    tiles = np.zeros((rows * columns, channels, high, wide), np.uint8)
    tiles[:n] = pixels
    mosaic = tiles.reshape(rows, columns, channels, high, wide).transpose(0, 3, 1, 4, 2)
    buffer = io.BytesIO()
    Image.fromarray(mosaic.reshape(rows * high, columns * wide, channels)).save(buffer, "WEBP", **_WEBP)
    return buffer.getvalue()


def decode(content: bytes, n: int, side: int) -> Pixels:
    """The `n` images of a mosaic.

    Raises:
        ValueError: it is none of so many images.
    """
    mosaic = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    rows, columns = mosaic.shape[0] // side, mosaic.shape[1] // side
    if rows * columns < n:
        raise ValueError(f"{rows * columns} images instead of {n}")
    tiles = mosaic.reshape(rows, side, columns, side, 3).transpose(0, 2, 4, 1, 3)
    return tiles.reshape(-1, 3, side, side)[:n]


def write_parts(images: ImageSet, folder: Path, limit: int, jobs: int = 2) -> list[Path]:
    """Write the set into `folder`/part1, part2, …, as few and as alike in size as `limit` allows.

    Args:
        images: the set; labels are single digits.
        folder: for the parts; it is empty.
        limit: bytes of a part, at most.
        jobs: threads that encode.

    Raises:
        BadCallError: the limit is less than one mosaic.
    """
    spans = [(first, min(IMAGES, len(images.pixels) - first)) for first in range(0, len(images.pixels), IMAGES)]
    with ThreadPoolExecutor(jobs) as pool:
        mosaics = list(pool.map(lambda span: encode(images.pixels[span[0] : sum(span)]), spans))
    sizes = [len(mosaic) for mosaic in mosaics]
    if max(sizes) > limit:
        raise BadCallError(f"a part of {limit:,} bytes is less than one mosaic, which has {max(sizes):,}")
    of_part = _spread(sizes, limit)
    parts = max(of_part) + 1
    identity = images.sha256
    entries: list[list[dict[str, Any]]] = [[] for _ in range(parts)]
    for number, ((first, n), mosaic, part) in enumerate(zip(spans, mosaics, of_part, strict=True)):
        name = f"mosaic-{number:02}.webp"
        path = folder / f"part{part + 1}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mosaic)
        labels = "".join(str(label) for label in images.labels[first : first + n])
        sha256 = hashlib.sha256(mosaic).hexdigest()
        entries[part].append({"file": name, "sha256": sha256, "first": first, "images": n, "labels": labels})
    for part, own in enumerate(entries):
        manifest = {
            "part": part + 1,
            "parts": parts,
            "set": identity,
            "images": len(images.pixels),
            "train": images.train,
            "side": images.pixels.shape[-1],
            "mosaics": own,
        }
        (folder / f"part{part + 1}" / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    return [folder / f"part{part + 1}" for part in range(parts)]


def _spread(sizes: Sequence[int], limit: int) -> list[int]:
    """Of each mosaic the part that it goes into: in order, as few parts and as alike as can be."""
    for parts in range(max(1, math.ceil(sum(sizes) / limit)), len(sizes) + 1):
        middles = np.cumsum(sizes) - np.array(sizes) / 2
        of_part = (middles * parts / sum(sizes)).astype(int)
        of_part = np.unique(of_part, return_inverse=True)[1]  # none is empty
        if max(np.bincount(of_part, weights=sizes)) <= limit:
            return [int(part) for part in of_part]
    return list(range(len(sizes)))


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a part, its files checked.

    Raises:
        DataError: a file is missing or damaged.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        for mosaic in manifest["mosaics"]:
            if Path(mosaic["file"]).name != mosaic["file"]:
                raise DataError(f"{folder / MANIFEST}: damaged, it names {mosaic['file']!r}. Copy the part again")
            if files.digest(folder / mosaic["file"]) != mosaic["sha256"]:
                raise DataError(f"{folder / mosaic['file']}: damaged, its sha256 is another. Copy the part again")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: no complete part of an image set ({error}). Copy the part again") from error
    return manifest


def read_parts(folders: Sequence[Path]) -> ImageSet | None:
    """The set whose parts these are; None while some are still missing.

    Raises:
        DataError: something is damaged, or the parts are of different packings.
    """
    manifests = {folder: read_manifest(folder) for folder in folders}
    if len({manifest["set"] for manifest in manifests.values()}) > 1:
        raise DataError(
            f"{folders[0].parent}: parts of different image sets. Remove the folder, and copy all parts of one packing"
        )
    if {manifest["part"] for manifest in manifests.values()} != set(
        range(1, max((manifest["parts"] for manifest in manifests.values()), default=1) + 1)
    ):
        return None
    one = next(iter(manifests.values()))
    side = one["side"]
    pixels, labels = np.zeros((one["images"], 3, side, side), np.uint8), np.full(one["images"], -1, np.int64)
    for folder, manifest in manifests.items():
        for mosaic in manifest["mosaics"]:
            span = slice(mosaic["first"], mosaic["first"] + mosaic["images"])
            pixels[span] = decode((folder / mosaic["file"]).read_bytes(), mosaic["images"], side)
            labels[span] = [int(label) for label in mosaic["labels"]]
    found = ImageSet(pixels, labels, one["train"])
    if found.sha256 != one["set"]:
        raise DataError(f"{folders[0].parent}: the images are not those that were packed. Pack and copy them again")
    return found
