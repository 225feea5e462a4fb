"""Runs side by side: each in a process of its own, which tells this one how far it is.

Every run has a fresh process, spawned so that CUDA and threads are safe, and a pipe that nobody else uses: however
one ends, the others go on. A worker writes its own folder, so a record is whole when it ends; what its cell scores
it asks the benchmark of this process, which is opened once.

Ctrl-C goes to all processes of a terminal's group. Workers do not hear it: this process does, and ends them. SIGTERM,
which is how it ends them, they do hear, and heed once. If this process is killed, a worker finds nobody at the other
end of its pipe, and stops at its next step.
"""

from __future__ import annotations

import math
import multiprocessing
import pickle
import signal
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, resource_tracker
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.benchmark.base import Benchmark, Key
from nasbench_stc.errors import RunError

if TYPE_CHECKING:
    from nasbench_stc.runs.launch import Plan
    from nasbench_stc.runs.record import Record
    from nasbench_stc.runs.watch import Watcher

Line = connection.Connection
"""One end of the pipe between a worker and this process."""

_EVERY = 0.1  # seconds between two messages on steps
_PATIENCE = 5.0  # seconds that a worker has to finish its step and leave, before it is killed


def side_by_side(
    carry_out: Callable[..., Record],
    plans: Sequence[Plan],
    benchmark: Benchmark,
    jobs: int,
    threads: int,
    watch: Watcher,
) -> list[Record | Exception]:
    """What became of each plan. One that fails does not keep the others from being carried out.

    Args:
        carry_out: called in a worker with a plan, a benchmark and `on_step`; a function that can be pickled.
        jobs: how many workers there are at a time.
        threads: of torch, in each worker.
    """
    waiting = deque(range(len(plans)))
    running: dict[Line, _Worker] = {}
    outcomes: dict[int, Record | Exception] = {}
    shown: dict[Any, Any] = {}  # a warning is shown once, as if all ran in this process
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                with _signals_held():
                    worker = _Worker(waiting.popleft(), plans, carry_out, benchmark, threads)
                    running[worker.line] = worker
                watch.begin(worker.todo)
            for line in connection.wait(list(running)):
                worker = running[line]  # type: ignore[index]
                match worker.hear():
                    case "step", *at:
                        watch.step(worker.todo, *at)
                    case "ask", name, arguments:
                        worker.answer(benchmark, name, arguments)
                    case "warning", text, category, file, number:
                        warnings.warn_explicit(text, category, file, number, registry=shown)
                    case None:
                        del running[worker.line]
                        outcomes[worker.number] = outcome = worker.outcome()
                        if isinstance(outcome, Exception):
                            watch.failed(worker.todo, outcome)
                        else:
                            watch.end(worker.todo)
    finally:
        _stop(list(running.values()))
    return [outcomes[number] for number in range(len(plans))]


class _Worker:
    """A worker as this process sees it."""

    def __init__(
        self, number: int, plans: Sequence[Plan], carry_out: Callable[..., Record], benchmark: Benchmark, threads: int
    ) -> None:
        self.number, self.todo = number, plans[number]
        self.line, theirs = multiprocessing.Pipe()
        self._said: Record | Exception | None = None
        self.process = multiprocessing.get_context("spawn").Process(
            target=_work,
            args=(theirs, carry_out, self.todo, _Asked(benchmark, theirs), threads),
            name=self.todo.short_name,
            daemon=True,
        )
        self.process.start()
        theirs.close()  # so that the end of the worker is the end of the line

    def hear(self) -> tuple[Any, ...] | None:
        """The worker's next message; None once it has ended."""
        try:
            message: tuple[Any, ...] = self.line.recv()
        except (EOFError, OSError):
            return None
        if message[0] == "ended":
            self._said = message[1]
        return message

    def answer(self, benchmark: Benchmark, name: str, arguments: tuple[Any, ...]) -> None:
        """Tell the worker what the benchmark says, or what it raises."""
        try:
            answer = getattr(benchmark, name)(*arguments)
        except Exception as error:
            answer = _portable(error)
        with suppress(OSError):  # it is gone by now, which the next message tells
            self.line.send(answer)

    def outcome(self) -> Record | Exception:
        """The record, or why there is none, of a worker that has ended."""
        self.process.join()
        self.line.close()
        if self._said is not None:
            return self._said
        code = self.process.exitcode or 0
        how = f"by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"with status {code}"
        hint = "; if memory ran out, lower --jobs" if code == -signal.SIGKILL else ""
        return RunError(f"the process of the run was ended {how}{hint}. The same command continues where it stood")


def _stop(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()
    until = time.monotonic() + _PATIENCE
    for worker in workers:
        worker.process.join(max(0.0, until - time.monotonic()))
        worker.process.kill()
        worker.process.join()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Ctrl-C and SIGTERM are heeded when the block is left; Ctrl-C never by a process that is started in it."""
    resource_tracker.ensure_running()  # else the first start does it, and unblocks the signal
    held: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()  # no other is interrupted
    ends = (signal.SIGINT, signal.SIGTERM) if in_main else ()
    usual = {number: signal.signal(number, lambda number, _: held.append(number)) for number in ends}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # this is what a process inherits
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in usual.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


def _work(line: Line, carry_out: Callable[..., Record], todo: Plan, benchmark: Benchmark, threads: int) -> None:
    """What a worker does."""
    import torch

    def show_warning(message: Warning | str, category: type[Warning], *where: Any, **_: Any) -> None:
        _tell(line, "warning", str(message), category, *where[:2])

    warnings.showwarning = show_warning
    torch.set_num_threads(threads)
    signal.signal(signal.SIGTERM, _leave)
    try:
        try:
            outcome: Record | Exception = carry_out(todo, benchmark, on_step=_reporter(line))
        except Exception as error:
            outcome = _portable(error)
        _tell(line, "ended", outcome)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except KeyboardInterrupt:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)  # the exit status says how it ended


def _leave(number: int, _: object) -> None:
    """Asked to end, a worker leaves its folder in order; once, where all of the group were asked and it is again."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _reporter(line: Line) -> Callable[[int, int, int, int], None]:
    last = -math.inf

    def on_step(epoch: int, epochs: int, step: int, steps: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY or (epoch + 1, step + 1) == (epochs, steps):
            last = now
            _tell(line, "step", epoch, epochs, step, steps)

    return on_step


def _tell(line: Line, *message: Any) -> None:
    try:
        line.send(message)
    except OSError:  # nobody is there any more: as if Ctrl-C had been pressed
        raise KeyboardInterrupt from None


def _portable(error: Exception) -> Exception:
    """The error with a note of where it was raised; another one in its place where it cannot be pickled."""
    where = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(where)
    return error


class _Asked(Benchmark):
    """The benchmark of the other process."""

    def __init__(self, benchmark: Benchmark, line: Line) -> None:
        self.name, self.about, self.elsewhere = benchmark.name, benchmark.about, benchmark.elsewhere
        self.path, self.sha256, self.in_memory = benchmark.path, benchmark.sha256, benchmark.in_memory
        self._keys, self._line = tuple(benchmark.holds()), line

    def holds(self) -> Sequence[Key]:
        """As the other one."""
        return self._keys

    def lookup(
        self, index: NDArray[np.int64], key: Key, quantity: str = "accuracy", at_epoch: int | None = None
    ) -> NDArray[np.float64]:
        """The other one's answer."""
        return self._ask("lookup", index, key, quantity, at_epoch)

    def lookup_curve(self, index: NDArray[np.int64], key: Key, quantity: str = "accuracy") -> NDArray[np.float64]:
        """The other one's answer."""
        return self._ask("lookup_curve", index, key, quantity)

    def _ask(self, name: str, *arguments: Any) -> NDArray[np.float64]:
        _tell(self._line, "ask", name, arguments)
        try:
            answer: NDArray[np.float64] | Exception = self._line.recv()
        except (EOFError, OSError):
            raise KeyboardInterrupt from None
        if isinstance(answer, Exception):
            raise answer
        return answer
