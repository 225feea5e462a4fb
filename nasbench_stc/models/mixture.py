"""A mixture: which operations are active on each edge, with what weight. A plan: what that makes worth computing.

This is the whole interface between a search method and the supernet: STC-NAS activates one operation an
edge, DARTS all five, and the supernet computes what is active and can reach the result, nothing else.

A mixture is read in two ways. The plan form asks for `active`, plain numbers of which Python makes a plan; the static
form asks for `mask`, a tensor that stays where it is. A method says what runs in whichever it has.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from nasbench_stc.models.ops import KERNELS
from nasbench_stc.space import EDGES, NONE, NUM_NODES, OPS, Cell

_ALLOWED = frozenset(range(len(OPS)))
SHAPE = (len(EDGES), len(OPS))
Active = tuple[tuple[int, ...], ...]


class Mixture:
    """What runs on each edge, with what weight.

    Weights and shift may be on any device and of any precision: the supernet takes them to its own.

    Args:
        active: the operations that run on each edge, as numbers; or a tensor on any device, which is not looked into
            before somebody asks for `active`: the one that runs on each edge, integers of shape (6,), or which run,
            bool of shape (6, 5).
        weights: `weights[e, o]` scales operation o on edge e; shape (6, 5).
        shift: `shift[e]`, shape (6,), if any, is added to every number that edge e puts out: GDAS adds a zero that has
            a gradient.

    Raises:
        ValueError: other shapes, or operations that do not exist.
    """

    def __init__(self, active: Sequence[Sequence[int]] | Tensor, weights: Tensor, shift: Tensor | None = None) -> None:
        shape = tuple(weights.shape)
        if len(active) != len(EDGES) or shape != SHAPE or (isinstance(active, Tensor) and not _says_what_runs(active)):
            raise ValueError(
                f"a mixture has active operations of {len(EDGES)} edges and weights of shape {SHAPE}; "
                f"got {tuple(active.shape) if isinstance(active, Tensor) else len(active)} and {shape}"
            )
        self.weights, self.shift = weights, shift
        self._given = active
        if not isinstance(active, Tensor):
            self.active = _checked(active)

    @classmethod
    def path(
        cls, ops: Cell | Sequence[int] | Tensor, weights: Tensor | None = None, shift: Tensor | None = None
    ) -> Mixture:
        """One operation an edge: a cell. Without `weights` each counts fully."""
        if weights is None:
            weights = torch.ones(SHAPE, device=ops.device if isinstance(ops, Tensor) else None)
        if isinstance(ops, Tensor):
            return cls(ops, weights, shift)
        return cls(tuple((int(op),) for op in (ops.ops if isinstance(ops, Cell) else ops)), weights, shift)

    @classmethod
    def full(cls, weights: Tensor) -> Mixture:
        """Every operation on every edge."""
        return cls(torch.ones(SHAPE, dtype=torch.bool, device=weights.device), weights)

    @cached_property
    def active(self) -> Active:
        """The operations that run on each edge. A tensor is waited for."""
        assert isinstance(self._given, Tensor)
        if self.single:
            return _checked([(op,) for op in self._given.tolist()])
        return tuple(tuple(itertools.compress(range(len(OPS)), row)) for row in self._given.tolist())

    @cached_property
    def mask(self) -> Tensor:
        """Which operations run: bool, shape (6, 5). A tensor stays on its device, numbers are on the CPU."""
        if not isinstance(self._given, Tensor):
            return torch.tensor([[op in ops for op in range(len(OPS))] for ops in self._given])
        return one_hot(self._given) if self.single else self._given

    @property
    def runs(self) -> Tensor:
        """What runs, as a tensor of which a mixture can be made again: where that is `single` integers, else `mask`."""
        if not self.single:
            return self.mask
        return self._given if isinstance(self._given, Tensor) else torch.tensor([op for (op,) in self._given])

    @property
    def single(self) -> bool:
        """Whether one operation runs on each edge, as far as that is said without looking into a tensor."""
        if isinstance(self._given, Tensor):
            return self._given.dim() == 1
        return all(len(ops) == 1 for ops in self._given)


def _says_what_runs(active: Tensor) -> bool:
    numbers = active.dim() == 1 and not (active.is_floating_point() or active.dtype == torch.bool)
    return numbers or (active.dtype == torch.bool and tuple(active.shape) == SHAPE)


def _checked(active: Sequence[Sequence[int]]) -> Active:
    if not _ALLOWED.issuperset(itertools.chain(*active)):
        raise ValueError(f"operations are numbered 0 to {len(OPS) - 1}; got {active}")
    return tuple(tuple(ops) for ops in active)


def one_hot(ops: Tensor) -> Tensor:
    """One operation an edge, integers of shape (6,), as rows with one true value: bool, shape (6, 5)."""
    return ops[:, None] == torch.arange(len(OPS), device=ops.device)


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
