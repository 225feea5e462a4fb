"""NAS-Bench-201's cell, NATS-Bench's topology space: 4 nodes, 6 edges, 5 operations, 15,625 cells.

Dong & Yang, "NAS-Bench-201", ICLR 2020; the topology space of Dong et al., "NATS-Bench", TPAMI 2021. The order of
operations and edges, the string and the index are the official ones, so that a cell here and a cell in the official
files are the same by any of their names.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.errors import BadCallError
from nasbench_stc.space import cost
from nasbench_stc.space.base import Graph, Ops, Space
from nasbench_stc.space.encodings import ENCODINGS, decode, is_list

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP = OPS.index("none"), OPS.index("skip_connect")
NUM_NODES = 4
# (source node, target node), in the order of the official string and of the rows of alpha.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NUM_CELLS: int = len(OPS) ** len(EDGES)

_PLACES = tuple(len(OPS) ** place for place in reversed(range(len(EDGES))))
_STRUCTURE = re.compile(rf"_?Structure\({NUM_NODES} nodes with (.*)\)")
_INDEX_SEED = 88  # the official files shuffled the lexicographic product once, with this seed
_INPUTS = tuple(tuple(edge for edge, (_, target) in enumerate(EDGES) if target == node) for node in range(1, NUM_NODES))


class TopologySpace(Space):
    """See the module."""

    name = "tss"
    title = "NAS-Bench-201"
    edges = tuple(f"{source}→{target}" for source, target in EDGES)
    ops = OPS
    none, skip = NONE, SKIP
    inputs = _INPUTS
    graphs = (Graph("", ("0", "1", "2", "3"), tuple((*ends, edge) for edge, ends in enumerate(EDGES))),)
    largest = (OPS.index("nor_conv_3x3"),) * len(EDGES)
    networks = "nasbench_stc.models.network"
    has_static_form = True
    has_scores = True
    growth_from = (
        "Of the five, `none` costs nothing, and an edge of the subnet has the mean of the other four, so n is four on "
        "the edges, and with stem, reductions and head"
    )
    benchmarks = ("nb201", "analog")
    metrics = ("nb201_hardware.csv.gz", "nb201_zerocost.csv.gz")
    usual = True
    example = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"

    def text(self, ops: Ops) -> str:
        """The official string."""
        tokens = [f"{OPS[op]}~{source}" for op, (source, _) in zip(ops, EDGES, strict=True)]
        return f"|{tokens[0]}|+|{'|'.join(tokens[1:3])}|+|{'|'.join(tokens[3:])}|"

    def parse(self, text: str) -> Ops:
        """The official string, six digits, or the index; see `Cell.parse`."""
        text = text.strip()
        if structure := _STRUCTURE.fullmatch(text):
            text = structure[1]
        if text.startswith("|"):
            return _of_string(text)
        if text.isascii() and text.isdigit():
            if len(text) == len(EDGES):
                return _of_digits(text)
            return self.at(int(text) if len(text) < len(EDGES) else text)  # type: ignore[arg-type]
        if is_list(text):
            raise _whose(text)
        raise self.no_cell(text)

    def caution(self, text: str) -> str:
        """Six digits are the names of official files, too."""
        number = file_number(text)
        if number is None:
            return ""
        return (
            f"{text} is read as six digits, the operations of cell {self.index(self.parse(text))}; the cell of the "
            f"official file {text} is {number}"
        )

    def no_cell(self, text: object) -> BadCallError:
        """The error for what is no cell."""
        return BadCallError(
            f"{text!r} is no cell: give an official string (like {self.example!r}), "
            f"an index 0-{NUM_CELLS - 1}, or six digits 0-{len(OPS) - 1} ({self.legend})"
        )

    def decoded(self, listed: str | int | Iterable[object], encoding: str) -> Ops:
        """The cell that another tool writes as a list of operations, in one of `ENCODINGS`."""
        named = decode(listed if isinstance(listed, Iterable) else str(listed), encoding)
        return tuple(OPS.index(named[edge]) for edge in EDGES)

    def listed(self, ops: Iterable[object]) -> Ops:
        """Refuses a list of operations of which it is not said how it is written."""
        raise _whose(ops)

    def index(self, ops: Ops) -> int:
        """The official index, 0 … 15,624."""
        code: int = sum(op * place for op, place in zip(ops, _PLACES, strict=True))
        return _positions()[code]

    def at(self, index: int) -> Ops:
        """The cell at `index` of the official order."""
        if isinstance(index, bool) or not hasattr(index, "__index__") or not 0 <= index < NUM_CELLS:
            raise BadCallError(f"{index!r} is no cell index: it is a whole number 0-{NUM_CELLS - 1}")
        code = _official_order()[index]
        return tuple(code // place % len(OPS) for place in _PLACES)

    def isomorphism_class(self, ops: Ops) -> str:
        """The official `to_unique_str(consider_zero=True)`, of which there are 6,466.

        What passes through `skip_connect` is its input, what passes through `none` is nothing (`#`), and the order of a
        node's inputs is free.
        """
        nodes = ["0"]
        for target in range(1, NUM_NODES):
            terms = []
            for op, (source, node) in zip(ops, EDGES, strict=True):
                if node != target:
                    continue
                if op == NONE or nodes[source] == "#":
                    terms.append("#")
                elif op == SKIP:
                    terms.append(nodes[source])
                else:
                    terms.append(f"({nodes[source]})@{OPS[op]}")
            nodes.append("+".join(sorted(terms)))
        return nodes[-1]

    def mutated(self, ops: Ops, generator: np.random.Generator) -> Ops:
        """The cell with another operation on one edge.

        As in NATS-Bench (`mutate_topology_func`), first a node is drawn, then one of its inputs, then one of the four
        other operations: an edge into node 1 changes more often than one into node 3.
        """
        inputs = _INPUTS[generator.integers(len(_INPUTS))]
        edge = inputs[generator.integers(len(inputs))]
        op = (ops[edge] + 1 + int(generator.integers(len(OPS) - 1))) % len(OPS)
        return (*ops[:edge], op, *ops[edge + 1 :])

    def params(self, cells: Sequence[Ops], dataset: str) -> NDArray[np.int64]:
        """See `cost`."""
        return cost.params(cells, dataset)

    def mflops(self, cells: Sequence[Ops], dataset: str) -> NDArray[np.float64]:
        """See `cost`."""
        return cost.mflops(cells, dataset)

    def growth(self, cells_per_stage: int) -> float:
        """See `cost`. Stem, reductions and head are in both, so that it is below four."""
        return cost.growth(cells_per_stage)


SPACE = TopologySpace()


def _of_digits(text: str) -> Ops:
    for digit in text:
        if int(digit) >= len(OPS):
            number = file_number(text)
            meant = "" if number is None else f"; the cell of an official file of that number is {number}"
            raise BadCallError(f"digit {digit!r} in {text!r} is none of 0-{len(OPS) - 1} ({SPACE.legend}){meant}")
    return tuple(map(int, text))


def _of_string(text: str) -> Ops:
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
                raise BadCallError(f"{token!r} in {text!r} is no operation: allowed are {', '.join(OPS)}, each ~input")
            if int(match[2]) != source:
                raise BadCallError(f"{token!r} in {text!r} names input {match[2]} where ~{source} belongs")
            ops.append(OPS.index(match[1]))
    return tuple(ops)


def file_number(text: str) -> int | None:
    """The index that six characters are in the name of an official file (`000012`); None: there is no such file."""
    if re.fullmatch(r"0\d{5}", text.strip(), re.ASCII) and int(text) < NUM_CELLS:
        return int(text)
    return None


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
        f"without commas, in the order of the official string ({SPACE.legend})"
    )
