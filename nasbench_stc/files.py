"""Where data lives (`--data-dir`, else `$STC_BENCH_DATA`, else the user's cache folder) and how files are written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nasbench_stc.errors import BadCallError

DATA_VARIABLE = "STC_BENCH_DATA"


def data_dir(given: str | Path | None = None) -> Path:
    """The folder below which data is read and fetched: `given`, else `$STC_BENCH_DATA`, else the cache folder.

    Raises:
        BadCallError: where a folder was named but is none.
    """
    named = given or os.environ.get(DATA_VARIABLE)
    if not named:
        return cache_dir()
    folder = Path(named).expanduser()
    if folder.exists() and not folder.is_dir():
        raise BadCallError(f"{folder} is not a folder; data is looked for below it (--data-dir or ${DATA_VARIABLE})")
    return folder


def cache_dir() -> Path:
    """This project's folder in the user's cache folder.

    Raises:
        RuntimeError: the user has no home folder.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nasbench_stc"


def find(folder: Path, names: Iterable[str]) -> Path | None:
    """The first of `names` that exists in `folder` or in its `nb201` subfolder."""
    for name in names:
        for parent in (folder, folder / "nb201"):
            if (parent / name).exists():
                return parent / name
    return None


def write_atomic(path: Path, content: bytes, sync: bool = True) -> None:
    """Write `content` to `path`, all or nothing: a killed process leaves the old file or the new one.

    Args:
        sync: see to it that a machine that loses its power does so, too.
    """
    with replacing(path, sync) as file:
        file.write(content)


@contextmanager
def replacing(path: Path, sync: bool = True) -> Iterator[BinaryIO]:
    """A file to write into that becomes `path` in the end, all or nothing; `sync` as of `write_atomic`."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def digest(path: Path, algorithm: str = "sha256") -> str:
    """The hexadecimal digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
