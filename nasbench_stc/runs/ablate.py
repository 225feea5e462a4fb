"""Carrying out an ablation: its arms as plans of searches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nasbench_stc.benchmark import Benchmark, open_benchmark
from nasbench_stc.engine.protocol import choose_protocol
from nasbench_stc.errors import BadCallError
from nasbench_stc.runs import environment, launch, launcher
from nasbench_stc.runs.ablation import find_ablation
from nasbench_stc.runs.record import Record


def plans(
    name: str,
    dataset: str = "",
    seeds: Sequence[int] = (),
    protocol: str = "auto",
    device: str = "auto",
    here: bool = True,
) -> list[launch.Plan]:
    """The searches that an ablation compares, seed by seed.

    Args:
        name: one of `ABLATIONS`.
        dataset, seeds: empty: the ablation's own.
        protocol, device: by name; `auto` chooses.
        here: whether the device has to be on this machine.

    Raises:
        BadCallError: something is unknown or out of range.
    """
    ablation = find_ablation(name)
    dataset = dataset or ablation.dataset
    device = environment.choose_device(device, here)
    protocol = choose_protocol(protocol, dataset, device)
    if protocol not in ablation.protocols:
        raise BadCallError(f"ablation {name} is of the protocols {', '.join(ablation.protocols)}: give --protocol")
    return [
        launch.plan(arm.method, arm.dataset or dataset, seed, protocol, arm.changes, device, here)
        for seed in seeds or ablation.seeds
        for arm in ablation.of(dataset, protocol)
    ]


def ablate(
    name: str,
    dataset: str = "",
    seeds: Sequence[int] = (),
    protocol: str = "auto",
    *,
    out: str | Path | None = None,
    benchmark: str | Path | Benchmark = "auto",
    data_dir: str | Path | None = None,
    device: str = "auto",
    resume: bool = True,
) -> list[Record]:
    """Run an ablation and look its cells up; runs whose record is below `out` already are not run again.

    Args:
        name, dataset, seeds, protocol, device: as of `plans`.
        out, benchmark, data_dir, resume: as of `search`.

    Raises:
        BadCallError, DataError, RunError: with what happened and what to do.
    """
    todo = plans(name, dataset, seeds, protocol, device)
    opened = open_benchmark(benchmark, data_dir) if isinstance(benchmark, (str, Path)) else benchmark
    return launcher.run_many(todo, opened, None if out is None else Path(out), data_dir, resume)
