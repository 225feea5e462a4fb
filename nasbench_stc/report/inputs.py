"""What tables and figures are made from, read once; and what is said where it is not there."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nasbench_stc.benchmark import Benchmark, Metric, held_columns, open_benchmark
from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.errors import DataError, NotAtHandError, StcBenchError
from nasbench_stc.records import Ranking, Source, profile, ranking, read_sources, training
from nasbench_stc.records.profile import Profile
from nasbench_stc.records.record import read_below
from nasbench_stc.records.training import TrainingRecord
from nasbench_stc.report import frames
from nasbench_stc.space import DATASETS, TSS, Space, find_space

if TYPE_CHECKING:
    from pandas import DataFrame

_ROUNDING = 1e-3  # percent: of tables of one checksum that were read by different versions

_TAKEN = {
    **dict.fromkeys(("report", "search", "ablate", "rank"), ("--benchmark", "--data-dir")),
    "train": ("--data-dir",),
}
"""By command which options of a report it takes, too."""

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

    sources: Mapping[Path, Source] = field(default_factory=dict)
    """What files of runs say, by their paths."""
    asked: Benchmark | None = None
    """The benchmark that was asked for; None: it is not at hand."""
    benchmarks: Sequence[Benchmark] = ()
    """Those in which the runs' cells were looked up, as far as they are at hand with the whole space."""
    trained: Mapping[Path, TrainingRecord] = field(default_factory=dict)
    """What files of trainings say, by their paths."""
    profiles: Sequence[Profile] = ()
    rankings: Sequence[Ranking] = ()
    folders: tuple[Path, ...] = (RESULTS,)
    """Where all that was read."""
    problems: tuple[str, ...] = ()
    """A sentence for each file that could not be read."""
    asked_by: Mapping[str, str] = field(default_factory=dict)
    """Options of the report by which that was found, if any, for the commands that make what is missing."""
    dataset: str = "cifar10"
    """Of the figures pareto and anytime; so is `split`."""
    split: str = "test"
    metric: Metric | None = None
    """Of the figure pareto."""
    regret: bool = False
    """Of the figure anytime: how far below the best cell, instead of the accuracy."""
    space: Space = TSS
    """Of all these."""
    against: str = ""
    """Of the table differences: the method that the others are compared with; empty: the first of `searchers`."""

    @classmethod
    def of(cls, records: Iterable[Source] = (), asked: Benchmark | None = None, **more: Any) -> Inputs:
        """Of records at hand, as `search` returns them; `more` by the names of the fields."""
        return cls({Path(str(number)): record for number, record in enumerate(records)}, asked, **more)

    @property
    def benchmark(self) -> Benchmark:
        """The benchmark that was asked for.

        Raises:
            DataError: it is not at hand.
        """
        if self.asked is None:
            raise DataError("no benchmark is at hand: `stc-bench data status` says how to get one")
        if not self.asked.holds():
            raise DataError(self.asked.about)
        return self.asked

    @cached_property
    def runs(self) -> DataFrame:
        """All runs; see `load_runs`."""
        return frames.runs_frame(self.sources)

    @cached_property
    def searches(self) -> DataFrame:
        """The runs but for those of ablations, which change a setting: they have tables and figures of their own."""
        return self.runs[~self.runs["of_ablation"]]

    @cached_property
    def trajectories(self) -> DataFrame:
        """Their epochs; see `load_trajectories`."""
        return frames.trajectories_frame(self.sources)

    @cached_property
    def incumbents(self) -> DataFrame:
        """Their best cells so far; see `load_incumbents`."""
        return frames.incumbents_frame(self.sources)

    @cached_property
    def trainings(self) -> DataFrame:
        """The trainings of single cells; see `load_trainings`."""
        return frames.trainings_frame(self.trained)

    def benchmark_of(self, name: str, sha256: str) -> Benchmark | None:
        """The benchmark of that name and checksum, if it is at hand."""
        known = [opened for opened in (*self.benchmarks, self.asked) if opened is not None]
        return next((opened for opened in known if (opened.name, opened.sha256) == (name, sha256)), None)

    def is_searched_by(self, kind: str) -> bool:
        """Whether methods of that kind search this space: one-shot ones its supernet, others a benchmark of it."""
        if kind == "one-shot":
            return self.space.shares_weights
        return self.asked is None or bool(self.asked.holds())

    @property
    def searchers(self) -> tuple[str, ...]:
        """Methods that search this space: what others are compared with, and what to compare with it."""
        trained = ("stc", "rsps") if self.is_searched_by("one-shot") else ()
        simulated = ("rs", "rea") if self.is_searched_by("black-box") or not trained else ()
        return (*trained[:1], *simulated, *trained[1:])

    @property
    def a_search(self) -> str:
        """The call of a first search in this space."""
        if self.space.shares_weights:
            return "search --dataset cifar10 --seeds 3"
        return "search --method black-box --seeds 500"

    @property
    def a_training(self) -> str:
        """The call that trains a cell of this space alone."""
        return f"train {shlex.quote(self.space.example)}"

    @property
    def like_ours(self) -> str:
        """Options, with a space before them, by which a further search is comparable with those that are there."""
        own = self.runs[self.runs["protocol"].isin(PROTOCOLS)]
        if own.empty:
            return ""
        ranked = own.assign(is_stc=own["method"] == "stc", unchanged=own["changes"] == "{}")
        last = ranked.sort_values(["is_stc", "unchanged", "finished"], kind="stable").iloc[-1]
        return like(last["search_dataset"], last["protocol"])

    def lacking(self, what: str, call: str) -> Missing:
        """What is not there, in few words, and the `stc-bench` command that makes it."""
        return Missing(what, self.command(call))

    def options(self, command: str) -> str:
        """Those that a command needs to find what this report found, each after a space."""
        taken = _TAKEN.get(command, ())
        own = (f" {name} {shlex.quote(value)}" for name, value in self.asked_by.items() if name in taken)
        return "".join((*own, self.space.option))

    def command(self, call: str) -> str:
        """A `stc-bench` command that writes records of this space to where these were read."""
        folder = self.folders[0] if self.folders else RESULTS
        call += self.options(call.split()[0])
        return f"stc-bench {call}" if folder == RESULTS else f"stc-bench {call} --out {shlex.quote(str(folder))}"


def like(dataset: str, protocol: str) -> str:
    """Options, with a space before them, of a search on that data set by that protocol."""
    return f"{'' if dataset == DATASETS[0] else f' --dataset {dataset}'} --protocol {protocol}"


def gather(
    folders: Iterable[str | Path] = (RESULTS,),
    benchmark: str | Path = "auto",
    data_dir: str | Path | None = None,
    space: str = TSS.name,
) -> Inputs:
    """Read all records, rankings and profiles below folders, and open what their cells were looked up in.

    Args:
        folders: those that are not there have no records.
        benchmark, data_dir, space: as for `open_benchmark`. `auto` may be nowhere.

    Raises:
        BadCallError, DataError: another benchmark than `auto` cannot be opened; there is no folder `data_dir`.
    """
    paths = tuple(Path(folder) for folder in folders)
    everything, problems = read_sources(paths)
    sources = {path: source for path, source in everything.items() if source.space == space}
    profiles, more = profile.read_all(paths)
    rankings, most = read_below(paths, ranking.PATTERN, ranking.read)
    trained, yet_more = read_below(paths, training.FILE_NAME, training.read)
    asked = None
    try:
        asked = open_benchmark(benchmark, data_dir, space)
    except DataError as error:
        if benchmark != "auto":
            raise
        if not isinstance(error, NotAtHandError):
            problems = [*problems, f"the benchmark: {error}"]
    ranked = [ranking for ranking in rankings.values() if ranking.space == space]
    wanted = {(source.benchmark["name"], source.benchmark["sha256"]) for source in sources.values()}
    opened = opened_for(wanted, asked, data_dir, space)
    inputs = Inputs(
        sources,
        asked,
        opened,
        {path: record for path, record in trained.items() if record.space == space},
        [profile for profile in profiles if profile.space == space],
        ranked,
        paths,
        tuple(dict.fromkeys([*problems, *more, *most, *yet_more])),
        {
            **({} if benchmark == "auto" else {"--benchmark": str(benchmark)}),
            **({} if data_dir is None else {"--data-dir": str(data_dir)}),
        },
        space=find_space(space),
    )
    wrong = contradictions(inputs.runs, opened)
    if not wrong:
        return inputs
    told = [f"{path}: left out, for it {why}" for path, why in wrong.items()]
    left = {path: source for path, source in sources.items() if path not in wrong}
    return replace(inputs, sources=left, problems=(*inputs.problems, *told))


def contradictions(runs: DataFrame, benchmarks: Sequence[Benchmark]) -> dict[Path, str]:
    """Files whose scores are not what the benchmark that they name says of their cells, and what they say.

    Args:
        runs: as `load_runs` has them.
        benchmarks: those at hand; of others nothing is known.
    """
    found: dict[Path, str] = {}
    for benchmark in benchmarks:
        own = runs[(runs["benchmark"] == benchmark.name) & (runs["benchmark_sha256"] == benchmark.sha256)]
        for column, which in held_columns(benchmark).items():
            expected = benchmark.accuracy(own["cell_index"].to_numpy(), *which)
            wrong = (abs(own[column] - expected) > _ROUNDING).to_numpy()  # not where there is no score
            for run, right in zip(own[wrong].itertuples(), expected[wrong], strict=True):
                says = f"says {own.at[run.Index, column]:g} of {run.digits} in {column}, {benchmark.name} {right:g}"
                found.setdefault(Path(run.path), says)
    return found


def opened_for(
    wanted: Set[tuple[str, str]],
    asked: Benchmark | None,
    data_dir: str | Path | None = None,
    space: str = TSS.name,
) -> list[Benchmark]:
    """The benchmarks of those names and checksums, as far as they are at hand with the whole space.

    Args:
        wanted: in which cells were looked up.
        asked: one that is open already; the others are found by their names.
        data_dir, space: as for `open_benchmark`.
    """
    found: dict[tuple[str, str], Benchmark] = {}
    for candidate in [asked, *sorted({name for name, _ in wanted})]:
        if wanted <= found.keys():
            break
        try:
            opened = open_benchmark(candidate, data_dir, space) if isinstance(candidate, str) else candidate
        except StcBenchError:
            continue
        if opened is not None and opened.in_memory and (opened.name, opened.sha256) in wanted:
            found.setdefault((opened.name, opened.sha256), opened)
    return [found[key] for key in sorted(found)]
