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
        self._folders, self._texts = [str(folder) for folder in folders], frozenset(texts)
        self._known: dict[str, dict[str, _File]] = {}
        self._stored: dict[str, _Stored] = {}
        self._parts: dict[str, dict[str, tuple[int, int, Part]]] = {folder: {} for folder in self._folders}
        self._new = dict.fromkeys(self._folders, 0)
        for folder in self._folders:
            stored = _read(Path(folder) / FILE_NAME)
            if stored is not None:
                self._stored[folder] = stored

    def known(self, path: Path) -> Part | None:
        """What was made of that record, if the file is the same."""
        folder, name = self._place(path)
        stored = self._stored.get(folder)
        found = None if stored is None else stored.files.get(name)
        if stored is None or found is None or (found.modified, found.size) != _stamp(path):
            return None
        part: dict[str, Any] = dict(zip(stored.columns, found.values, strict=True))
        part |= {column: stored.texts[part[column]] for column in self._texts & part.keys()}
        self._parts[folder][name] = (found.modified, found.size, part)
        return {**part, "path": str(path)}

    def note(self, path: Path, part: Part) -> Part:
        """Remember what was made of a record just now."""
        folder, name = self._place(path)
        self._parts[folder][name] = (*_stamp(path), part)
        self._new[folder] += 1
        return part

    def write(self) -> None:
        """Write what is new, where there are many records and where that can be done."""
        for folder, parts in self._parts.items():
            if self._new[folder] and len(parts) >= FEWEST:
                with suppress(OSError):
                    files.write_atomic(Path(folder) / FILE_NAME, self._encoded(parts.items()))

    def _encoded(self, parts: Iterable[tuple[str, tuple[int, int, Part]]]) -> bytes:
        parts = list(parts)
        first = parts[0][1][2]
        columns = [column for column in first if column != "path"]
        numbers: dict[str, int] = {}

        def stored(column: str, value: Any) -> Any:
            return numbers.setdefault(value, len(numbers)) if column in self._texts else value

        named = {
            name: _File(modified, size, [stored(column, part[column]) for column in columns])
            for name, (modified, size, part) in parts
        }
        content = msgspec.msgpack.encode(_Stored(_code(), columns, list(numbers), named))
        return hashlib.sha256(content).digest() + content

    def _place(self, path: Path) -> tuple[str, str]:
        """The folder that the record is below, and where there."""
        text = str(path)
        folder = max((f for f in self._folders if f == "." or text.startswith(f + os.sep)), key=len)
        return folder, text if folder == "." else text[len(folder) + 1 :]


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
