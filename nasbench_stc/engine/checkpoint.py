"""Checkpoints: the state of a search between two epochs, written whole or not at all, read without running anything."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from nasbench_stc import files
from nasbench_stc.errors import RunError

FILE_NAME = "checkpoint.pt"
SUPERNET_NAME = "supernet.pt"
"""The weights alone, of a search that is done."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain containers) to `path`; a kill at any moment leaves the old file or the new."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    files.write_atomic(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any]:
    """The state in `path`, its tensors on the CPU: modules and optimizers take them to where they are.

    Raises:
        RunError: the file cannot be read.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged files
        raise RunError(f"{path}: cannot be read ({error}). Start the run anew with --no-resume") from None
    return state
