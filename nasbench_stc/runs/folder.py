"""The folder of a run: one process at a time, and gone again if nothing came to be in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from nasbench_stc.errors import BadCallError, RunError

_LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder, and have it for oneself within the block; what a killed process left half written goes.

    Raises:
        BadCallError: it cannot be made.
        RunError: another process has it, or it cannot be written in the block.
    """
    out = folder.parent
    new = not out.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise RunError(
            f"{folder}: another process is running this very search; wait for it, or use another --out"
        ) from None
    except OSError as error:
        raise BadCallError(f"--out {out}: cannot be written ({error.strerror or error})") from None
    try:
        for left_over in folder.glob(".*.partial"):
            left_over.unlink()
        yield
    except OSError as error:
        raise RunError(f"{folder}: cannot be written ({error.strerror or error}); what was done is kept") from error
    finally:
        with suppress(OSError):  # another process may be using the folder by now
            if {path.name for path in folder.iterdir()} <= {_LOCK}:
                (folder / _LOCK).unlink(missing_ok=True)
                folder.rmdir()
                if new:
                    out.rmdir()
        lock.release()
