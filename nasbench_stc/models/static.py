"""The static form of the supernet: what runs is a tensor, and nothing in Python depends on its numbers.

It computes what the plan form (`network.py`, `cell.py`) computes, but always by the same operations on tensors of the
same shapes, so that a step of a search can be one CUDA graph. An operation that is masked adds exact zeros and gets
exactly no gradient. Few launches count here, not little arithmetic: the edges that leave a node are one convolution
and one batch norm with as many times the channels; and where one operation runs on each edge (`Mixture.single`) its
kernel is m₃·W₃ + pad(m₁·W₁), while else both convolutions run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, cached_property, lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_stc.models.cell import MixedCell, node_shifts
from nasbench_stc.models.mixture import Mixture
from nasbench_stc.models.network import Reduction, Supernet
from nasbench_stc.models.ops import AVG_POOL, KERNELS, box_sum, one_over_pixels
from nasbench_stc.models.plan import plan
from nasbench_stc.space import EDGES, NUM_NODES, OPS, SKIP

CONV1, CONV3 = sorted(KERNELS, key=KERNELS.__getitem__)
LEAVING = tuple(
    tuple(edge for edge, (source, _) in enumerate(EDGES) if source == node) for node in range(NUM_NODES - 1)
)
"""The edges that leave each node but the last, in the order of the nodes where they end."""
BY_SOURCE = tuple(edge for edges in LEAVING for edge in edges)
_NUMBERS = [len(edges) for edges in LEAVING]


class Live(NamedTuple):
    """What of a mixture runs and reaches the result; bool tensors on the supernet's device."""

    ops: Tensor
    """The operations, shape (6, 5)."""
    input: Tensor
    """Whether the result depends on the input of the cells; if not, nothing before the last cell learns. Shape ()."""
    cells: Tensor
    """Whether the cells and what is before them are computed at all. Shape ()."""


class StaticSupernet:
    """`supernet` in its static form: the same parameters and buffers, another way through them.

    Args:
        supernet: whose parameters are used.
        compiled: whether torch.compile makes a few kernels of what is between a cell's convolutions. On a GPU these
            many passes over small tensors take most of the time; that takes a minute or two when it is first done.
    """

    def __init__(self, supernet: Supernet, compiled: bool = False) -> None:
        self.supernet = supernet
        # Running statistics are written in place, cell by cell, which is left as it is.
        self.run_cell = _compiled() if compiled and supernet.zeros_vanish else run_cell
        self._stages: list[tuple[nn.Module, list[MixedCell]]] = [(supernet.stem, [])]
        for block in supernet.blocks:
            if isinstance(block, Reduction):
                self._stages.append((block, []))
            else:
                assert isinstance(block, MixedCell)
                self._stages[-1][1].append(block)

    def live(self, mixture: Mixture) -> Live:
        """What of the mixture runs and reaches the result, as `plan` has it."""
        shifted, device = mixture.shift is not None, self.supernet.classifier.weight.device
        mask = mixture.mask.to(device, non_blocking=True)
        passes, convolves = mask[:, SKIP] | mask[:, AVG_POOL], mask[:, CONV1] | mask[:, CONV3]
        number = ((passes.long() + 2 * convolves.long()) * _numbers(_PLACES, device)).sum()
        ops = mask & _live_table(self.supernet.zeros_vanish, shifted, device).index_select(0, number.view(1))[0]
        from_input = ops.any(dim=1).index_select(0, _numbers(LEAVING[0], device)).any()
        return Live(ops, from_input, torch.ones_like(from_input) if shifted else ops.any())

    @cached_property
    def parameters(self) -> dict[str, nn.Parameter]:
        """Those that can get a gradient, by name. Batch statistics take the biases of the cells' convolutions away."""
        found = dict(self.supernet.named_parameters())
        if self.supernet.zeros_vanish:
            found = {name: p for name, p in found.items() if not (".edges." in name and name.endswith(".bias"))}
        return found

    def learning(self, live: Live) -> Tensor:
        """Which of `parameters` get a gradient, as in the plan form: bool, shape (parameters,)."""
        flags = [
            torch.ones_like(live.input)[None],
            live.input[None],
            live.ops.view(-1),
            (live.ops & live.input).view(-1),
        ]
        return torch.cat(flags).index_select(0, _numbers(self._flag_of, live.input.device))

    @cached_property
    def _flag_of(self) -> tuple[int, ...]:
        """Of each parameter its place among the flags of `learning`."""
        last = f"blocks.{len(self.supernet.blocks) - 1}."
        places = []
        for name in self.parameters:
            if ".edges." in name:  # blocks.BLOCK.edges.EDGE.OPERATION.LAYER.NAME
                _, _, _, edge, op, *_ = name.split(".")
                in_table = int(edge) * len(OPS) + OPS.index(op)
                places.append(2 + in_table + (0 if name.startswith(last) else len(EDGES) * len(OPS)))
            else:
                places.append(0 if name.startswith("classifier.") else 1)
        return tuple(places)

    def __call__(self, images: Tensor, mixture: Mixture, live: Live) -> Tensor:
        """Class scores, shape (n, classes), of `images`, shape (n, 3, height, width), under `mixture`."""
        supernet, own = self.supernet, self.supernet.classifier.weight
        weights = torch.where(live.ops, mixture.weights.to(own.device, own.dtype, non_blocking=True), 0.0)
        shift = None if mixture.shift is None else mixture.shift.to(own.device, own.dtype, non_blocking=True)
        x = images
        for before, cells in self._stages:
            with _statistics_kept(before, live.cells):
                x = before(x)
            for cell in _prepared(cells, x, weights, node_shifts(shift), live, mixture.single):
                x = self.run_cell(x, cell)
        scores: Tensor = supernet.classifier(supernet.head_norm(x).relu().mean(dim=(2, 3)))
        return scores


class Layer(NamedTuple):
    """What convolves a node for all the edges that leave it: one convolution, then one batch norm."""

    kernel: Tensor
    """Shape (edges * channels, channels, k, k)."""
    scale: Tensor
    """The weight of each edge's operation, for each of its channels; shape (edges * channels,)."""
    bias: Tensor | None
    """Shape (edges * channels,); None where batch statistics take it away again."""
    norms: Sequence[Sequence[tuple[nn.BatchNorm2d, Tensor]]]
    """Of each edge the norm of each operation, and whether that one runs, shape (); empty likewise."""
    eps: float

    def __call__(self, rectified: Tensor) -> Tensor:
        """Shape (n, channels, height, width) to (n, edges * channels, height, width)."""
        output = F.conv2d(rectified, self.kernel, self.bias, padding=self.kernel.shape[-1] // 2)
        if not self.norms:
            return F.batch_norm(output, None, None, self.scale, None, True, 0.0, self.eps)
        (norm, _), *_ = self.norms[0]
        mean, var = self._running("running_mean"), self._running("running_var")
        output = F.batch_norm(output, mean, var, self.scale, None, norm.training, norm.momentum or 0.0, self.eps)
        if norm.training:
            self._keep("running_mean", mean)
            self._keep("running_var", var)
        return output

    def _running(self, name: str) -> Tensor:
        """The statistics of what runs on each edge; zeros where nothing does."""
        of_edges = [sum(getattr(norm, name) * runs for norm, runs in edge) for edge in self.norms]
        return torch.cat(of_edges)  # type: ignore[arg-type]

    def _keep(self, name: str, statistics: Tensor) -> None:
        for edge, of_edge in zip(self.norms, statistics.chunk(len(self.norms)), strict=True):
            for norm, runs in edge:
                buffer = getattr(norm, name)
                buffer.copy_(torch.where(runs, of_edge, buffer))


class StaticCell(NamedTuple):
    """A cell, prepared for one forward pass."""

    layers: list[list[Layer]]
    """By the node that they convolve."""
    passes: Tensor
    """Of each edge the weights of skip_connect and of avg_pool_3x3; shape (6, 2)."""
    shifts: list[Tensor | None]
    """By the node that is shifted."""
    share: Tensor
    """See `one_over_pixels`."""


def run_cell(x: Tensor, cell: StaticCell) -> Tensor:
    """Node 3 of the cell whose node 0 is `x`; shapes (n, channels, height, width)."""
    arriving: list[list[Tensor]] = [[] for _ in range(NUM_NODES)]
    for node, layers in enumerate(cell.layers):
        if node:
            x = _sum(arriving[node], cell.shifts[node])
        rectified, pooled = x.relu(), AvgPool.apply(x, cell.share)  # type: ignore[no-untyped-call]
        convolved = layers[0](rectified)
        for layer in layers[1:]:
            convolved = convolved + layer(rectified)
        for edge, output in zip(LEAVING[node], convolved.chunk(len(LEAVING[node]), dim=1), strict=True):
            skip, pool = cell.passes[edge]
            passed = torch.addcmul(torch.addcmul(output, x, skip), pooled, pool)
            arriving[EDGES[edge][1]].append(passed)
    return _sum(arriving[-1], cell.shifts[-1])


class AvgPool(torch.autograd.Function):
    """`ops.avg_pool` and its adjoint. Arguments: x; `one_over_pixels` of its size.

    torch's own backward pass is wrong on a GPU for channels-last tensors (2.11: off by as much as the gradient is).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, share: Tensor) -> Tensor:
        ctx.save_for_backward(share)
        return box_sum(x) * share

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (share,) = ctx.saved_tensors
        return box_sum(gradient * share), None


def _sum(arriving: list[Tensor], shift: Tensor | None) -> Tensor:
    total = arriving[0] if shift is None else arriving[0] + shift
    for output in arriving[1:]:
        total = total + output
    return total


def _prepared(
    cells: Sequence[MixedCell],
    x: Tensor,
    weights: Tensor,
    shifts: Sequence[Tensor | None],
    live: Live,
    single: bool,
) -> Iterator[StaticCell]:
    """The cells of a stage that works on `x`; `weights`, shape (6, 5), are zero where an operation is masked.

    Each cell gets weights of its own, so that their gradients are one sum over all cells, not a launch for each.
    """
    passes = weights.index_select(1, _numbers((SKIP, AVG_POOL), x.device)).to(x.dtype).expand(len(cells), -1, -1)
    share = one_over_pixels(*x.shape[2:], x.dtype, x.device)
    together = [(CONV3, CONV1)] if single else [(CONV3,), (CONV1,)]
    by_cell = zip(*(_layers(ops, cells, x, weights, live) for ops in together), strict=True)
    for of_cell, layers in zip(passes.unbind(), by_cell, strict=True):
        yield StaticCell([list(of_node) for of_node in zip(*layers, strict=True)], of_cell, list(shifts), share)


def _layers(
    ops: Sequence[int], cells: Sequence[MixedCell], x: Tensor, weights: Tensor, live: Live
) -> Iterator[list[Layer]]:
    """Of each cell the layers by node; of two operations, at most one of which runs on an edge, as one kernel."""
    device = x.device
    dtype = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else x.dtype
    norm = cells[0].edges[0][OPS[ops[0]]][2]
    running = norm.track_running_stats

    def of_edges(op: int, name: str) -> Tensor:
        """The parameters of every edge of every cell, one a row; where two share a kernel, zero if this one is masked.

        Kernels are (channels, k, k, channels), as they lie in memory.
        """
        found = [cell.edges[edge][OPS[op]][1].get_parameter(name) for cell in cells for edge in BY_SOURCE]
        rows = torch.stack([of_edge.permute(0, 2, 3, 1) if of_edge.dim() == 4 else of_edge for of_edge in found])
        if len(ops) == 1:
            return rows
        runs = live.ops[:, op].index_select(0, _numbers(BY_SOURCE * len(cells), device))
        return rows * runs.view(-1, *[1] * (rows.dim() - 1))

    def by_node(rows: Tensor) -> list[Tensor]:
        """The rows of edges that leave the same node as one, along their channels."""
        return [of_node.flatten(0, 1) for of_node in torch.split(rows, _NUMBERS * (len(rows) // len(BY_SOURCE)))]

    kernel, *smaller = (of_edges(op, "weight") for op in ops)
    for of_op in smaller:
        kernel = kernel + F.pad(of_op, (0, 0, 1, 1, 1, 1))
    kernels = by_node(kernel.to(dtype))
    biases = by_node(torch.stack([of_edges(op, "bias") for op in ops]).sum(dim=0).to(dtype)) if running else []
    scale = torch.stack([weights[:, op] for op in ops]).sum(dim=0)
    scales = by_node(scale.index_select(0, _numbers(BY_SOURCE, device))[:, None].repeat(len(cells), x.shape[1]))
    for number, cell in enumerate(cells):
        at = [number * len(LEAVING) + node for node in range(len(LEAVING))]
        yield [
            Layer(
                kernels[at[node]].permute(0, 3, 1, 2),
                scales[at[node]],
                biases[at[node]] if running else None,
                [[(cell.edges[edge][OPS[op]][2], live.ops[edge, op]) for op in ops] for edge in edges]
                if running
                else [],
                norm.eps,
            )
            for node, edges in enumerate(LEAVING)
        ]


def _compiled() -> Callable[[Tensor, StaticCell], Tensor]:
    """`run_cell` compiled, once for every shape and kind of step; for calls in the thread that asks."""
    import torch._dynamo

    torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)  # holds in this thread only
    return _compile()


@cache
def _compile() -> Callable[[Tensor, StaticCell], Tensor]:
    warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")  # float32 is float32 here
    compiled: Callable[[Tensor, StaticCell], Tensor] = torch.compile(run_cell, dynamic=False, fullgraph=True)
    return compiled


@contextmanager
def _statistics_kept(module: nn.Module, unless: Tensor) -> Iterator[None]:
    """Running statistics of the module that change in the block change back, unless that tensor, shape (), is true."""
    buffers = [buffer for buffer in module.buffers() if buffer.is_floating_point()] if module.training else []
    before = [buffer.clone() for buffer in buffers]
    yield
    for buffer, old in zip(buffers, before, strict=True):
        buffer.data.copy_(torch.where(unless, buffer, old))  # .data: backward would take it for a change of its inputs


_PLACES = tuple(4**edge for edge in range(len(EDGES)))


@lru_cache(maxsize=16)
def _live_table(zeros_vanish: bool, shifted: bool, device: torch.device) -> Tensor:
    """Which operations can reach the result, for every pattern, by `plan` itself: bool, shape (4096, 6, 5).

    That depends on whether an edge passes its input on (skip_connect, avg_pool_3x3) and whether it convolves: four
    kinds of edges. Edge e counts `_PLACES[e]` times its kind.
    """
    kinds = ((), (SKIP,), (CONV3,), (SKIP, CONV3))
    alike = {SKIP: [SKIP, AVG_POOL], CONV3: [CONV1, CONV3]}
    table = np.zeros((len(kinds) ** len(EDGES), len(EDGES), len(OPS)), bool)
    for number, active in enumerate(product(kinds, repeat=len(EDGES))):
        for terms in plan.__wrapped__(active[::-1], zeros_vanish, shifted):
            for edge, _, op in terms or ():
                table[number, edge, alike[op]] = True
    with torch.inference_mode(False):
        return torch.from_numpy(table).to(device)


@lru_cache(maxsize=64)
def _numbers(numbers: tuple[int, ...], device: torch.device) -> Tensor:
    """On the device, once for all: a copy from the host cannot be part of a CUDA graph."""
    with torch.inference_mode(False):
        return torch.tensor(numbers, device=device)
