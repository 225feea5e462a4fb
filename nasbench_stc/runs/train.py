"""Training a cell's network alone: from names to a record, through a folder that survives being killed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from nasbench_stc import files, settings, stored
from nasbench_stc.data import DATASETS, readers
from nasbench_stc.data.images import BatchedImages
from nasbench_stc.engine.precision import kept_in
from nasbench_stc.engine.recipe import RECIPES, Recipe, choose_recipe
from nasbench_stc.engine.training import Training, build_network, measure_size
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.records import record, training
from nasbench_stc.records.training import Entry, Origin, TrainingRecord
from nasbench_stc.runs import environment
from nasbench_stc.runs.launcher import Watch, Way, run_all
from nasbench_stc.runs.resumable import Begun, Kind, OnStep, is_kept, run_in_folder
from nasbench_stc.space import TSS, Cell, check_dataset, find_space, space_of

NETWORK_NAME = "network.pt"
"""The weights, of a training that is done."""


@dataclass(frozen=True)
class TrainingPlan:
    """One training, everything resolved: what its folder is named by and its record says."""

    cell: Cell
    dataset: str
    seed: int
    protocol: str
    recipe: Recipe
    changes: dict[str, Any]
    device: str
    found_by: Origin | None = None

    @property
    def epochs(self) -> int:
        """Of the training."""
        return self.recipe.epochs

    @property
    def short_name(self) -> str:
        """What tells it from the others of one command."""
        found = "" if self.found_by is None else " of {method} {seed},".format(**self.found_by)
        return f"training{found} seed {self.seed}"

    @property
    def folder_name(self) -> str:
        """The same for the same cell and command, another for any other setting."""
        space = self.cell.space
        key = stored.key(space, str(self.cell), self.dataset, self.seed, self.protocol, asdict(self.recipe))
        return f"train-{space}-{self.dataset}-{self.protocol}-seed{self.seed}-{key}"


RANDOM = "random"
"""Instead of a cell: any, another for each seed; and where its record says so, what found it."""


def find_cell(text: str, space: str = TSS.name, seed: int = 0) -> tuple[Cell, Origin | None]:
    """The cell that is written there, or that the search found whose folder it is, or a random one.

    Args:
        text: a cell as its space reads it, a folder with a `record.json`, or `random`: any cell, all equally likely.
        space: of a written cell, by name. `Genotype(…)` says itself that it is of `darts`, and so does the record of a
            search.
        seed: of a random one.

    Raises:
        BadCallError: it is no cell.
        DataError: the folder has no record, or a damaged one.
    """
    if text == RANDOM:
        of = find_space(space)
        drawn = Cell(of.drawn(np.random.default_rng(seed)), space)
        return drawn, Origin(folder="", method=RANDOM, search_dataset="", seed=seed, protocol="")
    if not os.path.isdir(text):
        if os.path.dirname(text):  # no cell has a slash
            raise BadCallError(f"there is no folder {text}")
        return Cell.parse(text, space=space_of(text, space)), None
    path = Path(text) / record.FILE_NAME
    if not path.exists():
        what = "a training's folder" if (Path(text) / training.FILE_NAME).exists() else f"no {record.FILE_NAME} there"
        raise DataError(f"{text}: {what}; give that of a search that is finished and trained a supernet, or a cell")
    found = record.read(path)
    origin = Origin(
        folder=path.resolve().parent.name,
        method=found.method,
        search_dataset=found.search_dataset,
        seed=found.seed,
        protocol=found.protocol,
    )
    return Cell.parse(found.cell, space=found.space), origin


def plan(
    cell: Cell,
    dataset: str = "cifar10",
    seed: int = 0,
    protocol: str = "auto",
    changes: Mapping[str, Any] | None = None,
    device: str = "auto",
    here: bool = True,
    found_by: Origin | None = None,
) -> TrainingPlan:
    """Resolve names into a `TrainingPlan`.

    Args:
        cell: of a space that has networks.
        dataset, protocol, device: by name; `auto` chooses.
        seed: a whole number, not negative.
        changes: settings that differ from the protocol's, by name.
        here: whether the device has to be on this machine.
        found_by: the search that found the cell, for the record.

    Raises:
        BadCallError: something is unknown or out of range.
    """
    check_dataset(dataset, DATASETS)
    settings.check_seed(seed)
    device = environment.choose_device(device, here)
    protocol = choose_recipe(protocol, cell.space, dataset, device)
    usual = RECIPES[protocol].settings
    asked = settings.changed(usual, changes or {}).on(device)
    with torch.device("meta"):  # what the recipe asks for and the networks lack shows here
        build_network(cell, asked, classes=2)
    differing = settings.differing({"recipe": usual.on(device)}, {"recipe": asked})
    return TrainingPlan(cell, dataset, seed, protocol, asked, differing, device, found_by)


def is_done(todo: TrainingPlan, out: Path | None) -> bool:
    """Whether a record of this very training is below `out`, and it does not run again (`--no-resume`)."""
    return out is not None and is_kept(out / todo.folder_name / training.FILE_NAME)


def train(
    cell: Cell | str,
    dataset: str = "cifar10",
    seed: int = 0,
    protocol: str = "auto",
    *,
    space: str = TSS.name,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    resume: bool = True,
    **changes: Any,
) -> TrainingRecord:
    """Train a cell's network alone.

    Args:
        cell: the cell, or text as of `find_cell`, there with `space`.
        dataset: `cifar10`, `cifar100`, `ImageNet16-120`, `digits` or `imagenet`.
        seed: everything random follows from it.
        protocol: one of `RECIPES`, or `auto`.
        out: the folder for records and checkpoints; None keeps nothing on disk.
        data_dir: where images are; see `files.data_dir`.
        device: a torch device, or `auto`.
        resume: continue a training that was interrupted, and return one that is finished.
        changes: settings of the recipe by name.

    Raises:
        BadCallError, DataError, RunError: with what happened and what to do.
    """
    found, origin = find_cell(cell, space, seed) if isinstance(cell, str) else (cell, None)
    todo = plan(found, dataset, seed, protocol, changes, device, found_by=origin)
    return run(todo, None if out is None else Path(out), data_dir, resume)


def run(
    todo: TrainingPlan,
    out: Path | None,
    data_dir: str | Path | None = None,
    resume: bool = True,
    on_step: OnStep = lambda epoch, epochs, step, steps: None,
    side_by_side: int = 1,
) -> TrainingRecord:
    """Carry out a plan: its folder below `out` holds a checkpoint while it runs and the record when it is done.

    Args:
        todo: the plan.
        out: the training's folder is below it; None keeps nothing on disk.
        data_dir, resume: as of `train`.
        on_step: called after each step.
        side_by_side: how many trainings share the machine's processor or card, for the record.

    Raises:
        BadCallError, DataError, RunError: with what happened and what to do.
    """

    def begin() -> Begun[TrainingRecord]:
        images = open_images(todo, data_dir)
        loop = _begin(todo, images)
        return Begun(loop, loop.network, partial(_record, todo, loop, images))

    kind = Kind(training.FILE_NAME, NETWORK_NAME, training.read, begin)
    return run_in_folder(todo, kind, out, resume, on_step, side_by_side)


class TrainSets(NamedTuple):
    """The images of a training, where it takes them from."""

    train: BatchedImages
    test: BatchedImages
    classes: int
    source: str


def open_images(todo: TrainingPlan, data_dir: str | Path | None) -> TrainSets:
    """The images of a training, in its resolution.

    Raises:
        BadCallError, DataError: they are not there, damaged, or do not have that resolution.
    """
    side, device, kept = todo.recipe.resolution, torch.device(todo.device), kept_in(todo.recipe.precision)
    sets = readers.read(todo.dataset, files.data_dir(data_dir))
    train, test = ((part.shrink(side) if side else part).on(device, kept) for part in (sets.train, sets.test))
    return TrainSets(train, test, sets.classes, sets.source)


def _begin(todo: TrainingPlan, images: TrainSets) -> Training:
    batch, n = todo.recipe.batch_size, len(images.train)
    if batch > n:
        raise BadCallError(f"batch_size={batch} is more than the {n} images for training")
    return Training(todo.cell, todo.recipe, images.train, images.test, images.classes, todo.seed)


def _record(todo: TrainingPlan, loop: Training, images: TrainSets, side_by_side: int) -> TrainingRecord:
    size = measure_size(todo.cell, todo.recipe, images.classes, loop.train.side)
    trajectory = loop.progress.trajectory
    return TrainingRecord(
        space=todo.cell.space,
        cell=str(todo.cell),
        dataset=todo.dataset,
        seed=todo.seed,
        protocol=todo.protocol,
        settings=asdict(todo.recipe),
        changes=todo.changes,
        trajectory=cast(list[Entry], trajectory),
        test_accuracy=trajectory[-1]["test_accuracy"],
        params=size.params,
        mflops=size.mflops,
        images={"train": len(loop.train), "test": len(loop.test), "side": loop.train.side, "source": images.source},
        seconds=loop.progress.seconds,
        peak_memory=environment.peak_memory(todo.device),
        threads=torch.get_num_threads(),
        found_by=todo.found_by,
        side_by_side=side_by_side,
        **environment.made_by(device=todo.device),
    )


def run_many(
    plans: Sequence[TrainingPlan],
    out: Path,
    data_dir: str | Path | None = None,
    resume: bool = True,
    way: Way | None = None,
    watch: Watch | None = None,
) -> list[TrainingRecord]:
    """Carry out plans, one after another in this process, or several at a time in processes of their own.

    Args:
        plans, out, data_dir, resume: as of `run`.
        way, watch: as of `launcher.carry_out`; None: one after another, and nobody is told.

    Returns:
        The records, as of `launcher.run_all`.

    Raises:
        BadCallError, DataError, RunError: a training failed; which, where not all did. Records of others are kept.
    """
    return run_all(plans, partial(run, data_dir=data_dir), is_done, out, resume, way, watch)
