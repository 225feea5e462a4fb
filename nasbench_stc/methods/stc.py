"""STC-NAS: one sampled operation an edge, ReLU weights, a divergence that pulls the super-cell to its sample.

Sun, Hu, Yang, Lu, Mei, Han & Li, "STC-NAS: Fast neural architecture search with source-target
consistency", Neurocomputing 2022. Equation numbers below are the paper's. What the paper leaves open is a
field of `StcSettings`, with the reason for its default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nasbench_stc.methods.alpha import AlphaMethod, gradients, normal
from nasbench_stc.methods.base import Listing, Objective, scalar
from nasbench_stc.models import Mixture
from nasbench_stc.models.mixture import one_hot
from nasbench_stc.settings import Ramp, setting
from nasbench_stc.space import Cell


@dataclass(frozen=True)
class StcSettings:
    """The settings of STC-NAS: first what the paper gives, then what it leaves open."""

    alpha_lr: float = setting(3e-4, "Adam's learning rate for alpha (Sec. 4.2)")
    alpha_beta1: float = setting(0.5, "Adam's first momentum (Sec. 4.2)")
    alpha_beta2: float = setting(0.999, "Adam's second momentum (Sec. 4.2)")
    alpha_weight_decay: float = setting(0.0, "of alpha, so that what is not sampled does not move (Sec. 4.2)")
    noise: float = setting(0.3, "initial range r of the sampling noise, annealed to zero (Sec. 4.2, Fig. 7)")
    lambda_start: float = setting(0.0, "weight of the JS loss in the first epoch (Table 7)")
    lambda_end: float = setting(2.0, "weight of the JS loss in the last epoch (Table 7)")
    activation: str = setting(
        "relu",
        "what makes alpha an operation's weight (Eq. 3; Fig. 6 compares); weights of softmax and sigmoid are between 0 "
        "and 1 by themselves, so that their alpha is not projected",
        choices=("relu", "softmax", "sigmoid"),
    )
    runs: str = setting(
        "sample",
        "what the supernet runs: the sampled sub-cell (Eq. 5); two operations an edge in its place (pair: the study's, "
        "not the paper's); or the whole super-cell (Eq. 3; Table 8's row without cell consistency), then the sample is "
        "for JS alone",
        choices=("sample", "pair", "super-cell"),
    )

    alpha_init: float = setting(0.5, "open: the middle of [0, 1], as far from either end of the projection")
    alpha_jitter: float = setting(1e-3, "open: deviation of alpha around alpha_init, as the reference code draws alpha")
    noise_support: str = setting(
        "positive",
        "open: U[0, r]; symmetric, U[-r, r], is the same sampling at twice the range",
        choices=("positive", "symmetric"),
    )
    noise_shape: str = setting("linear", "open: the plainest annealing", choices=("linear", "cosine"))
    lambda_shape: str = setting("linear", "open: the plainest annealing", choices=("linear", "cosine"))
    js_distribution: str = setting(
        "weights",
        "open: how a row of alpha becomes a distribution: Eq. 3's weights divided by their sum, or softmax(alpha)",
        choices=("weights", "softmax"),
    )
    scale: str = setting(
        "alpha",
        "open: the forward pass scales by alpha_k (Eq. 5 as written), or by 1 with alpha_k's gradient straight through",
        choices=("alpha", "straight-through"),
    )
    share_sample: bool = setting(False, "open: the alpha step draws its own sample rather than the weight step's")
    idle_alpha: str = setting(
        "held",
        "open: alpha of an operation that was not sampled does not move in that step (Adam's moments of it fade); the "
        "paper sets the weight decay to zero for that purpose (Sec. 4.2), and Adam would make the JS gradient alone a "
        "full step",
        choices=("held", "moves"),
    )
    sample_none: bool = setting(
        False,
        "open: `none` is not sampled; its output is zero, so the loss gives its alpha no gradient and JS only raises "
        "it: with it in the race every edge ends in it (seen on digits: all edges, all seeds)",
    )
    result_none: bool = setting(False, "open: nor is `none` in the resulting cell, as in DARTS, for it learned nothing")
    uniform: float = setting(
        0.0, "open: share of the epochs, at the start, in which the weights train on uniform samples", high=1
    )


class STC(AlphaMethod):
    """STC-NAS; see the module."""

    listing: ClassVar[Listing] = Listing(
        "STC-NAS",
        "STC-NAS: one sampled operation an edge, ReLU weights, JS to the sample (Sun et al., 2022)",
        name="stc",
        kind="one-shot",
        order=80,
    )
    Settings: ClassVar[type] = StcSettings
    on_device = True

    def __init__(self, settings: StcSettings, generator: torch.Generator) -> None:
        alpha = settings.alpha_init + settings.alpha_jitter * normal(generator, self.space)
        self.noise, self.js_weight, self._js_sum, self._alpha_steps = (scalar(generator) for _ in range(4))
        super().__init__(settings, generator, project(alpha) if settings.activation == "relu" else alpha)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Anneal the noise to zero and raise lambda, over the epochs in which alpha learns."""
        super().begin_epoch(epoch, epochs)
        s = self.settings
        self.noise.fill_(Ramp(s.noise, 0.0, s.noise_shape).at(*self.now))
        self.js_weight.fill_(Ramp(s.lambda_start, s.lambda_end, s.lambda_shape).at(*self.now))
        self._sample: Tensor | None = None
        self._js_sum.zero_()
        self._alpha_steps.zero_()

    def sample(self) -> Tensor:
        """Eqs. 4 and 5: k = argmax(alpha + noise) on each edge; int64, shape (edges,), of a pair (edges, 2)."""
        scores = torch.rand(self.alpha.shape, generator=self.generator, device=self.alpha.device)
        if self.learns:
            noise = 2 * scores - 1 if self.settings.noise_support == "symmetric" else scores
            scores = self.alpha.detach() + self.noise * noise
        scores = self._allowed(scores, self.settings.sample_none)
        return scores.topk(2, dim=1).indices if self.settings.runs == "pair" else scores.argmax(dim=1)

    def weight_mixture(self) -> Mixture:
        """The sampled sub-cell, alpha a constant."""
        self._sample = self.sample()
        with torch.no_grad():
            return self._mixture(self._sample)

    def alpha_step(self, objective: Objective) -> Tensor:
        """Eq. 10, upper level, then Eqs. 6-8: one step of Adam and the projection."""
        shared = self._sample if self.settings.share_sample else None
        sample = self.sample() if shared is None else shared
        loss = objective.valid_loss(self._mixture(sample))
        divergence = self.divergence(sample)
        # Eq. 10: of a sum the gradients add up, so neither term has to come to where the other is.
        terms = [loss, self.js_weight * divergence]
        before = self.alpha.detach().clone()
        self.update(*gradients(terms, [self.alpha]))
        with torch.no_grad():
            if self.settings.activation == "relu":
                self.alpha.copy_(project(self.alpha))
            if self.settings.idle_alpha == "held" and self.settings.runs != "super-cell":
                self.alpha.copy_(torch.where(self._sampled(sample), self.alpha, before))
        self._js_sum += divergence.detach()
        self._alpha_steps += 1
        return loss.detach()

    def divergence(self, sample: Tensor) -> Tensor:
        """Eq. 9, the mean over edges of JS(alpha_s || alpha); alpha_s, what was sampled of alpha, is a constant."""
        if self.settings.js_distribution == "softmax":
            whole = self.alpha.softmax(dim=1)
        else:
            weights = self.weights() + 1e-12  # a row of zeros is uniform
            whole = weights / weights.sum(dim=1, keepdim=True)
        part = self._sampled(sample).to(whole.dtype)
        if self.settings.runs == "pair":
            part = part * whole.detach()
            part = part / part.sum(dim=1, keepdim=True)
        return jensen_shannon(part, whole).mean()

    def weights(self) -> Tensor:
        """Eq. 3: ReLU(alpha), or what `activation` puts in its place; of the shape of alpha."""
        if self.settings.activation == "softmax":
            return self.alpha.softmax(dim=1)
        return self.alpha.sigmoid() if self.settings.activation == "sigmoid" else self.alpha.relu()

    def super_cell(self) -> Mixture:
        """Eq. 3: every operation on every edge."""
        return Mixture.full(self.weights())

    def cell(self) -> Cell:
        """What alpha is highest for: see `Space.strongest`."""
        scores = self.weights() if self.settings.activation == "softmax" else self.alpha
        best = self._allowed(scores.detach(), self.settings.result_none)
        return Cell(self.space.strongest(best.cpu().numpy()), self.space.name)

    def snapshot(self) -> dict[str, Any]:
        """alpha, the noise's range, lambda and the mean JS of the epoch's alpha steps."""
        js = (self._js_sum / self._alpha_steps).item() if self._alpha_steps else None
        return {**super().snapshot(), "noise": self.noise.item(), "lambda": self.js_weight.item(), "js": js}

    def _mixture(self, sample: Tensor) -> Mixture:
        """Eq. 5: the sampled operation's output times Eq. 3's weight of it; of a pair the sum of two such."""
        if self.learns and self.settings.runs == "super-cell":
            return self.super_cell()
        pair = self.settings.runs == "pair"
        weights = torch.full_like(self.alpha, 0.5 if pair else 1.0, requires_grad=False)
        if self.learns:
            alpha = self.weights()
            weights = alpha if self.settings.scale == "alpha" else weights + (alpha - alpha.detach())
        if pair:
            return Mixture.several(sample, weights.gather(1, sample), self.space.shape[1])
        return Mixture.path(sample, weights)

    def _sampled(self, sample: Tensor) -> Tensor:
        """Whether each operation is in the sample: bool, of the shape of alpha."""
        if sample.dim() == 1:
            return one_hot(sample, self.space.shape[1])
        return one_hot(sample[:, 0], self.space.shape[1]) | one_hot(sample[:, 1], self.space.shape[1])

    def _allowed(self, scores: Tensor, none: bool) -> Tensor:
        if not none and self.space.none is not None:
            scores = scores.clone()
            scores[:, self.space.none] = -torch.inf
        return scores


def project(alpha: Tensor) -> Tensor:
    """Eqs. 6-8: the point of [0, 1] closest to each alpha (one active operation an edge is the sample's doing).

    An alpha of 0 stays there, for the derivative of Eq. 3's ReLU at 0 is taken to be 0.
    """
    return alpha.clamp(0.0, 1.0)


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """Eq. 9 row by row, in nats: `p` and `q` of shape (n, k), rows summing to one; the result of shape (n,)."""
    middle = (p + q) / 2
    return (kullback_leibler(p, middle) + kullback_leibler(q, middle)) / 2


def kullback_leibler(p: Tensor, q: Tensor) -> Tensor:
    """Sum over a row of p log p - p log q (below Eq. 9), with 0 log 0 = 0."""
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(dim=1)
