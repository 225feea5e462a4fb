"""Progress bars of searches; where there is no terminal, a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nasbench_stc.errors import describe
from nasbench_stc.runs.launcher import Task, Watch

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

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


class Bars(Watch):
    """A progress bar a run on a terminal; elsewhere a line at every tenth of it, if `lines` are wanted."""

    def __init__(self, console: Console, lines: bool = True) -> None:
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
        self._live, self._lines = console.is_terminal, lines and not console.is_terminal
        self._progress = Progress(*columns, console=console, disable=not self._live, transient=not lines)
        self._bars: dict[Task, TaskID] = {}
        self._tenths: dict[Task, int] = {}
        self.jobs: list[str] = []
        """Of Slurm, those that were submitted."""

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, task: Task, job: str = "") -> None:
        """A bar for the run; of a job of Slurm it waits."""
        if job:
            self.jobs.append(job)
        shown = [bar for bar in self._progress.tasks if bar.visible]
        finished = [bar.id for bar in shown if bar.finished]
        if finished and len(shown) + 1 >= self._console.height:  # what does not fit the terminal is not seen to move
            self._progress.update(finished[0], visible=False)
        at = f"epoch 0/{task.epochs}" if task.epochs else ""
        self._bars[task] = self._progress.add_task(task.name, total=None, at=at)
        self._tenths[task] = 0

    def step(self, task: Task, epoch: int, epochs: int, step: int, steps: int) -> None:
        """The bar moves."""
        self._move(task, epoch * steps + step + 1, epochs * steps, f"epoch {epoch + 1}/{epochs}" if epochs > 1 else "")

    def end(self, task: Task) -> None:
        """The bar's run is done, if only because its record was there."""
        total = int(self._progress.tasks[self._bars[task]].total or 1)
        self._move(task, total, total, f"epoch {task.epochs}/{task.epochs}" if task.epochs else "done")

    def _move(self, task: Task, done: int, total: int, at: str) -> None:
        self._progress.update(self._bars[task], total=total, completed=done, at=at)
        tenths = 10 * done // total
        if self._lines and tenths > self._tenths[task]:
            self._tenths[task] = tenths
            self._console.print(f"{task.name}: {f'{at}, ' * bool(at)}{10 * tenths}%", markup=False)

    def failed(self, task: Task, error: Exception) -> None:
        """The bar stops; why is said above."""
        bar = self._bars[task]
        self._progress.update(bar, total=self._progress.tasks[bar].total or 1, at="failed")
        self._progress.stop_task(bar)
        self._console.print(f"{task.name}: failed: {describe(error)}", markup=False)
