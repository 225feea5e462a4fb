"""Scoring cells without training: one mini-batch for all of them, and for each an untrained network of its own.

A score depends on the cell, the seed, the settings and the images that the mini-batch is drawn from; neither on the
other cells nor on the order in which they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from nasbench_stc.data.images import StoredImages
from nasbench_stc.errors import BadCallError, UnknownScoreError, choose
from nasbench_stc.models import CellNetwork
from nasbench_stc.models.scores import SCORES, Untrained
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell

# Besides the seed: weights and mini-batch share no random numbers, with each other or with the split of the images.
_BATCH, _WEIGHTS = 202, 203


@dataclass(frozen=True)
class Scoring:
    """The untrained networks and the mini-batch that scores look at."""

    channels: int = setting(16, "C, channels of the first stage (the benchmark's own networks)", low=1)
    cells_per_stage: int = setting(5, "N, cells in each of the three stages (the benchmark's own networks)", low=1)
    batch_size: int = setting(
        64, "images in the mini-batch: as in Abdelfattah et al.'s and FreeREA's code; Mellor et al. take 128", low=2
    )
    images: str = setting(
        "own",
        "what the mini-batch is drawn from: the data set's own images, or those of another one (digits: embedded)",
        choices=("own", "cifar10", "cifar100", "ImageNet16-120", "digits"),
    )
    resolution: int = setting(0, "pixels a side that images are averaged down to; 0: as they are")
    init: str = setting(
        "torch",
        "the untrained weights: torch (its defaults, with which the benchmark's networks start; so Abdelfattah et al. "
        "and NAS-Bench-Suite-Zero) or kaiming (normal, fan-out, no biases; so FreeREA)",
        choices=("torch", "kaiming"),
    )


class Scorer:
    """Scores cells by name, see `SCORES`.

    Args:
        scoring: the settings.
        read: gives the images to draw the mini-batch from, and the number of classes; it is called for the first score
            that looks at a network. None: only scores that do without can be asked for.
        dataset: by name; it is what parameters and FLOPs are of.
        seed: mini-batch and weights follow from it.
        device: of the networks.
    """

    def __init__(
        self,
        scoring: Scoring,
        read: Callable[[], tuple[StoredImages, int]] | None,
        dataset: str,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.scoring, self.dataset, self.seed = scoring, dataset, seed
        self.device = torch.device(device)
        self._read = read

    def __call__(self, name: str, cell: Cell) -> float:
        """The score of that name; higher is better, -inf the lowest there is, never NaN.

        Raises:
            BadCallError: there is no such score, or the mini-batch cannot be made.
            DataError: the images are not there, or damaged.
        """
        return self.scores([name], cell)[name]

    def scores(self, names: Iterable[str], cell: Cell) -> dict[str, float]:
        """Several scores of one network, by name.

        Raises:
            BadCallError, DataError: as when called.
        """
        subject: Untrained | None = None
        found = {}
        for name in names:
            if name not in SCORES:
                raise UnknownScoreError(str(choose("score", name, SCORES)))
            score = SCORES[name]
            if score.of_cell is not None:
                found[name] = score.of_cell(cell, self.dataset)
            if score.of_network is not None:
                if not cell.of.has_scores:
                    raise BadCallError(f"the score {name} knows no networks of {cell.of.title}")
                subject = subject or Untrained(self.network(cell), *self.batch)
                value = score.of_network(subject)
                found[name] = value if value == value else -np.inf
        return found

    def network(self, cell: Cell) -> CellNetwork:
        """The cell's untrained network: drawn on the CPU, so that it is the same on every device."""
        _, _, classes = self._drawn
        own = np.random.SeedSequence([self.seed, _WEIGHTS, cell.index]).generate_state(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(own[0]))
            network = CellNetwork(cell, self.scoring.channels, self.scoring.cells_per_stage, classes)
            if self.scoring.init == "kaiming":
                network.apply(_kaiming)
        network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    @property
    def batch(self) -> tuple[Tensor, Tensor]:
        """The mini-batch, images as they are and labels, on the device."""
        images, labels, _ = self._drawn
        return images, labels

    @cached_property
    def _drawn(self) -> tuple[Tensor, Tensor, int]:
        if self._read is None:
            raise BadCallError("this score looks at images, and none were given")
        images, classes = self._read()
        size = self.scoring.batch_size
        if size > len(images):
            raise BadCallError(f"batch_size={size} is more than the {len(images)} images to draw from")
        chosen = np.random.default_rng([self.seed, _BATCH]).choice(len(images), size, replace=False)
        drawn = images.take(chosen)
        if self.scoring.resolution:
            drawn = drawn.shrink(self.scoring.resolution)
        return *next(drawn.on(self.device).batches(size)), classes


def _kaiming(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
