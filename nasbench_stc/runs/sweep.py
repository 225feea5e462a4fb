"""A sweep: the costs of methods at several depths and batch sizes, kept after each point so that it can be killed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from nasbench_stc.engine.profile import Measured, measure_method, measure_subnet, subnet_cells
from nasbench_stc.errors import BadCallError, MethodError, RunError
from nasbench_stc.records import profile
from nasbench_stc.records.profile import REPEATS, SUBNET, Point, Profile
from nasbench_stc.runs import environment
from nasbench_stc.runs.folder import claimed
from nasbench_stc.runs.launch import Plan, plan
from nasbench_stc.settings import named
from nasbench_stc.space import TSS, find_space

PROTOCOL = "paper"
OWN = ("cells_per_stage", "batch_size")
"""Settings of the protocol that a point has itself."""

OnPoint = Callable[[str, int, int], None]
"""Called before each point with (what it is, how many are done, how many there are)."""


def sweep(
    methods: Sequence[str],
    batch_sizes: Sequence[int],
    depths: Sequence[int],
    out: Path,
    device: str = "auto",
    repeats: int = REPEATS,
    on_point: OnPoint = lambda what, done, all: None,
    changes: Mapping[str, Any] | None = None,
    space: str = TSS.name,
) -> tuple[Profile, Path]:
    """Measure each of `methods`, and the subnet, at each depth and batch size; the profile and its file below `out`.

    Points that the file holds already, from the same circumstances, are not measured again. Of a space whose module has
    no networks of single cells there is no subnet.

    Args:
        methods: as `stc-bench methods` lists them.
        batch_sizes: images a step.
        depths: N, cells a stage.
        device: a torch device, or `auto`.
        repeats: measured steps of each kind; see `measure_method`.
        changes: settings of protocol or methods that differ from the protocol `paper`.
        space: that is searched, by name.

    Raises:
        BadCallError: something is unknown or out of range, or `out` cannot be written.
        DataError: the file that it would continue is damaged.
        RunError: points could not be measured; the others are kept.
    """
    of = find_space(space)
    if not of.shares_weights:
        raise BadCallError(f"{of.title} has no supernet, whose steps could be measured")
    subnet = [SUBNET] * hasattr(of.module(), "CellNetwork")
    todo: list[tuple[Point, Plan]] = []
    for depth in depths:
        for batch_size in batch_sizes:
            sizes = {**(changes or {}), "cells_per_stage": depth, "batch_size": batch_size}
            plans = [plan(method, protocol=PROTOCOL, changes=sizes, device=device, space=space) for method in methods]
            todo += [(_point(name, plans[0]), plans[0]) for name in subnet]
            todo += [(_point(each.method.name, each), each) for each in plans]
    first = todo[0][1]
    shared = {name: value for name, value in named(first.engine).items() if name not in OWN}
    versions = environment.versions(device=first.device)
    where = environment.device_name(first.device), torch.get_num_threads(), versions
    found = Profile(*where, shared, repeats, space=space)
    path = out / found.file_name
    failed = []
    with claimed(out, f"{path}: another process adds to this profile", f".{path.stem}.claim"):
        if path.exists():
            found = profile.read(path)
        for number, (point, how) in enumerate(todo):
            on_point(str(point), number, len(todo))
            if any(point.is_like(other) for other in found.points):
                continue
            try:
                measured = _measure(point.method, how, repeats)
            except (RuntimeError, MemoryError, MethodError) as error:  # as when there is no more memory
                failed.append(f"{point}: {(str(error) or type(error).__name__).splitlines()[0]}")
                if first.device.startswith("cuda"):
                    torch.cuda.empty_cache()
                continue
            point = replace(point, costs=measured.costs, steps=measured.steps, measured=environment.now())
            found = replace(found, points=[*found.points, point])
            found.write(out)
        on_point("done", len(todo), len(todo))
    if failed:
        raise RunError(
            f"{'; '.join(failed)} ({len(todo) - len(failed)} of {len(todo)} points are in {path}; the same command "
            "measures what is missing)"
        )
    return found, path


def _point(method: str, how: Plan) -> Point:
    """What is to be measured, without costs; of the subnet the protocol of the plan alone counts."""
    settings = asdict(how.parts["method"])
    if method == SUBNET:
        settings = {"cells": [str(cell) for cell in subnet_cells(find_space(how.space))]}
    size = how.engine.cells_per_stage, how.engine.batch_size
    return Point(method, *size, settings, {}, {}, environment.git_revision(), "")


def _measure(method: str, how: Plan, repeats: int) -> Measured:
    device, space = torch.device(how.device), find_space(how.space)
    if method == SUBNET:
        return measure_subnet(how.engine, device, repeats, space)
    return measure_method(how.make_method, how.engine, device, repeats, how.method.cls.on_device, space)
