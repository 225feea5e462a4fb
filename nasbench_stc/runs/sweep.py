"""A sweep: the costs of methods at several depths and batch sizes, kept after each point so that it can be killed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nasbench_stc.engine.profile import Measured, measure_method, measure_subnet, subnet_cells
from nasbench_stc.engine.protocol import named
from nasbench_stc.errors import MethodError, RunError
from nasbench_stc.runs import environment, profile
from nasbench_stc.runs.folder import claimed
from nasbench_stc.runs.launch import Plan, plan
from nasbench_stc.runs.profile import REPEATS, SUBNET, Point, Profile

PROTOCOL = "paper"
OWN = ("cells_per_stage", "batch_size")
"""Settings of the protocol that a point has itself."""

OnPoint = Callable[[str, int, int], None]
"""Called before each point with (what it is, how many are done, how many there are)."""


class _Todo(NamedTuple):
    """One point to measure: `method` under `plan`; of the subnet the protocol of the plan alone."""

    method: str
    plan: Plan

    def __str__(self) -> str:
        engine = self.plan.engine
        return f"{self.method}, N={engine.cells_per_stage}, batch size {engine.batch_size}"

    @property
    def settings(self) -> dict[str, Any]:
        if self.method == SUBNET:
            return {"cells": [str(cell) for cell in subnet_cells()]}
        return asdict(self.plan.parts["method"])

    def is_in(self, done: Profile) -> bool:
        engine = self.plan.engine
        wanted = (self.method, engine.cells_per_stage, engine.batch_size, self.settings)
        return any(wanted == (p.method, p.cells_per_stage, p.batch_size, p.settings) for p in done.points)

    def measure(self, repeats: int) -> Point:
        engine, device = self.plan.engine, torch.device(self.plan.device)

        measured: Measured = (
            measure_subnet(engine, device, repeats)
            if self.method == SUBNET
            else measure_method(self.plan.make_method, engine, device, repeats, self.plan.method.cls.on_device)
        )
        return Point(
            method=self.method,
            cells_per_stage=engine.cells_per_stage,
            batch_size=engine.batch_size,
            settings=self.settings,
            costs=measured.costs,
            steps=measured.steps,
            git_revision=environment.git_revision(),
            measured=environment.now(),
        )


def sweep(
    methods: Sequence[str],
    batch_sizes: Sequence[int],
    depths: Sequence[int],
    out: Path,
    device: str = "auto",
    repeats: int = REPEATS,
    on_point: OnPoint = lambda what, done, all: None,
    changes: Mapping[str, Any] | None = None,
) -> tuple[Profile, Path]:
    """Measure each of `methods`, and the subnet, at each depth and batch size; the profile and its file below `out`.

    Points that the file holds already, from the same circumstances, are not measured again.

    Args:
        methods: as `stc-bench methods` lists them.
        batch_sizes: images a step.
        depths: N, cells a stage.
        device: a torch device, or `auto`.
        repeats: measured steps of each kind; see `measure_method`.
        changes: settings of protocol or methods that differ from the protocol `paper`.

    Raises:
        BadCallError: something is unknown or out of range, or `out` cannot be written.
        DataError: the file that it would continue is damaged.
        RunError: points could not be measured; the others are kept.
    """
    todo = []
    for depth in depths:
        for batch_size in batch_sizes:
            sizes = {**(changes or {}), "cells_per_stage": depth, "batch_size": batch_size}
            plans = [plan(method, protocol=PROTOCOL, changes=sizes, device=device) for method in methods]
            todo += [_Todo(SUBNET, plans[0]), *(_Todo(each.method.name, each) for each in plans)]
    first = todo[0].plan
    shared = {name: value for name, value in named(first.engine).items() if name not in OWN}
    versions = environment.versions(device=first.device)
    where = environment.device_name(first.device), torch.get_num_threads(), versions
    found = Profile(*where, shared, repeats)
    path = out / found.file_name
    failed = []
    with claimed(out, f"{path}: another process adds to this profile", f".{path.stem}.claim"):
        if path.exists():
            found = profile.read(path)
        for number, point in enumerate(todo):
            on_point(str(point), number, len(todo))
            if point.is_in(found):
                continue
            try:
                measured = point.measure(repeats)
            except (RuntimeError, MemoryError, MethodError) as error:  # as when there is no more memory
                failed.append(f"{point}: {(str(error) or type(error).__name__).splitlines()[0]}")
                if first.device.startswith("cuda"):
                    torch.cuda.empty_cache()
                continue
            found = replace(found, points=[*found.points, measured])
            found.write(out)
        on_point("done", len(todo), len(todo))
    if failed:
        raise RunError(
            f"{'; '.join(failed)} ({len(todo) - len(failed)} of {len(todo)} points are in {path}; the same command "
            "measures what is missing)"
        )
    return found, path
