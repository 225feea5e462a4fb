"""A run of epochs in its folder, a search or a training: begun, continued from its checkpoint, or read.

At every moment the folder holds a checkpoint, the record, or both: of a run that is done again (`--no-resume`) the old
record stays until the new one takes its place.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

from torch import nn

from nasbench_stc.engine import checkpoint
from nasbench_stc.engine.loop import Search
from nasbench_stc.engine.training import Training
from nasbench_stc.runs import environment
from nasbench_stc.runs.folder import working
from nasbench_stc.runs.planned import Planned
from nasbench_stc.runs.status import Teller

OnStep = Callable[[int, int, int, int], None]
"""Called after each step with (epoch, epochs, step, steps)."""


class Written(Protocol):
    """A record."""

    def write(self, folder: Path) -> Path:
        """Into the run's folder."""


W = TypeVar("W", bound=Written)


class Begun(NamedTuple, Generic[W]):
    """A run whose epochs are still to come."""

    loop: Search | Training
    network: nn.Module
    """What it trains."""
    record: Callable[[int], W]
    """Made when its epochs are over, of how many runs were side by side."""


class Kind(NamedTuple, Generic[W]):
    """What runs of one kind leave in their folders."""

    record_name: str
    weights_name: str
    """Of the network's weights."""
    read: Callable[[Path], W]
    """The record of a run that is finished."""
    begin: Callable[[], Begun[W]]


def run_in_folder(
    todo: Planned, kind: Kind[W], out: Path | None, resume: bool, on_step: OnStep, side_by_side: int
) -> W:
    """Begin a run, or continue it, or return its record if it is finished.

    Args:
        todo: the run.
        kind: how it begins, and what it leaves.
        out, resume, on_step, side_by_side: as of `launch.run`.
    """
    with working(out, todo.folder_name, todo.epochs) as teller:
        kept, saved = teller.folder / kind.record_name, teller.folder / checkpoint.FILE_NAME
        if resume and is_kept(kept):
            return kind.read(kept)
        if not resume:
            saved.unlink(missing_ok=True)
        if side_by_side == 1:
            environment.forget_peak_memory(todo.device)
        begun = kind.begin()
        side_by_side = go_on(begun.loop, saved, teller, on_step, side_by_side)
        done = begun.record(side_by_side)
        checkpoint.save(saved.with_name(kind.weights_name), begun.network.state_dict())  # of a search `rank` reads it
        done.write(teller.folder)
        saved.unlink(missing_ok=True)
        return done


def go_on(loop: Search | Training, saved: Path, teller: Teller, on_step: OnStep, side_by_side: int) -> int:
    """All epochs that are left, from the checkpoint `saved` on if there is one, with a new one after each epoch.

    Args:
        teller: is told how far it is, as `on_step` is.
        side_by_side: how many runs share the machine's processor or card.

    Returns:
        How many did at most, since the run began.
    """
    if saved.exists():
        state = checkpoint.load(saved)
        loop.load_state_dict(state)
        side_by_side = max(side_by_side, state.get("side_by_side", 1))
    before = sum(loop.progress.seconds.values())

    def tick(epoch: int, step: int) -> None:
        at = (epoch, loop.epochs, step, loop.ticks)
        trajectory = loop.progress.trajectory
        teller.step(*at, trajectory[-1]["train_loss"] if trajectory else None, before)
        on_step(*at)

    while not loop.done:
        loop.run_epoch(tick)
        checkpoint.save(saved, {**loop.state_dict(), "side_by_side": side_by_side})
    return side_by_side


def is_kept(made: Path) -> bool:
    """Whether the record is there, and no checkpoint beside it, which is of the run that is to replace it."""
    return made.exists() and not (made.parent / checkpoint.FILE_NAME).exists()
