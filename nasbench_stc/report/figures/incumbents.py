"""Groups of runs over time: the mean of what they would have returned at each moment, and its interval.

A run's incumbent is its best cell so far, and its value a step function of the clock that is known from the first
answer on. Lindauer & Hutter, "Best practices for scientific research on neural architecture search", JMLR 2020, ask
for such curves over several runs (their Sec. 4.4); NATS-Bench (Dong et al., TPAMI 2021) prints their means.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.report import statistics
from nasbench_stc.report.groups import Group
from nasbench_stc.report.pooling import without_budget

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
POINTS = 200
"""Of a curve, at most."""
_CONTINUED = ["benchmark", "benchmark_sha256", "method", "origin", "search_dataset", "seed"]


@dataclass(frozen=True)
class Series:
    """What one group of runs comes to: a curve, or one point for runs that have a cell at their end only."""

    label: str
    group: Group
    """Its runs, one a seed, are on one data set."""
    x: Floats
    mean: Floats
    """Over the runs."""
    half: Floats
    """Half the width of the mean's 95 % t-interval; NaN for a single run."""

    @property
    def is_curve(self) -> bool:
        """Whether runs trained cell after cell, so that their incumbents have a place on the benchmark's clock."""
        return self.group.kind == "black-box"

    @property
    def n(self) -> int:
        """How many runs."""
        return len(self.group.runs)

    def described(self) -> dict[str, Any]:
        """Where it comes from, in plain values."""
        return {
            "label": self.label,
            **{name: self.group[name] for name in ("method", "protocol", "told", "device")},
            "seeds": self.group.runs["seed"].tolist(),
            "settings": self.group.settings,
        }


def longest(runs: DataFrame) -> DataFrame:
    """The runs without black-box ones that are the beginning of another one.

    Of two runs on one data set with one seed and the same settings but for the budget, the one with more of it goes on
    where the other one ended, for nothing in a run depends on when it ends.
    """
    budget = runs["settings"].map(lambda text: _budget(json.loads(text), "budget")).astype(float)
    same = [*(runs[name] for name in _CONTINUED), runs["settings"].map(without_budget)]
    most = budget.groupby(same, observed=True).transform("max")
    return runs[(runs["kind"] != "black-box") | (budget == most)]


def _budget(settings: dict[str, Any], of: str) -> float:
    """What a run might spend: `budget` in seconds, or `evaluations`; 0: without a limit."""
    value = settings["protocol"].get(of)
    return float(value) if isinstance(value, (int, float)) else 0.0


def series(label: str, group: Group, incumbents: DataFrame, clock: str, worth: Floats) -> Series:
    """Of black-box runs the curve of their best cells so far, of others the point of the cells found, at the mean cost.

    A curve goes from where the last run gets its first cell to the budget, or to the last one's end. A run that has
    ended keeps its cell.

    Args:
        label: of the group.
        group: its runs.
        incumbents: as `load_incumbents` has them, of these runs and others.
        clock: `seconds` or `evaluations`.
        worth: what cells are worth, by index.
    """
    runs = group.runs
    if group.kind == "black-box":
        numbered = runs[["path", "seed"]].assign(run=np.arange(len(runs)))
        changes = incumbents[incumbents["path"].isin(runs["path"].unique())].merge(numbered, on=["path", "seed"])
        changes = changes.sort_values("run", kind="stable")
        run = changes["run"].to_numpy()
        times = changes["seconds" if clock == "seconds" else "evaluation"].to_numpy(dtype=np.float64)
        lengths = runs["simulated_seconds"] if clock == "seconds" else runs["evaluations"]
        end = max(_budget(group.settings, "budget" if clock == "seconds" else "evaluations"), float(lengths.max()))
        x = grid(times, times[np.unique(run, return_index=True)[1]].max(), end)
        values = at(x, run, times, worth[changes["cell_index"]])
    else:
        x, values = np.array([runs["seconds"].mean()]), worth[runs["cell_index"], None]
    half = statistics.t_half_widths(values) if len(runs) > 1 else np.full(len(x), np.nan)
    return Series(label, group, x, values.mean(axis=0), half)


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


def at(x: Floats, run: NDArray[np.int64], times: Floats, held: Floats) -> Floats:
    """What each run holds at each `x`, shape (runs, points).

    Args:
        x: ascending, none before the first change of any run.
        run: whose each change is, from 0; the changes stand run after run.
        times: of changes, ascending within a run; of equal ones the last counts.
        held: what each change led to.
    """
    place = np.zeros((run[-1] + 1, len(x) + 1), dtype=np.int64)  # a last column for changes after all of `x`
    np.maximum.at(place, (run, np.searchsorted(x, times)), np.arange(len(held)))
    result: Floats = held[np.maximum.accumulate(place[:, :-1], axis=1)]
    return result
