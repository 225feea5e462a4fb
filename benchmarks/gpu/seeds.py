"""Several seeds side by side on one device: threads, on a GPU with a stream each, and processes."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch
from measuring import Size

from nasbench_stc.engine import profile
from nasbench_stc.errors import RunError

from .steps import Way, build


class Trial(NamedTuple):
    """What each of the seeds does: so many epochs of so many steps, after one to warm up."""

    method: str
    way: Way
    size: Size
    device: str
    steps: int
    epochs: int


def by_threads(trial: Trial, seeds: int) -> float:
    """Seconds a step of one seed: all seeds' time, divided by all seeds' steps."""
    cuda = trial.device.startswith("cuda")
    streams = [torch.cuda.Stream(trial.device) if cuda else None for _ in range(seeds)]
    searches = []
    for seed, stream in enumerate(streams):  # one after another, as supernets are drawn from torch's global generator
        with torch.cuda.stream(stream) if stream else nullcontext():
            searches.append(build(trial.method, trial.way, trial.size, trial.device, trial.steps, seed))
            searches[-1].run_epoch()
    profile.wait(torch.device(trial.device))
    barrier, errors = threading.Barrier(seeds + 1), []

    def one(number: int) -> None:
        stream = streams[number]
        barrier.wait()
        try:
            with torch.cuda.stream(stream) if stream else nullcontext():
                for _ in range(trial.epochs):
                    searches[number].run_epoch()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(seeds)]
    for thread in threads:
        thread.start()
    barrier.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    profile.wait(torch.device(trial.device))
    if errors:
        raise errors[0]
    return (time.perf_counter() - begin) / (seeds * trial.epochs * trial.steps)


def by_processes(trial: Trial, seeds: int, patience: float) -> float:
    """Likewise; the processes' start is not counted.

    Raises:
        RunError: they did not all end within `patience` seconds, or one failed.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(seeds)
    lines = [context.Pipe(duplex=False) for _ in range(seeds)]
    workers = [
        context.Process(target=_one, args=(trial, seed, barrier, line[1], patience), daemon=True)
        for seed, line in enumerate(lines)
    ]
    until = time.monotonic() + patience
    for worker in workers:
        worker.start()
    for _, theirs in lines:
        theirs.close()
    try:
        spans = [_hear(ours, until) for ours, _ in lines]
    finally:
        _end(workers)
    # The clock is one for all processes of a machine.
    return (max(end for _, end in spans) - min(begin for begin, _ in spans)) / (seeds * trial.epochs * trial.steps)


def _one(trial: Trial, seed: int, barrier: Any, line: Connection, patience: float) -> None:
    try:
        torch.set_num_threads(1)
        search = build(trial.method, trial.way, trial.size, trial.device, trial.steps, seed)
        search.run_epoch()
        profile.wait(torch.device(trial.device))
        barrier.wait(patience)
        begin = time.monotonic()
        for _ in range(trial.epochs):
            search.run_epoch()
        profile.wait(torch.device(trial.device))
        line.send((begin, time.monotonic()))
    except Exception as error:
        barrier.abort()
        line.send(f"{type(error).__name__}: {error}")


def _hear(line: Connection, until: float) -> tuple[float, float]:
    if not line.poll(max(0.0, until - time.monotonic())):
        raise RunError("the processes did not end in time")
    try:
        said = line.recv()
    except EOFError:
        raise RunError("a process ended without a word") from None
    if isinstance(said, str):
        raise RunError(f"a process failed: {said}")
    begin, end = said
    return begin, end


def _end(workers: Sequence[Any]) -> None:
    for worker in workers:
        worker.join(0.5)
    for worker in workers:
        worker.kill()
        worker.join()
