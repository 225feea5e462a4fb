"""A piece of a queue: searches one after another, or several side by side, that end before a deadline.

What is done has its record, what was stopped its checkpoint of the last whole epoch, so that the next piece goes on.
Side by side, workers take the next search from one list. They are threads, on a GPU with a stream each, or processes.
"""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch

from nasbench_stc.benchmark import Benchmark, open_benchmark
from nasbench_stc.engine import checkpoint, graphs
from nasbench_stc.errors import describe
from nasbench_stc.runs import launch
from nasbench_stc.runs.launch import Plan
from nasbench_stc.runs.rank import rank_cells

Clock = Callable[[], float]
Take = Callable[[], int]
"""The number of the next search."""

BY = ("threads", "processes")
_SETTLED = 10  # steps after which a search has started: its graphs, if it has any, are captured
_SWITCH = 1e-4  # seconds after which a thread lets others have the interpreter
_LOOK = 0.2  # seconds between two looks at the workers


class Job(NamedTuple):
    """A search, and which cells its supernet is to rank then."""

    plan: Plan
    rank: tuple[str, ...] = ()


@dataclass(frozen=True)
class Orders:
    """What a worker has to know; it can be pickled."""

    jobs: tuple[Job, ...]
    results: Path
    deadline: float
    """By the clock, which is `time.monotonic` unless a test has another one."""
    data_dir: Path | None = None
    benchmark: str = "auto"
    rank_images: int = 4096
    side_by_side: int = 1
    by: str = "threads"


class Stopped(BaseException):
    """The deadline is here, or the next epoch would not end before it. Like Ctrl-C it is no failure of the run."""


class Ends:
    """When searches of one process are expected to end, by their number in the list."""

    def __init__(self) -> None:
        self._of: dict[int, float] = {}

    def expect(self, number: int, end: float | None) -> None:
        """None: it has ended."""
        if end is None:
            self._of.pop(number, None)
        else:
            self._of[number] = end

    def late_before(self, number: int, deadline: float) -> bool:
        """Whether a search that comes before this one in the list would not end in time."""
        return any(before < number and end > deadline for before, end in list(self._of.items()))


class Guard:
    """Told of every step of a run; raises `Stopped` in time.

    Within an epoch that is at the deadline: what the epoch did is lost. After its first step, that is when the last
    epoch's checkpoint has been written, it is if an epoch takes longer than there is time left. There it also waits,
    as long as a search beside it that comes first in the list would not end in time with this one beside it.
    """

    def __init__(
        self,
        deadline: float,
        clock: Clock,
        settled: Callable[[], None] = lambda: None,
        number: int = 0,
        ends: Ends | None = None,
    ) -> None:
        self.deadline, self.clock, self._settled = deadline, clock, settled
        self.epoch, self.epochs = 0, 0
        self._number, self._ends = number, ends or Ends()
        self._began: float | None = None
        self._takes = 0.0
        self._measured = 0
        self._steps = 0

    def __call__(self, epoch: int, epochs: int, step: int, steps: int) -> None:
        """As `resumable.OnStep`."""
        now = self.clock()
        self._steps += 1
        if self._steps == _SETTLED:
            self._settled()
        if self._began is None or epoch != self.epoch:
            if self._began is not None:
                took = now - self._began
                self._takes = (self._takes + took) / 2 if self._measured > 1 else took  # in the first one it sets up
                self._measured += 1
            if self._measured > 1:
                self._ends.expect(self._number, now + self._takes * (epochs - epoch))
                now = self._wait(now)
            self.epoch, self.epochs, self._began = epoch, epochs, now
        if now >= self.deadline or self._began + self._takes > self.deadline:
            raise Stopped

    def _wait(self, now: float) -> float:
        while now < self.deadline and self._ends.late_before(self._number, self.deadline):
            time.sleep(_LOOK)
            now = self.clock()
        return now

    def tick(self, done: int, cells: int) -> None:
        """Of a ranking."""
        if self.clock() >= self.deadline:
            raise Stopped


def work(
    orders: Orders,
    take: Take,
    starting: AbstractContextManager[Any],
    clock: Clock = time.monotonic,
    ends: Ends | None = None,
) -> int:
    """One worker's searches until the deadline; returns how many failed.

    Args:
        take: yields numbers into the orders' jobs, each to one worker only.
        starting: is held while a search starts. Threads share it: torch's global generator, from which a supernet's
            weights are drawn, is one for all.
        ends: likewise shared by threads, which wait for each other (`Guard`).
    """
    benchmark = open_benchmark(orders.benchmark, orders.data_dir)
    failed, stopped = 0, False
    while not stopped and (number := take()) < len(orders.jobs) and clock() < orders.deadline:
        job = orders.jobs[number]
        guard: Guard | None = None
        try:
            with _stream(orders, job.plan.device), ExitStack() as start:
                start.enter_context(starting)
                guard = Guard(orders.deadline, clock, start.close, number, ends)
                _carry_out(job, orders, benchmark, guard)
        except Stopped:  # what is left is too short to begin another search in
            stopped = True
            at = f" in epoch {guard.epoch + 1} of {guard.epochs}" if guard and guard.epochs else ""
            click.echo(f"{job.plan.short_name}: stopped{at}")
        except Exception as error:  # the others go on
            failed += 1
            click.echo(f"{job.plan.short_name}: failed: {describe(error)}", err=True)
        if ends:
            ends.expect(number, None)
        gc.collect()
    return failed


def _carry_out(job: Job, orders: Orders, benchmark: Benchmark, guard: Guard) -> None:
    todo = job.plan
    known = launch.is_done(todo, orders.results)
    if todo.device.startswith("cuda") and (orders.side_by_side == 1 or orders.by == "processes"):
        torch.cuda.reset_peak_memory_stats(todo.device)  # the record's is that of this run
    beside = orders.side_by_side
    done = launch.run(todo, benchmark, orders.results, orders.data_dir, on_step=guard, side_by_side=beside)
    if not known:
        scores = ", ".join(f"{name} {score:.2f}" for name, score in done.scores.items() if name.endswith("test"))
        click.echo(f"{todo.short_name}: done, {done.total_seconds:,.1f} s, {done.cell} {scores}")
    folder = orders.results / todo.folder_name
    if job.rank and not (folder / checkpoint.SUPERNET_NAME).exists():
        click.echo(f"{todo.short_name}: not ranked, its {checkpoint.SUPERNET_NAME} is not here")
        return
    for cells in job.rank:
        if guard.clock() >= guard.deadline:
            raise Stopped
        found = rank_cells(folder, cells, orders.rank_images, orders.data_dir, todo.device, tick=guard.tick)
        click.echo(f"{todo.short_name}: {len(found.cells):,} cells rated in {found.seconds:,.1f} s")


@contextmanager
def _stream(orders: Orders, device: str) -> Iterator[None]:
    """A CUDA stream of one's own, for threads side by side."""
    apart = device.startswith("cuda") and orders.side_by_side > 1 and orders.by == "threads"
    with torch.cuda.stream(torch.cuda.Stream(device)) if apart else nullcontext():
        yield


class Outcome(NamedTuple):
    """What became of a piece."""

    failed: int
    """Searches, or workers that ended by themselves without a word."""
    left: int
    """Workers that were still at work when the patience was over: processes are ended then, threads cannot be."""


def run_piece(
    orders: Orders,
    clock: Clock = time.monotonic,
    until: float | None = None,
    look: Callable[[], None] = lambda: None,
) -> Outcome:
    """Carry out the orders.

    Args:
        clock: of threads; processes have `time.monotonic`.
        until: by `time.monotonic`, when workers that have not ended (a selection after the last epoch is no step) are
            left behind; None: never.
        look: called now and then meanwhile.
    """
    if orders.by == "processes":
        return _by_processes(orders, until, look)
    graphs.in_threads = orders.side_by_side > 1
    # While one thread compiles, each replay of another would wait 5 ms, the default, to go on: a step takes less.
    sys.setswitchinterval(_SWITCH)
    failed: list[int] = []
    numbers, starting, ends = itertools.count(), threading.Lock(), Ends()
    take = numbers.__next__

    def one() -> None:
        try:
            failed.append(work(orders, take, starting, clock, ends))
        except Exception as error:  # no search's: the benchmark cannot be opened, say
            failed.append(1)
            click.echo(f"failed: {describe(error)}", err=True)

    threads = [threading.Thread(target=one, daemon=True) for _ in range(orders.side_by_side)]
    for thread in threads:
        thread.start()
    _await(threads, until, look)
    return Outcome(sum(failed), sum(thread.is_alive() for thread in threads))


def _by_processes(orders: Orders, until: float | None, look: Callable[[], None]) -> Outcome:
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    number = context.Value("q", 0)
    threads = max(1, torch.get_num_threads() // orders.side_by_side)
    workers = [
        context.Process(target=_process, args=(orders, number, threads), daemon=True)
        for _ in range(orders.side_by_side)
    ]
    for worker in workers:
        worker.start()
    left: list[Any] = workers
    try:
        _await(workers, until, look)
        left = [worker for worker in workers if worker.is_alive()]
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(2)
            worker.kill()
            worker.join()
    codes = [worker.exitcode or 0 for worker in workers if worker not in left]
    return Outcome(sum(code if code >= 0 else 1 for code in codes), len(left))


def _process(orders: Orders, number: Any, threads: int) -> None:
    torch.set_num_threads(threads)

    def take() -> int:
        with number.get_lock():
            number.value += 1
            return int(number.value) - 1

    raise SystemExit(min(work(orders, take, nullcontext()), 100))


def _await(workers: Sequence[Any], until: float | None, look: Callable[[], None]) -> None:
    while any(worker.is_alive() for worker in workers) and (until is None or time.monotonic() < until):
        for worker in workers:
            worker.join(_LOOK / len(workers))
        look()
