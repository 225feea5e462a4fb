"""ENAS: an LSTM draws the cells, and learns by REINFORCE which of them the supernet classifies well with.

Pham, Guan, Zoph, Le & Dean, "Efficient neural architecture search via parameter sharing", ICML 2018, Sec. 2.2 and 2.4, with
the controller and the settings of NAS-Bench-201 and NATS-Bench (`Controller` and `train_controller` in AutoDL-Projects).
Departures: the baseline moves with every sample, as in the paper (there it stands still within an epoch); the bonus for
entropy has no gradient of its own, as in the authors' code; a reward is over a batch of the search's size (there 512).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from nasbench_stc.methods.base import Objective, OneShotMethod, Rate
from nasbench_stc.methods.selection import SelectionSettings, select
from nasbench_stc.models import Mixture
from nasbench_stc.settings import setting
from nasbench_stc.space import EDGES, OPS, Cell


@dataclass(frozen=True)
class EnasSettings(SelectionSettings):
    """The selection's settings and the controller's."""

    controller_lr: float = setting(1e-3, "Adam's learning rate for the controller")
    controller_beta1: float = setting(0.5, "Adam's first momentum (NAS-Bench-201: 0)")
    controller_beta2: float = setting(0.999, "Adam's second momentum")
    controller_eps: float = setting(1e-3, "Adam's epsilon", low=1e-12)
    controller_steps: int = setting(50, "steps of the controller after each epoch of the weights", low=1)
    controller_samples: int = setting(20, "samples whose gradients make a step", low=1)
    controller_clip: float = setting(5.0, "the most that the gradient's norm may be")
    entropy_weight: float = setting(1e-4, "of the entropy in the reward, which is an accuracy between 0 and 1")
    baseline_decay: float = setting(0.99, "of the moving mean of rewards", high=1)
    lstm_size: int = setting(32, "hidden units in each of two layers", low=1)
    temperature: float = setting(5.0, "divides the logits", low=1e-3)
    tanh_constant: float = setting(2.5, "bounds the logits after that")


class Draw(NamedTuple):
    """A cell, and how it came about."""

    cell: Cell
    log_prob: Tensor
    """0-dimensional, differentiable."""
    entropy: Tensor
    """Of the six choices together, 0-dimensional."""


class Controller(nn.Module):
    """The operation of an edge is drawn from a softmax over the output of an LSTM, which is told the one before."""

    def __init__(self, settings: EnasSettings) -> None:
        super().__init__()
        size = settings.lstm_size
        self.temperature, self.tanh_constant = settings.temperature, settings.tanh_constant
        self.start = nn.Parameter(torch.empty(1, size))
        self.lstm = nn.LSTM(size, size, num_layers=2)
        self.embedding = nn.Embedding(len(OPS), size)
        self.decode = nn.Linear(size, len(OPS))
        layer = (self.lstm.weight_hh_l0, self.lstm.weight_ih_l0)
        for parameter in (self.start, *layer, self.embedding.weight, self.decode.weight):
            nn.init.uniform_(parameter, -0.1, 0.1)

    def forward(self, generator: torch.Generator) -> Draw:
        """Draw a cell."""
        told, state = self.start, None
        ops, log_probs, entropies = [], [], []
        for _ in EDGES:
            output, state = self.lstm(told, state)
            logits = self.tanh_constant * torch.tanh(self.decode(output[0]) / self.temperature)
            log_prob = logits.log_softmax(dim=0)
            op = torch.multinomial(log_prob.detach().exp(), 1, generator=generator)
            ops.append(op.item())
            log_probs.append(log_prob[op])
            entropies.append(-(log_prob.detach().exp() * log_prob.detach()).sum())
            told = self.embedding(op)
        return Draw(Cell(tuple(map(int, ops))), torch.cat(log_probs).sum(), torch.stack(entropies).sum())


class ENAS(OneShotMethod):
    """ENAS; see the module."""

    Settings: ClassVar[type] = EnasSettings
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "nas-bench-201": {
            "controller_beta1": 0.0,
            "lr": 0.05,
            "lr_min": 0.0005,
            "weight_decay": 2.5e-4,
            "batch_size": 128,
        }
    }

    def __init__(self, settings: EnasSettings, generator: torch.Generator) -> None:
        super().__init__(settings, generator)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            self.controller = Controller(settings)
        betas = (settings.controller_beta1, settings.controller_beta2)
        self.adam = torch.optim.Adam(
            self.controller.parameters(), settings.controller_lr, betas, settings.controller_eps
        )
        self.closing_steps = settings.controller_steps * settings.controller_samples
        self.baseline: float | None = None
        self._samples = 0
        self._accuracy = self._entropy = 0.0

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """The means over an epoch begin anew."""
        self._samples, self._accuracy, self._entropy = 0, 0.0, 0.0

    def draw(self) -> Cell:
        """A cell of the controller's."""
        with torch.no_grad():
            drawn: Draw = self.controller(self.generator)
        return drawn.cell

    def weight_mixture(self) -> Mixture:
        """A path of the controller's."""
        return Mixture.path(self.draw())

    def alpha_step(self, objective: Objective) -> Tensor:
        """A sample of REINFORCE; every `controller_samples` of them make a step of Adam."""
        s = self.settings
        drawn: Draw = self.controller(self.generator)
        valid_loss, accuracy = objective.valid_rating(Mixture.path(drawn.cell))
        reward = accuracy + s.entropy_weight * drawn.entropy.item()
        if self.baseline is None:
            self.baseline = reward
        self.baseline += (1 - s.baseline_decay) * (reward - self.baseline)
        loss = -drawn.log_prob * (reward - self.baseline)
        (loss / s.controller_samples).backward()  # type: ignore[no-untyped-call]
        self._samples += 1
        self._accuracy, self._entropy = self._accuracy + accuracy, self._entropy + drawn.entropy.item()
        if self._samples % s.controller_samples == 0:
            nn.utils.clip_grad_norm_(self.controller.parameters(), s.controller_clip)
            self.adam.step()
            self.adam.zero_grad(set_to_none=True)
        return valid_loss

    def result(self, rate: Rate) -> Cell:
        """Among cells of the controller's the one that the supernet rates best."""
        drawn = dict.fromkeys(self.draw() for _ in range(self.settings.candidates))
        return select(list(drawn), rate, self.settings.select_images)

    def snapshot(self) -> dict[str, Any]:
        """Means over the epoch's samples: accuracy in percent, entropy in nats; and the baseline."""
        n = max(self._samples, 1)
        return {
            "controller_accuracy": 100 * self._accuracy / n,
            "entropy": self._entropy / n,
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
