"""`Cell`, the value that everything else passes around: six operations, one an edge.

The order of operations and edges, the string and the index are the official ones, so that a cell here
and a cell in NAS-Bench-201's or NATS-Bench's own files are the same by any of their names.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.errors import BadCallError
from nasbench_stc.space.encodings import ENCODINGS, decode, is_list

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP = OPS.index("none"), OPS.index("skip_connect")
NUM_NODES = 4
# (source node, target node), in the order of the official string and of the rows of alpha.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NUM_CELLS: int = len(OPS) ** len(EDGES)

_PLACES = tuple(len(OPS) ** place for place in reversed(range(len(EDGES))))
_STRUCTURE = re.compile(r"_?Structure\(\d+ nodes with (.*)\)")
_INDEX_SEED = 88  # the official files shuffled the lexicographic product once, with this seed


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """A cell of the space. `ops[e]` is the position in `OPS` of the operation on edge `EDGES[e]`.

    >>> Cell.from_index(9930).digits
    '333133'
    """

    ops: tuple[int, ...]

    def __post_init__(self) -> None:
        ops = tuple(self.ops)
        if len(ops) != len(EDGES):
            raise BadCallError(f"a cell has {len(EDGES)} operations, one an edge; got {len(ops)}: {ops}")
        for op in ops:
            if isinstance(op, bool) or not hasattr(op, "__index__") or not 0 <= op < len(OPS):
                raise BadCallError(f"operation {op!r} is none of 0-{len(OPS) - 1} ({_legend()})")
        object.__setattr__(self, "ops", tuple(int(op) for op in ops))

    @classmethod
    def parse(cls, text: str | int | Iterable[object], encoding: str | None = None) -> Cell:
        """A cell from its official string, its six digits (`"333133"`) or its index (`9930` or `"9930"`).

        Six characters 0-4 are digits, always, so that every cell's digits are read back; any other whole number is an
        index, without zeros before it to make six characters. So `"000012"` is six digits, though the official files
        number their names like this: see `file_number`. A string may stand in AutoDL-Projects' `Structure(4 nodes with
        …)`.

        Args:
            text: the cell.
            encoding: of a list of six operations as another tool writes it, one of `ENCODINGS`; None: none of these.

        Raises:
            BadCallError: naming the token that is wrong and what is allowed.
        """
        if encoding is not None:
            named = decode(text if isinstance(text, Iterable) else str(text), encoding)
            return cls(tuple(OPS.index(named[edge]) for edge in EDGES))
        if not isinstance(text, str):
            if isinstance(text, Iterable):
                raise _whose(text)
            return cls.from_index(text)
        text = text.strip()
        if structure := _STRUCTURE.fullmatch(text):
            text = structure[1]
        if text.startswith("|"):
            return cls._from_string(text)
        if text.isascii() and text.isdigit():
            if len(text) == len(EDGES):
                return cls._from_digits(text)
            return cls.from_index(int(text) if len(text) < len(EDGES) else text)  # type: ignore[arg-type]
        if is_list(text):
            raise _whose(text)
        raise BadCallError(
            f"{text!r} is no cell: give an official string (like {str(cls((3, 0, 3, 1, 0, 1)))!r}), "
            f"an index 0-{NUM_CELLS - 1}, or six digits 0-{len(OPS) - 1} ({_legend()})"
        )

    @classmethod
    def from_index(cls, index: int) -> Cell:
        """The cell at `index` (0 … 15,624) of the official order."""
        if isinstance(index, bool) or not hasattr(index, "__index__") or not 0 <= index < NUM_CELLS:
            raise BadCallError(f"{index!r} is no cell index: it is a whole number 0-{NUM_CELLS - 1}")
        code = _official_order()[index]
        return cls(tuple(code // place % len(OPS) for place in _PLACES))

    @classmethod
    def _from_digits(cls, text: str) -> Cell:
        for digit in text:
            if int(digit) >= len(OPS):
                number = file_number(text)
                meant = "" if number is None else f"; the cell of an official file of that number is {number}"
                raise BadCallError(f"digit {digit!r} in {text!r} is none of 0-{len(OPS) - 1} ({_legend()}){meant}")
        return cls(tuple(map(int, text)))

    @classmethod
    def _from_string(cls, text: str) -> Cell:
        nodes = text.split("+")
        if len(nodes) != NUM_NODES - 1:
            raise BadCallError(f"{text!r} is no cell: it has {len(nodes)} '+'-separated nodes, not {NUM_NODES - 1}")
        ops = []
        for target, node in enumerate(nodes, start=1):
            tokens = node.split("|")[1:-1]
            if not (node.startswith("|") and node.endswith("|")) or len(tokens) != target:
                raise BadCallError(
                    f"{node!r} in {text!r} is no node {target}: it needs {target} input(s), "
                    f"written |op~0|…|op~{target - 1}|"
                )
            for source, token in enumerate(tokens):
                match = re.fullmatch(r"(\w+)~(\d)", token)
                if match is None or match[1] not in OPS:
                    raise BadCallError(
                        f"{token!r} in {text!r} is no operation: allowed are {', '.join(OPS)}, each ~input"
                    )
                if int(match[2]) != source:
                    raise BadCallError(f"{token!r} in {text!r} names input {match[2]} where ~{source} belongs")
                ops.append(OPS.index(match[1]))
        return cls(tuple(ops))

    def __str__(self) -> str:
        tokens = [f"{OPS[op]}~{source}" for op, (source, _) in zip(self.ops, EDGES, strict=True)]
        return f"|{tokens[0]}|+|{'|'.join(tokens[1:3])}|+|{'|'.join(tokens[3:])}|"

    @property
    def digits(self) -> str:
        """Six digits 0-4, the operations in edge order."""
        return "".join(map(str, self.ops))

    @property
    def index(self) -> int:
        """The official index, 0 … 15,624."""
        code: int = sum(op * place for op, place in zip(self.ops, _PLACES, strict=True))
        return _positions()[code]

    @property
    def isomorphism_class(self) -> str:
        """A string that two cells share when they compute the same function (6,466 classes).

        The official `to_unique_str(consider_zero=True)`: what passes through `skip_connect` is its
        input, what passes through `none` is nothing (`#`), and the order of a node's inputs is free.
        """
        nodes = ["0"]
        for target in range(1, NUM_NODES):
            terms = []
            for op, (source, node) in zip(self.ops, EDGES, strict=True):
                if node != target:
                    continue
                if op == NONE or nodes[source] == "#":
                    terms.append("#")
                elif OPS[op] == "skip_connect":
                    terms.append(nodes[source])
                else:
                    terms.append(f"({nodes[source]})@{OPS[op]}")
            nodes.append("+".join(sorted(terms)))
        return nodes[-1]


def file_number(text: str) -> int | None:
    """The index that six characters are in the name of an official file (`000012`); None: there is no such file."""
    if re.fullmatch(r"0\d{5}", text.strip(), re.ASCII) and int(text) < NUM_CELLS:
        return int(text)
    return None


def all_cells() -> tuple[Cell, ...]:
    """All 15,625 cells in the official order: `all_cells()[i].index == i`."""
    return tuple(map(Cell.from_index, range(NUM_CELLS)))


def indices_of(ops: NDArray[np.integer]) -> NDArray[np.int64]:
    """The official index of each row of `ops`, shape (n, 6), operations in edge order."""
    found: NDArray[np.int64] = np.array(_positions())[ops @ np.array(_PLACES)]
    return found


@lru_cache(maxsize=1)
def _official_order() -> tuple[int, ...]:
    """The code of the cell at each index; a code is the six digits read in base 5, so codes count lexicographically."""
    order = list(range(NUM_CELLS))
    random.Random(_INDEX_SEED).shuffle(order)
    return tuple(order)


@lru_cache(maxsize=1)
def _positions() -> tuple[int, ...]:
    """The index of the cell with each code."""
    return tuple(sorted(range(NUM_CELLS), key=_official_order().__getitem__))


def _whose(cell: object) -> BadCallError:
    """The error for a list of operations of which it is not said how it is written."""
    return BadCallError(
        f"{cell!r} is a list of operations, and tools differ in their numbers and in the order of edges: say whose it "
        f"is, {' or '.join(ENCODINGS)} (--encoding of query and score, encoding= of Cell.parse), or give six digits "
        f"without commas, in the order of the official string ({_legend()})"
    )


def _legend() -> str:
    return ", ".join(f"{number} {name}" for number, name in enumerate(OPS))
