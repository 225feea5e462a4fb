"""DARTS's space: a normal and a reduction cell, in which each of four nodes takes two of its inputs.

Source: Liu, Simonyan & Yang, "DARTS: Differentiable architecture search", ICLR 2019, and their code (quark0/darts,
`cnn/genotypes.py`, `cnn/model_search.py`). Nodes 0 and 1 are what the last but one and the last cell put out, nodes
2 to 5 are chosen, and the cell puts out these four, concatenated. All 14 edges of the normal cell come first, then
those of the reduction cell. An edge that is not kept has `none`, which is no choice: each node has two inputs, each
with one of seven operations, and that makes about 1.08e18 cells. Their index is ours: there is no official one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import combinations, permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.errors import BadCallError
from nasbench_stc.space import darts_cost
from nasbench_stc.space.base import Decision, Graph, Ops, Space

OPS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
NONE, SKIP = OPS.index("none"), OPS.index("skip_connect")
KINDS = ("normal", "reduce")
NODES = (2, 3, 4, 5)
# (source node, target node) of one cell, in the order of the rows of DARTS's alpha.
EDGES = tuple((source, target) for target in NODES for source in range(target))
_CONCAT = range(NODES[0], NODES[-1] + 1)
_NOTATION = f"Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat={_CONCAT}, reduce=[…], reduce_concat={_CONCAT})"

PUBLISHED = {
    "DARTS_V1": "4434034004030011103103020300",
    "DARTS_V2": "4444034003060011013103001300",
    "PDARTS": "3634004044000725407160006070",
    "PC_DARTS_cifar": "3446054002600015055400404400",
    "PC_DARTS_image": "4343004040400743017044050040",
}
"""Genotypes by the names that their authors gave them, as digits; from the files `genotypes.py` of quark0/darts, of
chenxin061/pdarts (Chen et al., ICCV 2019) and of yuhuixu1993/PC-DARTS (Xu et al., ICLR 2020)."""

PROTOCOLS = {
    "paper": {"cells_per_stage": 2},
    "cpu": {"channels": 8, "batch_size": 32, "steps": 100},
    "digits": {"epochs": 20},
}
"""The paper searches with 8 cells; with depth consistency with the 20 of C=36 of the target network, for which set
`cells_per_stage=6 channels=36`."""

ON: dict[str, dict[str, dict[str, Any]]] = {
    "imagenet": {
        "any": {"stem": "imagenet", "share": 0.1},
        "paper": {"channels": 48, "cells_per_stage": 4, "lr": 0.5, "batch_size": 256},
        "cpu": {"resolution": 64, "share": 0.02},
        "smoke": {"resolution": 32, "share": 0.002, "batch_size": 2},
    }
}
"""The paper's Sec. 4.3: 14 cells of C=48, weights at a rate of 0.5, a tenth of each class's images.

Open are the stem (as DARTS's networks for ImageNet, of which the target network is one) and the batch size (the largest
that the paper searches with, Table 3). Smaller protocols look at fewer images, of a size that is still some pixels
behind that stem."""


class DartsSpace(Space):
    """See the module."""

    name = "darts"
    title = "DARTS"
    edges = tuple(f"{kind} {source}→{target}" for kind in KINDS for source, target in EDGES)
    ops = OPS
    none, skip = NONE, SKIP
    inputs = tuple(
        tuple(number * len(EDGES) + edge for edge, (_, target) in enumerate(EDGES) if target == node)
        for number in range(len(KINDS))
        for node in NODES
    )
    graphs = tuple(
        Graph(
            name,
            ("c_{k-2}", "c_{k-1}", "0", "1", "2", "3", "c_{k}"),
            (
                *((*ends, number * len(EDGES) + edge) for edge, ends in enumerate(EDGES)),
                *((node, NODES[-1] + 1, None) for node in NODES),
            ),
        )
        for number, name in enumerate(("normal cell", "reduction cell"))
    )
    networks = "nasbench_stc.models.darts"
    has_imagenet_stem = True
    protocols = PROTOCOLS
    on = ON
    depths = (6, 2)
    growth_from = (
        "Of the eight, `none` costs nothing; the subnet keeps eight of a cell's 14 edges, each with the mean of the "
        "other seven, so n is 12.25 on the edges, and with stem, what cells' inputs go through and head"
    )
    example = "DARTS_V2"
    published = PUBLISHED

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Of each node, which two inputs, and with which operation each."""
        return tuple(Decision(edges, _kept_two(len(edges))) for edges in self.inputs)

    def text(self, ops: Ops) -> str:
        """DARTS's notation; of a node's two inputs the earlier one comes first."""
        cells = []
        for kind, of_kind in zip(KINDS, (ops[: len(EDGES)], ops[len(EDGES) :]), strict=True):
            kept = [(OPS[op], source) for op, (source, _) in zip(of_kind, EDGES, strict=True) if op != NONE]
            cells.append(f"{kind}={kept}, {kind}_concat={_CONCAT}")
        return f"Genotype({', '.join(cells)})"

    def parse(self, text: str) -> Ops:
        """A cell as users have it.

        That is DARTS's notation, as papers and logs print it (the two inputs of a node in any order, `normal_concat` a
        list or a range, with `NAME =` before it); the name of one of `PUBLISHED`; 28 digits; or the index.
        """
        text = PUBLISHED.get(text.strip(), text.strip())
        if re.fullmatch(rf"[0-9]{{{len(self.edges)}}}", text):
            return self.check(map(int, text))
        if text.isascii() and text.isdigit():
            return self.at(int(text) if len(text) < len(self.edges) else text)  # type: ignore[arg-type]
        if genotype := re.fullmatch(r"(?:\w+\s*=\s*)?(Genotype\s*\(.*\))", text, re.DOTALL):
            return self.check(_of_genotype(genotype[1]))
        raise self.no_cell(text)

    def owns(self, text: str) -> bool:
        """Whether it is in DARTS's notation."""
        return re.match(r"\s*(\w+\s*=\s*)?Genotype\s*\(", text) is not None

    def listed(self, ops: Iterable[object]) -> Ops:
        """28 operations by number, or a Genotype as DARTS's code has it."""
        return self.parse(str(ops)) if hasattr(ops, "normal_concat") else super().listed(ops)

    def no_cell(self, text: object) -> BadCallError:
        """The error for what is no cell."""
        return BadCallError(
            f"{text!r} is no cell of {self.title}: give {_NOTATION}, one of {', '.join(PUBLISHED)}, {len(self.edges)} "
            f"digits 0-{len(OPS) - 1} ({self.legend}), or an index 0-{self.num_cells - 1}"
        )

    def isomorphism_class(self, ops: Ops) -> str:
        """The first, by its digits, of the cells that differ from it in the order of nodes alone.

        A node may change places with another as long as inputs come before it. The convolution after the cell has
        weights for every channel, so that the order in which nodes are concatenated says nothing.
        """
        return self.text((*_first(ops[: len(EDGES)]), *_first(ops[len(EDGES) :])))

    def strongest(self, scores: NDArray[np.floating]) -> Ops:
        """DARTS's rule: of each node the two inputs with the highest score of an operation, each with that operation.

        `none` does not count; of equal ones the first is kept.

        Args:
            scores: shape (edges, operations). They are compared between edges: DARTS takes softmax(alpha), not alpha.
        """
        counted = scores[:, NONE + 1 :]
        best, highest = counted.argmax(axis=1) + NONE + 1, counted.max(axis=1)
        kept = [edge for node in self.inputs for edge in sorted(node, key=lambda edge: -highest[edge])[:2]]
        return tuple(int(best[edge]) if edge in kept else NONE for edge in range(len(self.edges)))

    def mutated(self, ops: Ops, generator: np.random.Generator) -> Ops:
        """The cell with another operation on a kept edge, or with another input for an operation; each half the time.

        These are the two mutations of Real et al., "Regularized evolution for image classifier architecture search",
        AAAI 2019: of one of the cells, of one of its nodes, of one of the node's two inputs. Here the result always
        differs, so that a node of which both inputs are fixed, as node 2's are, gets another operation alone.
        """
        moves = bool(generator.integers(2))
        nodes = [node for node in self.inputs if len(node) > 2 or not moves]
        node = nodes[generator.integers(len(nodes))]
        edge = [edge for edge in node if ops[edge] != NONE][generator.integers(2)]
        others = list(_moved(ops, node, edge) if moves else _other_ops(ops, edge))
        return others[generator.integers(len(others))]

    def neighbours(self, ops: Ops) -> Iterator[Ops]:
        """The 120 cells that such a mutation leads to: 96 with another operation, 24 with another input."""
        for node in self.inputs:
            for edge in node:
                if ops[edge] != NONE:
                    yield from _other_ops(ops, edge)
                    yield from _moved(ops, node, edge)

    def params(self, cells: Sequence[Ops], dataset: str) -> NDArray[np.int64]:
        """Without the auxiliary head; see `darts_cost`."""
        return darts_cost.params(cells, dataset)

    def mflops(self, cells: Sequence[Ops], dataset: str) -> NDArray[np.float64]:
        """See `darts_cost`."""
        return darts_cost.mflops(cells, dataset)

    def growth(self, cells_per_stage: int) -> float:
        """See `darts_cost`."""
        return darts_cost.growth(cells_per_stage)


SPACE = DartsSpace()


def _kept_two(inputs: int) -> NDArray[np.int64]:
    """Two of so many inputs with an operation each, in every way; shape (ways, inputs)."""
    pairs = list(combinations(range(inputs), 2))
    chosen = list(product(range(NONE + 1, len(OPS)), repeat=2))
    table = np.full((len(pairs), len(chosen), inputs), NONE, dtype=np.int64)
    for rows, pair in zip(table, pairs, strict=True):
        rows[:, pair] = chosen
    return table.reshape(-1, inputs)


def _first(ops: Ops) -> Ops:
    """Of one cell: the least of its orders of nodes, in which every node comes after its inputs."""
    found = []
    for order in permutations(NODES):
        place = {0: 0, 1: 1, **dict(zip(order, NODES, strict=True))}
        kept = {(place[s], place[t]): op for op, (s, t) in zip(ops, EDGES, strict=True) if op != NONE}
        if kept.keys() <= set(EDGES):
            found.append(tuple(kept.get(edge, NONE) for edge in EDGES))
    return min(found)


def _other_ops(ops: Ops, edge: int) -> Iterator[Ops]:
    for op in range(len(OPS)):
        if op not in (NONE, ops[edge]):
            yield (*ops[:edge], op, *ops[edge + 1 :])


def _moved(ops: Ops, node: Sequence[int], edge: int) -> Iterator[Ops]:
    """The operation of that edge on another one into the same node, which was not kept."""
    for other in node:
        if ops[other] == NONE:
            changed = list(ops)
            changed[edge], changed[other] = NONE, ops[edge]
            yield tuple(changed)


def _of_genotype(text: str) -> Iterator[int]:
    fields = sorted(name for kind in KINDS for name in (kind, f"{kind}_concat"))
    try:
        match ast.parse(text, mode="eval").body:
            case ast.Call(ast.Name("Genotype"), [], given) if sorted(str(one.arg) for one in given) == fields:
                values = {str(one.arg): _value(one.value) for one in given}
            case _:
                raise ValueError
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise BadCallError(f"{text!r} is no genotype: it has to be written like {_NOTATION}") from None
    for kind in KINDS:
        concat = values[f"{kind}_concat"]
        if concat != _CONCAT and concat not in (NODES, list(NODES)):
            raise BadCallError(f"{kind}_concat={concat!r}: cells of {SPACE.title} put out {_CONCAT}, all their nodes")
        yield from _of_cell(values[kind], kind)


def _value(written: ast.expr) -> object:
    match written:
        case ast.Call(ast.Name("range"), numbers, []):
            return range(*map(ast.literal_eval, numbers))
        case _:
            return ast.literal_eval(written)


def _of_cell(pairs: object, kind: str) -> Iterator[int]:
    """The operations of one kind of cell's edges, which DARTS lists as pairs `(operation, input)`, two a node."""
    allowed, number = OPS[NONE + 1 :], 2 * len(NODES)
    if not isinstance(pairs, list | tuple) or len(pairs) != number:
        raise BadCallError(f"{kind}={pairs!r}: it has to list {number} pairs (operation, input), two for each node")
    for place, node in enumerate(NODES):
        chosen: dict[int, int] = {}
        for pair in pairs[2 * place : 2 * place + 2]:
            match pair:
                case (str(name), int(source)) if name in allowed and source in range(node):
                    chosen[source] = OPS.index(name)
                case _:
                    wanted = f"pairs of an operation ({', '.join(allowed)}) and an input 0-{node - 1}"
                    raise BadCallError(f"{pair!r} in {kind}: node {node} takes {wanted}")
        if len(chosen) != 2:
            raise BadCallError(f"{kind}: node {node} has input {source} twice, and needs two different ones")
        yield from (chosen.get(source, NONE) for source in range(node))
