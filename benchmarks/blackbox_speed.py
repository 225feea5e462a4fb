"""How quick are simulated searches? Many runs of each method here, and a few of one beside the official API.

    python benchmarks/blackbox_speed.py --out benchmarks/results/blackbox_speed.json

`here`: `--runs` runs of each method on CIFAR-10 for NATS-Bench's 20,000 s, as `stc-bench search` carries them out, the
record included. The first method's seconds include reading the table.

`beside`: runs of regularized evolution, the same class with the same seeds, asked and told by our loop on the table
that `stc-bench data import` makes, and one query at a time by `simulate_train_eval` of nats_bench in fast mode, as
NATS-Bench's own scripts do. Both read the same cells: those of NATS-Bench's folder (`--folder`), or of one in its form
with made-up numbers, which has as much to read in each file. It has few cells (`--cells`), so each cell that the method
asks for stands for one of these. Each side draws training seeds by itself, so that runs part after some queries. Cold
is the first run of a side that was just opened, warm the same run again. The sides take turns in one process; ratios
are of both sides in one round, medians over rounds. nats_bench keeps what it read, and the more that is, the longer
Python's garbage collection takes, which is a part of its seconds.

All seconds are the processor's, for this process: what else the machine does is not in them, nor waiting for a disk.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import nats_folder
import numpy as np
from measuring import show, write
from rich.console import Console
from rich.progress import track

from nasbench_stc import open_benchmark
from nasbench_stc.benchmark import Benchmark, official
from nasbench_stc.benchmark.importing import import_official
from nasbench_stc.engine.oracle import Oracle
from nasbench_stc.engine.simulation import BUDGETS, Simulation, simulate
from nasbench_stc.errors import OfficialPickleWarning
from nasbench_stc.methods.blackbox import Query
from nasbench_stc.methods.rea import REA, ReaSettings
from nasbench_stc.runs.simulate import plan, run_many
from nasbench_stc.space import Cell

DATASET = "cifar10"
BUDGET = BUDGETS[DATASET]
METHODS = ("rs", "rea", "ls", "reinforce", "sh", "hyperband", "bohb")


class Within(REA):
    """Regularized evolution in which each cell stands for one of a few."""

    def __init__(self, cells: Sequence[int], *args: Any) -> None:
        super().__init__(*args)
        self._few = cells

    def ask(self) -> Query:
        """Its query, of the cell that is there instead."""
        asked = super().ask()
        cell = asked if isinstance(asked, Cell) else asked.cell
        return Query(Cell.from_index(self._few[cell.index % len(self._few)]))


def here(name: str, bench: Benchmark, runs: int) -> dict[str, Any]:
    """Many runs of a method, from its plan to the record on disk."""
    with tempfile.TemporaryDirectory(prefix="blackbox-speed-") as out:
        begin = time.process_time()
        done = run_many(plan(name, bench, DATASET), bench, range(runs), Path(out))
        seconds = time.process_time() - begin
        size = sum(path.stat().st_size for path in Path(out).rglob("runs.json"))
    queries = sum(done.queries["lengths"])
    return {
        "method": name,
        "runs": runs,
        "queries_a_run": queries / runs,
        "seconds": seconds,
        "runs_per_second": runs / seconds,
        "microseconds_a_query": 1e6 * seconds / queries,
        "record_bytes": size,
    }


def of_ours(table: Path, cells: Sequence[int]) -> Callable[[int], int]:
    """Our loop on a table just opened; returns the number of queries of a run by its seed."""
    oracle = Oracle(open_benchmark(table), DATASET)

    def run(seed: int) -> int:
        made = simulate("rea", lambda *args: Within(cells, ReaSettings(), *args), oracle, Simulation(BUDGET), seed)
        return len(made.cells)

    return run


def of_api(folder: Path, cells: Sequence[int]) -> Callable[[int], int]:
    """The same by nats_bench, just opened, until its clock is at the budget."""
    import nats_bench

    api = nats_bench.create(str(folder), "tss", fast_mode=True, verbose=False)

    def run(seed: int) -> int:
        method_seed, _ = np.random.SeedSequence(seed).generate_state(2)
        method = Within(cells, ReaSettings(), np.random.default_rng(method_seed), (12,))
        api.reset_time()
        spent, queries = 0.0, 0
        while spent < BUDGET:
            query = method.ask()
            value, _, _, spent = api.simulate_train_eval(query.cell.index, DATASET, hp="12")
            method.tell(query, value)
            queries += 1
        return queries

    return run


def beside(table: Path, folder: Path, cells: Sequence[int], seed: int) -> dict[str, float]:
    """Seconds a query of both sides, cold and warm, and seconds to open each and carry out one run."""
    found: dict[str, float] = {}
    for side, begun in (("ours", lambda: of_ours(table, cells)), ("nats_bench", lambda: of_api(folder, cells))):
        begin = time.process_time()
        run = begun()
        for state in ("cold", "warm"):
            start = time.process_time()
            queries = run(seed)
            found[f"{side}_{state}_query"] = (time.process_time() - start) / queries
            found[f"{side}_{state}_run"] = time.process_time() - start
            if state == "cold":
                found[f"{side}_opened_run"] = time.process_time() - begin
    return found


MEASURES = {
    "cold_query": "a query of the first run",
    "warm_query": "a query of the same run again",
    "opened_run": "open, and the first run",
    "warm_run": "the same run again",
}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--benchmark", default="auto", help="Which answers the many runs.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where benchmarks are.")
@click.option("--runs", default=500, help="How many of each method.")
@click.option("--methods", default=",".join(METHODS), help="Of which there are many runs.")
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="NATS-Bench's.  [default: made up]")
@click.option("--table", type=click.Path(path_type=Path, exists=True), help="Imported from it.  [default: imported]")
@click.option("--cells", "number", default=400, help="How many cells the made-up folder has.")
@click.option("--rounds", default=5, help="How many runs beside the official API, each with another seed.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the figures to this JSON file.")
def main(
    benchmark: str,
    data_dir: Path | None,
    runs: int,
    methods: str,
    folder: Path | None,
    table: Path | None,
    number: int,
    rounds: int,
    out: Path | None,
) -> None:
    """Time many runs of each method, and a few beside nats_bench."""
    console = Console(stderr=True)
    bench = open_benchmark(benchmark, data_dir)
    many = [here(name, bench, runs) for name in track(methods.split(","), "runs here", console=console)]
    with tempfile.TemporaryDirectory(prefix="blackbox-speed-") as made:
        if folder is None:
            folder = Path(made) / official.FOLDER_NAME
            nats_folder.write(folder, track(range(number), "making up cells", console=console))
            about = f"made up in the form of NATS-Bench's, {number:,} cells"
        else:
            about = f"{folder.name}, {official.count_cells(folder):,} cells"
        cells = sorted(int(path.name[:6]) for path in folder.glob("[0-9]*.pickle.pbz2"))
        if table is None:
            with console.status("importing"), warnings.catch_warnings():
                warnings.simplefilter("ignore", OfficialPickleWarning)
                table = import_official(folder, Path(made)).path
        measured = [
            beside(table, folder, cells, seed) for seed in track(range(rounds), "beside nats_bench", console=console)
        ]
    sides = ("ours", "nats_bench")
    medians = {side: {m: statistics.median(one[f"{side}_{m}"] for one in measured) for m in MEASURES} for side in sides}
    ratios = {m: statistics.median(one[f"nats_bench_{m}"] / one[f"ours_{m}"] for one in measured) for m in MEASURES}
    show(
        f"{runs} runs of {BUDGET:,.0f} simulated s on {DATASET}, benchmark {bench.name}",
        ("", "queries a run", "s", "runs a second", "us a query", "record, KB"),
        [
            (
                one["method"],
                f"{one['queries_a_run']:.0f}",
                f"{one['seconds']:.2f}",
                f"{one['runs_per_second']:.0f}",
                f"{one['microseconds_a_query']:.1f}",
                f"{one['record_bytes'] / 1000:.0f}",
            )
            for one in many
        ],
    )
    show(
        f"rea beside nats_bench, median of {rounds} rounds; {about}",
        ("", "ours, ms", "nats_bench, ms", "ratio"),
        [
            (text, *(f"{1e3 * medians[side][m]:.3f}" for side in sides), f"{ratios[m]:.0f}")
            for m, text in MEASURES.items()
        ],
    )
    figures = {
        "here": many,
        "benchmark": {"name": bench.name, "sha256": bench.sha256},
        "median_seconds": medians,
        "ratio": ratios,
        "rounds": measured,
        "folder": about,
        "nats_bench": version("nats_bench"),
    }
    write(out, "cpu", figures)


if __name__ == "__main__":
    main()
