"""What a caller of several runs is told while they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasbench_stc.runs.launch import Plan


class Watcher:
    """Told of each run, always in the caller's own thread. This one is not interested."""

    def begin(self, todo: Plan) -> None:
        """A run begins, or what it left behind is looked at."""

    def step(self, todo: Plan, epoch: int, epochs: int, step: int, steps: int) -> None:
        """A step was done; of a run in another process, ten times a second at most, and its last one for certain."""

    def end(self, todo: Plan) -> None:
        """A run's record is there."""

    def failed(self, todo: Plan, error: Exception) -> None:
        """A run in another process failed, and the others go on. One in this process raises its error instead."""
