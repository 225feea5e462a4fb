"""What 100,000 runs would need: made-up records, as many as asked for, written and read as real ones are.

    python benchmarks/many_runs.py --out benchmarks/results/many_runs.json
    python benchmarks/many_runs.py --runs 1000,10000,100000 --out benchmarks/results/many_runs-100000.json  # 2.5 GB

Each run is a folder with a record in the form of the committed ones by a protocol (`--protocol`), a method after
another, with cells, losses and scores of its own. They are written by the package's own writer (whole or not at all,
and told to the disk), in one process. Then, each in a new process: the names of all files are listed, what `status`
shows is gathered, and `load_runs` makes its frame of them: of files that the operating system was told to forget (on
Linux), and again, when what it made of them the first time is kept beside them. What a folder holds beside its record
(the supernet's weights; while it runs, a checkpoint) is measured once for each protocol.
"""

from __future__ import annotations

import io
import os
import random
import re
import shutil
import stat
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import torch
from measuring import MIB, show, write
from rich.console import Console
from rich.progress import track

from nasbench_stc.engine.forms import PlanForm
from nasbench_stc.engine.loop import build_supernet
from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.records import Record, record
from nasbench_stc.report.frames import load_runs
from nasbench_stc.runs import status
from nasbench_stc.space import NUM_CELLS, Cell

COMMITTED = Path(__file__).parents[1] / "results"


def patterns(protocol: str) -> list[Record]:
    """A committed record of each method by the protocol; of several the first by the folder's name."""
    found: dict[str, Record] = {}
    for path in sorted(COMMITTED.glob(f"*-{protocol}-seed0-*/{record.FILE_NAME}")):
        one = record.read(path)
        if not one.changes:
            found.setdefault(one.method, one)
    return list(found.values())


def made_up(pattern: Record, seed: int) -> Record:
    """A record like it in everything but what a search of that seed would have found and taken."""
    draws = random.Random(f"{pattern.method} {seed}")
    cell = str(Cell.from_index(draws.randrange(NUM_CELLS)))
    entries = []
    for entry in pattern.trajectory:
        losses = {name: entry[name] * draws.uniform(0.9, 1.1) for name in ("train_loss", "valid_loss") if entry[name]}
        alpha = (
            [[value + draws.gauss(0, 0.01) for value in row] for row in entry["alpha"]] if "alpha" in entry else None
        )
        entries.append({**entry, **losses, "cell": cell, **({"alpha": alpha} if alpha else {})})
    return replace(
        pattern,
        seed=seed,
        cell=cell,
        trajectory=entries,
        scores={name: draws.uniform(10, 94) for name in pattern.scores},
        seconds={name: value * draws.uniform(0.9, 1.1) for name, value in pattern.seconds.items()},
    )


def all_made_up(protocol: str, runs: int) -> Iterator[tuple[str, Record]]:
    """So many, and the names of their folders."""
    methods = patterns(protocol)
    for number in range(runs):
        one = made_up(methods[number % len(methods)], number // len(methods))
        yield f"{one.method}-{one.search_dataset}-{one.protocol}-seed{one.seed}-{number:08x}", one


def make(folder: Path, protocol: str, runs: int, console: Console) -> float:
    """Write them; seconds that writing took, making them up left out."""
    took = 0.0
    for name, one in track(all_made_up(protocol, runs), f"{runs:,} folders", total=runs, console=console):
        begin = time.perf_counter()
        (folder / name).mkdir()
        one.write(folder / name)
        took += time.perf_counter() - begin
    return took


def sizes(folder: Path) -> dict[str, int]:
    """What all below a folder takes: bytes in files, bytes on the disk, and inodes."""
    found = [os.lstat(path) for path in folder.rglob("*")]
    return {
        "bytes": sum(one.st_size for one in found if not stat.S_ISDIR(one.st_mode)),
        "disk_bytes": sum(512 * one.st_blocks for one in found),
        "inodes": len(found),
    }


def listed(folder: Path) -> float:
    """Seconds until the names of all records are known."""
    begin = time.perf_counter()
    sum(1 for _ in folder.rglob(record.FILE_NAME))
    return time.perf_counter() - begin


def looked_at(folder: Path) -> float:
    """Seconds until it is known of each run whether it is done."""
    begin = time.perf_counter()
    found = status.find([folder])
    assert all(run.state == "done" for run in found)
    return time.perf_counter() - begin


def read(folder: Path, cold: bool) -> dict[str, float]:
    """Seconds and memory of `load_runs` in this process, above what its imports take."""
    import pandas  # noqa: F401  # which load_runs imports when it is first called

    if cold and hasattr(os, "posix_fadvise"):
        os.sync()
        for path in folder.rglob(record.FILE_NAME):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    before = peak_mib()
    begin = time.perf_counter()
    frame = load_runs(folder)
    took = time.perf_counter() - begin
    return {
        "seconds": took,
        "peak_mib": peak_mib() - before,
        "rows": len(frame),
        "frame_mib": float(frame.memory_usage(deep=True).sum()) / MIB,
    }


def peak_mib() -> float:
    """The most memory that this process has had (Linux)."""
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak[1]) / 1024 if peak else float("nan")


def beside(protocol: str) -> dict[str, int]:
    """Bytes of what else a run's folder holds: the weights when it is done, and a checkpoint until then."""
    settings = PROTOCOLS[protocol].settings.on("cpu")
    supernet = build_supernet(settings, 10, torch.device("cpu"), 0)
    for parameter in supernet.parameters():
        parameter.grad = torch.zeros_like(parameter)
    form = PlanForm(supernet, settings)
    form.sgd.step()

    def size(state: Any) -> int:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        return buffer.tell()

    weights = supernet.state_dict()
    return {"supernet_bytes": size(weights), "checkpoint_bytes": size({"supernet": weights, "sgd": form.state_dict()})}


def apart(function: Any, *arguments: Any) -> Any:
    """What it returns in a new process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


@click.command(help=(__doc__ or "").split("\n\n")[0])
@click.option("--runs", default="1000,10000", show_default=True, help="How many, one number after another.")
@click.option("--protocol", default="cpu", show_default=True, help="Whose committed records are the pattern.")
@click.option("--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where there is space.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there, as JSON.")
def main(runs: str, protocol: str, folder: Path | None, out: Path | None) -> None:
    """Make, measure, print, write."""
    console = Console(stderr=True)
    figures = []
    for number in map(int, runs.split(",")):
        scratch = Path(tempfile.mkdtemp(prefix="many-runs-", dir=folder))
        try:
            seconds = make(scratch, protocol, number, console)
            with console.status("reading"):
                first, again = apart(read, scratch, True), apart(read, scratch, False)
                figures.append(
                    {
                        "runs": number,
                        "write_seconds": seconds,
                        **sizes(scratch),
                        "list_seconds": apart(listed, scratch),
                        "status_seconds": apart(looked_at, scratch),
                        "first": first,
                        "again": again,
                    }
                )
        finally:
            shutil.rmtree(scratch)
    rows = [
        [
            f"{found['runs']:,}",
            f"{found['bytes'] / found['runs'] / 1000:.1f}",
            f"{found['disk_bytes'] / 1e9:.3f}",
            f"{found['inodes']:,}",
            f"{found['runs'] / found['write_seconds']:,.0f}",
            f"{found['list_seconds']:.2f}",
            f"{found['status_seconds']:.2f}",
            f"{found['first']['seconds']:.1f}",
            f"{found['again']['seconds']:.1f}",
            f"{found['first']['peak_mib']:,.0f}",
            f"{found['first']['frame_mib']:,.1f}",
        ]
        for found in figures
    ]
    header = ["runs", "KB a record", "GB on disk", "inodes", "written/s", "list, s", "status, s"]
    show(f"Protocol {protocol}", [*header, "frame, first, s", "again", "peak MiB", "its MiB"], rows)
    others = {name: beside(name) for name in PROTOCOLS}
    show(
        "Beside the record",
        ["protocol", "weights, MB", "checkpoint, MB"],
        [[name, *(f"{value / 1e6:.2f}" for value in found.values())] for name, found in others.items()],
    )
    for which in ("first", "again"):
        median = statistics.median(found[which]["seconds"] / found["runs"] for found in figures)
        print(f"\nA record takes load_runs {1000 * median:.2f} ms, {which}.")
    write(out, "cpu", {"protocol": protocol, "figures": figures, "beside": others})


if __name__ == "__main__":
    main()
