"""Records: what two runs of one plan have to agree in, and made-up ones."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any

from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.engine.recipe import RECIPES
from nasbench_stc.records import Record, SimulatedRun
from nasbench_stc.records.training import Entry, Origin, TrainingRecord
from nasbench_stc.space import Cell


def untimed(done: Record) -> Record:
    """The record without what a clock or the process's memory says, and what they depend on."""
    trajectory = [{k: v for k, v in entry.items() if k != "seconds"} for entry in done.trajectory]
    return replace(done, trajectory=trajectory, seconds={}, finished="", peak_memory={}, side_by_side=1)


def made(seed: int) -> dict[str, Any]:
    """What every record says of how it was made; the later, the higher the seed."""
    return {
        "peak_memory": {"mib": 500.0, "of": "resident memory of the process"},
        "versions": {},
        "device": "CPU: a_processor 100%",
        "threads": 2,
        "git_revision": "unknown",
        "finished": f"2026-01-01T00:00:{seed:02d}+00:00",
    }


def make_record(seed: int = 0, **changes: Any) -> Record:
    """A record as a search writes it; its scores grow with the seed."""
    record = Record(
        method="stc",
        search_dataset="cifar10",
        seed=seed,
        protocol="cpu",
        changes={},
        settings={"protocol": asdict(PROTOCOLS["cpu"].settings), "method": {"noise": 0.3, "lambda_end": 2.0}},
        cell=str(Cell.from_index(9930)),
        trajectory=[],
        supernet={"loss": 1.0, "accuracy": 60.0},
        scores={key: 40.0 + 5 * place + seed for place, key in enumerate(COLUMNS)},
        benchmark={"name": "nb201", "file": "nb201.csv.gz", "sha256": "0123456789abcdef" * 4},
        seconds={"weights": 400.0 + seed, "alpha": 180.0, "evaluation": 16.0},
        split={},
        **made(seed),
    )
    return replace(record, **changes)


def simulated(dataset: str, seed: int, **changes: Any) -> SimulatedRun:
    """A run of regularized evolution as its record says it."""
    budget = {"cifar10": 20_000, "cifar100": 40_000}[dataset]
    settings = {"protocol": {"budget": budget, "evaluations": 0}, "method": {}}
    base = make_record(seed, search_dataset=dataset, method="rea", protocol="nats-bench", settings=settings)
    values = {item.name: getattr(base, item.name) for item in fields(base)}
    run = SimulatedRun(**values, clock="seconds", told="valid accuracy", evaluations=190)
    return replace(run, seconds={"simulated": budget - 100.0, "scores": 0.0}, device="the clock of nb201", **changes)


def make_training(seed: int = 0, genotype: str = "DARTS_V2", **changes: Any) -> TrainingRecord:
    """A record as a training writes it, of a cell of DARTS's space; its accuracy grows with the seed."""
    entry: Entry = {
        "epoch": 0,
        "train_loss": 0.5,
        "train_accuracy": 80.0,
        "test_loss": 0.25,
        "test_accuracy": 90.0 + seed,
        "test_top5": 99.0,
        "seconds": 100.0,
    }
    record = TrainingRecord(
        space="darts",
        cell=str(Cell.parse(genotype, space="darts")),
        dataset="cifar10",
        seed=seed,
        protocol="cpu",
        settings=asdict(RECIPES["cpu"].settings),
        changes={},
        trajectory=[entry],
        test_accuracy=entry["test_accuracy"],
        params=3_349_342,
        mflops=528.4,
        images={"train": 50_000, "test": 10_000, "side": 32, "source": "cifar-10-batches-bin"},
        seconds={"training": 90.0 + seed, "evaluation": 10.0},
        **made(seed),
    )
    return replace(record, **changes)


def found_by(folder: str, method: str = "stc", **changes: Any) -> Origin:
    """The search of that folder, as a training of its cell names it."""
    origin = Origin(folder=folder, method=method, search_dataset="cifar10", seed=0, protocol="cpu")
    return {**origin, **changes}
