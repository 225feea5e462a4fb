"""How far a run is: told by itself in its own folder, `status.json`, and read there by whoever wants to know.

The file is there as long as the run is not done; then its record is the sign. Whether the run goes on is not for the
file to say, which a killed process leaves as it is, but for the claim beside it.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from nasbench_stc import claim, files, stored
from nasbench_stc.errors import DataError, describe
from nasbench_stc.records import record, simulated, training
from nasbench_stc.stored import Count, NotNegative, Time

FILE_NAME = "status.json"
STATES = ("running", "waiting", "failed", "lost", "stopped", "done")
"""`waiting`: a cluster is to start it; `stopped`: in order, by who started it; `lost`: it ended without a word. The
same command continues those two, and a failed one."""

_EVERY = 1.0  # seconds between two writes
_DONE = {record.FILE_NAME, simulated.FILE_NAME, training.FILE_NAME}
_BEGUN = {FILE_NAME, "checkpoint.pt"}


@dataclass(frozen=True)
class Status:
    """What `status.json` says."""

    state: Literal["running", "waiting", "failed", "stopped"]
    host: str = ""
    pid: Count = 0
    job: str = ""
    """Of Slurm, like `123_4`; empty of none."""
    epoch: Count = 0
    """That it is in, from 1; of simulated runs which run. 0: it has not begun."""
    epochs: Count = 0
    step: Count = 0
    steps: Count = 0
    """Of the epoch."""
    loss: float | None = None
    """Of training, in the last whole epoch."""
    seconds: NotNegative = 0.0
    """That it has taken so far, those before it was continued among them."""
    expected_end: Time | None = None
    written: Time = "1970-01-01T00:00:00+00:00"
    error: str = ""
    """Why it failed: the last line."""
    schema: int = 1

    def write(self, folder: Path) -> None:
        """Write it into `folder`, whole or not at all. Where that fails the run goes on."""
        with suppress(OSError):
            content = msgspec.json.encode(replace(self, written=_told(datetime.now(UTC))))
            files.write_atomic(folder / FILE_NAME, content, sync=False)


def _told(when: datetime) -> str:
    return when.isoformat(timespec="seconds")


class Teller:
    """Tells in a folder how far the run is that this process carries out there, once a second at most."""

    def __init__(self, folder: Path, epochs: int, check: Callable[[], None] = lambda: None) -> None:
        self.status = Status("running", os.uname().nodename, os.getpid(), claim.slurm_job(), epochs=epochs)
        self.folder, self._check, self._begun, self._before = folder, check, time.monotonic(), 0.0
        self._steps, self._written = 0, -_EVERY
        self._at: dict[str, Any] = {}
        self.status.write(folder)

    def step(
        self, epoch: int, epochs: int, step: int, steps: int, loss: float | None = None, before: float = 0.0
    ) -> None:
        """A step was done.

        Args:
            epoch, epochs, step, steps: as of `OnStep`.
            loss: of the last whole epoch.
            before: seconds that the run took in other processes.
        """
        self._check()
        now = time.monotonic()
        if not self._steps:
            self._begun, self._before = now, before  # the first step sets up
        self._steps += 1
        self._at = {"epoch": epoch + 1, "epochs": epochs, "step": step + 1, "steps": steps, "loss": loss}
        left = (epochs - epoch) * steps - step - 1
        if now - self._written >= _EVERY or not left:
            self._written = now
            seconds = (now - self._begun) / (self._steps - 1) * left if self._steps > 1 else None
            end = None if seconds is None else _told(datetime.now(UTC) + timedelta(seconds=seconds))
            self._tell(now, expected_end=end)

    def _tell(self, now: float, **more: Any) -> None:
        seconds = round(self._before + now - self._begun, 1)
        replace(self.status, seconds=seconds, **self._at, **more).write(self.folder)

    def end(self, state: Literal["waiting", "failed", "stopped"], error: str = "") -> None:
        """It ended before it was done; nothing is told of one that left nothing, and whose end its caller sees."""
        if not self.status.job and all(file.startswith(".") or file == FILE_NAME for file in os.listdir(self.folder)):
            (self.folder / FILE_NAME).unlink(missing_ok=True)
            return
        self._tell(time.monotonic(), state=state, error=error)


@contextmanager
def telling(folder: Path, epochs: int, check: Callable[[], None] = lambda: None) -> Iterator[Teller]:
    """The status of what the block does in the folder, which has to be claimed; `check` raises where it is no more."""
    teller = Teller(folder, epochs, check)
    try:
        yield teller
    except Exception as error:
        teller.end("failed", " ".join(describe(error).split()))
        raise
    except BaseException as error:
        requeued = isinstance(error, SystemExit) and teller.status.job  # by Slurm, which starts it again
        teller.end("waiting" if requeued else "stopped")
        raise
    (folder / FILE_NAME).unlink(missing_ok=True)


def read(folder: Path) -> Status | None:
    """What the run in the folder told last; None where it told nothing, or nothing any more."""
    try:
        return stored.read(Status, "status of a run", "remove it", folder / FILE_NAME)
    except DataError:
        return None


def say_waiting(folder: Path, job: str) -> None:
    """That the job of Slurm is to begin, unless it has."""
    folder.mkdir(parents=True, exist_ok=True)
    if claim.holder(folder) is None and not _DONE & set(os.listdir(folder)):
        Status("waiting", job=job).write(folder)


def queued() -> set[str] | None:
    """The jobs that Slurm has, waiting and running; None where it cannot be asked."""
    command = ["squeue", "--noheader", "--array", "--format=%i"]
    try:
        return set(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split())
    except (OSError, subprocess.SubprocessError):
        return None


class Seen(NamedTuple):
    """A run as its folder shows it."""

    folder: Path
    state: str
    """One of `STATES`."""
    status: Status
    """What it told last; empty where it told nothing."""


def look(folder: Path, names: Iterable[str] | None = None) -> Seen | None:
    """The run in the folder; None where there is none.

    Args:
        folder: of the run.
        names: of the files in it, where they are known.
    """
    present = set(os.listdir(folder) if names is None else names)
    told = read(folder) if FILE_NAME in present else None
    held = claim.holder(folder) if any(map(claim.is_claim, present)) else None
    if held is not None and held[1]:
        owner = held[0]
        return Seen(
            folder, "running", told or Status("running", *((owner.host, owner.pid, owner.job) if owner else ()))
        )
    if told is not None:
        return Seen(folder, "lost" if told.state == "running" else told.state, told)
    if present & _DONE:
        return Seen(folder, "done", Status("running"))
    begun = present & _BEGUN or any(map(claim.is_claim, present))
    return Seen(folder, "lost", Status("running")) if begun else None


def find(folders: Iterable[Path]) -> list[Seen]:
    """All runs below folders, by their paths. Of those that wait for Slurm it is asked, where it can be."""
    found: dict[str, Seen] = {}
    for above in folders:
        real = os.path.realpath(above)
        for folder, below, names in os.walk(above):
            below[:] = [name for name in below if not name.startswith(".")]
            seen = look(Path(folder), names)
            if seen is not None:
                found.setdefault(real + folder.removeprefix(str(above)), seen)
    return _asked_slurm([found[path] for path in sorted(found)])


def at_work(folders: Iterable[Path]) -> dict[Path, Seen]:
    """Those of the runs in these folders that run, or wait for Slurm."""
    seen = [look(folder) for folder in folders if folder.is_dir()]
    runs = _asked_slurm([run for run in seen if run is not None])
    return {run.folder: run for run in runs if run.state in ("running", "waiting")}


def _asked_slurm(runs: list[Seen]) -> list[Seen]:
    unsure = {run.folder for run in runs if run.state in ("waiting", "lost") and run.status.job}
    jobs = queued() if unsure else None
    if jobs is None:
        return runs
    return [
        run._replace(state="waiting" if run.status.job in jobs else "lost") if run.folder in unsure else run
        for run in runs
    ]
