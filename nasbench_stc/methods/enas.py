"""ENAS: an LSTM draws the cells, and learns by REINFORCE which of them the supernet classifies well with.

Pham, Guan, Zoph, Le & Dean, "Efficient neural architecture search via parameter sharing", ICML 2018, Sec. 2.2 and 2.4,
with the controller and the settings of NAS-Bench-201 and NATS-Bench (`Controller` and `train_controller` in
AutoDL-Projects). Departures: the baseline moves with every sample, as in the paper (there it stands still within an
epoch); the bonus for entropy has no gradient of its own, as in the authors' code; a reward is over a batch of the
search's size (there 512).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from nasbench_stc.methods.base import Listing, Objective, OneShotMethod, Rate
from nasbench_stc.methods.selection import SelectionSettings, select
from nasbench_stc.models import Mixture
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell, Space

_DRAWN = 1e3
"""What the log probability of an operation gains by being drawn: it is above all others then."""


@dataclass(frozen=True)
class EnasSettings(SelectionSettings):
    """The selection's settings and the controller's."""

    controller_lr: float = setting(1e-3, "Adam's learning rate for the controller")
    controller_beta1: float = setting(0.5, "Adam's first momentum (NAS-Bench-201: 0)")
    controller_beta2: float = setting(0.999, "Adam's second momentum")
    controller_eps: float = setting(1e-3, "Adam's epsilon", low=1e-12)
    controller_steps: int = setting(50, "steps of the controller after each epoch of the weights", low=1)
    controller_samples: int = setting(20, "samples whose gradients make a step", low=1)
    controller_clip: float = setting(5.0, "the most that the gradient's norm may be; 0: no bound")
    entropy_weight: float = setting(1e-4, "of the entropy in the reward, which is an accuracy between 0 and 1")
    baseline_decay: float = setting(0.99, "of the moving mean of rewards", high=1)
    lstm_size: int = setting(32, "hidden units in each of two layers", low=1)
    temperature: float = setting(5.0, "divides the logits", low=1e-3)
    tanh_constant: float = setting(2.5, "bounds the logits after that")


class Draw(NamedTuple):
    """Cells, and how they came about."""

    cells: list[Cell]
    log_prob: Tensor
    """Of each, shape (n,), differentiable."""
    entropy: Tensor
    """Of each one's choices together, in nats, shape (n,)."""


class Controller(nn.Module):
    """The operation of an edge is drawn from a softmax over the output of an LSTM, which is told the one before."""

    def __init__(self, settings: EnasSettings, space: Space) -> None:
        super().__init__()
        self.space = space
        size = settings.lstm_size
        self.temperature, self.tanh_constant = settings.temperature, settings.tanh_constant
        self.start = nn.Parameter(torch.empty(1, 1, size))
        self.lstm = nn.LSTM(size, size, num_layers=2)
        self.embedding = nn.Embedding(len(space.ops), size)
        self.decode = nn.Linear(size, len(space.ops))
        first_layer = [self.lstm.get_parameter(name) for name in ("weight_hh_l0", "weight_ih_l0")]
        for parameter in (self.start, *first_layer, self.embedding.weight, self.decode.weight):
            nn.init.uniform_(parameter, -0.1, 0.1)

    def forward(self, n: int, generator: torch.Generator) -> Draw:
        """Draw `n` cells."""
        told, state = self.start.expand(1, n, -1), None
        ops, log_probs, entropies, scores = [], [], [], []
        for _ in self.space.edges:
            output, state = self.lstm(told, state)
            logits = self.tanh_constant * torch.tanh(self.decode(output[0]) / self.temperature)
            log_prob = logits.log_softmax(dim=1)
            probs = log_prob.detach().exp()
            op = torch.multinomial(probs, 1, generator=generator)
            ops.append(op)
            log_probs.append(log_prob.gather(1, op)[:, 0])
            scores.append(log_prob.detach().scatter_add(1, op, torch.full_like(log_prob, _DRAWN)))
            entropies.append(-(probs * log_prob.detach()).sum(dim=1))
            told = self.embedding(op.T)
        # The operations drawn; where the space has no such cell, the likeliest of them.
        cells = [Cell(self.space.strongest(of_cell), self.space.name) for of_cell in torch.stack(scores, dim=1).numpy()]
        return Draw(cells, torch.stack(log_probs).sum(dim=0), torch.stack(entropies).sum(dim=0))


class ENAS(OneShotMethod):
    """ENAS; see the module."""

    listing: ClassVar[Listing] = Listing(
        "ENAS",
        "ENAS: an LSTM draws cells, learns by REINFORCE (Pham et al., 2018)",
        name="enas",
        kind="one-shot",
        order=60,
    )
    Settings: ClassVar[type] = EnasSettings
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "digits": {"controller_steps": 10},  # else these would take most of the time
        "smoke": {"controller_steps": 1},
        "nas-bench-201": {
            "controller_beta1": 0.0,
            "lr": 0.05,
            "lr_min": 0.0005,
            "weight_decay": 2.5e-4,
            "batch_size": 128,
        },
    }

    def __init__(self, settings: EnasSettings, generator: torch.Generator) -> None:
        super().__init__(settings, generator)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            self.controller = Controller(settings, self.space)
        betas, eps = (settings.controller_beta1, settings.controller_beta2), settings.controller_eps
        self.adam = torch.optim.Adam(self.controller.parameters(), settings.controller_lr, betas, eps)
        self.closing_steps = settings.controller_steps * settings.controller_samples
        self.baseline: float | None = None
        self.begin_epoch(0, 1)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """The means over an epoch begin anew."""
        self._accuracies: list[float] = []
        self._entropies: list[float] = []
        self._rated: list[Tensor] = []

    def draw(self, n: int) -> list[Cell]:
        """`n` cells of the controller's."""
        with torch.no_grad():
            drawn: Draw = self.controller(n, self.generator)
        return drawn.cells

    def weight_mixture(self) -> Mixture:
        """A path of the controller's."""
        return Mixture.path(self.draw(1)[0])

    def alpha_step(self, objective: Objective) -> Tensor:
        """A sample of REINFORCE; `controller_samples` of them, drawn together, make a step of Adam."""
        samples = self.settings.controller_samples
        if not self._rated:
            self._drawn: Draw = self.controller(samples, self.generator)
        valid_loss, accuracy = objective.valid_rating(Mixture.path(self._drawn.cells[len(self._rated)]))
        self._rated.append(accuracy)
        if len(self._rated) == samples:
            self._learn(torch.stack(self._rated).tolist())  # the device is waited for once in so many samples
            self._rated = []
        return valid_loss

    def _learn(self, accuracies: list[float]) -> None:
        s, advantages = self.settings, []
        entropies = self._drawn.entropy.tolist()
        for accuracy, entropy in zip(accuracies, entropies, strict=True):
            reward = accuracy + s.entropy_weight * entropy
            self.baseline = reward if self.baseline is None else self.baseline
            self.baseline += (1 - s.baseline_decay) * (reward - self.baseline)
            advantages.append(reward - self.baseline)
        self._accuracies += accuracies
        self._entropies += entropies
        loss = -(self._drawn.log_prob * torch.tensor(advantages)).mean()
        self.adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if s.controller_clip:
            nn.utils.clip_grad_norm_(self.controller.parameters(), s.controller_clip)
        self.adam.step()

    def result(self, rate: Rate) -> Cell:
        """Among cells of the controller's the one that the supernet rates best."""
        drawn = dict.fromkeys(self.draw(self.settings.candidates))  # each once
        return select(list(drawn), rate, self.settings.select_images)

    def snapshot(self) -> dict[str, Any]:
        """Means over the epoch's samples: accuracy in percent, entropy in nats; and the baseline."""
        n = max(len(self._accuracies), 1)
        return {
            "controller_accuracy": 100 * sum(self._accuracies) / n,
            "entropy": sum(self._entropies) / n,
            "baseline": self.baseline,
        }

    def state_dict(self) -> dict[str, Any]:
        """The controller, Adam's state, the baseline."""
        return {"controller": self.controller.state_dict(), "adam": self.adam.state_dict(), "baseline": self.baseline}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.controller.load_state_dict(state["controller"])
        self.adam.load_state_dict(state["adam"])
        self.baseline = state["baseline"]
