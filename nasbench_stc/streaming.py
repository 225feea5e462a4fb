"""Reading one huge pickle of a dictionary entry by entry: each is handed over as soon as it is built, then forgotten.

The official benchmarks are single pickles of gigabytes, which become tens of gigabytes of Python objects. An unpickler
builds them all before it returns; the one here is Python's own (`pickle._Unpickler`, so that each instruction can be
followed) with an eye on one dictionary. As in `unpickle`, only the classes that the caller names are built.
"""

from __future__ import annotations

import bisect
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar, cast

import numpy as np

from nasbench_stc import unpickle

_LONG = 40  # characters: longer strings, and those with colons, are one entry's own, like a cell's, and few


def entries(file: IO[bytes], path: Path, admitted: Mapping[str, Any], name: str) -> Iterator[tuple[Any, Any]]:
    """The entries of the dictionary that the pickled dictionary in `file` has under `name`; last, `(None, the rest)`.

    Args:
        file: open for reading, where the pickle begins.
        path: its name for error messages.
        admitted: "module.name" as the pickle has it, to the class or function that stands for it here.
        name: the key of the dictionary whose entries are handed over.

    Raises:
        DataError: where the pickle names anything else, is damaged, or refers from one entry to inside another.
    """
    with unpickle.refusing(path):
        yield from _Unpickler(file, admitted, name).entries()


class _Memo(dict[int, Any]):
    """What a pickle refers back to, by number. Of past entries only strings and classes are kept; all that was before.

    Most of an entry's objects are strings of a few kinds, ten thousand in the same order as in other entries:
    such a row of strings is kept once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.begin = 0  # of the current entry
        self.end = 0
        self._rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        self._past: list[tuple[int, tuple[Any, ...]]] = []

    def __len__(self) -> int:
        return self.end

    def __setitem__(self, number: int, value: Any) -> None:
        self.end = max(self.end, number + 1)
        super().__setitem__(number, value)

    def forget(self) -> None:
        """End the current entry."""
        row: list[str | bytes | None] = []
        for number in range(self.begin, self.end):
            value = self.pop(number, None)
            row.append(None)
            if type(value) in (str, bytes) and len(value) <= 1:  # of which there is only one each in a process
                row[-1] = value
            elif type(value) is str:
                plain = value.isascii() and value.isprintable()  # else it is a number's bytes, of old protocols
                if len(value) > _LONG or (plain and ":" in value):
                    super().__setitem__(number, value)
                elif plain:
                    row[-1] = value
            elif callable(value) or isinstance(value, np.dtype):
                super().__setitem__(number, value)
        kept = tuple(row)
        self._past.append((self.begin, self._rows.setdefault(kept, kept)))
        self.begin = self.end

    def __missing__(self, number: int) -> Any:
        place = bisect.bisect_right(self._past, number, key=lambda past: past[0]) - 1
        if place >= 0:
            begin, row = self._past[place]
            if number - begin < len(row) and row[number - begin] is not None:
                return row[number - begin]
        raise _Forgotten


class _Forgotten(Exception):
    def __str__(self) -> str:
        return "one entry refers to what another one holds"


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined, misc]
    def __init__(self, file: IO[bytes], admitted: Mapping[str, Any], name: str) -> None:
        super().__init__(file)
        self._admitted, self._name = admitted, name
        self.memo = _Memo()
        self._handed_over = 0  # of the current batch

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def load_mark(self) -> None:
        """Items of a dictionary begin, or of something else; large dictionaries come in batches."""
        if self._is_entries(self.stack):
            self.memo.begin, self._handed_over = self.memo.end, 0
        super().load_mark()  # type: ignore[misc]

    dispatch[pickle.MARK[0]] = load_mark

    def find_class(self, module: str, name: str) -> Any:
        return unpickle.admit(self._admitted, module, name)

    def entries(self) -> Iterator[tuple[Any, Any]]:
        """See the function of that name. An entry is complete when its own items are set, one level below."""
        set_items = pickle.SETITEMS[0], pickle.SETITEM[0]
        self._begin()
        read, dispatch = self.read, self.dispatch
        try:
            while True:
                code = read(1)
                if not code:
                    raise EOFError("it ends in the middle")
                dispatch[code[0]](self)  # type: ignore[arg-type]
                if code[0] in set_items and self._has_entry() and isinstance(self.stack[-1], dict):
                    yield self.stack[-2], self.stack[-1]
                    self.stack[-1] = None
                    self.memo.forget()
                    self._handed_over += 1
        except pickle._Stop as stop:  # type: ignore[attr-defined]
            rest = cast(dict[str, Any], stop.value)
        for key, value in rest[self._name].items():
            if value is not None:  # the only one of its batch, which is written in another way
                yield key, value
        rest[self._name] = None
        yield None, rest

    def _begin(self) -> None:
        """As `pickle._Unpickler.load` begins."""
        self._unframer = pickle._Unframer(self._file_read, self._file_readline)  # type: ignore[attr-defined]
        self.read, self.readinto, self.readline = self._unframer.read, self._unframer.readinto, self._unframer.readline
        self.metastack: list[list[Any]] = []
        self.stack: list[Any] = []
        self.append = self.stack.append
        self.proto = 0

    def _has_entry(self) -> bool:
        """Whether the last thing on the stack is an entry, above its key."""
        # Each dictionary of several items adds a level; this one and the one around it are the outermost.
        if not 1 <= len(self.metastack) <= 2 or len(self.stack) != 2 * (self._handed_over + 1):
            return False
        return self._is_entries(self.metastack[-1])

    def _is_entries(self, stack: list[Any]) -> bool:
        """Whether the dictionary whose entries are handed over is the last thing on `stack`."""
        return len(stack) >= 2 and stack[-2] == self._name and isinstance(stack[-1], dict)
