"""Simulated searches on this machine: from names to the record of many runs. torch is imported for scores alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_stc import settings, stored
from nasbench_stc.benchmark import Benchmark
from nasbench_stc.data import DATASETS
from nasbench_stc.engine.oracle import Oracle
from nasbench_stc.engine.simulation import SIMULATIONS, Run, Score, Simulation, simulate
from nasbench_stc.errors import BadCallError, blamed, choose
from nasbench_stc.methods import Method, find
from nasbench_stc.records import simulated
from nasbench_stc.records.record import Looked
from nasbench_stc.records.simulated import SimulatedRuns, with_runs
from nasbench_stc.runs import environment, planned
from nasbench_stc.runs.folder import working
from nasbench_stc.runs.lookup import identity, scores_of
from nasbench_stc.space import check_dataset

UNTRAINED = "untrained"
"""The protocol of training-free methods: nothing is trained, the settings are those of the scores."""
PROTOCOLS = {
    "black-box": {name: preset.about for name, preset in SIMULATIONS.items()},
    "training-free": {UNTRAINED: "an untrained network of each cell and one mini-batch"},
}
"""By kind of method: the protocols that it knows, and what each is. The first is what `auto` means."""

OnRun = Callable[[int, int, int], None]
"""Called with (runs done, runs, scores in the one that goes on): after each run, and after each training-free score.
The first call, before the first run, has as `runs` how many are not kept from before."""
_EVERY = 10.0  # seconds between two writes of the record


@dataclass(frozen=True)
class SimulatedPlan(planned.Plan):
    """Runs of one method under the same settings, everything resolved."""

    oracle: Oracle | None
    """What answers; None for training-free methods."""
    benchmark: Looked

    @property
    def simulation(self) -> Simulation:
        """What a run may spend."""
        found: Simulation = self.parts.get("protocol", Simulation())
        return found

    @property
    def folder_name(self) -> str:
        """The same for the same command, whatever its seeds; another for any other setting, benchmark or source."""
        source = self.benchmark["name"], self.benchmark["sha256"]  # one file may hold several benchmarks
        key = stored.key(self.beginning, self.method.origin, self.dataset, self.protocol, *source, self.naming)
        return f"{self.beginning}-{self.dataset}-{self.protocol}-{key}"


def plan(
    method: str | Method,
    benchmark: Benchmark,
    dataset: str = "cifar10",
    protocol: str = "auto",
    changes: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> SimulatedPlan:
    """Resolve names into a plan.

    Args:
        method: of a black-box or training-free one; see `methods.find`.
        benchmark: what answers instead of trainings, and scores the cells that result.
        dataset: one of the benchmark's; for training-free methods any set of images.
        protocol: as `PROTOCOLS` has them, or `auto`.
        changes: settings that differ from the protocol's and the method's, by name.
        device: of the networks that are scored.

    Raises:
        BadCallError: something is unknown, out of range, or not held by the benchmark.
    """
    found = find(method) if isinstance(method, str) else method
    known = PROTOCOLS[found.kind]
    protocol = next(iter(known)) if protocol == "auto" else protocol
    if protocol not in known:
        raise choose(f"protocol of {found.kind} methods", protocol, ("auto", *known))
    check_dataset(dataset, DATASETS)
    trained = found.kind != "training-free"
    if found.cls.scored and not benchmark.space.has_scores:
        raise BadCallError(f"method {found.name}: training-free scores know no networks of {benchmark.space.title}")
    parts: dict[str, Any] = {"protocol": SIMULATIONS[protocol].settings} if trained else {}
    if found.cls.scored:
        from nasbench_stc.engine.scoring import Scoring  # imports torch

        parts["scores"] = Scoring()
    usual = settings.distributed({**parts, "method": found.make_settings()}, found.cls.presets.get(protocol, {}))
    asked = settings.distributed(usual, changes or {})
    oracle = None
    if trained:
        oracle = asked["protocol"].oracle(benchmark, dataset)
        for values in (usual, asked):
            values["protocol"] = values["protocol"].resolved(oracle, dataset)
    # Ours refuse settings that do not go with the benchmark: a bad call, not a mistake of the method.
    with nullcontext() if not found.origin else blamed(found.name, "before the first query"):
        budgets = () if oracle is None else oracle.budgets
        found.make(benchmark.space, asked["method"], np.random.default_rng(0), budgets)
    return SimulatedPlan(
        method=found,
        dataset=dataset,
        protocol=protocol,
        parts=asked,
        changes=settings.differing(usual, asked),
        oracle=oracle,
        benchmark=identity(benchmark),
        device=environment.choose_device(device) if found.cls.scored else "",
        space=benchmark.space.name,
    )


def run_many(
    todo: SimulatedPlan,
    benchmark: Benchmark,
    seeds: Sequence[int],
    out: Path | None,
    data_dir: str | Path | None = None,
    resume: bool = True,
    on_run: OnRun = lambda done, runs, scores: None,
) -> SimulatedRuns:
    """A run for each seed; with those that are there already, unless `resume` is false: these are run again.

    The record is written every few seconds, so that a killed command continues where it was.

    Args:
        todo: the plan.
        benchmark: that of the plan.
        seeds: of the runs.
        out: the record is in a folder below it; None keeps nothing on disk.
        data_dir: where images are.
        resume: keep what is there.
        on_run: is told how far it is.

    Raises:
        BadCallError, DataError, RunError: with what happened and what to do; runs that are done are kept.
    """
    for seed in seeds:
        settings.check_seed(seed)
    with working(out, todo.folder_name, len(seeds)) as teller:
        path = teller.folder / simulated.FILE_NAME
        kept = simulated.read(path) if path.exists() else _nothing(todo)
        left = [seed for seed in seeds if not (resume and seed in kept.seeds)]
        done: dict[int, Run] = {}

        def tell(scores: int) -> None:
            if len(done) < len(left):
                teller.step(len(done), len(left), 0, 1)
            on_run(len(done), len(left), scores)

        def keep() -> SimulatedRuns:
            if not done:
                return kept
            cells = sorted({run.incumbents[-1].cell for run in done.values()})
            made = environment.made_by(todo.method, todo.device)
            whole = with_runs(kept, done, scores_of(cells, benchmark), made)
            whole.write(teller.folder)
            return whole

        written = time.monotonic()
        try:
            for seed in left:
                tell(0)
                score = _score(todo, seed, data_dir)
                done[seed] = simulate(
                    todo.method.name, todo.make_method, todo.oracle, todo.simulation, seed, score, tell
                )
                if time.monotonic() - written > _EVERY:
                    keep()
                    written = time.monotonic()
            tell(0)
        finally:  # of an error or Ctrl-C, too
            whole = keep()
        return whole


def _score(todo: SimulatedPlan, seed: int, data_dir: str | Path | None) -> Score | None:
    if "scores" not in todo.parts:
        return None
    from nasbench_stc.runs.score import make_scorer

    return make_scorer(todo.dataset, seed, todo.parts["scores"], data_dir, todo.device)


def _nothing(todo: SimulatedPlan) -> SimulatedRuns:
    """The record before the first run."""
    untimed = todo.oracle is not None and not todo.oracle.timed
    return SimulatedRuns(
        **todo.said,
        origin=todo.method.origin,
        benchmark=todo.benchmark,
        told="scores of untrained networks" if todo.oracle is None else todo.oracle.about,
        clock="evaluations" if untimed else "seconds",
        seeds=[],
        seconds=[],
        scoring=[],
        incumbents=[],
        scores={},
        queries=simulated.NO_QUERIES,
        sessions=[],
    )
