"""The record of a training: what one cell's network reached, trained alone. One folder with one `training.json`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, TypedDict

from msgspec import Meta

from nasbench_stc import stored
from nasbench_stc.engine.recipe import Recipe
from nasbench_stc.records.record import Memory, check_values
from nasbench_stc.space import Cell
from nasbench_stc.stored import Count, NotNegative, Percent, Plain, Positive, Time

FILE_NAME = "training.json"


class Entry(TypedDict):
    """An epoch: losses are mean cross-entropies in nats, without what an auxiliary head adds."""

    epoch: Count
    train_loss: NotNegative
    """As the network learned: of augmented images, each before the step that it was in."""
    train_accuracy: Percent
    test_loss: NotNegative
    """Of the whole test set after the epoch."""
    test_accuracy: Percent
    test_top5: Percent
    """Whose class is among the five likeliest."""
    seconds: NotNegative


class Origin(TypedDict):
    """The search that found the cell."""

    folder: str
    """The name of its own."""
    method: str
    search_dataset: str
    seed: Count
    protocol: str


@dataclass(frozen=True)
class TrainingRecord:
    """One finished training. All values are plain (JSON) ones."""

    space: str
    cell: str
    """As its space writes it."""
    dataset: str
    seed: Count
    protocol: str
    settings: dict[str, Plain]
    """Every setting of `Recipe`."""
    changes: dict[str, Plain]
    """Those of them that differ from the protocol's own."""
    trajectory: Annotated[list[Entry], Meta(min_length=1)]
    """One entry an epoch; the last one is what counts."""
    test_accuracy: Percent
    """After the last epoch."""
    params: Positive
    """Trainable parameters, without those of an auxiliary head; so are multiply-adds."""
    mflops: NotNegative
    """Multiply-adds of one image's forward pass, in millions."""
    images: dict[str, Plain]
    """How many there were for training and for the test, their side in pixels, and their source."""
    seconds: dict[str, NotNegative]
    """Spent on `training` and `evaluation`."""
    peak_memory: Memory
    versions: dict[str, str]
    device: str
    threads: Positive
    git_revision: str
    finished: Time
    found_by: Origin | None = None
    """None: the cell was given."""
    side_by_side: Positive = 1
    """How many trainings shared the machine's processor or card; of a continued one the most."""
    schema: int = 1

    @property
    def total_seconds(self) -> float:
        """Seconds of the training, tests included."""
        return sum(self.seconds.values())

    def write(self, folder: Path) -> Path:
        """Write `training.json` into `folder`, whole or not at all."""
        return stored.write(folder / FILE_NAME, self)


def _checked(found: TrainingRecord) -> TrainingRecord:
    """What the annotations cannot say is so."""
    Cell.parse(found.cell, space=found.space)
    check_values(found.settings, Recipe())
    if [entry["epoch"] for entry in found.trajectory] != list(range(len(found.trajectory))):
        raise ValueError("its epochs are not counted from 0 on")
    if found.test_accuracy != found.trajectory[-1]["test_accuracy"]:
        raise ValueError("the test accuracy is not that of the last epoch")
    return found


read = partial(stored.read, TrainingRecord, "record of a training", "train again with --no-resume", check=_checked)
"""The training in the file at a path; raises as `stored.read`."""
