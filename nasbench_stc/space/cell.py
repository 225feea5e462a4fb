"""`Cell`, the value that everything else passes around: six operations, one an edge.

The order of operations and edges, the string and the index are the official ones, so that a cell here
and a cell in NAS-Bench-201's or NATS-Bench's own files are the same by any of their names.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.errors import BadCallError

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE = OPS.index("none")
NUM_NODES = 4
# (source node, target node), in the order of the official string and of the rows of alpha.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NUM_CELLS: int = len(OPS) ** len(EDGES)

_PLACES = tuple(len(OPS) ** place for place in reversed(range(len(EDGES))))
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
    def parse(cls, text: str | int) -> Cell:
        """A cell from its official string, its six digits (`"333133"`) or its index (`9930` or `"9930"`).

        Six characters 0-4 are digits; any other whole number is an index (an index has at most five
        digits, so the two never meet).

        Raises:
            BadCallError: naming the token that is wrong and what is allowed.
        """
        if not isinstance(text, str):
            return cls.from_index(text)
        text = text.strip()
        if text.startswith("|"):
            return cls._from_string(text)
        if text.isascii() and text.isdigit():
            return cls._from_digits(text) if len(text) == len(EDGES) else cls.from_index(int(text))
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
                raise BadCallError(f"digit {digit!r} in {text!r} is none of 0-{len(OPS) - 1} ({_legend()})")
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


def _legend() -> str:
    return ", ".join(f"{number} {name}" for number, name in enumerate(OPS))
