"""A Slurm cluster of two nodes on this machine, where there can be one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from two_nodes import TwoNodes, missing


@pytest.fixture(scope="session")
def cluster() -> Iterator[TwoNodes]:
    """A real Slurm of this worker's own, which every command in its environment finds."""
    if why := missing():
        pytest.skip(why)
    with (
        tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder,
        TwoNodes(Path(folder)) as started,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in started.environment.items():
            patch.setenv(name, value)
        yield started
