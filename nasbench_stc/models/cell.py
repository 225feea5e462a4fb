"""One cell of the supernet: the terms of a mixture's plan, each in as few passes over memory as torch allows.

On two cores the convolutions take about half of a step, reading and writing memory the rest; so ReLU and pooling
are computed once a node, weights are applied where a pass happens anyway, and sums are taken in place.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_stc.models.ops import AVG_POOL, KERNELS, Norm, ReLUConvBN, WeightedSum, avg_pool
from nasbench_stc.models.plan import Plan, Term
from nasbench_stc.space import EDGES, NUM_NODES, OPS

T = TypeVar("T")


class Weights:
    """A mixture's weights, shape (6, 5), and its shift, shape (6,) or None, in the forms in which a node takes them.

    `shifts[node]` is what the edges into it add to all of its numbers, 0-dimensional; None where there is no shift.
    """

    def __init__(self, weights: Tensor, shift: Tensor | None = None) -> None:
        self.shifts = node_shifts(shift)
        self._flat = weights.reshape(-1)
        self._scalars = self._flat.unbind()
        self._scales: dict[int, tuple[Tensor, ...]] = {}

    def scalar(self, term: Term) -> Tensor:
        """The term's weight, 0-dimensional."""
        return self._scalars[term.edge * len(OPS) + term.op]

    def scale(self, term: Term, channels: int) -> Tensor:
        """The term's weight for each of `channels`."""
        if channels not in self._scales:  # once a stage, for all of its cells; a view that repeats would be slow
            self._scales[channels] = self._flat[:, None].expand(-1, channels).contiguous().unbind()
        return self._scales[channels][term.edge * len(OPS) + term.op]


def node_shifts(shift: Tensor | None) -> Sequence[Tensor | None]:
    """What the edges into each node add to all of its numbers, 0-dimensional; `shift` of the edges, shape (6,)."""
    if shift is None:
        return (None,) * NUM_NODES
    inputs = [sum(target == node for _, target in EDGES) for node in range(NUM_NODES)]  # edges are sorted by target
    return [of_node.sum() for of_node in torch.split(shift, inputs)]


class Node:
    """A node's value; what several edges ask of it is computed once."""

    def __init__(self, value: Tensor, frozen: bool) -> None:
        self.value = value
        self._frozen = frozen

    @cached_property
    def rectified(self) -> Tensor:
        """Its ReLU, which every convolution takes.

        The two forms differ in what they keep for backward: the one its output, which the gradient of a
        convolution's weights needs as well; the other its input, which the gradient of a skip's alpha needs.
        """
        return F.threshold(self.value, 0.0, 0.0) if self._frozen else self.value.relu()

    @cached_property
    def pooled(self) -> Tensor:
        """Its average pooling."""
        return avg_pool(self.value)


class MixedCell(nn.Module):
    """The cell's graph with the convolutions among the candidates of each edge; `forward` runs what the plan names."""

    def __init__(self, channels: int, candidates: Sequence[Sequence[int]], norm: Norm) -> None:
        super().__init__()
        self.edges: Any = nn.ModuleList()  # of ModuleDict, which the type of ModuleList cannot say
        for ops in candidates:
            convolutions = {OPS[op]: ReLUConvBN(channels, KERNELS[op], norm) for op in ops if op in KERNELS}
            self.edges.append(nn.ModuleDict(convolutions))

    def forward(self, x: Tensor, plan: Plan, weights: Weights) -> Tensor:
        """Node 3 of the cell whose node 0 is `x`; shapes (n, channels, height, width)."""
        frozen = not any(parameter.requires_grad for parameter in self.edges.parameters())
        nodes = [Node(x, frozen)]
        for terms, shift in zip(plan[1:], weights.shifts[1:], strict=True):
            if terms is None:
                nodes.append(nodes[0])  # nobody looks at it
                continue
            value = self._sum(nodes, terms, weights) if terms else torch.zeros_like(x)
            nodes.append(Node(value if shift is None else value.add_(shift), frozen))
        return nodes[-1].value

    def _sum(self, nodes: Sequence[Node], terms: Sequence[Term], weights: Weights) -> Tensor:
        """A node: its convolutions add up in the memory of the first one, then come the others."""
        total: Tensor | None = None
        others = [term for term in terms if term.op not in KERNELS]
        for term in terms[: len(terms) - len(others)]:
            convolution = self.edges[term.edge][OPS[term.op]]
            rectified = nodes[term.source].rectified
            output = convolution.after_relu(rectified, weights.scale(term, rectified.shape[1]))
            total = output if total is None else total.add_(output)
        if others:
            sources = [nodes[term.source] for term in others]
            pooled = [term.op == AVG_POOL for term in others]
            scalars, values = map(weights.scalar, others), (source.value for source in sources)
            total = WeightedSum.apply(sources, pooled, total, *scalars, *values)  # type: ignore[no-untyped-call]
        assert total is not None
        return total


class SharedCell:
    """A mixed cell on one input, asked for path after path without gradients; what neighbours share is computed once.

    Kept are each node and the output of each convolution as they were last, and what they were computed from: of
    paths in the order of their plans (see `in_order`), every convolution runs once for each value of its input, and
    most paths cost no more than sums. That is at most 22 tensors of the input's size.

    Args:
        cell: whose batch norms are in evaluation mode.
        x: node 0; shape (n, channels, height, width).
        weights: by which convolutions are scaled; all ones.
    """

    def __init__(self, cell: MixedCell, x: Tensor, weights: Weights) -> None:
        self._cell, self._input, self._weights = cell, Node(x, frozen=True), weights
        self._kept: dict[Hashable, tuple[Hashable, Any]] = {}

    def __call__(self, plan: Plan) -> Tensor:
        """Node 3, not to be changed in place."""
        nodes = [self._input]
        made_of: list[Hashable] = [()]  # what tells a node's value: its terms, and what their sources are made of
        for node, terms in enumerate(plan[1:], start=1):
            if terms is None:
                nodes.append(self._input)  # nobody looks at it
                made_of.append(None)
                continue
            origin = tuple((term.edge, term.op, made_of[term.source]) for term in terms)
            nodes.append(self._last(node, origin, self._node, terms, nodes, made_of))
            made_of.append(origin)
        return nodes[-1].value

    def _node(self, terms: Sequence[Term], nodes: Sequence[Node], made_of: Sequence[Hashable]) -> Node:
        if not terms:
            return Node(torch.zeros_like(self._input.value), frozen=True)
        total, *others = (self._output(term, nodes[term.source], made_of[term.source]) for term in terms)
        for number, output in enumerate(others):
            total = total.add_(output) if number else total + output  # the first summand is kept for other paths
        return Node(total, frozen=True)

    def _output(self, term: Term, source: Node, made_of: Hashable) -> Tensor:
        if term.op not in KERNELS:
            return source.pooled if term.op == AVG_POOL else source.value
        convolution = self._cell.edges[term.edge][OPS[term.op]]
        scale = self._weights.scale(term, source.value.shape[1])
        output: Tensor = self._last((term.edge, term.op), made_of, convolution.after_relu, source.rectified, scale)
        return output

    def _last(self, what: Hashable, made_of: Hashable, compute: Callable[..., T], *arguments: Any) -> T:
        """What `compute` gave when it was last asked for `what`, if that was made of the same."""
        if what not in self._kept or self._kept[what][0] != made_of:
            self._kept.pop(what, None)  # room for the next
            self._kept[what] = made_of, compute(*arguments)
        value: T = self._kept[what][1]
        return value
