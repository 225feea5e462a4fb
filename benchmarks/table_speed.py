"""How quick is the imported table beside the official API? Opening and asking, cold and warm, one by one and in bulk.

    python benchmarks/table_speed.py --out benchmarks/results/table_speed.json

Both sides answer for the same cells: those of NATS-Bench's own folder (`--folder`), or of one in its form with made-up
numbers, which has as much to read in each file. The official API is nats_bench in fast mode. Each round measures both
in processes of their own, in turn; cold is a new process, and files that the operating system was told to forget (on
Linux; elsewhere only the process is new). Ratios are of both sides in one round; medians over rounds are printed.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import nats_folder
import numpy as np
from rich.console import Console
from rich.progress import track

from nasbench_stc import files
from nasbench_stc.benchmark import columnar, official
from nasbench_stc.benchmark.importing import import_official
from nasbench_stc.runs import environment

WARM = 50  # cells that are asked for again, one by one
MEASURES = {
    "open": "open",
    "first_cold": "first question (one accuracy of one cell)",
    "single_cold": "the other cells one by one, each for the first time, a cell",
    "single_warm": "one cell again",
    "bulk_warm": "all cells again",
    "all_cold": "open, and one accuracy of all cells, in a new process",
}


def of_api(folder: Path, cells: list[int]) -> dict[str, float]:
    """Seconds through nats_bench."""
    import nats_bench

    forget(folder.glob("*.pbz2"))
    begin = time.perf_counter()
    api = nats_bench.create(str(folder), "tss", fast_mode=True, verbose=False)
    opened = time.perf_counter() - begin

    def ask(index: int) -> float:
        return float(api.get_more_info(index, "cifar10", hp="200", is_random=False)["test-accuracy"])

    def ask_all() -> list[float]:
        return [ask(index) for index in cells]

    return {"open": opened} | _asked(ask, ask_all, cells, begin)


def of_table(folder: Path, cells: list[int]) -> dict[str, float]:
    """Seconds through the imported table."""
    forget(folder.iterdir())
    begin = time.perf_counter()
    bench = columnar.open_table(folder)
    opened = time.perf_counter() - begin
    return {"open": opened} | _asked(
        lambda index: float(bench.accuracy([index])[0]), lambda: bench.accuracy(cells), cells, begin
    )


def _asked(ask: Callable[[int], float], ask_all: Callable[[], Any], cells: list[int], begin: float) -> dict[str, float]:
    first, *others = cells
    seconds = {"first_cold": timed(lambda: ask(first))}
    cold = timed(lambda: [ask(index) for index in others])
    return seconds | {
        "single_cold": cold / len(others),
        "all_cold": time.perf_counter() - begin,
        "single_warm": timed(lambda: [ask(index) for index in cells[:WARM]]) / len(cells[:WARM]),
        "bulk_warm": timed(ask_all),
    }


def make_table(folder: Path, data_dir: Path) -> tuple[Path, dict[str, float]]:
    """Import the folder; the table, the seconds that took, and the most memory (MiB) that was in use."""
    begin = time.perf_counter()
    path = import_official(folder, data_dir).path
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return path, {"seconds": time.perf_counter() - begin, "peak_mib": int(peak[1]) / 1024 if peak else math.nan}


def bulk_cold_of_table(folder: Path, cells: list[int]) -> float:
    """Seconds to open the table and answer for all cells at once."""
    forget(folder.iterdir())
    return timed(lambda: columnar.open_table(folder).accuracy(cells))


def every_cell_of_table(folder: Path) -> float:
    """Seconds to read one column of all 15,625 cells, the least of seven."""
    bench = columnar.open_table(folder)
    key = next(key for key in bench.holds() if key == ("cifar10", "test", 200, None))
    every = np.arange(15_625)
    bench._columns[key, "accuracy"]
    return min(timed(lambda: bench._columns[key, "accuracy"][every]) for _ in range(7))


def timed(run: Callable[[], Any]) -> float:
    """Seconds of a call."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def forget(paths: Iterable[Path]) -> None:
    """Ask the operating system to drop the files from its cache."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--folder", type=click.Path(path_type=Path, exists=True), help="NATS-Bench's.  [default: made up]")
@click.option("--made-up", default=500, help="How many cells the made-up folder has; all 15,625 take minutes.")
@click.option("--cells", "number", default=500, help="How many cells to ask for.")
@click.option("--rounds", default=5, help="How often to measure both.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the figures to this JSON file.")
def main(folder: Path | None, made_up: int, number: int, rounds: int, out: Path | None) -> None:
    """Time our table against nats_bench in fast mode, and print the ratios."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="table-speed-") as made:
        if folder is None:
            folder = Path(made) / official.FOLDER_NAME
            nats_folder.write(folder, track(range(made_up), "making up cells", console=console))
            about = f"made up in the form of NATS-Bench's, {made_up:,} cells"
        else:
            about = f"{folder.name}, {official.count_cells(folder):,} cells"
        cells = sorted(int(path.name[:6]) for path in folder.glob("[0-9]*.pickle.pbz2"))[:number]
        with console.status("importing"):
            table, imported = apart(make_table, folder, Path(made))
        measured = []
        for _ in track(range(rounds), "measuring", console=console):
            ours, theirs = apart(of_table, table, cells), apart(of_api, folder, cells)
            ours["all_cold"] = apart(bulk_cold_of_table, table, cells)
            measured.append({"table": ours, "nats_bench": theirs})
        every = apart(every_cell_of_table, table)

    figures = {
        "median_seconds": {
            side: {name: statistics.median(round_[side][name] for round_ in measured) for name in MEASURES}
            for side in ("table", "nats_bench")
        },
        "ratio": {
            name: statistics.median(round_["nats_bench"][name] / round_["table"][name] for round_ in measured)
            for name in MEASURES
        },
        "every_cell_of_table_seconds": every,
        "import": imported,
        "rounds": measured,
        "cells": len(cells),
        "folder": about,
        "device": environment.device_name("cpu"),
        "versions": environment.versions() | {"nats_bench": version("nats_bench")},
        "git_revision": environment.git_revision(),
    }
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(out, (json.dumps(figures, indent=1) + "\n").encode())
    show(figures)


def show(figures: dict[str, Any]) -> None:
    """Print the figures as a table."""
    click.echo(f"{figures['cells']} cells, median of {len(figures['rounds'])} rounds; {figures['folder']}")
    click.echo(f"{'':<62}{'table':>12}{'nats_bench':>12}{'ratio':>10}")
    for name, text in MEASURES.items():
        ours, theirs = (figures["median_seconds"][side][name] for side in ("table", "nats_bench"))
        click.echo(f"{text:<62}{1e3 * ours:>9.3f} ms{1e3 * theirs:>9.1f} ms{figures['ratio'][name]:>9.0f}x")
    click.echo(f"one column of all 15,625 cells, again: {1e3 * figures['every_cell_of_table_seconds']:.3f} ms")
    seconds, peak = figures["import"].values()
    click.echo(f"the import that made the table, once: {seconds:.0f} s, with at most {peak:.0f} MiB of memory")


if __name__ == "__main__":
    main()
