"""Runs: the record of one or of many, rankings, the folders they live in, launchers. Reading them imports no torch."""

from collections.abc import Iterable
from pathlib import Path

from nasbench_stc.runs import record, simulated
from nasbench_stc.runs.ranking import Ranking
from nasbench_stc.runs.record import Record
from nasbench_stc.runs.simulated import SimulatedRun

__all__ = ["Ranking", "Record", "SimulatedRun", "read_all"]


def read_all(folders: Iterable[Path]) -> tuple[list[Record], list[str]]:
    """All runs below `folders`, sorted by path, and one sentence for each file that could not be read."""
    folders = list(folders)
    records, problems = record.read_below(folders, record.FILE_NAME, record.read)
    many, more = record.read_below(folders, simulated.FILE_NAME, simulated.read)
    return [*records, *(run for runs in many for run in runs.records())], [*problems, *more]
