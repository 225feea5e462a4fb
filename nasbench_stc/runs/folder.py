"""The folder of a run: one process at a time, and gone again if nothing came to be in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nasbench_stc import claim
from nasbench_stc.claim import Claim
from nasbench_stc.errors import BadCallError, RunError

_PATIENCE = claim.STALE + 2 * claim.BEAT


@contextmanager
def locked(folder: Path) -> Iterator[Claim]:
    """Make the folder, and have it for oneself within the block; what a killed process left half written goes.

    Raises:
        BadCallError: it cannot be made.
        RunError: another process has it, or it cannot be written in the block.
    """
    out = folder.parent
    new = not out.exists()
    try:
        # What Slurm killed, and starts anew on another machine, left a claim that is not stale yet. That it is gone is
        # not sure: of a node whose daemon died Slurm thinks so, too.
        own = claim.take(folder, patience=_PATIENCE if claim.slurm_job() else 0.0)
    except claim.Taken:
        raise RunError(
            f"{folder}: another process is running this very search; wait for it, or use another --out"
        ) from None
    except OSError as error:
        raise BadCallError(f"--out {out}: cannot be written ({error.strerror or error})") from None
    try:
        for left_over in folder.glob(".*.partial"):
            left_over.unlink(missing_ok=True)
        yield own
    except OSError as error:
        raise RunError(f"{folder}: cannot be written ({error.strerror or error}); what was done is kept") from error
    finally:
        own.release()
        with suppress(OSError):  # it is not empty, or another process has it by now
            folder.rmdir()
            if new:
                out.rmdir()


def check(own: Claim) -> None:
    """Raises RunError where another process took the folder over."""
    if own.is_lost:
        raise RunError(
            f"{own.path.parent}: another process took this run over, because this one gave no sign of life for a "
            f"minute ({claim.STALE:.0f} s); it goes on there"
        )
