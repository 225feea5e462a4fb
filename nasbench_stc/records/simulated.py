"""The record of many simulated runs: one file for all seeds of a method under the same settings.

It holds every query of every run, packed; not what was answered, for that the benchmark (whose checksum is here) says
again. More seeds are added to the same file; it is written whole or not at all. Reports read a run of it as a `Record`,
like that of any other search.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from nasbench_stc import stored
from nasbench_stc.engine.simulation import Incumbent, Run, Simulation
from nasbench_stc.records.record import Looked, Made, Record, Settings, check_columns, check_settings
from nasbench_stc.space import TSS, Cell, Space, find_space
from nasbench_stc.stored import Count, NotNegative, Percent, Positive

FILE_NAME = "runs.json"


@dataclass(frozen=True)
class SimulatedRun(Record):
    """One run as a record. Its trajectory has an entry each time that the best cell changed: evaluation, seconds, cell.

    `seconds` are `simulated` (by the benchmark's clock) and `scores` (of training-free scores, measured).
    """

    clock: str = "seconds"
    """In what the run's budget was: `seconds`, or `evaluations` where the benchmark has no times."""
    told: str = ""
    """What the method was told of a cell."""
    evaluations: int = 0
    """How many answers it got."""

    @property
    def of(self) -> Space:
        """The space that was searched."""
        return find_space(self.space)

    @property
    def trained(self) -> bool:
        """Whether trainings were simulated; else untrained networks were scored, and nothing more."""
        return bool(self.settings["protocol"])


class Queries(TypedDict):
    """Every query of every run, packed: all runs one after the other."""

    lengths: list[Positive]
    """Of each run."""
    kinds: list[int | str | None]
    """What was asked for: epochs, or a score."""
    training_seeds: list[int | None]
    cells: str
    asked: str
    seeds: str


class Session(Made):
    """What made some of the runs."""

    seeds: list[Count]


@dataclass(frozen=True)
class SimulatedRuns:
    """What `runs.json` says. All values are plain (JSON) ones; lists have one entry a run, in the order of `seeds`."""

    method: str
    origin: str
    """Of a method that is not ours: its package and version, or its file and checksum; else empty."""
    search_dataset: str
    protocol: str
    settings: dict[str, Settings]
    """Every setting by part: `protocol`, `method`, and for methods that ask for them `scores`."""
    changes: Settings
    """Those of them that differ from the protocol's and the method's own."""
    benchmark: Looked
    """It answered, too."""
    told: str
    """What the method was told of a cell."""
    clock: Literal["seconds", "evaluations"]
    """In what the budget was; evaluations where the benchmark has no times."""
    seeds: list[Count]
    """Ascending."""
    seconds: list[NotNegative]
    """Simulated."""
    scoring: list[NotNegative]
    """Seconds that training-free scores took, measured on the session's device."""
    incumbents: list[Annotated[list[tuple[Positive, NotNegative, Count]], Meta(min_length=1)]]
    """Each time that the best cell changed: [of which answer, simulated seconds, cell]. The last cell is the result."""
    scores: dict[str, dict[str, Percent]]
    """Percent by column and by cell, of the cells that result."""
    queries: Queries
    """See `runs`."""
    sessions: list[Session]
    title: str = ""
    """As in `Record`; so is `order`."""
    order: int | None = None
    space: str = TSS.name
    schema: int = 1

    def write(self, folder: Path) -> Path:
        """Write `runs.json` into `folder`, whole or not at all, a line a field."""
        return stored.write(folder / FILE_NAME, self, lines=True)

    def runs(self) -> dict[int, Run]:
        """All runs by seed, with every query."""
        kinds, training_seeds = self.queries["kinds"], self.queries["training_seeds"]
        ends = np.cumsum(self.queries["lengths"], dtype=np.int64)[:-1]
        cells, asked, seeds = (np.split(codes, ends) for codes in _codes(self.queries, self.of))
        return {
            seed: Run(
                cells[place].tolist(),
                [kinds[code] for code in asked[place].tolist()],
                [training_seeds[code] for code in seeds[place].tolist()],
                [Incumbent(*entry) for entry in self.incumbents[place]],
                self.seconds[place],
                self.scoring[place],
            )
            for place, seed in enumerate(self.seeds)
        }

    def records(self, seeds: Iterable[int] | None = None) -> list[SimulatedRun]:
        """The runs as records, in the order of `seeds` (None: all)."""
        places = {seed: place for place, seed in enumerate(self.seeds)}
        sessions = {seed: session for session in self.sessions for seed in session["seeds"]}
        return [self._record(places[seed], sessions[seed]) for seed in (self.seeds if seeds is None else seeds)]

    @property
    def of(self) -> Space:
        """The space that was searched."""
        return find_space(self.space)

    @property
    def trained(self) -> bool:
        """Whether trainings were simulated; else untrained networks were scored, and nothing more."""
        return bool(self.settings["protocol"])

    @property
    def timed_by(self) -> str:
        """The clock that stands for a device; empty where nothing was simulated."""
        return f"the clock of {self.benchmark['name']}" if any(self.seconds) or self.clock == "evaluations" else ""

    def _record(self, place: int, session: Session) -> SimulatedRun:
        incumbents = self.incumbents[place]
        cell = incumbents[-1][2]
        return SimulatedRun(
            **{name: getattr(self, name) for name in _OF_ALL},
            seed=self.seeds[place],
            cell=_name(cell, self.space),
            trajectory=[
                {"evaluation": n, "seconds": seconds, "cell": _name(c, self.space)} for n, seconds, c in incumbents
            ],
            supernet={},
            scores={column: values[str(cell)] for column, values in self.scores.items()},
            seconds={"simulated": self.seconds[place], "scores": self.scoring[place]},
            peak_memory={},
            split={},
            versions=session["versions"],
            device=self.timed_by or session["device"],
            threads=1,
            git_revision=session["git_revision"],
            finished=session["finished"],
            evaluations=self.queries["lengths"][place],
        )


_OF_ALL = (
    *("method", "title", "order", "search_dataset", "protocol", "settings", "changes"),
    *("benchmark", "told", "clock", "space"),
)
"""Fields that a run's record takes over from that of all of them."""


@cache
def _name(cell: int, space: str) -> str:
    """The official string of the cell at that index."""
    return str(Cell.from_index(cell, space))


def with_runs(
    kept: SimulatedRuns, runs: Mapping[int, Run], scores: dict[str, dict[str, float]], made: Made
) -> SimulatedRuns:
    """`kept` and the runs of a session; of a seed that it has already the new one takes the place.

    Args:
        runs: by seed.
        scores: percent by column and cell, of their results.
        made: what made them.
    """
    everything = {**kept.runs(), **runs}
    seeds = sorted(everything)
    ordered = [everything[seed] for seed in seeds]
    results = {str(run.incumbents[-1].cell) for run in ordered}
    sessions: list[Session] = [
        {**old, "seeds": [seed for seed in old["seeds"] if seed not in runs]} for old in kept.sessions
    ]
    return replace(
        kept,
        seeds=seeds,
        seconds=[round(run.seconds, 3) for run in ordered],
        scoring=[round(run.scoring, 6) for run in ordered],
        incumbents=[[(n, round(seconds, 3), cell) for n, seconds, cell in run.incumbents] for run in ordered],
        scores={
            column: {
                cell: value for cell, value in ({**kept.scores.get(column, {}), **values}).items() if cell in results
            }
            for column, values in scores.items()
        },
        queries=_packed(ordered, kept.of),
        sessions=[*(old for old in sessions if old["seeds"]), {**made, "seeds": sorted(runs)}],
    )


def _checked(found: SimulatedRuns) -> SimulatedRuns:
    check_columns(found.scores)
    check_settings(found.settings, Simulation())
    lists: tuple[list[Any], ...] = (found.seconds, found.scoring, found.incumbents, found.queries["lengths"])
    if any(len(values) != len(found.seeds) for values in lists):
        raise ValueError("its lists have not one entry a run")
    if sorted(seed for session in found.sessions for seed in session["seeds"]) != found.seeds:
        raise ValueError("its sessions are not those of its seeds")
    results = {str(run[-1][2]) for run in found.incumbents}
    if not all(results <= values.keys() for values in found.scores.values()):
        raise ValueError("cells lack scores")
    if any(cell >= found.of.num_cells for run in found.incumbents for _, _, cell in run):
        raise ValueError(f"a cell above {found.of.num_cells - 1}")
    _codes(found.queries, found.of)
    return found


_ANEW = "remove it, and run the search again"
read = partial(stored.read, SimulatedRuns, "record of simulated runs", _ANEW, check=_checked)
"""The runs in the file at a path; raises as `stored.read`."""


def _packed(runs: Sequence[Run], space: Space) -> Queries:
    """The queries of all runs, one after the other: `asked` and `seeds` by their place among the values that occur."""
    cells = [cell for run in runs for cell in run.cells]
    asked = [what for run in runs for what in run.asked]
    seeds = [seed for run in runs for seed in run.seeds]
    kinds, training_seeds = sorted(set(asked), key=str), sorted(set(seeds), key=str)
    return {
        "lengths": [len(run.cells) for run in runs],
        "kinds": kinds,
        "training_seeds": training_seeds,
        "cells": _pack(cells, _kind(space)),
        "asked": _pack([kinds.index(what) for what in asked], "u1"),
        "seeds": _pack([training_seeds.index(seed) for seed in seeds], "u1"),
    }


def _kind(space: Space) -> str:
    """Of numbers of cells."""
    return "<u2" if space.num_cells <= 2**16 else "<u8"


def _codes(queries: Queries, space: Space) -> list[NDArray[np.integer[Any]]]:
    """Of all queries the cell, what was asked for and the training seed, by their places among those that occur.

    Raises:
        ValueError: they are damaged, or not as many as the runs have.
    """
    found = []
    for name, kind, among in (
        ("cells", _kind(space), space.num_cells),
        ("asked", "u1", len(queries["kinds"])),
        ("seeds", "u1", len(queries["training_seeds"])),
    ):
        try:
            content = zlib.decompress(base64.b64decode(queries[name], validate=True))  # type: ignore[literal-required]
        except (binascii.Error, zlib.error) as error:
            raise ValueError(f"its queries cannot be unpacked ({error})") from None
        codes = np.frombuffer(content, dtype=kind)
        if len(codes) != sum(queries["lengths"]) or (len(codes) and codes.max() >= among):
            raise ValueError("its queries are not those of its runs")
        found.append(codes)
    return found


def _pack(numbers: Sequence[int], kind: str) -> str:
    """As text: base64 of zlib of the numbers."""
    return base64.b64encode(zlib.compress(np.array(numbers, dtype=kind).tobytes(), 9)).decode()


NO_QUERIES = _packed([], TSS)
"""Of a record without runs."""
