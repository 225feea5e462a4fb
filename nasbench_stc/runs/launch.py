"""One search in this process: from names to a record, through a folder that survives being killed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nasbench_stc import files, settings
from nasbench_stc.benchmark import Benchmark
from nasbench_stc.data import DATASETS
from nasbench_stc.data.images import DeviceImages, Images
from nasbench_stc.data.readers import read as read_images
from nasbench_stc.data.splits import search_split
from nasbench_stc.engine import checkpoint
from nasbench_stc.engine.loop import Search
from nasbench_stc.engine.precision import kept_in
from nasbench_stc.engine.protocol import PROTOCOLS, Protocol, choose_protocol, named
from nasbench_stc.errors import BadCallError
from nasbench_stc.methods import Method, find
from nasbench_stc.methods.base import OneShotMethod
from nasbench_stc.runs import environment, record, status
from nasbench_stc.runs.folder import check, locked
from nasbench_stc.runs.lookup import identity, scores
from nasbench_stc.runs.record import Record
from nasbench_stc.runs.status import Teller
from nasbench_stc.space import Cell, check_dataset

OnStep = Callable[[int, int, int, int], None]
"""Called after each step with (epoch, epochs, step, steps)."""


@dataclass(frozen=True)
class Plan:
    """One run, everything resolved: what its folder is named by and its record says."""

    method: Method
    """It stands first: in a worker its file is imported before its settings are unpickled."""
    dataset: str
    seed: int
    protocol: str
    engine: Protocol
    method_settings: Any
    changes: dict[str, Any]
    device: str

    @property
    def epochs(self) -> int:
        """Of the search."""
        return self.engine.epochs

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """Every setting, by part."""
        return {"protocol": asdict(self.engine), "method": asdict(self.method_settings)}

    def make_method(self, generator: torch.Generator) -> OneShotMethod:
        """The method, which draws everything random from `generator`."""
        made: OneShotMethod = self.method.cls(self.method_settings, generator)
        return made

    @property
    def short_name(self) -> str:
        """What tells it from the others of one command."""
        changed = "".join(f" {name}={value}" for name, value in self.changes.items())
        return f"{self.method.name}{changed} seed {self.seed}"

    @property
    def folder_name(self) -> str:
        """The same for the same command, another for any other setting."""
        names = [self.method.name, self.dataset, self.seed, self.protocol]
        settings = {**self.settings, "protocol": named(self.engine)}
        everything = [*names, settings, *([self.method.origin] if self.method.origin else [])]
        key = hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.method.name}-{self.dataset}-{self.protocol}-seed{self.seed}-{key}"


def plan(
    method: str | Method,
    dataset: str = "cifar10",
    seed: int = 0,
    protocol: str = "auto",
    changes: Mapping[str, Any] | None = None,
    device: str = "auto",
    here: bool = True,
) -> Plan:
    """Resolve names into a `Plan`.

    Args:
        method: of a one-shot one; see `methods.find`.
        dataset, protocol, device: by name; `auto` chooses.
        here: whether the device has to be on this machine.
        seed: a whole number, not negative.
        changes: settings that differ from the protocol's and the method's, by name.

    Raises:
        BadCallError: something is unknown or out of range.
    """
    found = find(method) if isinstance(method, str) else method
    if found.kind != "one-shot":
        raise BadCallError(f"method {found.name} is {found.kind}: it trains no supernet")
    check_dataset(dataset, DATASETS)
    device = environment.choose_device(device, here)
    protocol = choose_protocol(protocol, dataset, device)
    settings.check_seed(seed)
    parts = {"protocol": PROTOCOLS[protocol].settings, "method": found.make_settings()}
    usual = settings.distributed(parts, found.cls.presets.get(protocol, {}))
    asked = settings.distributed(usual, changes or {})
    for values in (usual, asked):
        values["protocol"] = values["protocol"].on(device)
    differing = settings.differing(usual, asked)
    return Plan(found, dataset, seed, protocol, asked["protocol"], asked["method"], differing, device)


def is_done(todo: Plan, out: Path | None) -> bool:
    """Whether a record of this very run is below `out`."""
    return out is not None and (out / todo.folder_name / record.FILE_NAME).exists()


def run(
    todo: Plan,
    benchmark: Benchmark,
    out: Path | None,
    data_dir: str | Path | None = None,
    resume: bool = True,
    on_step: OnStep = lambda epoch, epochs, step, steps: None,
    side_by_side: int = 1,
) -> Record:
    """Carry out a plan: its folder below `out` holds a checkpoint while it runs and the record when it is done.

    Args:
        todo: the plan.
        benchmark: what says how good the cell is.
        out: the run's folder is below it; None keeps nothing on disk.
        data_dir: where images are; see `files.data_dir`.
        resume: continue a run that was interrupted, and return one that is finished.
        on_step: called after each step.
        side_by_side: how many searches share the machine's processor or card, for the record.

    Raises:
        BadCallError, DataError, RunError: with what happened and what to do.
    """
    if out is None:
        return _finish(todo, benchmark, *train(todo, None, data_dir, on_step, side_by_side))
    folder = out / todo.folder_name
    with locked(folder) as claim:

        def on_step_of_ours(epoch: int, epochs: int, step: int, steps: int) -> None:
            check(claim)
            on_step(epoch, epochs, step, steps)

        return _run_in(folder, todo, benchmark, data_dir, resume, on_step_of_ours, side_by_side)


def _run_in(
    folder: Path,
    todo: Plan,
    benchmark: Benchmark,
    data_dir: str | Path | None,
    resume: bool,
    on_step: OnStep,
    side_by_side: int,
) -> Record:
    kept, saved = folder / record.FILE_NAME, folder / checkpoint.FILE_NAME
    if resume and kept.exists():
        done = record.read(kept)
        (folder / status.FILE_NAME).unlink(missing_ok=True)  # of a job that was to do it again
        if all(done.benchmark[key] == identity(benchmark)[key] for key in ("name", "sha256")):
            return done
        again = replace(done, scores=scores(Cell.parse(done.cell), benchmark), benchmark=identity(benchmark))
        if again.scores.keys() >= done.scores.keys():  # else the record would lose columns: it stays as it is
            again.write(folder)
        return again
    if not resume:
        saved.unlink(missing_ok=True)
    with status.telling(folder, todo.engine.epochs) as teller:
        search, split, side_by_side = train(todo, saved, data_dir, on_step, side_by_side, teller)
        result = _finish(todo, benchmark, search, split, side_by_side)
        checkpoint.save(folder / checkpoint.SUPERNET_NAME, search.supernet.state_dict())  # for who ranks cells with it
        result.write(folder)
        saved.unlink(missing_ok=True)
    return result


def train(
    todo: Plan,
    saved: Path | None,
    data_dir: str | Path | None,
    on_step: OnStep,
    side_by_side: int = 1,
    teller: Teller | None = None,
) -> tuple[Search, dict[str, Any], int]:
    """All epochs, from the checkpoint `saved` on if there is one.

    Returns:
        The search; how its images were split; how many ran side by side, now or before the checkpoint, the most.
    """
    images = read_halves(todo.dataset, todo.engine, todo.seed, data_dir)
    device = torch.device(todo.device)

    batch = todo.engine.batch_size
    fewest = min(len(images.for_weights), len(images.for_alpha))
    if batch > fewest:
        raise BadCallError(f"batch_size={batch} is more than the {fewest} images for weights or alpha")
    kept = kept_in(todo.engine.precision)
    search = Search(
        todo.make_method,
        todo.engine,
        DeviceImages(images.for_weights, device, kept),
        DeviceImages(images.for_alpha, device, kept),
        images.classes,
        todo.seed,
        todo.method.name,
        todo.method.cls.on_device,
    )
    if saved is not None and saved.exists():
        state = checkpoint.load(saved)
        search.load_state_dict(state)
        side_by_side = max(side_by_side, state.get("side_by_side", 1))
    before = sum(search.progress.seconds.values())

    def tick(epoch: int, step: int) -> None:
        on_step(epoch, todo.engine.epochs, step, search.ticks)
        if teller is not None:
            loss = search.progress.trajectory[-1]["train_loss"] if search.epoch else None
            teller.step(epoch, todo.engine.epochs, step, search.ticks, loss, before)

    while not search.done:
        search.run_epoch(tick)
        if saved is not None:
            checkpoint.save(saved, {**search.state_dict(), "side_by_side": side_by_side})
    return search, images.split, side_by_side


class Halves(NamedTuple):
    """What a search learns from, in the protocol's resolution."""

    for_weights: Images
    for_alpha: Images
    """The validation images."""
    split: dict[str, Any]
    """How they were split, their numbers, a checksum of which is where, and their files."""
    classes: int


def read_halves(dataset: str, engine: Protocol, seed: int, data_dir: str | Path | None) -> Halves:
    """The images of a search on `dataset` under that protocol and seed: always the same.

    Raises:
        BadCallError, DataError: they are not there, damaged, or do not have that resolution.
    """
    sets = read_images(dataset, files.data_dir(data_dir))
    for_weights, for_alpha, split = search_split(sets, engine.split, seed)
    if engine.resolution:
        for_weights, for_alpha = (part.shrink(engine.resolution) for part in (for_weights, for_alpha))
    return Halves(for_weights, for_alpha, {**split, "source": sets.source}, sets.classes)


def _finish(todo: Plan, benchmark: Benchmark, search: Search, split: dict[str, Any], side_by_side: int) -> Record:
    cell, supernet = search.result()
    return Record(
        method=todo.method.name,
        search_dataset=todo.dataset,
        seed=todo.seed,
        protocol=todo.protocol,
        settings=todo.settings,
        changes=todo.changes,
        cell=str(cell),
        trajectory=search.progress.trajectory,
        supernet=supernet,
        scores=scores(cell, benchmark),
        benchmark=identity(benchmark),
        seconds=search.progress.seconds,
        peak_memory=environment.peak_memory(todo.device),
        split=split,
        versions=environment.versions(todo.method, todo.device),
        device=environment.device_name(todo.device),
        threads=torch.get_num_threads(),
        git_revision=environment.git_revision(),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        title=todo.method.listing.title,
        order=todo.method.listing.order,
        side_by_side=side_by_side,
    )
