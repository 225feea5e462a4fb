"""Do two searches side by side, a thread each, slow each other more than the machine makes them?

    python benchmarks/side_by_side.py --out benchmarks/results/side_by_side.json

Two seeds one after another and by `--jobs 2`, in turn: the seconds are those of their records, without what it takes to
start a process. What the machine does to any two that compute at once (shared memory, clock rates, hyperthreads, other
work) is measured alike, by processes that multiply matrices small enough for the cache. Nothing else should run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from measuring import show, write

from nasbench_stc.records import read_all
from nasbench_stc.runs import environment

_MULTIPLY = """
import time, torch
torch.set_num_threads(1)
x = torch.rand(128, 128)
until, done = time.perf_counter() + 5, 0
while time.perf_counter() < until:
    x @ x
    done += 1
print(5 / done)
"""


def searches(jobs: int, dataset: str, protocol: str) -> float:
    """Seconds of a search, the mean of two."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "nasbench_stc", "search", "--dataset", dataset, "--protocol", protocol]
        command += ["--seeds", "2", "--jobs", str(jobs), "--device", "cpu", "--benchmark", "analog", "--out", out]
        threads = {"OMP_NUM_THREADS": str(jobs)}  # which they divide
        subprocess.run(command, env=os.environ | threads, check=True, stdout=subprocess.DEVNULL)
        records, _ = read_all([Path(out)])
    assert [one.threads for one in records] == [1, 1]
    return statistics.mean(one.total_seconds for one in records)


def multiplications(at_once: int) -> float:
    """Seconds of a product of matrices, the mean over processes."""
    command = [sys.executable, "-c", _MULTIPLY]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(at_once)]
    return statistics.mean(float(process.communicate()[0]) for process in processes)


@click.command(help=__doc__)
@click.option("--dataset", default="digits", show_default=True)
@click.option("--protocol", default="digits", show_default=True)
@click.option("--rounds", default=3, show_default=True, help="The median of so many, in turn.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the figures there, too.")
def main(dataset: str, protocol: str, rounds: int, out: Path | None) -> None:
    """Measure and print."""
    ratios: dict[str, list[float]] = {"searches": [], "machine": []}
    for _ in range(rounds):
        ratios["searches"].append(searches(2, dataset, protocol) / searches(1, dataset, protocol))
        ratios["machine"].append(multiplications(2) / multiplications(1))
    found = {name: statistics.median(values) for name, values in ratios.items()}
    found["goal of searches / machine, at most"] = 1.1
    found["searches / machine"] = found["searches"] / found["machine"]
    show(
        "Two at once against one after another", ("what", "seconds, ratio"), [[k, f"{v:.3f}"] for k, v in found.items()]
    )
    if out is not None:
        write(out, "cpu", {**found, "rounds": ratios, "processor": environment.processor()})


if __name__ == "__main__":
    main()
