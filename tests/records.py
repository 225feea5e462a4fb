"""Records compared: what two runs of one plan have to agree in."""

from __future__ import annotations

from dataclasses import replace

from nasbench_stc.runs import Record


def untimed(done: Record) -> Record:
    """The record without what a clock or the process's memory says, and what they depend on."""
    trajectory = [{k: v for k, v in entry.items() if k != "seconds"} for entry in done.trajectory]
    return replace(done, trajectory=trajectory, seconds={}, finished="", peak_memory={}, side_by_side=1)
