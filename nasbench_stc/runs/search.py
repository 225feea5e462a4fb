"""`search`: one run of any method, from names to its record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasbench_stc.benchmark import Benchmark, open_benchmark
from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.errors import BadCallError
from nasbench_stc.methods import find
from nasbench_stc.records.record import Record
from nasbench_stc.runs import simulate
from nasbench_stc.space import TSS


def protocols(kind: str) -> dict[str, str]:
    """What `protocol` may be for methods of a kind: by name what it is."""
    if kind == "one-shot":
        return {name: preset.about for name, preset in PROTOCOLS.items()}
    return simulate.PROTOCOLS[kind]


def search(
    method: str,
    dataset: str = "cifar10",
    seed: int = 0,
    protocol: str = "auto",
    *,
    out: str | Path | None = None,
    benchmark: str | Path | Benchmark = "auto",
    data_dir: str | Path | None = None,
    device: str = "auto",
    resume: bool = True,
    space: str = TSS.name,
    **changes: Any,
) -> Record:
    """Run one search and look the cell up.

    Args:
        method: as `stc-bench methods` lists them, `path/to/file.py:Name` or `optuna:TPESampler`.
        dataset: `cifar10`, `cifar100`, `ImageNet16-120`, or for methods that train or score networks `digits` or
            `imagenet`.
        seed: everything random follows from it.
        protocol: as `stc-bench methods NAME` lists them, or `auto`.
        out: the folder for records and checkpoints; None keeps nothing on disk.
        benchmark: what says how good the cell is, and answers black-box methods; see `open_benchmark`.
        data_dir: where images and benchmarks are; see `files.data_dir`.
        device: a torch device, or `auto`.
        resume: continue a run that was interrupted, and return one that is finished.
        space: that is searched: `tss` (NAS-Bench-201), `darts` or `sss`.
        changes: settings by name.

    Raises:
        BadCallError, DataError, RunError: with what happened and what to do.
    """
    found = find(method)
    opened = open_benchmark(benchmark, data_dir, space) if isinstance(benchmark, (str, Path)) else benchmark
    if opened.space.name != space:
        raise BadCallError(f"the benchmark {opened.name} is of {opened.space.title}, not of the space {space!r}")
    folder = None if out is None else Path(out)
    if found.kind == "one-shot":
        from nasbench_stc.runs import launch  # imports torch

        todo = launch.plan(found, dataset, seed, protocol, changes, device, space=space)
        return launch.run(todo, opened, folder, data_dir, resume)
    runs = simulate.plan(found, opened, dataset, protocol, changes, device)
    return simulate.run_many(runs, opened, [seed], folder, data_dir, resume).records([seed])[0]
