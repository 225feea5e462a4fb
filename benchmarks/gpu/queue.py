"""Searches in order of value, as many as the seconds allow; what they left is packed into files that can be sent.

A search whose record is there is skipped, one whose checkpoint is there continues, so that pieces add up to the queue.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from nasbench_stc.cli import options
from nasbench_stc.errors import BadCallError, choose
from nasbench_stc.methods import ours
from nasbench_stc.records import record
from nasbench_stc.runs import launch

from . import parcels, precompile
from .lay import data_folder
from .pieces import BY, Job, Orders, Outcome, run_piece


@dataclass(frozen=True)
class Task:
    """Searches by one method that differ in their seed."""

    method: str
    seeds: Sequence[int]
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Settings, by name."""
    rank: tuple[str, ...] = ()
    """Cells that the supernets rank then: how many, or `all`."""


FIRST, ALL = range(3), range(10)

QUEUE = [
    Task("stc", FIRST),
    Task("gdas", FIRST),
    # Whether a deeper supernet tells the largest cell from the best one: docs/study.md.
    Task("drnas", FIRST),
    Task("duel", FIRST, {"none": False}),
    Task("rsps", FIRST),
    Task("darts", FIRST),
    Task("snas", FIRST),
    Task("setn", FIRST),
    Task("enas", FIRST),
    Task("darts2", FIRST),
    Task("beta_darts", FIRST),
    Task("gaea", FIRST),
    Task("darts_pt", FIRST),
    Task("spos", FIRST),
    Task("fairnas", FIRST),
    Task("few_shot", FIRST),
    Task("twins", FIRST, {"uniform": 0.8}),
    Task("stc", ALL[3:]),
    # One supernet on uniform paths, for ranking.
    Task("stc", [0], {"uniform": 1, "epochs": 400, "batch_size": 256}, rank=("500", "all")),
]

MIB = 2**20
SENT = parcels.Limits(files=6, bytes=16 * MIB, total=60 * MIB)
"""Of 8 files and 64 MiB that come back two files and 4 MiB are left to other commands."""
_AGAIN = 60.0  # seconds after which what is there so far is packed again: whoever is killed loses no more


@click.command(help=__doc__)
@click.argument("seconds", type=click.FloatRange(min=0, min_open=True))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="For the archives.")
@click.option("--side-by-side", type=click.IntRange(min=1), default=1, show_default=True, help="Searches at a time.")
@click.option("--by", type=click.Choice(BY), default=BY[0], show_default=True, help="What they are side by side.")
@click.option("--methods", help="Only these of the queue, by comma.")
@click.option("--alone", type=click.IntRange(min=0), default=0, show_default=True, help="So many first, one at a time.")
@click.option("--protocol", default="paper", show_default=True)
@click.option("--dataset", default="cifar10", show_default=True)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting of every search.")
@click.option("--device", default="auto", show_default=True)
@click.option("--data-dir", type=click.Path(path_type=Path), help="[default: where `lay` puts data, if it did]")
@click.option("--benchmark", default="auto", show_default=True)
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
@click.option("--reserve", type=float, default=20, show_default=True, help="Of the seconds, for ending and packing.")
@click.option(
    "--once",
    type=click.Path(path_type=Path),
    help="Begin once this file is there (touched by `lay`, say), and take what `precompile` made meanwhile.",
)
@click.option("--revision", help="Of this code, for records, where the copy came without its history.")
@click.pass_obj
def main(
    begin: float | None,
    seconds: float,
    out: Path,
    side_by_side: int,
    by: str,
    methods: str | None,
    alone: int,
    protocol: str,
    dataset: str,
    changes: tuple[str, ...],
    device: str,
    data_dir: Path | None,
    benchmark: str,
    results: Path,
    reserve: float,
    once: Path | None,
    revision: str | None,
) -> None:
    """Carry out the queue until the seconds are over."""
    begin = time.monotonic() if begin is None else begin
    if reserve >= seconds:
        raise BadCallError(f"--reserve {reserve:g}: it has to be less than the {seconds:g} seconds of this piece")
    if revision:
        os.environ["STC_BENCH_REVISION"] = revision
    asked = options.parse_changes(changes)
    jobs, lacking = make_jobs(QUEUE, methods.split(",") if methods else None, protocol, dataset, asked, device)
    if lacking:
        click.echo(f"not in this version: {', '.join(lacking)}")
    data_dir = data_dir or (data_folder() if data_folder().is_dir() else None)
    end = begin + seconds
    if once:
        _prepare([job for job in jobs if not launch.is_done(job.plan, results)], once, end - reserve)
    post = Post(jobs, results, out)
    one_by_one = Orders(tuple(jobs[:alone]), results, end - reserve, data_dir, benchmark)
    beside = replace(one_by_one, jobs=tuple(jobs[alone:]), side_by_side=side_by_side, by=by)
    outcome = run_piece(one_by_one, until=end - reserve / 2, look=post.look) if alone else Outcome(0, 0)
    over = not outcome.failed and not all(launch.is_done(job.plan, results) for job in one_by_one.jobs)
    if beside.jobs and not over:
        then = run_piece(beside, until=end - reserve / 2, look=post.look)
        outcome = Outcome(outcome.failed + then.failed, outcome.left + then.left)
    post.send()
    for path in post.left_out:
        click.echo(f"left out, the files that can be sent are full: {path}")
    done = sum(launch.is_done(job.plan, results) for job in jobs)
    click.echo(f"{done} of {len(jobs)} searches of the queue are done; {time.monotonic() - begin:.0f} s")
    status = 1 if outcome.failed else 0
    if outcome.left:
        click.echo(f"{outcome.left} searches were still in their last selection: their checkpoints are packed")
    if threading.active_count() > 1 and outcome.left:  # threads, which cannot be ended, and would keep this process
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def make_jobs(
    queue: Sequence[Task],
    methods: Sequence[str] | None,
    protocol: str,
    dataset: str,
    asked: dict[str, Any],
    device: str,
) -> tuple[list[Job], list[str]]:
    """The queue's searches in order, and the methods that this version lacks.

    Args:
        methods: only these; None: all.
        asked: settings of every search, before those of a task.

    Raises:
        BadCallError: a method is not in the queue, or as `launch.plan`.
    """
    names = list(dict.fromkeys(task.method for task in queue))
    for method in methods or ():
        if method not in names:
            raise choose("method of the queue", method, names)
    chosen = [task for task in queue if methods is None or task.method in methods]
    lacking = [name for name in names if name not in ours() and any(task.method == name for task in chosen)]
    jobs = [
        Job(launch.plan(task.method, dataset, seed, protocol, {**task.changes, **asked}, device), task.rank)
        for task in chosen
        if task.method not in lacking
        for seed in task.seeds
    ]
    return jobs, lacking


def _prepare(jobs: Sequence[Job], once: Path, end: float) -> None:
    """Read what is compiled, one method after the other, and then wait for the file, at most to the end.

    Searches side by side would read it in turns while the others' steps wait for the interpreter.
    """
    begin = time.monotonic()
    for method in dict.fromkeys(job.plan.method.name for job in jobs if job.plan.engine.on(job.plan.device).compiled):
        precompile.read(method)
        click.echo(f"{method}: what is compiled for it is read after {time.monotonic() - begin:.1f} s")
    while not once.exists() and time.monotonic() < end:
        time.sleep(0.1)


class Post:
    """Packs what this piece made: at once when a search is done, and else now and then."""

    def __init__(self, jobs: Sequence[Job], results: Path, out: Path) -> None:
        self._folders = [
            results / job.plan.folder_name for job in jobs if job.rank or not launch.is_done(job.plan, results)
        ]
        self._out = out
        self._done, self._sent = self._records(), time.monotonic()
        self.left_out: list[Path] = []

    def look(self) -> None:
        """Send, if there is something new."""
        if self._records() > self._done or time.monotonic() - self._sent > _AGAIN:
            self.send()

    def send(self) -> None:
        """Write the archives anew."""
        self._done = self._records()
        self.left_out = parcels.bundle(parcels.in_order(self._folders), self._out, "runs", SENT)
        self._sent = time.monotonic()

    def _records(self) -> int:
        return sum((folder / record.FILE_NAME).exists() for folder in self._folders)
