"""The folder of a run: one process at a time has it, and tells there how far it is; what stays empty goes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

from nasbench_stc import claim
from nasbench_stc.claim import Claim
from nasbench_stc.errors import BadCallError, RunError
from nasbench_stc.runs import environment
from nasbench_stc.runs.status import Teller, telling

_PATIENCE = claim.STALE + 2 * claim.BEAT


@contextmanager
def working(out: Path | None, name: str, epochs: int) -> Iterator[Teller]:
    """The folder of that name below `out` for oneself within the block, and what tells in it how far the run is.

    Args:
        out: None: the folder is in no place that lasts, and goes when the block is left.
        name: of the run's folder.
        epochs: as of `Status`.

    Raises:
        BadCallError, RunError: as of `locked`; RunError at the next step if another process took the folder over.
    """
    with tempfile.TemporaryDirectory() if out is None else nullcontext(out) as above:
        folder = Path(above) / name
        with locked(folder) as own, telling(folder, epochs, partial(check, own)) as teller:
            yield teller


@contextmanager
def locked(folder: Path) -> Iterator[Claim]:
    """Make the folder, and have it for oneself within the block; what a killed process left half written goes.

    Raises:
        BadCallError: it cannot be made.
        RunError: another process has it, or it cannot be written in the block.
    """
    new = not folder.parent.exists()
    environment.git_revision()  # it is asked once: when the run ends, the files may be others than those that ran
    try:
        with claimed(folder, f"{folder}: another process is running this very search") as own:
            for left_over in folder.glob(".*.partial"):
                left_over.unlink(missing_ok=True)
            yield own
    finally:
        with suppress(OSError):  # it is not empty, or another process has it by now
            folder.rmdir()
            if new:
                folder.parent.rmdir()


@contextmanager
def claimed(folder: Path, taken: str, name: str = claim.NAME) -> Iterator[Claim]:
    """Have for oneself within the block what claims of that name in the folder stand for.

    Raises:
        BadCallError: no claim can be made there.
        RunError: another process has it, which `taken` says; or the folder cannot be written in the block.
    """
    try:
        # What Slurm killed, and starts anew on another machine, left a claim that is not stale yet. That it is gone is
        # not sure: of a node whose daemon died Slurm thinks so, too.
        own = claim.take(folder, name, _PATIENCE if claim.slurm_job() else 0.0)
    except claim.Taken:
        raise RunError(f"{taken}; wait for it, or use another --out") from None
    except OSError as error:
        raise BadCallError(f"--out: {folder} cannot be written ({error.strerror or error})") from None
    try:
        yield own
    except OSError as error:
        raise RunError(f"{folder}: cannot be written ({error.strerror or error}); what was done is kept") from error
    finally:
        own.release()


def check(own: Claim) -> None:
    """Raises RunError where another process took the folder over."""
    if own.is_lost:
        raise RunError(
            f"{own.path.parent}: another process took this run over, because this one gave no sign of life for a "
            f"minute ({claim.STALE:.0f} s); it goes on there"
        )
