"""Decoded images, kept in the user's cache folder: the next start maps one file and checks, unpickles, decodes nothing.

For a folder of published files one `.npy` file: a record an image, those to train on before those to test on, and
behind them a seal, made from what the published files were (names, sizes, times of change) and a checksum of all
records. What does not bear the seal that it should (another source, a damaged or shortened file) is decoded and written
anew. So the file may be deleted at any time, and where it cannot be written, images are decoded at each start.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from nasbench_stc import files

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Pixels (n, 3, side, side) and labels (n,)."""

VERSION = 1
"""To be raised when the readers come to make other arrays of the same files."""

_SEAL_BYTES = 32
_Records = NDArray[Any]
"""Shape (n,), of the fields `pixels` and `label`."""


class Form(NamedTuple):
    """What the arrays of a data set look like."""

    train: int
    """How many images."""
    test: int
    """How many images."""
    side: int
    classes: int

    @property
    def record(self) -> np.dtype[Any]:
        """An image and its label."""
        return np.dtype([("pixels", np.uint8, (3, self.side, self.side)), ("label", np.int64)])


def decoded_once(
    folder: Path, names: Sequence[str], form: Form, decode: Callable[[], tuple[Arrays, Arrays]]
) -> tuple[Arrays, Arrays]:
    """What `decode` makes of the files `names` in `folder` (train, test), from the cache where they are known to it.

    Pixels may be mapped from the file: writing to them changes nothing but this process's memory.
    """
    source = _identity(folder, names)  # before decoding: a file that changes meanwhile will not bear this seal
    records = _open(folder, source, form)
    if records is None:
        records = _as_records(decode(), form)
        _write(folder, source, records)
    labels = np.ascontiguousarray(records["label"])
    pixels = records["pixels"]
    return (pixels[: form.train], labels[: form.train]), (pixels[form.train :], labels[form.train :])


def _identity(folder: Path, names: Sequence[str]) -> str:
    stats = ((name, (folder / name).stat()) for name in names)
    return repr((VERSION, [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]))


def _path(folder: Path) -> Path:
    """One file a folder: what is there now takes the place of what was there before."""
    where = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]
    return files.cache_dir() / "images" / f"{folder.name}-{where}.npy"


def _open(folder: Path, source: str, form: Form) -> _Records | None:
    """The records kept of this folder; None where there are none, or others, or any of them is damaged."""
    try:
        path = _path(folder)
        # "c": read from the file and never written to it; of arrays that it could not write to, torch warns.
        records: _Records = np.load(path, mmap_mode="c", allow_pickle=False)
        with path.open("rb") as file:
            file.seek(-_SEAL_BYTES, 2)
            seal = file.read()
        if records.dtype != form.record or records.shape != (form.train + form.test,):
            return None
    except Exception:  # of a damaged header numpy raises errors of many kinds
        return None
    labels = records["label"]
    if seal != _seal(source, records) or labels.min() < 0 or labels.max() >= form.classes:
        return None
    return records


def _seal(source: str, records: _Records) -> bytes:
    checksum = zlib.crc32(records.view(np.uint8).data)  # of CIFAR-10's 185 MB in 0.1 s
    return hashlib.sha256(f"{source} {checksum}".encode()).digest()


def _as_records(parts: tuple[Arrays, Arrays], form: Form) -> _Records:
    records = np.empty(form.train + form.test, form.record)
    for part, (pixels, labels) in zip((records[: form.train], records[form.train :]), parts, strict=True):
        part["pixels"], part["label"] = pixels, labels
    return records


def _write(folder: Path, source: str, records: _Records) -> None:
    """Keep the records, unless another process is at it; where that cannot be, all goes on without."""
    with suppress(OSError, RuntimeError):  # RuntimeError: no home folder is known, or the file system has no locks
        path = _path(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=0):  # Timeout is an OSError
            for left_over in path.parent.glob(f".{path.name}.*.partial"):
                left_over.unlink()
            with files.replacing(path) as file:
                np.save(file, records, allow_pickle=False)
                file.write(_seal(source, records))
