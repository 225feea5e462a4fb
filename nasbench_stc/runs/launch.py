"""One search in this process: from names to a record, through a folder that survives being killed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch

from nasbench_stc import files, settings, stored
from nasbench_stc.benchmark import Benchmark
from nasbench_stc.data import DATASETS
from nasbench_stc.data.images import StoredImages
from nasbench_stc.data.readers import read as read_images
from nasbench_stc.data.splits import search_split
from nasbench_stc.engine import checkpoint
from nasbench_stc.engine.loop import Search
from nasbench_stc.engine.precision import kept_in
from nasbench_stc.engine.protocol import PROTOCOLS, Protocol, choose_protocol
from nasbench_stc.errors import BadCallError
from nasbench_stc.methods import Method, find
from nasbench_stc.records import record
from nasbench_stc.records.record import Record, Supernet
from nasbench_stc.runs import environment, planned
from nasbench_stc.runs.lookup import identity, scores
from nasbench_stc.runs.resumable import Begun, Kind, OnStep, is_kept, run_in_folder
from nasbench_stc.space import TSS, Cell, check_dataset, find_space


@dataclass(frozen=True)
class Plan(planned.Plan):
    """One run, everything resolved."""

    seed: int

    @property
    def epochs(self) -> int:
        """Of the search."""
        return self.engine.epochs

    @property
    def engine(self) -> Protocol:
        """How the supernet is trained."""
        found: Protocol = self.parts["protocol"]
        return found

    @property
    def short_name(self) -> str:
        """What tells it from the others of one command."""
        changed = "".join(f" {name}={value}" for name, value in self.changes.items())
        return f"{self.method.name}{changed} seed {self.seed}"

    @property
    def folder_name(self) -> str:
        """The same for the same command, another for any other setting."""
        origin = [self.method.origin] if self.method.origin else []
        key = stored.key(self.beginning, self.dataset, self.seed, self.protocol, self.naming, *origin)
        return f"{self.beginning}-{self.dataset}-{self.protocol}-seed{self.seed}-{key}"


def plan(
    method: str | Method,
    dataset: str = "cifar10",
    seed: int = 0,
    protocol: str = "auto",
    changes: Mapping[str, Any] | None = None,
    device: str = "auto",
    here: bool = True,
    space: str = TSS.name,
) -> Plan:
    """Resolve names into a `Plan`.

    Args:
        method: of a one-shot one; see `methods.find`.
        dataset, protocol, device: by name; `auto` chooses.
        here: whether the device has to be on this machine.
        seed: a whole number, not negative.
        changes: settings that differ from the protocol's and the method's, by name.
        space: that is searched, by name.

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
    of = find_space(space)
    in_space = settings.changed(PROTOCOLS[protocol].settings, of.differing(protocol, dataset))
    parts = {"protocol": in_space, "method": found.make_settings()}
    usual = settings.distributed(parts, found.cls.presets.get(protocol, {}))
    asked = settings.distributed(usual, changes or {})
    for values in (usual, asked):
        values["protocol"] = values["protocol"].on(device, of)
    return Plan(found, dataset, protocol, asked, settings.differing(usual, asked), device, space, seed)


def is_done(todo: Plan, out: Path | None) -> bool:
    """Whether a record of this very run is below `out`, and it does not run again (`--no-resume`)."""
    return out is not None and is_kept(out / todo.folder_name / record.FILE_NAME)


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
        side_by_side: how many searches share the machine's processor or card, for the record; of a continued one the
            most.

    Raises:
        BadCallError, DataError, RunError: with what happened and what to do.
    """

    def begin() -> Begun[Record]:
        images = read_halves(todo.dataset, todo.engine, todo.seed, data_dir)
        search = _begin(todo, images)
        return Begun(search, search.supernet, partial(_record, todo, search, images.split, benchmark))

    kind = Kind(record.FILE_NAME, checkpoint.SUPERNET_NAME, lambda kept: _looked_up(kept, benchmark), begin)
    return run_in_folder(todo, kind, out, resume, on_step, side_by_side)


def _looked_up(kept: Path, benchmark: Benchmark) -> Record:
    """The record of a finished run, with what this benchmark says of its cell."""
    done, own = record.read(kept), identity(benchmark)
    if (done.benchmark["name"], done.benchmark["sha256"]) == (own["name"], own["sha256"]):
        return done
    again = replace(done, scores=scores(Cell.parse(done.cell, space=done.space), benchmark), benchmark=own)
    if again.scores.keys() >= done.scores.keys():  # else the record would lose columns: it stays as it is
        again.write(kept.parent)
    return again


def _begin(todo: Plan, images: Halves) -> Search:
    device = torch.device(todo.device)
    batch, fewest = todo.engine.batch_size, min(len(images.for_weights), len(images.for_alpha))
    if batch > fewest:
        raise BadCallError(f"batch_size={batch} is more than the {fewest} images for weights or alpha")
    kept = kept_in(todo.engine.precision)
    return Search(
        todo.make_method,
        todo.engine,
        images.for_weights.on(device, kept),
        images.for_alpha.on(device, kept),
        images.classes,
        todo.seed,
        todo.method.name,
        todo.method.cls.on_device,
        find_space(todo.space),
    )


class Halves(NamedTuple):
    """What a search learns from, in the protocol's resolution."""

    for_weights: StoredImages
    for_alpha: StoredImages
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
    for_weights, for_alpha, split = search_split(sets, engine.split, seed, engine.share)
    if engine.resolution:
        for_weights, for_alpha = (part.shrink(engine.resolution) for part in (for_weights, for_alpha))
    return Halves(for_weights, for_alpha, {**split, "source": sets.source}, sets.classes)


def _record(todo: Plan, search: Search, split: dict[str, Any], benchmark: Benchmark, side_by_side: int) -> Record:
    cell, supernet = search.result()
    return Record(
        **todo.said,
        seed=todo.seed,
        cell=str(cell),
        trajectory=search.progress.trajectory,
        supernet=cast(Supernet, supernet),
        scores=scores(cell, benchmark),
        benchmark=identity(benchmark),
        seconds=search.progress.seconds,
        peak_memory=environment.peak_memory(todo.device),
        split=split,
        threads=torch.get_num_threads(),
        side_by_side=side_by_side,
        **environment.made_by(todo.method, todo.device),
    )
