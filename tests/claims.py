"""Claims that a process on another machine might have made."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
from processes import GUARD

from nasbench_stc.claim import NAME, Owner

ELSEWHERE = replace(Owner.here(), host="another", machine="of other process numbers")


def claim_as(owner: Owner, folder: Path, age: float = 0.0, number: int = 0) -> Path:
    """A claim of that owner, that it last touched so many seconds ago."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}.{number}"
    path.write_bytes(msgspec.json.encode(owner))
    os.utime(path, (time.time() - age,) * 2)
    return path


@contextmanager
def claimed_elsewhere(folder: Path) -> Iterator[None]:
    """A process on another machine has the folder, and goes on to: it does not look dead, however long all takes."""
    path = claim_as(ELSEWHERE, folder, age=-GUARD)
    yield
    path.unlink()
