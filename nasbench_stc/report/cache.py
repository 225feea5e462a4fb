"""What `load_runs` made of each record, kept beside the records: a file that did not change is not read again.

Never needed: without it, or where it cannot be written, reading takes longer. It is written where there are many
records, whole or not at all, and is read only if it is what was written, by the same code.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

import nasbench_stc
from nasbench_stc import files

FILE_NAME = ".runs.cache"
FEWEST = 500
"""Records below a folder, of which fewer are read again each time."""

Part = Mapping[str, Any]
"""A record's value in each column of `load_runs`."""


class _Stored(msgspec.Struct, array_like=True):
    code: str
    texts: list[str]
    files: dict[str, tuple[int, int, list[Any]]]
    """By path below the folder: when it was changed, its bytes, and its values; of a text its number among `texts`."""


class Cache:
    """Of the records below some folders, each of which has its own file.

    Args:
        folders: as they are given to whoever reads below them.
        types: of the columns; `str` has few different values.
    """

    def __init__(self, folders: Sequence[Path], types: Mapping[str, type[Any]]) -> None:
        self._types = {name: of for name, of in types.items() if name != "path"}
        # By what paths of records below the folder begin with.
        self._folders = {"" if folder == Path() else os.path.join(folder, ""): folder for folder in folders}
        self._before = dict(entry for below, folder in self._folders.items() for entry in self._read(below, folder))
        self._now: dict[str, tuple[int, int, Part]] = {}
        self._new: set[str] = set()

    def known(self, path: Path) -> Part | None:
        """What was made of that record, if the file is the same."""
        before = self._before.get(str(path))
        if before is None or before[:2] != _stamp(path):
            return None
        self._now[str(path)] = before
        return before[2]

    def note(self, path: Path, part: Part) -> Part:
        """Remember what was made of a record just now."""
        self._now[str(path)] = (*_stamp(path), part)
        self._new.add(str(path))
        return part

    def write(self) -> None:
        """Write what is new, where there are many records and where that can be done."""
        for below, folder in self._folders.items():
            names = [path for path in self._now if path.startswith(below)]
            if len(names) >= FEWEST and not self._new.isdisjoint(names):
                with suppress(OSError):
                    files.write_atomic(folder / FILE_NAME, self._encoded(names, len(below)))

    def _encoded(self, paths: Sequence[str], below: int) -> bytes:
        numbers: dict[str, int] = {}
        found = {}
        for path in paths:
            modified, size, part = self._now[path]
            values = [
                numbers.setdefault(part[name], len(numbers)) if of is str else part[name]
                for name, of in self._types.items()
            ]
            found[path[below:]] = (modified, size, values)
        content = msgspec.msgpack.encode(_Stored(_code(), list(numbers), found))
        return hashlib.sha256(content).digest() + content

    def _read(self, below: str, folder: Path) -> Iterator[tuple[str, tuple[int, int, Part]]]:
        """Of each record its path, and what `_now` has of it."""
        try:
            whole = (folder / FILE_NAME).read_bytes()
            stored = msgspec.msgpack.decode(whole[32:], type=_Stored)
        except (OSError, msgspec.DecodeError):
            return
        if hashlib.sha256(whole[32:]).digest() != whole[:32] or stored.code != _code():
            return
        for name, (modified, size, values) in stored.files.items():
            path = below + name
            part = {"path": path, **dict(zip(self._types, values, strict=True))}
            part |= {column: stored.texts[part[column]] for column, of in self._types.items() if of is str}
            yield path, (modified, size, part)


def _stamp(path: Path) -> tuple[int, int]:
    """When it was changed, and its bytes; of a file that is gone -1."""
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_mtime_ns, found.st_size


@cache
def _code() -> str:
    """Of the package's code: what another version made of a record is not taken."""
    root = Path(nasbench_stc.__file__).parent
    states = [(str(path.relative_to(root)), *_stamp(path)) for path in sorted(root.rglob("*.py"))]
    return hashlib.sha256(msgspec.json.encode(states)).hexdigest()
