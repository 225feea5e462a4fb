"""A plan: what a mixture makes worth computing in a NAS-Bench-201 cell."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from nasbench_stc.models.mixture import Active
from nasbench_stc.models.ops import KERNELS
from nasbench_stc.space import EDGES, NONE, NUM_NODES


class Term(NamedTuple):
    """One summand of a node: operation `op` of edge `edge`, applied to node `source`."""

    edge: int
    source: int
    op: int


Plan = tuple[tuple[Term, ...] | None, ...]
"""`plan[node]` are the terms whose sum is that node, convolutions first; None where nobody needs the node."""


@lru_cache(maxsize=1 << 15)  # more than there are single paths, which come again; pairs hardly do
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
