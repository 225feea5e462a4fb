"""A mixture: which operations are active on each edge, with what weight.

This is the whole interface between a search method and the supernet: STC-NAS activates one operation an
edge, DARTS all of them, and the supernet computes what is active and can reach the result, nothing else.

A mixture is read in two ways. The plan form asks for `active`, plain numbers of which Python makes a plan; the static
form asks for `mask`, a tensor that stays where it is. A method says what runs in whichever it has.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from nasbench_stc.space import OPS, TSS, Cell, Space

Active = tuple[tuple[int, ...], ...]


class Mixture:
    """What runs on each edge, with what weight: E edges with O operations each (`Space.shape`; of `tss` 6 with 5).

    Weights and shift may be on any device and of any precision: the supernet takes them to its own.

    Args:
        active: the operations that run on each edge, as numbers; or a tensor on any device, which is not looked into
            before somebody asks for `active`: the one that runs on each edge, integers of shape (E,), or which run,
            bool of shape (E, O).
        weights: `weights[e, o]` scales operation o on edge e; shape (E, O).
        shift: `shift[e]`, shape (E,), if any, is added to every number that edge e puts out: GDAS adds a zero that has
            a gradient.

    Raises:
        ValueError: other shapes, or operations that do not exist.
    """

    def __init__(self, active: Sequence[Sequence[int]] | Tensor, weights: Tensor, shift: Tensor | None = None) -> None:
        shape = tuple(weights.shape)
        fits = len(shape) == 2 and len(active) == shape[0]
        if not fits or (isinstance(active, Tensor) and not _says_what_runs(active, shape)):
            raise ValueError(
                f"a mixture has active operations of {shape[0]} edges and weights of shape ({shape[0]}, operations); "
                f"got {tuple(active.shape) if isinstance(active, Tensor) else len(active)} and {shape}"
            )
        self.weights, self.shift = weights, shift
        self._given = active
        if not isinstance(active, Tensor):
            self.active = self._checked(active)

    @classmethod
    def path(
        cls,
        ops: Cell | Sequence[int] | Tensor,
        weights: Tensor | None = None,
        shift: Tensor | None = None,
        space: Space = TSS,
    ) -> Mixture:
        """One operation an edge. Without `weights` each counts fully, and `space` says how many there are."""
        if weights is None:
            shape = ops.of.shape if isinstance(ops, Cell) else space.shape
            weights = torch.ones(shape, device=ops.device if isinstance(ops, Tensor) else None)
        if isinstance(ops, Tensor):
            return cls(ops, weights, shift)
        return cls(tuple((int(op),) for op in (ops.ops if isinstance(ops, Cell) else ops)), weights, shift)

    @classmethod
    def several(cls, ops: Tensor, weights: Tensor, of: int) -> Mixture:
        """On each edge the operations `ops`, different ones of so many, with `weights`; both of shape (edges, some)."""
        shape = (len(ops), of)
        runs = torch.zeros(shape, dtype=torch.bool, device=ops.device).scatter(1, ops, True)
        return cls(runs, torch.zeros(shape, dtype=weights.dtype, device=ops.device).scatter(1, ops, weights))

    @classmethod
    def full(cls, weights: Tensor) -> Mixture:
        """Every operation on every edge."""
        return cls(torch.ones(weights.shape, dtype=torch.bool, device=weights.device), weights)

    def without(self, edge: int, op: int) -> Mixture:
        """The same but for one operation; the weights of others stay as they are."""
        runs = self.mask.clone()
        runs[edge, op] = False
        return Mixture(runs, self.weights)

    @property
    def shape(self) -> tuple[int, int]:
        """(edges, operations)."""
        edges, ops = self.weights.shape
        return edges, ops

    @cached_property
    def active(self) -> Active:
        """The operations that run on each edge. A tensor is waited for."""
        assert isinstance(self._given, Tensor)
        if self.single:
            return self._checked([(op,) for op in self._given.tolist()])
        every = range(self.shape[1])
        return tuple(tuple(itertools.compress(every, row)) for row in self._given.tolist())

    def _checked(self, active: Sequence[Sequence[int]]) -> Active:
        number = self.shape[1]
        if not all(0 <= op < number for op in itertools.chain(*active)):
            raise ValueError(f"operations are numbered 0 to {number - 1}; got {active}")
        return tuple(tuple(ops) for ops in active)

    @cached_property
    def mask(self) -> Tensor:
        """Which operations run: bool, shape (E, O). A tensor stays on its device, numbers are on the CPU."""
        if not isinstance(self._given, Tensor):
            return torch.tensor([[op in ops for op in range(self.shape[1])] for ops in self._given])
        return one_hot(self._given, self.shape[1]) if self.single else self._given

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


def _says_what_runs(active: Tensor, shape: tuple[int, ...]) -> bool:
    numbers = active.dim() == 1 and not (active.is_floating_point() or active.dtype == torch.bool)
    return numbers or (active.dtype == torch.bool and tuple(active.shape) == shape)


def one_hot(ops: Tensor, number: int = len(OPS)) -> Tensor:
    """One of `number` operations an edge, integers of shape (E,), as rows with one true value: bool, (E, number)."""
    return ops[:, None] == torch.arange(number, device=ops.device)
