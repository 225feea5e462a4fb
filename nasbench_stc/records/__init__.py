"""What runs leave: the record of one or of many, of trainings, rankings and profiles. Reading them imports no torch."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from nasbench_stc.records import record, simulated
from nasbench_stc.records.ranking import Ranking
from nasbench_stc.records.record import Record
from nasbench_stc.records.simulated import SimulatedRun, SimulatedRuns

__all__ = ["Ranking", "Record", "SimulatedRun", "SimulatedRuns", "Source", "read_all", "read_each", "read_sources"]

Source = Record | SimulatedRuns
"""What a file says: of one run, or of many."""


T = TypeVar("T")


def read_sources(folders: Iterable[Path]) -> tuple[dict[Path, Source], list[str]]:
    """What each file of runs below `folders` says, and one sentence for each that could not be read."""
    return read_each(folders, lambda path, source: source)


def read_each(
    folders: Iterable[Path], keep: Callable[[Path, Source], T], known: Callable[[Path], T | None] = lambda path: None
) -> tuple[dict[Path, T], list[str]]:
    """The same, but of each file only what `keep` makes of it: no more than one is in memory as a whole.

    Args:
        known: what `keep` made before of the record at a path, which is then not read; None: nothing is known.
    """

    def one(path: Path) -> T:
        before = known(path)
        return keep(path, record.read(path)) if before is None else before

    folders = list(folders)
    single, problems = record.read_below(folders, record.FILE_NAME, one)
    many, more = record.read_below(folders, simulated.FILE_NAME, lambda path: keep(path, simulated.read(path)))
    return {**single, **many}, list(dict.fromkeys([*problems, *more]))  # a folder that is closed is so to both


def read_all(folders: Iterable[Path]) -> tuple[list[Record], list[str]]:
    """All runs below `folders`, sorted by path, and one sentence for each file that could not be read."""
    sources, problems = read_sources(folders)
    runs: list[Record] = []
    for source in sources.values():
        runs += source.records() if isinstance(source, SimulatedRuns) else [source]
    return runs, problems
