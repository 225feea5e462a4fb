"""The plain, slow supernet to hold ours against: every edge of every cell evaluated, `none` a product with zero."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nasbench_stc.models import Mixture
from nasbench_stc.models.network import MixedCell, Skeleton
from nasbench_stc.space import EDGES, NUM_NODES, OPS


def logits(network: Skeleton, images: Tensor, mixture: Mixture) -> Tensor:
    """What `network` computes, by the definition: node j is the sum over its edges of weighted operations."""
    x = network.stem(images)
    for block in network.blocks:
        x = _cell(block, x, mixture) if isinstance(block, MixedCell) else block(x)
    return network.classifier(network.head_norm(x).relu().mean(dim=(2, 3)))


def _cell(cell: MixedCell, x: Tensor, mixture: Mixture) -> Tensor:
    nodes = [x]
    for target in range(1, NUM_NODES):
        terms = []
        for edge, (source, node) in enumerate(EDGES):
            if node != target:
                continue
            for op in mixture.active[edge]:
                before = nodes[source]
                after = _operation(cell, edge, OPS[op], before)
                terms.append(after * mixture.weights[edge, op])
            if mixture.shift is not None:
                terms.append(torch.ones_like(nodes[source]) * mixture.shift[edge])
        nodes.append(torch.stack(terms).sum(dim=0))
    return nodes[-1]


def _operation(cell: MixedCell, edge: int, name: str, x: Tensor) -> Tensor:
    if name == "none":
        return x * 0.0
    if name == "skip_connect":
        return x
    if name == "avg_pool_3x3":
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    return cell.edges[edge][name](x)
