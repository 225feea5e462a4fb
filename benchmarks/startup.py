"""Seconds until a command answers, and until a search has done its first step.

    python benchmarks/startup.py --data-dir DIR --out benchmarks/results/startup.json

Each in a new process, the files warm, median of rounds, and as a multiple of what a bare interpreter takes. The limits
are 0.3 s for `-h` and `query`, 5 s for the first step on CIFAR-10. `first start` decodes the images, into a cache of
its own; later ones map them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from measuring import show, write

from nasbench_stc import files
from nasbench_stc.data.readers import find_folder

# The real command, left as soon as the first step is reported.
FIRST_STEP = """
import os, sys
from nasbench_stc import cli
from nasbench_stc.cli.bars import Bars
Bars.step = lambda *_: os._exit(0)
sys.argv[0] = "stc-bench"
cli.main()
"""


def answer(arguments: list[str], code: str | None, cache: Path) -> float:
    """Seconds that a new process takes."""
    start = ["-c", code] if code else ["-m", "nasbench_stc"]
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, *start, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )
    return time.perf_counter() - begin


@click.command(help=(__doc__ or "").split("\n\n")[0])
@click.option("--data-dir", type=click.Path(exists=True, file_okay=False, path_type=Path), help="With CIFAR-10.")
@click.option("--benchmark", default="auto", show_default=True, help="Which `query`, `report` and `search` ask.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there, as JSON.")
def main(data_dir: Path | None, benchmark: str, rounds: int, out: Path | None) -> None:
    """Measure, print, write."""
    where = files.data_dir(data_dir)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch) / "cache"

        def measure(name: str, arguments: list[str], code: str | None = None, times: int = rounds) -> None:
            figures[name] = statistics.median(answer(arguments, code, cache) for _ in range(times))

        answer(["-h"], None, cache)
        measure("python -c pass", [], "pass")
        measure("stc-bench -h", ["-h"])
        measure("stc-bench methods", ["methods"])
        measure("stc-bench query 9930", ["query", "9930", "--benchmark", benchmark, "--data-dir", str(where)])
        measure("python -c import pandas", [], "import pandas")
        committed = str(Path(__file__).parents[1] / "results")
        report = ["report", "--results", committed, "--benchmark", benchmark, "--data-dir", str(where)]
        measure("stc-bench report, of the committed records", report)
        measure("stc-bench report --table 6, likewise", [*report, "--table", "6"])
        there = find_folder("cifar10", where) is not None
        dataset, protocol = ("cifar10", "cpu") if there else ("digits", "digits")
        search = ["search", "--dataset", dataset, "--protocol", protocol, "--seeds", "1", "--benchmark", benchmark]
        search += ["--no-resume", "--out", str(Path(scratch) / "runs"), "--data-dir", str(where), "--device", "cpu"]
        if there:
            measure("first step on cifar10, first start", search, FIRST_STEP, times=1)
        measure(f"first step on {dataset}", search, FIRST_STEP)
    bare = figures["python -c pass"]
    rows = [[name, f"{took:.2f}", f"{took / bare:.0f}"] for name, took in figures.items()]
    show("Until there is an answer", ["", "s", "of a bare interpreter's"], rows)
    if not there:
        print(f"CIFAR-10 is not in {where}: the first step was taken on digits. --data-dir says where to look")
    write(out, "cpu", {"seconds": figures, "benchmark": benchmark, "rounds": rounds})


if __name__ == "__main__":
    main()
