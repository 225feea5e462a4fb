"""Training-free scores: what a cell's untrained network and one mini-batch say of it. For all, higher is better.

NASWOT: Mellor, Turner, Storkey & Crowley, "Neural architecture search without training", ICML 2021 (arXiv:2006.04647,
whose first version has the Jacobian covariance). SynFlow: Tanaka, Kunin, Yamins & Ganguli, "Pruning neural networks
without any data by iteratively conserving synaptic flow", NeurIPS 2020. SNIP: Lee, Ajanthan & Torr, "SNIP: single-shot
network pruning based on connection sensitivity", ICLR 2019. Summed over all weights such numbers score a network, and
so does the norm of the gradients: Abdelfattah, Mehrotra, Dudziak & Lane, "Zero-cost proxies for lightweight NAS",
ICLR 2021.

Batch norm takes batch statistics, as in training; SynFlow leaves it out. A network that ignores its images has the
lowest score there is: 0 for SNIP and GradNorm, -inf for SynFlow, Jacobian covariance and NASWOT (but see `naswot`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasbench_stc.models.cell import MixedCell
from nasbench_stc.models.network import CellNetwork, Reduction
from nasbench_stc.models.ops import AVG_POOL, KERNELS, avg_pool
from nasbench_stc.space import EDGES, NONE, NUM_CLASSES, NUM_NODES, OPS, Cell, flops, params

_JACOB_COV_K = 1e-5
See = Callable[[Tensor, int], None]
"""Is told what goes into ReLUs, shape (n, channels, height, width), and how many take this very input."""


class Untrained:
    """A cell's network and a mini-batch, all that scores ask of; what several ask is computed once.

    The network is left as it was: weights, gradients, running statistics and mode are those of a copy.

    Args:
        network: untrained.
        images: shape (n, 3, height, width), on the network's device.
        labels: int64, shape (n,).
    """

    def __init__(self, network: CellNetwork, images: Tensor, labels: Tensor) -> None:
        self.network, self.images, self.labels = copy.deepcopy(network).train(), images, labels

    @cached_property
    def gradients(self) -> list[tuple[Tensor, Tensor]]:
        """The weights of each convolution and of the classifier, and the gradient of the mean cross-entropy by them."""
        weights = _weights(self.network)
        self.network.requires_grad_(False)
        for weight in weights:
            weight.requires_grad_(True)
        loss = F.cross_entropy(self.network(self.images), self.labels)
        found = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
        return list(zip([weight.detach() for weight in weights], found, strict=True))


def naswot(of: Untrained) -> float:
    """log det K; K[i, j] counts the units whose ReLU is on for both images i and j, or off for both.

    Every ReLU of the network counts as often as the benchmark's network has it: once in front of each convolution of a
    cell, though convolutions on one node share what comes in, and also where no operation leads on to the result. So a
    cell that ignores its images has a finite number where convolutions hang on its input node, and else -inf.
    """
    n = len(of.images)
    kernel = torch.zeros(n, n, dtype=torch.float64, device=of.images.device)

    def see(x: Tensor, times: int) -> None:
        on = torch.gt(x, 0, out=torch.empty_like(x)).permute(0, 2, 3, 1).reshape(n, -1)
        both, alone = on @ on.T, on.sum(dim=1)  # whole numbers below 2^24, which float32 has
        kernel.add_(2 * both - alone - alone[:, None] + on.shape[1], alpha=times)

    with torch.no_grad():
        _forward(of.network, of.images, normalised=True, see=see)
    return float(torch.linalg.slogdet(kernel).logabsdet)


def synflow(of: Untrained) -> float:
    """log of the sum of |w · dR/dw| over the weights of all convolutions and of the classifier.

    R is the sum of the logits of an image of ones, where every weight is replaced by its absolute value and batch norm
    is left out. In double precision, for the sum reaches 1e66; the logarithm keeps the order. No image is looked at.
    """
    network = copy.deepcopy(of.network).double().requires_grad_()
    for parameter in network.parameters():
        parameter.data.abs_()
    weights = _weights(network)
    ones = torch.ones_like(of.images[:1], dtype=torch.float64)
    reached = _forward(network, ones, normalised=False).sum()
    found = torch.autograd.grad(reached, weights, allow_unused=True, materialize_grads=True)
    total = sum(float((weight.detach() * of_weight).sum()) for weight, of_weight in zip(weights, found, strict=True))
    return math.log(total) if total > 0 else -math.inf


def jacob_cov(of: Untrained) -> float:
    """-sum of log(v + k) + 1 / (v + k), k = 1e-5, over the eigenvalues v of the correlations between images' gradients.

    An image's gradient is that of the sum of all logits of the mini-batch by its pixels. The more the images' gradients
    are alike, the lower; -n · (log(1 + k) + 1 / (1 + k)) is the most that n images can have.
    """
    images = of.images.detach().clone().requires_grad_()
    of.network.requires_grad_(False)  # half of the way back is that of the weights
    total = of.network(images).sum()
    if not total.requires_grad:
        return -math.inf
    (jacobian,) = torch.autograd.grad(total, images)
    rows = jacobian.flatten(1).double()
    rows = rows - rows.mean(dim=1, keepdim=True)
    norms = rows.norm(dim=1, keepdim=True)
    if not bool((norms > 0).all()):
        return -math.inf
    rows = rows / norms
    eigenvalues = torch.linalg.eigvalsh(rows @ rows.T) + _JACOB_COV_K
    return -float((eigenvalues.log() + 1 / eigenvalues).sum())


def snip(of: Untrained) -> float:
    """Sum of |w · dL/dw| over the weights of all convolutions and of the classifier; L is the mean cross-entropy."""
    return float(torch.stack([(weight * gradient).abs().sum() for weight, gradient in of.gradients]).double().sum())


def grad_norm(of: Untrained) -> float:
    """Sum of the Euclidean norms of dL/dw of each convolution and of the classifier; L is the mean cross-entropy."""
    return float(torch.stack([gradient.norm() for _, gradient in of.gradients]).double().sum())


class Score(NamedTuple):
    """A score by name: what it is, and how it is computed."""

    about: str
    of_network: Callable[[Untrained], float] | None = None
    """None: it needs no network."""
    of_cell: Callable[[Cell, str], float] | None = None
    """The cell's, on that data set; None: it needs an untrained network."""


def _params(cell: Cell, dataset: str) -> float:
    """In millions, of the target network (C=16, N=5); for other data sets than the benchmark's, as on CIFAR-10."""
    return float(params([cell], dataset if dataset in NUM_CLASSES else "cifar10")[0]) / 1e6


def _flops(cell: Cell, dataset: str) -> float:
    """In millions, likewise."""
    return float(flops([cell], dataset if dataset in NUM_CLASSES else "cifar10")[0])


SCORES: Mapping[str, Score] = {
    "params": Score(
        "parameters, millions, of the network for the data set (digits, imagenet: for CIFAR-10)",
        of_cell=_params,
    ),
    "flops": Score("FLOPs, millions, likewise", of_cell=_flops),
    "naswot": Score("NASWOT: log-determinant of the kernel of ReLU patterns (Mellor et al., 2021)", naswot),
    "synflow": Score("log of SynFlow: synaptic flow without data (Tanaka et al., 2020)", synflow),
    "jacob_cov": Score("correlation of images' gradients (Mellor et al., 2020, first version)", jacob_cov),
    "snip": Score("SNIP: sensitivity of the loss to each weight, summed (Lee et al., 2019)", snip),
    "grad_norm": Score("norms of the weights' gradients, summed (Abdelfattah et al., 2021)", grad_norm),
}
"""By name."""


def _weights(network: nn.Module) -> list[Tensor]:
    return [module.weight for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def _forward(network: CellNetwork, images: Tensor, normalised: bool, see: See = lambda x, times: None) -> Tensor:
    """Class scores, shape (n, classes), by the definition: every operation is computed, also where it leads nowhere.

    Args:
        normalised: whether the batch norms are there.
        see: is told of every ReLU.
    """
    sources = [source for op, (source, _) in zip(network.cell.ops, EDGES, strict=True) if op in KERNELS]

    def rectify(x: Tensor, times: int = 1) -> Tensor:
        if times:
            see(x, times)
        return x.relu()

    def convolve(x: Tensor, layer: nn.Sequential) -> Tensor:
        *_, conv, norm = layer
        output: Tensor = conv(x)
        return norm(output) if normalised else output

    def through_cell(x: Tensor, cell: MixedCell) -> Tensor:
        nodes, rectified = [x], [rectify(x, sources.count(0))]
        for node in range(1, NUM_NODES):
            terms = []
            for edge, (source, target) in enumerate(EDGES):
                op = network.cell.ops[edge]
                if target != node or op == NONE:
                    continue
                if op in KERNELS:
                    terms.append(convolve(rectified[source], cell.edges[edge][OPS[op]]))
                else:
                    terms.append(avg_pool(nodes[source]) if op == AVG_POOL else nodes[source])
            total = sum(terms[1:], start=terms[0]) if terms else torch.zeros_like(x)
            nodes.append(total)
            rectified.append(rectify(total, sources.count(node)))
        return nodes[-1]

    x = convolve(images, network.stem)
    for block in network.blocks:
        if isinstance(block, MixedCell):
            x = through_cell(x, block)
        else:
            assert isinstance(block, Reduction)
            residual = convolve(rectify(x), block.conv_a)
            x = block.shortcut(x) + convolve(rectify(residual), block.conv_b)
    x = rectify(network.head_norm(x) if normalised else x)
    scores: Tensor = network.classifier(x.mean(dim=(2, 3)))
    return scores
