"""Scores without training on this machine: from names to a scorer, and many cells with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import settings
from nasbench_stc.data import DATASETS
from nasbench_stc.data.images import StoredImages
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.engine.scoring import Scorer, Scoring
from nasbench_stc.runs import environment, launch
from nasbench_stc.space import Cell, check_dataset


def make_scorer(
    dataset: str = "cifar10",
    seed: int = 0,
    scoring: Scoring | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    changes: Mapping[str, Any] | None = None,
) -> Scorer:
    """A scorer whose mini-batch is drawn from the images that a search with that seed trains weights on.

    Args:
        dataset: `cifar10`, `cifar100`, `ImageNet16-120`, `digits` or `imagenet`.
        seed: split, mini-batch and weights follow from it.
        scoring: the settings; None: the defaults.
        data_dir: where images are, looked for when a score needs them; see `files.data_dir`.
        device: a torch device, or `auto`.
        changes: settings by name.

    Raises:
        BadCallError: something is unknown or out of range.
    """
    check_dataset(dataset, DATASETS)
    settings.check_seed(seed)
    chosen = settings.changed(scoring or Scoring(), changes or {})

    def read() -> tuple[StoredImages, int]:
        images = dataset if chosen.images == "own" else chosen.images
        halves = launch.read_halves(images, Protocol(), seed, data_dir)
        return halves.for_weights, halves.classes

    return Scorer(chosen, read, dataset, seed, environment.choose_device(device))


def score_cells(
    scorer: Scorer,
    names: Sequence[str],
    cells: Sequence[Cell],
    tick: Callable[[int, int], None] = lambda done, cells: None,
) -> Mapping[str, NDArray[np.float64]]:
    """Each score of all cells, by name, shape `(len(cells),)`.

    Args:
        tick: is told how many cells are done, of how many.

    Raises:
        BadCallError, DataError: as of `Scorer`.
    """
    found = {name: np.empty(len(cells)) for name in names}
    for number, cell in enumerate(cells):
        for name, value in scorer.scores(names, cell).items():
            found[name][number] = value
        tick(number + 1, len(cells))
    return found
