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
from typing import IO, Any, cast

from nasbench_stc import unpickle

_LONG = 40  # characters: longer strings are one entry's own, like a cell's, and few


def entries(file: IO[bytes], path: Path, admitted: Mapping[str, Any], name: str) -> Iterator[tuple[Any, Any]]:
    """The entries of the dictionary that the pickled dictionary in `file` has under `name`; last, `(None, the rest)`.

    Args:
        file: open for reading, where the pickle begins.
        path: its name for error messages.
        admitted: "module.name" as the pickle has it, to the class or function that stands for it here.
        name: the key of the dictionary whose entries are handed over; their keys have to be whole numbers.

    Raises:
        DataError: where the pickle names anything else, is damaged, or refers from one entry to inside another.
    """
    with unpickle.refusing(path):
        yield from _Unpickler(file, admitted).entries(name)


class _Memo(dict[int, Any]):
    """What a pickle refers back to, by number. Of past entries only strings and classes are kept.

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
        row: list[str | None] = []
        for number in range(self.begin, self.end):
            value = self.pop(number, None)
            short = type(value) is str and len(value) <= _LONG
            row.append(value if short else None)
            if not short and (type(value) is str or callable(value) or isinstance(value, _KEPT)):
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


_KEPT = (type(unpickle.NUMPY["numpy.dtype"]("f8")),)


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined, misc]
    def __init__(self, file: IO[bytes], admitted: Mapping[str, Any]) -> None:
        super().__init__(file)
        self._admitted = admitted
        self.memo = _Memo()

    def find_class(self, module: str, name: str) -> Any:
        return unpickle.admit(self._admitted, module, name)

    def entries(self, name: str) -> Iterator[tuple[Any, Any]]:
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
                if code[0] in set_items and self._in(name) and isinstance(self.stack[-1], dict):
                    yield self.stack[-2], self.stack[-1]
                    self.stack[-1] = None
                    self.memo.forget()
        except pickle._Stop as stop:  # type: ignore[attr-defined]
            rest = cast(dict[str, Any], stop.value)
        for key, value in rest[name].items():
            if value is not None:  # the only one of its batch, which is written in another way
                yield key, value
        rest[name] = None
        yield None, rest

    def _begin(self) -> None:
        """As `pickle._Unpickler.load` begins."""
        self._unframer = pickle._Unframer(self._file_read, self._file_readline)  # type: ignore[attr-defined]
        self.read, self.readinto, self.readline = self._unframer.read, self._unframer.readinto, self._unframer.readline
        self.metastack: list[list[Any]] = []
        self.stack: list[Any] = []
        self.append = self.stack.append
        self.proto = 0

    def _in(self, name: str) -> bool:
        """Whether the top of the stack is a value, with a number as its key, among the items of dictionary `name`."""
        if len(self.metastack) != 2 or len(self.stack) % 2 or not isinstance(self.stack[-2], int):
            return False
        outer = self.metastack[1]
        return len(outer) >= 2 and outer[-2] == name and isinstance(outer[-1], dict)
