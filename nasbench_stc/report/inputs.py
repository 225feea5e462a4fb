"""What tables and figures are made from, read once; and what is said where it is not there."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from nasbench_stc.benchmark import Benchmark, Metric, held_columns, open_benchmark
from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.errors import DataError, StcBenchError
from nasbench_stc.runs import Ranking, Record, profile, ranking, read_files
from nasbench_stc.runs.ablation import is_of_ablation
from nasbench_stc.runs.profile import Profile
from nasbench_stc.runs.record import read_below
from nasbench_stc.space import DATASETS, Cell

_ROUNDING = 1e-3  # percent: of tables of one checksum that were read by different versions

RESULTS = Path("results")
"""Where records are looked for, and written, unless said otherwise."""


class Missing(NamedTuple):
    """What would be shown if there were records of it."""

    what: str
    """In few words, to stand after "missing: "."""
    command: str
    """What makes them, to be copied as it is."""

    def __str__(self) -> str:
        return f"missing: {self.what}; to make it: {self.command}"


class MissingRecords(DataError):
    """There is nothing of what a table or figure shows; `missing` says what would make it."""

    def __init__(self, *missing: Missing) -> None:
        self.missing = missing
        super().__init__("; ".join(map(str, missing)))


@dataclass(frozen=True)
class Inputs:
    """What tables and figures are made from; each takes what it needs."""

    records: Sequence[Record] = ()
    asked: Benchmark | None = None
    """The benchmark that was asked for; None: it is not at hand."""
    benchmarks: Sequence[Benchmark] = ()
    """Those in which the records' cells were looked up, as far as they are at hand with the whole space."""
    profiles: Sequence[Profile] = ()
    rankings: Sequence[Ranking] = ()
    folders: tuple[Path, ...] = (RESULTS,)
    """Where all that was read."""
    problems: tuple[str, ...] = ()
    """A sentence for each file that could not be read."""
    dataset: str = "cifar10"
    """Of the figures pareto and anytime; so is `split`."""
    split: str = "test"
    metric: Metric | None = None
    """Of the figure pareto."""
    regret: bool = False
    """Of the figure anytime: how far below the best cell, instead of the accuracy."""
    against: str = "stc"
    """Of the table differences: the method that the others are compared with."""

    @property
    def benchmark(self) -> Benchmark:
        """The benchmark that was asked for.

        Raises:
            DataError: it is not at hand.
        """
        if self.asked is None:
            raise DataError("no benchmark is at hand: `stc-bench data status` says how to get one")
        return self.asked

    @cached_property
    def searches(self) -> list[Record]:
        """The records but for those of ablations, which change a setting: they have tables and figures of their own."""
        return [record for record in self.records if not is_of_ablation(record)]

    def benchmark_of(self, record: Record) -> Benchmark | None:
        """The benchmark in which the record's cell was looked up, if it is at hand."""
        known = [opened for opened in (*self.benchmarks, self.asked) if opened is not None]
        return next((opened for opened in known if (opened.name, opened.sha256) == record.looked_up_in), None)

    @property
    def like_ours(self) -> str:
        """Options, with a space before them, by which a further search is comparable with those that are there."""
        own = [record for record in self.records if record.protocol in PROTOCOLS]
        if not own:
            return ""
        return like(max(own, key=lambda record: (record.method == "stc", not record.changes, record.finished)))

    def command(self, call: str) -> str:
        """A `stc-bench` command that writes records to where these were read."""
        folder = self.folders[0] if self.folders else RESULTS
        return f"stc-bench {call}" if folder == RESULTS else f"stc-bench {call} --out {shlex.quote(str(folder))}"


def like(record: Record) -> str:
    """Options, with a space before them, of a search on the record's data set by its protocol."""
    dataset = "" if record.search_dataset == DATASETS[0] else f" --dataset {record.search_dataset}"
    return f"{dataset} --protocol {record.protocol}"


def gather(
    folders: Iterable[str | Path] = (RESULTS,), benchmark: str | Path = "auto", data_dir: str | Path | None = None
) -> Inputs:
    """Read all records, rankings and profiles below folders, and open what their cells were looked up in.

    Args:
        folders: those that are not there have no records.
        benchmark, data_dir: as for `open_benchmark`. `auto` may be nowhere.

    Raises:
        BadCallError, DataError: another benchmark than `auto` cannot be opened.
    """
    paths = tuple(Path(folder) for folder in folders)
    of_files, problems = read_files(paths)
    profiles, more = profile.read_all(paths)
    rankings, most = read_below(paths, "ranking-*.json", ranking.read)
    try:
        asked = open_benchmark(benchmark, data_dir)
    except StcBenchError:
        if benchmark != "auto":
            raise
        asked = None
    of_records = opened_for([run for runs in of_files.values() for run in runs[:1]], asked, data_dir)
    for path, why in contradictions(of_files, of_records).items():
        problems.append(f"{path}: left out, for it {why}")
        del of_files[path]
    records = list(itertools.chain(*of_files.values()))
    return Inputs(records, asked, of_records, profiles, list(rankings.values()), paths, (*problems, *more, *most))


def contradictions(of_files: Mapping[Path, Sequence[Record]], benchmarks: Sequence[Benchmark]) -> dict[Path, str]:
    """Files whose scores are not what the benchmark that they name says of their cells, and what they say.

    Args:
        benchmarks: those at hand; of others nothing is known.
    """
    found: dict[Path, str] = {}
    for benchmark in benchmarks:
        own = [
            (path, run)
            for path, runs in of_files.items()
            for run in runs
            if run.looked_up_in == (benchmark.name, benchmark.sha256)
        ]
        places = {cell: place for place, cell in enumerate(dict.fromkeys(run.cell for _, run in own))}
        cells = [Cell.parse(cell) for cell in places]
        for column, which in held_columns(benchmark).items():
            told = benchmark.accuracy(cells, *which).tolist()
            for path, run in own:
                score, expected = run.scores.get(column), told[places[run.cell]]
                if score is not None and abs(score - expected) > _ROUNDING:
                    digits = Cell.parse(run.cell).digits
                    found.setdefault(path, f"says {score:g} of {digits} in {column}, {benchmark.name} {expected:g}")
    return found


def opened_for(
    records: Sequence[Record], asked: Benchmark | None, data_dir: str | Path | None = None
) -> list[Benchmark]:
    """The benchmarks in which the records' cells were looked up, as far as they are at hand with the whole space.

    Args:
        asked: one that is open already; the others are found by the names that the records give.
        data_dir: as for `open_benchmark`.
    """
    wanted = {record.looked_up_in for record in records}
    found: dict[tuple[str, str], Benchmark] = {}
    for candidate in [asked, *sorted({name for name, _ in wanted})]:
        if wanted <= found.keys():
            break
        try:
            opened = open_benchmark(candidate, data_dir) if isinstance(candidate, str) else candidate
        except StcBenchError:
            continue
        if opened is not None and opened.in_memory and (opened.name, opened.sha256) in wanted:
            found.setdefault((opened.name, opened.sha256), opened)
    return [found[key] for key in sorted(found)]
