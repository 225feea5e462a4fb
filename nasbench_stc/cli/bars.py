"""Progress bars of searches; where there is no terminal, a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nasbench_stc.errors import describe
from nasbench_stc.runs.watch import Watcher

if TYPE_CHECKING:
    from rich.console import Console

    from nasbench_stc.runs.launch import Plan

_EVERY = 20.0  # seconds between two lines on simulated runs where there is no terminal


@contextmanager
def runs_bar(console: Console, name: str, runs: int) -> Iterator[Callable[[int, int, int], None]]:
    """A bar over the simulated runs of a method; gives what moves it (`OnRun`), and says first how many are kept."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    left = (TextColumn("left"), TimeRemainingColumn())
    spoken = time.monotonic()
    kept = -1  # until the first call
    with Progress(*columns, *left, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=runs)

        def on_run(done: int, of: int, scores: int) -> None:
            nonlocal spoken, kept
            first, kept = kept < 0, runs - of
            if first and kept:
                many = f"{runs} run{'s' * (runs > 1)}"
                console.print(f"{name}: {kept} of {many} done before and kept (--no-resume runs them again)")
            at = f"{name}, {scores} scores" if scores else name
            progress.update(task, description=at, completed=kept + done)
            if not console.is_terminal and time.monotonic() - spoken > _EVERY:
                spoken = time.monotonic()
                console.print(f"{at}: run {kept + done + 1} of {runs}", markup=False)

        yield on_run


class Bars(Watcher):
    """A progress bar a seed on a terminal; elsewhere a line at every tenth of a run."""

    def __init__(self, console: Any) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}  {task.fields[at]}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._console = console
        self._live = console.is_terminal
        self._progress = Progress(*columns, console=console, disable=not self._live)
        self._tasks: dict[str, Any] = {}
        self._tenths: dict[str, int] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, todo: Plan) -> None:
        """A bar for the run."""
        shown = [task for task in self._progress.tasks if task.visible]
        finished = [task.id for task in shown if task.finished]
        if finished and len(shown) + 1 >= self._console.height:  # what does not fit the terminal is not seen to move
            self._progress.update(finished[0], visible=False)
        at = f"epoch 0/{todo.engine.epochs}"
        self._tasks[todo.folder_name] = self._progress.add_task(todo.short_name, total=None, at=at)
        self._tenths[todo.folder_name] = 0

    def step(self, todo: Plan, epoch: int, epochs: int, step: int, steps: int) -> None:
        """The bar moves."""
        done, total = epoch * steps + step + 1, epochs * steps
        at = f"epoch {epoch + 1}/{epochs}"
        self._progress.update(self._tasks[todo.folder_name], total=total, completed=done, at=at)
        tenths = 10 * done // total
        if not self._live and tenths > self._tenths[todo.folder_name]:
            self._tenths[todo.folder_name] = tenths
            self._console.print(f"{todo.short_name}: {at}, {10 * tenths}%")

    def end(self, todo: Plan) -> None:
        """The bar's run is done, if only because its record was there."""
        task, epochs = self._tasks[todo.folder_name], todo.engine.epochs
        total = self._progress.tasks[task].total or 1
        self._progress.update(task, total=total, completed=total, at=f"epoch {epochs}/{epochs}")

    def failed(self, todo: Plan, error: Exception) -> None:
        """The bar stops; why is said above."""
        task = self._tasks[todo.folder_name]
        self._progress.update(task, total=self._progress.tasks[task].total or 1, at="failed")
        self._progress.stop_task(task)
        self._console.print(f"{todo.short_name}: failed: {describe(error)}", markup=False)
