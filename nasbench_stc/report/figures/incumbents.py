"""Groups of runs over time: the mean of what they would have returned at each moment, and its interval.

A run's incumbent is its best cell so far, and its value a step function of the clock that is known from the first
answer on. Lindauer & Hutter, "Best practices for scientific research on neural architecture search", JMLR 2020, ask
for such curves over several runs (their Sec. 4.4); NATS-Bench (Dong et al., TPAMI 2021) prints their means.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.report import statistics
from nasbench_stc.report.groups import grouped, listing_of, without_budget
from nasbench_stc.runs import Record, SimulatedRun

Floats = NDArray[np.float64]
Values = Callable[[Sequence[str]], Floats]
"""From cells, by their official strings, to one number each."""

POINTS = 200
"""Of a curve, at most."""


@dataclass(frozen=True)
class Series:
    """What one group of runs comes to: a curve, or one point for runs that have a cell at their end only."""

    label: str
    runs: Sequence[Record]
    """One a seed, under the same settings."""
    is_curve: bool
    x: Floats
    mean: Floats
    """Over the runs."""
    half: Floats
    """Half the width of the mean's 95 % t-interval; NaN for a single run."""

    @property
    def told(self) -> str:
        """What the method was told of a cell; empty where weights are shared."""
        first = self.runs[0]
        return first.told if isinstance(first, SimulatedRun) else ""

    @property
    def low(self) -> Floats:
        """The lower end of the interval."""
        return self.mean - self.half

    @property
    def high(self) -> Floats:
        """The upper end of the interval."""
        return self.mean + self.half

    def described(self) -> dict[str, Any]:
        """Where it comes from, in plain values."""
        first = self.runs[0]
        return {
            "label": self.label,
            "method": first.method,
            "protocol": first.protocol,
            "told": self.told,
            "device": first.device,
            "seeds": [run.seed for run in self.runs],
            "settings": first.settings,
        }


def is_timed(record: Record) -> bool:
    """Whether the run trained cell after cell, so that its incumbent has a place on the benchmark's clock."""
    return isinstance(record, SimulatedRun) and record.trained


def clock_of(record: Record) -> str:
    """What the run's cost is counted in: `seconds` or `evaluations`."""
    return record.clock if isinstance(record, SimulatedRun) else "seconds"


def longest(records: Sequence[Record]) -> tuple[list[Record], int]:
    """The records without runs that are the beginning of another one, and how many these are.

    Of two runs on one data set with one seed and the same settings but for the budget, the one with more of it goes on
    where the other one ended, for nothing in a run depends on when it ends.
    """

    def key(record: Record) -> tuple[str, ...]:
        return (
            *record.looked_up_in,
            *(record.method, record.versions.get(record.method, ""), record.search_dataset, str(record.seed)),
            json.dumps(without_budget(record)),
        )

    most: dict[tuple[str, ...], float] = {}
    timed = [record for record in records if is_timed(record)]
    for record in timed:
        most[key(record)] = max(_budget(record, "budget"), most.get(key(record), 0.0))
    kept = [record for record in records if not is_timed(record) or _budget(record, "budget") == most[key(record)]]
    return kept, len(records) - len(kept)


def _budget(record: Record, of: str) -> float:
    """What the run might spend: `budget` in seconds, or `evaluations`; 0: without a limit."""
    value = record.settings["protocol"].get(of)
    return float(value) if isinstance(value, (int, float)) else 0.0


def labelled(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The runs of each group (see `groups`) of records on one data set, by a label that tells it from the others."""
    chosen = [group.records for group in grouped(records)]
    return dict(zip(_labels([group[0] for group in chosen]), chosen, strict=True))


def _labels(firsts: Sequence[Record]) -> list[str]:
    """The method's name, and where that is not enough what tells its groups apart."""
    found: list[str] = []
    for record in firsts:
        label = listing_of(record).title
        rivals = [other for other in firsts if other.method == record.method]
        if len({other.protocol for other in rivals}) > 1:
            label += f", {record.protocol}"
        if any(other.changes != record.changes for other in rivals):
            label += "".join(f", {name}={value}" for name, value in record.changes.items())
        same = sum(other == label or other.startswith(f"{label} #") for other in found)
        found.append(f"{label} #{same + 1}" if same else label)
    return found


def curve(label: str, runs: Sequence[Record], clock: str, values: Values) -> Series:
    """The mean over runs from where the last of them gets its first cell to the budget, or to the last one's end.

    A run that has ended keeps its cell.

    Args:
        label: of the group.
        runs: simulated ones.
        clock: `seconds` or `evaluations`.
        values: what cells are worth.
    """
    step = "seconds" if clock == "seconds" else "evaluation"
    times = [np.array([entry[step] for entry in run.trajectory], dtype=np.float64) for run in runs]
    held = values([entry["cell"] for run in runs for entry in run.trajectory])
    budget = _budget(runs[0], "budget" if clock == "seconds" else "evaluations")
    end = max(budget, max(_length(run, clock) for run in runs))
    x = grid(np.concatenate(times), max(own[0] for own in times), end)
    return Series(label, runs, True, x, *_summary(at(x, times, held)))


def point(label: str, runs: Sequence[Record], values: Values) -> Series:
    """The mean over runs of the cell found, at their mean cost."""
    cost = np.array([statistics.mean([run.total_seconds for run in runs])])
    return Series(label, runs, False, cost, *_summary(values([run.cell for run in runs])[:, None]))


def grid(changes: Floats, begin: float, end: float, points: int = POINTS) -> Floats:
    """Where a curve is computed: at the changes from `begin` to `end`, exactly, or at so many of them.

    Of more changes than `points` those are taken that lie next to a logarithmic grid.
    """
    inside = changes[(changes >= begin) & (changes <= end)]
    found: Floats = np.unique(np.concatenate([inside, [begin, end]]))
    if len(found) <= points:
        return found
    first = found[found > 0][0]
    wanted = np.geomspace(first, end, points - 1)[1:-1]
    places = np.minimum(np.searchsorted(found, wanted), len(found) - 1)
    ends = [0, int(np.searchsorted(found, first)), len(found) - 1]
    chosen: Floats = found[np.unique(np.concatenate([places, ends]))]
    return chosen


def at(x: Floats, times: Sequence[Floats], held: Floats) -> Floats:
    """What each run holds at each `x`, shape (runs, points).

    Args:
        x: ascending, none before the first change of any run.
        times: of each run's changes, ascending; of equal ones the last counts.
        held: what each change led to, run after run.
    """
    run = np.repeat(np.arange(len(times)), [len(own) for own in times])
    place = np.zeros((len(times), len(x) + 1), dtype=np.int64)  # a last column for changes after all of `x`
    np.maximum.at(place, (run, np.searchsorted(x, np.concatenate(times))), np.arange(len(held)))
    result: Floats = held[np.maximum.accumulate(place[:, :-1], axis=1)]
    return result


def _length(run: Record, clock: str) -> float:
    if clock == "evaluations" and isinstance(run, SimulatedRun):
        return run.evaluations
    return float(run.seconds.get("simulated", run.total_seconds))


def _summary(values: Floats) -> tuple[Floats, Floats]:
    """Mean and half the interval's width of each column."""
    mean: Floats = values.mean(axis=0)
    return mean, statistics.t_half_widths(values) if len(values) > 1 else np.full(len(mean), np.nan)
