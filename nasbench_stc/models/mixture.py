"""A mixture: which operations are active on each edge, with what weight. A plan: what that makes worth computing.

This is the whole interface between a search method and the supernet: STC-NAS activates one operation an
edge, DARTS all five, and the supernet computes what is active and can reach the result, nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from nasbench_stc.models.ops import KERNELS
from nasbench_stc.space import EDGES, NONE, NUM_NODES, OPS, Cell

_ALLOWED = frozenset(range(len(OPS)))
Active = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Mixture:
    """`active[e]` are the operations that run on edge e; `weights[e, o]`, shape (6, 5), scales operation o there.

    `shift[e]`, shape (6,), if any, is added to every number that edge e puts out: GDAS adds a zero that has a gradient.
    Weights and shift may be on any device and of any precision: the supernet takes them to its own.
    """

    active: Active
    weights: Tensor
    shift: Tensor | None = None

    def __post_init__(self) -> None:
        if len(self.active) != len(EDGES) or tuple(self.weights.shape) != (len(EDGES), len(OPS)):
            raise ValueError(
                f"a mixture has active operations of {len(EDGES)} edges and weights of shape {(len(EDGES), len(OPS))}; "
                f"got {len(self.active)} and {tuple(self.weights.shape)}"
            )
        if not _ALLOWED.issuperset(itertools.chain(*self.active)):
            raise ValueError(f"operations are numbered 0 to {len(OPS) - 1}; got {self.active}")

    @classmethod
    def path(cls, ops: Cell | Sequence[int], weights: Tensor | None = None, shift: Tensor | None = None) -> Mixture:
        """One operation an edge: a cell. Without `weights` each counts fully."""
        ops = ops.ops if isinstance(ops, Cell) else ops
        weights = torch.ones(len(EDGES), len(OPS)) if weights is None else weights
        return cls(tuple((int(op),) for op in ops), weights, shift)

    @classmethod
    def full(cls, weights: Tensor) -> Mixture:
        """Every operation on every edge."""
        return cls((tuple(range(len(OPS))),) * len(EDGES), weights)


class Term(NamedTuple):
    """One summand of a node: operation `op` of edge `edge`, applied to node `source`."""

    edge: int
    source: int
    op: int


Plan = tuple[tuple[Term, ...] | None, ...]
"""`plan[node]` are the terms whose sum is that node, convolutions first; None where nobody needs the node."""


@cache
def plan(active: Active, zeros_vanish: bool, shifted: bool = False) -> Plan:
    """What a cell has to compute: the terms that carry something to the output node, and no other.

    Args:
        active: the active operations of each edge.
        zeros_vanish: whether a convolution of an all-zero input is zero too. It is when its batch norm
            takes batch statistics and has no shift; else it yields a constant and has to run.
        shifted: whether the mixture shifts what edges put out. No node counts as zero then.
    """
    zero = set() if shifted else set(range(1, NUM_NODES))
    terms: dict[int, list[Term]] = {node: [] for node in range(NUM_NODES)}
    for edge, (source, target) in enumerate(EDGES):  # sorted by target: sources are settled before use
        ops = [op for op in active[edge] if op != NONE]
        if source in zero:
            ops = [] if zeros_vanish else [op for op in ops if op in KERNELS]
        if ops:
            terms[target].extend(Term(edge, source, op) for op in ops)
            zero.discard(target)
    needed = {NUM_NODES - 1}
    for target in reversed(range(1, NUM_NODES)):
        if target in needed:
            needed.update(term.source for term in terms[target])
    return tuple(
        tuple(sorted(terms[node], key=lambda term: term.op not in KERNELS)) if node in needed else None
        for node in range(NUM_NODES)
    )


def in_order(plans: Iterable[Plan]) -> list[Plan]:
    """Plans of paths, such that those with the same node 1 stand together, and among them those with the same node 2.

    That is the lexicographic order of their operations, as far as these reach the result.
    """
    return sorted(plans, key=lambda plan: [terms or () for terms in plan])
