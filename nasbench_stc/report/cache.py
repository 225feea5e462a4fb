"""What `load_runs` made of each record, kept beside the records: a file that did not change is not read again.

Never needed: without it, or where it cannot be written, reading takes longer. It is written where there are many
records, whole or not at all, and is read only if it is what was written, by the same code.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
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


class _File(msgspec.Struct, array_like=True):
    """One record; `values` by column, of a text its number among all texts."""

    modified: int
    size: int
    values: list[Any]


class _Stored(msgspec.Struct, array_like=True):
    code: str
    columns: list[str]
    texts: list[str]
    files: dict[str, _File]


class Cache:
    """Of the records below some folders, each of which has its own file.

    Args:
        folders: as they are given to whoever reads below them.
        texts: columns with few different values.
    """

    def __init__(self, folders: Sequence[Path], texts: Iterable[str]) -> None:
        self._texts = frozenset(texts)
        # By what paths of records below the folder begin with.
        self._folders = {"" if folder == Path() else os.path.join(folder, ""): folder for folder in folders}
        self._stored = {place: _read(folder / FILE_NAME) for place, folder in self._folders.items()}
        self._parts: dict[str, dict[str, tuple[int, int, Part]]] = {place: {} for place in self._folders}
        self._new = dict.fromkeys(self._folders, 0)

    def known(self, path: Path) -> Part | None:
        """What was made of that record, if the file is the same."""
        place, name = self._place(path)
        stored = self._stored[place]
        found = stored and stored.files.get(name)
        if not stored or not found or (found.modified, found.size) != _stamp(path):
            return None
        part: dict[str, Any] = dict(zip(stored.columns, found.values, strict=True))
        part |= {column: stored.texts[part[column]] for column in self._texts & part.keys()}
        part["path"] = str(path)
        self._parts[place][name] = (found.modified, found.size, part)
        return part

    def note(self, path: Path, part: Part) -> Part:
        """Remember what was made of a record just now."""
        place, name = self._place(path)
        self._parts[place][name] = (*_stamp(path), part)
        self._new[place] += 1
        return part

    def write(self) -> None:
        """Write what is new, where there are many records and where that can be done."""
        for place, parts in self._parts.items():
            if self._new[place] and len(parts) >= FEWEST:
                with suppress(OSError):
                    files.write_atomic(self._folders[place] / FILE_NAME, self._encoded(parts))

    def _encoded(self, parts: Mapping[str, tuple[int, int, Part]]) -> bytes:
        _, _, first = next(iter(parts.values()))
        columns = [column for column in first if column != "path"]
        numbers: dict[str, int] = {}

        def stored(column: str, value: Any) -> Any:
            return numbers.setdefault(value, len(numbers)) if column in self._texts else value

        named = {
            name: _File(modified, size, [stored(column, part[column]) for column in columns])
            for name, (modified, size, part) in parts.items()
        }
        content = msgspec.msgpack.encode(_Stored(_code(), columns, list(numbers), named))
        return hashlib.sha256(content).digest() + content

    def _place(self, path: Path) -> tuple[str, str]:
        """Of the folder that the record is below what its path begins with, and the rest."""
        text = str(path)
        place = max(filter(text.startswith, self._folders), key=len)
        return place, text[len(place) :]


def _read(path: Path) -> _Stored | None:
    try:
        whole = path.read_bytes()
        if hashlib.sha256(whole[32:]).digest() != whole[:32]:
            return None
        stored = msgspec.msgpack.decode(whole[32:], type=_Stored)
    except (OSError, msgspec.DecodeError):
        return None
    return stored if stored.code == _code() else None


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
