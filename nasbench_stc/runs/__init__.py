"""Runs: the record of one or of many, rankings, the folders they live in, launchers. Reading them imports no torch."""

import itertools
from collections.abc import Iterable
from pathlib import Path

from nasbench_stc.runs import record, simulated
from nasbench_stc.runs.ranking import Ranking
from nasbench_stc.runs.record import Record
from nasbench_stc.runs.simulated import SimulatedRun

__all__ = ["Ranking", "Record", "SimulatedRun", "read_all", "read_files"]


def read_files(folders: Iterable[Path]) -> tuple[dict[Path, list[Record]], list[str]]:
    """The runs in each file below `folders`, and one sentence for each file that could not be read."""
    folders = list(folders)
    single, problems = record.read_below(folders, record.FILE_NAME, record.read)
    many, more = record.read_below(folders, simulated.FILE_NAME, simulated.read)
    of_files: dict[Path, list[Record]] = {path: [run] for path, run in single.items()}
    of_files |= {path: [*runs.records()] for path, runs in many.items()}
    return of_files, [*problems, *more]


def read_all(folders: Iterable[Path]) -> tuple[list[Record], list[str]]:
    """All runs below `folders`, sorted by path, and one sentence for each file that could not be read."""
    of_files, problems = read_files(folders)
    return list(itertools.chain(*of_files.values())), problems
