"""Who has a folder: one process at a time, on whatever machine, by files alone.

`flock` may be known to one host only where the folder is on NFS. A hard link is made or not made by the file server, on
any version of NFS, so a claim is a link: `.claim.0`, to a file that says who made it. Its owner touches it every few
seconds. A claim is stale where its process is gone (looked up where it can be: on the same machine) or where it was not
touched for a minute by the file server's own clock. Who finds `.claim.N` stale makes `.claim.N+1`, which only one of
several can, and removes N then; nothing is renamed, so nobody ever removes a claim that it has not seen to be stale.

The library flufl.lock links, too; it takes clocks of all machines to agree, two processes that break a lock at once may
both have it, and a process whose number was given to another one counts as alive.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

BEAT = 5.0
"""Seconds between two signs of life."""
STALE = 60.0
"""Seconds without one after which an owner on another machine is taken for gone."""
NAME = ".claim"

_TRIES = 5


class Taken(Exception):
    """Somebody else has it."""


@dataclass(frozen=True)
class Owner:
    """A process, so that others can tell whether it is still there."""

    host: str
    machine: str
    """Which kernel since when, and which of its process numbers."""
    pid: int
    started: int
    """When, by its kernel's clock: numbers of processes are given again."""
    job: str
    """Of Slurm, like `123_4`; empty of none."""
    token: str

    @classmethod
    def here(cls) -> Owner:
        """This process."""
        pid = os.getpid()
        return cls(socket.gethostname(), _machine(), pid, started(pid), slurm_job(), uuid.uuid4().hex)

    @property
    def is_known_gone(self) -> bool | None:
        """Whether it is gone; None: this machine cannot know."""
        return started(self.pid) != self.started if self.machine == _machine() else None


def slurm_job() -> str:
    """The Slurm job that this process belongs to, as users name it; empty where it is none."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")


def started(pid: int) -> int:
    """When the process was started, by its kernel's clock (0 where that cannot be known); -1 where there is none."""
    try:
        state, *more = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return -1 if state in "ZX" else int(more[18])
    except (OSError, ValueError, IndexError):
        if Path("/proc/self/stat").exists():
            return -1
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return -1
    except PermissionError:
        pass
    return 0


@cache
def _machine() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return socket.gethostname()


class Claim:
    """A folder that this process has, until `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_lost = False
        """Whether another process took the folder, because this one gave no sign of life for too long."""
        self._number = path.stat().st_ino
        self._over = threading.Event()
        threading.Thread(target=self._beat, daemon=True, name=f"claim of {path.parent.name}").start()

    def release(self) -> None:
        """Let others have it."""
        self._over.set()
        with suppress(OSError):
            if self._is_own():
                self.path.unlink()

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            try:
                if not self._is_own():
                    self.is_lost = True
                    return
                os.utime(self.path)  # which is the file server's clock
            except FileNotFoundError:
                self.is_lost = not self._over.is_set()
                return
            except OSError:  # the server does not answer: it may again
                continue

    def _is_own(self) -> bool:
        return self.path.stat().st_ino == self._number


def take(folder: Path, name: str = NAME, patience: float = 0.0) -> Claim:
    """Make the folder, and have it for oneself.

    Args:
        folder: it is made if it is not there.
        name: of the claim's files, for several in one folder.
        patience: seconds to wait for another process to leave it, or for its claim to be stale.

    Raises:
        Taken: another process has it.
        OSError: it cannot be made.
    """
    until = time.monotonic() + patience
    while True:
        try:
            return _take(folder, name)
        except Taken:
            if time.monotonic() > until:
                raise
            time.sleep(min(1.0, patience))


def _take(folder: Path, name: str) -> Claim:
    own = Owner.here()
    made = folder / f"{name}.{own.token}.partial"
    for _ in range(_TRIES):
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process tidied the folder up, or removed it
            try:
                made.write_bytes(msgspec.json.encode(own))
                path = _link(folder, name, made)
                if path is not None:
                    return Claim(path)
            finally:
                made.unlink(missing_ok=True)
    raise Taken


def _link(folder: Path, name: str, made: Path) -> Path | None:
    """The claim; None where others came and went meanwhile, so that it is to be tried again.

    Raises:
        Taken: another process has the folder.
    """
    before = _numbers(folder, name)
    if before and _alive(folder / f"{name}.{before[-1]}", made)[1]:
        raise Taken
    number = before[-1] + 1 if before else 0
    path = folder / f"{name}.{number}"
    try:
        os.link(made, path)
    except FileExistsError:
        if made.stat().st_nlink < 2:  # else it was made, and the answer was lost, as happens on NFS
            raise Taken from None
    now = _numbers(folder, name)
    if now[-1:] != [number] or before[-1:] != [other for other in now if other < number][-1:]:
        path.unlink()
        return None
    for other in now[:-1]:
        (folder / f"{name}.{other}").unlink(missing_ok=True)
    return path


def holder(folder: Path, name: str = NAME) -> tuple[Owner | None, bool] | None:
    """Who claims the folder, and whether it is still there; None: nobody does."""
    numbers = _numbers(folder, name)
    try:
        return _alive(folder / f"{name}.{numbers[-1]}") if numbers else None
    except OSError:  # released meanwhile
        return None


def is_claim(file: str, name: str = NAME) -> bool:
    """Whether a file of that name is a claim."""
    return file.startswith(f"{name}.") and file.removeprefix(f"{name}.").isdigit()


def _numbers(folder: Path, name: str) -> list[int]:
    return sorted(int(file.rpartition(".")[2]) for file in os.listdir(folder) if is_claim(file, name))


def _alive(path: Path, clock: Path | None = None) -> tuple[Owner | None, bool]:
    with path.open("rb") as file:  # opened, so that NFS asks the server for its time
        content, touched = file.read(), os.fstat(file.fileno()).st_mtime
    try:
        owner = msgspec.json.decode(content, type=Owner)
    except msgspec.MsgspecError:
        owner = None
    gone = owner.is_known_gone if owner is not None else None
    return owner, _server_time(path.parent, clock) - touched < STALE if gone is None else not gone


def _server_time(folder: Path, clock: Path | None) -> float:
    """The time by the clock that files of the folder are dated with, asked by touching one."""
    made = clock or folder / f"{NAME}.{uuid.uuid4().hex}.partial"
    try:
        made.touch()
        return made.stat().st_mtime
    except OSError:
        if clock is not None:
            raise
        return time.time()  # whoever may only look has but this one
    finally:
        if clock is None:
            with suppress(OSError):
                made.unlink()
