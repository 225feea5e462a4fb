"""The one ask/tell loop: a benchmark answers instead of a training, and a clock counts what the training took.

As NATS-Bench does it (`simulate_train_eval` of its API): a query costs the seconds of the cell's training and of one
evaluation on the validation images, and is answered by the validation accuracy of one of the benchmark's own training
seeds, drawn anew each time. A run ends with the last answer that its budget pays for (NATS-Bench's tables interpolate
between the answers before and after the budget instead). Nothing here imports torch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from nasbench_stc.benchmark import Benchmark
from nasbench_stc.engine.oracle import Epochs, Oracle
from nasbench_stc.errors import BadCallError, MethodError, RunError, UnknownScoreError, blamed
from nasbench_stc.methods.blackbox import BlackBoxMethod, Query
from nasbench_stc.settings import setting
from nasbench_stc.space import Cell, Space

Score = Callable[[str, Cell], float]
"""A training-free score, by its name, of a cell's untrained network; higher is better."""
MakeMethod = Callable[[np.random.Generator, tuple[Epochs, ...]], BlackBoxMethod]

BUDGETS = {"cifar10": 20_000.0, "cifar100": 40_000.0, "ImageNet16-120": 120_000.0}
"""Seconds by data set, of NATS-Bench's published runs (`run-all.sh` in AutoDL-Projects)."""
_UNTIMED = 200  # trainings, where the benchmark has no times: about what 20,000 s pay for on CIFAR-10
_MOST = 150_000  # scores of one run: they cost no simulated time, so that it might never end


@dataclass(frozen=True)
class Simulation:
    """What a run may spend, and what it is told. Defaults: NATS-Bench's."""

    budget: float = setting(
        0.0,
        "simulated seconds of training and evaluation; 0: NATS-Bench's 20,000 (cifar10), 40,000 (cifar100) or 120,000 "
        "(ImageNet16-120), or none where evaluations are limited",
        high=1e9,
    )
    evaluations: int = setting(0, f"trainings at most; 0: no limit, or {_UNTIMED} where the benchmark has no times")
    epochs: int = setting(
        12, "of the training that a query means (NATS-Bench's); a source that has one training only takes that", low=1
    )
    accuracy: str = setting(
        "seed",
        "what is told: the accuracy of one training seed, where the benchmark has them, or the mean over seeds",
        choices=("seed", "mean"),
    )

    def oracle(self, benchmark: Benchmark, dataset: str) -> Oracle:
        """The benchmark as these settings ask it; see `Oracle`."""
        return Oracle(benchmark, dataset, self.epochs, self.accuracy == "seed")

    def resolved(self, oracle: Oracle, dataset: str) -> Simulation:
        """The same with what its zeros mean there.

        Raises:
            BadCallError: seconds were asked for where there are none.
        """
        if oracle.timed:
            return replace(self, budget=self.budget or (0.0 if self.evaluations else BUDGETS[dataset]))
        if self.budget:
            raise BadCallError(
                f"budget={self.budget:g}: the benchmark has no training times; limit the number of trainings instead "
                "(--protocol nats-bench --set evaluations=…)"
            )
        return replace(self, evaluations=self.evaluations or _UNTIMED)


class Preset(NamedTuple):
    """A protocol of simulated runs by name: its settings, and what it is."""

    settings: Simulation
    about: str


SIMULATIONS = {
    "nats-bench": Preset(
        Simulation(),
        "simulated trainings; where the benchmark has such, NATS-Bench's: 12 epochs each, 20,000 / 40,000 / 120,000 s "
        "in all by data set",
    ),
    "nas-bench-201": Preset(
        Simulation(budget=12_000), "simulated trainings; NAS-Bench-201's: 12 epochs each, 12,000 s in all"
    ),
    "smoke": Preset(Simulation(evaluations=12), "a dozen simulated trainings: shows that everything runs"),
}


class Incumbent(NamedTuple):
    """The best cell so far, from an answer on."""

    evaluation: int
    """Of which answer, from 1."""
    seconds: float
    """Simulated, when it came."""
    cell: int
    """Official index."""


@dataclass
class Run:
    """A run as it went. Lists have one entry an answer, in order."""

    cells: list[int] = field(default_factory=list)
    """Official indices."""
    asked: list[int | str | None] = field(default_factory=list)
    """Epochs of the training (None: of unknown length), or the name of a score."""
    seeds: list[int | None] = field(default_factory=list)
    """Of the training whose accuracy was told; None: the mean over seeds, or a score."""
    incumbents: list[Incumbent] = field(default_factory=list)
    """Each time that the best cell changed. Longer trainings count before shorter ones, and these before scores."""
    seconds: float = 0.0
    """Simulated, of all trainings and evaluations."""
    scoring: float = 0.0
    """Seconds that training-free scores took on this machine."""

    def add(self, query: Query, asked: int | str | None, seed: int | None) -> None:
        """An answer came."""
        self.cells.append(query.cell.index)
        self.asked.append(asked)
        self.seeds.append(seed)


def simulate(
    name: str,
    make_method: MakeMethod,
    oracle: Oracle | None,
    simulation: Simulation,
    seed: int,
    score: Score | None = None,
    on_score: Callable[[int], None] = lambda scores: None,
) -> Run:
    """One run from its first to its last answer; it depends on nothing but the arguments.

    Args:
        name: of the method, for messages.
        make_method: builds it from its generator and the trainings that it may ask for.
        oracle: what answers; None where nothing is trained.
        simulation: what the run may spend, resolved.
        seed: everything random follows from it.
        score: gives training-free scores; None where there are none.
        on_score: is told after each of them, which takes a while, how many there were.

    Raises:
        MethodError: the method made a mistake; the message says at which query.
        RunError: the budget pays for no training at all.
    """
    method_seed, oracle_seed = np.random.SeedSequence(seed).generate_state(2)
    draws = np.random.default_rng(oracle_seed)  # what is told does not depend on what the method draws
    budgets = () if oracle is None else oracle.budgets
    with blamed(name, f"seed {seed}, before the first query"):
        method = make_method(np.random.default_rng(method_seed), budgets)
    run, best, trainings = Run(), (-math.inf, -math.inf), 0
    while not (simulation.evaluations and trainings == simulation.evaluations):
        at = f"seed {seed}, query {len(run.cells) + 1}"
        with blamed(name, f"{at}, ask"):
            query = _checked(method.ask(), method.space, budgets)
        if query is None:
            break
        if query.score:
            if len(run.cells) - trainings == _MOST:
                raise MethodError(f"method {name}: {at}, ask: it does not end: it had {_MOST:,} scores")
            begun = time.perf_counter()
            value = _scored(name, at, query, score)
            run.scoring += time.perf_counter() - begun
            run.add(query, query.score, None)
            on_score(len(run.cells) - trainings)
            quality = -1.0, value
        elif oracle is None:
            raise MethodError(f"method {name}: {at}, ask: it asked for a training, and there are none here")
        else:
            epochs = oracle.usual if query.epochs is None else query.epochs
            answers = oracle.answers(query.cell.index, epochs)
            answer = answers[0] if len(answers) == 1 else answers[draws.integers(len(answers))]
            if simulation.budget and run.seconds + answer.seconds > simulation.budget:
                break
            trainings += 1
            run.seconds += answer.seconds
            run.add(query, epochs, answer.seed)
            value = answer.accuracy
            quality = float(epochs or 0), value
        if quality > best or not run.incumbents:
            best = quality
            run.incumbents.append(Incumbent(len(run.cells), run.seconds, run.cells[-1]))
        with blamed(name, f"{at}, tell"):
            method.tell(query, value)
    if not run.incumbents:
        if query is None:
            raise MethodError(f"method {name}: seed {seed}: it asked nothing")
        raise RunError(f"budget={simulation.budget:g}: pays for no training, the first one took {answer.seconds:.0f} s")
    return run


def _checked(asked: object, space: Space, budgets: tuple[Epochs, ...]) -> Query | None:
    """What `ask` returned as a query of a cell of the space."""
    if asked is None:
        return None
    query = Query(asked) if isinstance(asked, Cell) else asked
    if not isinstance(query, Query) or not isinstance(query.cell, Cell):
        raise TypeError(f"it has to return a Cell, a Query with a Cell, or None; it returned {asked!r}")
    query.cell.check_in(space)
    if query.epochs is None:
        return query
    if query.epochs not in budgets:
        raise ValueError(f"epochs={query.epochs!r}: its `budgets` are {', '.join(map(str, budgets))}")
    return query._replace(epochs=budgets[budgets.index(query.epochs)])  # numpy's 12, too, as a number that JSON knows


def _scored(name: str, at: str, query: Query, score: Score | None) -> float:
    if score is None:
        raise MethodError(f"method {name}: {at}, ask: it asked for the score {query.score!r}, and there are none here")
    try:
        return score(query.score, query.cell)
    except UnknownScoreError as error:  # that images lack, or are too few, is not the method's mistake
        raise MethodError(f"method {name}: {at}, ask: {error}") from error
