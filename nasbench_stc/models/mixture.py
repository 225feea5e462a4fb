"""A mixture: which operations are active on each edge, with what weight. A plan: what that makes worth computing.

This is the whole interface between a search method and the supernet: STC-NAS activates one operation an
edge, DARTS all five, and the supernet computes what is active and can reach the result, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from torch import Tensor

from nasbench_stc.space import EDGES, NONE, NUM_NODES, OPS, Cell

Active = tuple[tuple[int, ...], ...]

_CONVOLUTIONS = tuple(op for op, name in enumerate(OPS) if "conv" in name)


@dataclass(frozen=True)
class Mixture:
    """`active[e]` are the operations that run on edge e; `weights[e, o]`, shape (6, 5), scales operation o there.

    Without `weights` every active operation counts fully.
    """

    active: Active
    weights: Tensor | None = None

    @classmethod
    def path(cls, ops: Cell | Sequence[int], weights: Tensor | None = None) -> Mixture:
        """One operation an edge: a cell."""
        ops = ops.ops if isinstance(ops, Cell) else ops
        return cls(tuple((int(op),) for op in ops), weights)

    @classmethod
    def full(cls, weights: Tensor) -> Mixture:
        """Every operation on every edge."""
        return cls((tuple(range(len(OPS))),) * len(EDGES), weights)


@dataclass(frozen=True)
class Step:
    """One edge's share of its target node: the operations to apply to `source`."""

    edge: int
    source: int
    ops: tuple[int, ...]


Plan = tuple[tuple[Step, ...], ...]
"""`plan[node]` are the steps whose sum is that node; a node without steps is zero, or needed by nobody."""


@cache
def plan(active: Active, zeros_vanish: bool) -> Plan:
    """What a cell has to compute: the edges that carry something to the output node, and no other.

    Args:
        active: the active operations of each edge.
        zeros_vanish: whether a convolution of an all-zero input is zero too. It is when its batch norm
            takes batch statistics and has no shift; else it yields a constant and has to run.
    """
    zero = set(range(1, NUM_NODES))
    carried: dict[int, list[Step]] = {node: [] for node in range(NUM_NODES)}
    for edge, (source, target) in enumerate(EDGES):  # sorted by target: sources are settled before use
        ops = tuple(op for op in active[edge] if op != NONE)
        if source in zero:
            ops = () if zeros_vanish else tuple(op for op in ops if op in _CONVOLUTIONS)
        if ops:
            carried[target].append(Step(edge, source, ops))
            zero.discard(target)
    needed = {NUM_NODES - 1}
    for target in reversed(range(1, NUM_NODES)):
        if target in needed:
            needed.update(step.source for step in carried[target])
    return tuple(tuple(steps) if node in needed else () for node, steps in carried.items())
