"""Anytime curves: what runs would have returned, had they been stopped, over the time that they had spent.

Black-box methods are curves over the benchmark's clock. Weight-sharing and training-free ones have a cell at their end
only: they are points at what their search cost, on the device that it ran on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_stc.benchmark import column
from nasbench_stc.report import style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.figures import incumbents, timeline
from nasbench_stc.report.figures.incumbents import Series
from nasbench_stc.report.figures.timeline import Picture
from nasbench_stc.report.groups import Group, grouped, labels
from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.yardsticks import axis_begins

if TYPE_CHECKING:
    from pandas import DataFrame


def build(inputs: Inputs) -> Chart:
    """The curves and points of the runs that are of `inputs.benchmark` and `inputs.dataset`.

    Raises:
        BadCallError: the benchmark does not hold the accuracy.
        MissingRecords: there are none.
        DataError: the benchmark lacks cells of which it is needed.
    """
    benchmark = inputs.benchmark
    shown, clock, left_out = _chosen(inputs)
    if shown.empty:
        told = f" ({_counted(left_out)})" * bool(left_out.total())
        raise MissingRecords(Missing(f"runs of {benchmark.name} and {inputs.dataset}{told}", _command(inputs)))
    best = benchmark.optimal(inputs.dataset, inputs.split) if inputs.regret or benchmark.in_memory else None
    kept = incumbents.longest(shown)
    groups = grouped(kept)
    left_out["the beginnings of longer runs that are shown"] = len(shown) - len(kept)
    left_out["older than another one of the same seed"] = len(kept) - sum(len(group.runs) for group in groups)
    top = best[1] if best else None
    series = _series(inputs, groups, clock, top or 0.0)
    curves, points = ([one for one in series if one.is_curve is is_curve] for is_curve in (True, False))
    picture = Picture(curves, points, clock, top, inputs.regret, _begins(inputs, top))
    details = {
        "quantity": "regret" if inputs.regret else "accuracy",
        "clock": clock,
        "benchmark": {"name": benchmark.name, "about": benchmark.about, "sha256": benchmark.sha256},
        "dataset": inputs.dataset,
        "split": inputs.split,
        "best": None if best is None else {"cell": str(best[0]), "accuracy": round(best[1], 4)},
        "series": [one.described() for one in picture.series],
    }
    caption = " ".join(_caption(inputs, picture, left_out))
    paint = partial(picture.paint, _labels(inputs, picture))
    return Chart(caption, tuple(_rows(picture)), details, paint, picture.height, style.PAGE_WIDTH)


def _chosen(inputs: Inputs) -> tuple[DataFrame, str, Counter[str]]:
    """The runs to be shown, their clock, and how many others there are, by reason.

    Seconds and evaluations have no common axis: the clock is that of most runs that have one.
    """
    runs, benchmark = inputs.searches, inputs.benchmark
    here = runs[(runs["benchmark"] == benchmark.name) & (runs["benchmark_sha256"] == benchmark.sha256)]
    same = here[here["search_dataset"] == inputs.dataset]
    clocks = same["clock"].astype(str).replace("", "seconds")
    most = Counter(clocks[same["kind"] == "black-box"]).most_common(1)
    clock = most[0][0] if most else "seconds"
    shown = same[clocks == clock]
    left_out = {
        "looked up in another benchmark": len(runs) - len(here),
        "searched on another data set": len(here) - len(same),
        "counted by another clock": len(same) - len(shown),
    }
    return shown, clock, Counter(left_out)


def _series(inputs: Inputs, groups: Sequence[Group], clock: str, best: float) -> list[Series]:
    """Of accuracy or regret; it is looked up once for all cells that occur."""
    timed = {path for group in groups if group.kind == "black-box" for path in group.runs["path"].unique()}
    changes = inputs.incumbents[inputs.incumbents["path"].isin(timed)]
    cells = np.unique(np.concatenate([changes["cell_index"], *(group.runs["cell_index"] for group in groups)]))
    accuracy = inputs.benchmark.accuracy(cells, inputs.dataset, inputs.split)
    worth = np.full(inputs.benchmark.space.num_cells, np.nan)
    worth[cells] = best - accuracy if inputs.regret else accuracy
    named = zip(labels(groups), groups, strict=True)
    return [incumbents.series(label, group, changes, clock, worth) for label, group in named]


def _begins(inputs: Inputs, best: float | None) -> float:
    """Where the axis of accuracy begins at the lowest; nowhere if the benchmark does not hold all cells."""
    if best is None or not inputs.benchmark.in_memory:
        return -np.inf
    every = inputs.benchmark.accuracy(np.arange(inputs.benchmark.space.num_cells), inputs.dataset, inputs.split)
    return axis_begins(float(every.mean()), best)


def _rows(picture: Picture) -> Iterator[dict[str, Any]]:
    """One for each change of a curve (of many changes for some), and one for each point."""
    for one in picture.series:
        common = {
            "kind": "curve" if one.is_curve else "point",
            "method": one.group["method"],
            "label": one.label,
            "protocol": one.group["protocol"],
            "n": one.n,
            "clock": picture.clock,
            "device": one.group["device"],
        }
        for x, mean, half in zip(*(part.tolist() for part in (one.x, one.mean, one.half)), strict=True):
            low, high = (None, None) if math.isnan(half) else (round(mean - half, 6), round(mean + half, 6))
            yield {**common, "x": float(f"{x:.9g}"), "mean": round(mean, 6), "low": low, "high": high}


def _labels(inputs: Inputs, picture: Picture) -> dict[str, str]:
    """Title and labels of the axes."""
    curves, points = picture.curves, picture.points
    shown = [f"{what} n={_range(group)}" for what, group in (("lines", curves), ("points", points)) if group]
    told = "; bands and bars: 95 % intervals of the mean" if any(one.n > 1 for one in picture.series) else ""
    return {
        "title": f"{inputs.benchmark.name}, {', '.join(shown)}{told}",
        "xlabel": "evaluations"
        if picture.clock == "evaluations"
        else "search seconds: lines simulated, points measured",
        "ylabel": f"{inputs.dataset} {inputs.split} {'regret [points]' if inputs.regret else 'accuracy [%]'}",
    }


def _caption(inputs: Inputs, picture: Picture, left_out: Counter[str]) -> Iterator[str]:
    name, what = inputs.benchmark.name, column(inputs.dataset, inputs.split)
    curves, points, counted = picture.curves, picture.points, picture.clock == "evaluations"
    quantity = (
        f"regret, percentage points below the best cell's {picture.best:.2f} %," if picture.regret else "accuracy"
    )
    looked_up = f"looked up in {name} ({inputs.benchmark.about}; sha256 {inputs.benchmark.sha256[:12]})"
    yield f"{what} {quantity} of the cells that runs found, {looked_up}."
    if curves:
        told = "; ".join(dict.fromkeys(one.group["told"] for one in curves))
        yield (
            f"Lines: the mean over {_runs(curves)} runs of the best cell so far, best by what the method was told "
            f"({told}), from where all runs have a cell to the budget; a run that ended before keeps its cell."
        )
        yield (
            f"{name} has no training times: evaluations are counted."
            if counted
            else f"Seconds of lines are simulated, by the clock of {name}."
        )
    if points:
        devices = ", ".join(dict.fromkeys(one.group["device"] for one in points))
        yield (
            f"Points: weight-sharing and training-free methods, the mean over {_runs(points)} runs at their mean "
            f"seconds, measured on {devices}" + (", not by that clock." if curves else ".")
        )
    if any(one.n > 1 for one in picture.series):
        yield (
            "Bands and bars: 95 % t-interval of the mean (ddof=1), a caret where a bar goes on beyond the axis; not "
            "how far single runs lie apart."
        )
    if not curves:
        yield f"No black-box run is here: `{_command(inputs)}` adds lines."
    yield from _unseen(picture)
    if scored := [one.label for one in curves if "scores" in one.group.settings]:
        how = "count as evaluations, too" if counted else "are not on the clock"
        yield f"Scores of untrained networks {how}: {', '.join(scored)}."
    if left_out.total():
        yield f"Records not shown: {_counted(left_out)}."


def _unseen(picture: Picture) -> Iterator[str]:
    """What has no place on the axes, or none on their logarithmic part."""
    means, (bottom, top) = [value for one in picture.curves for value in one.mean.tolist()], picture.y_limits
    if outside := [value for value in means if not bottom <= value <= top]:
        yield f"Beyond the axis, early: {min(outside):.2f} to {max(outside):.2f}."
    if any(one.mean[0] < bottom for one in picture.points):
        yield "A mean that lies below the axis stands at its end, with its number."
    if picture.regret and bottom == 0:
        yield f"Regret below {timeline.LINEAR_REGRET:g} is on a linear scale."
    linear = timeline.LINEAR[picture.clock]
    if cheap := [f"{one.label} ({one.x[0]:.2g} s)" for one in picture.points if one.x[0] < linear]:
        yield f"Time below {linear:g} s is on a linear scale: {', '.join(cheap)}."


def _range(group: Sequence[Series]) -> str:
    return "–".join(map(str, sorted({min(one.n for one in group), max(one.n for one in group)})))


def _runs(group: Sequence[Series]) -> str:
    """Of most how many, and which have others."""
    usual = Counter(one.n for one in group).most_common(1)[0][0]
    others = [f"{one.label} {one.n}" for one in group if one.n != usual]
    return f"n={usual} (but {', '.join(others)})" if others else f"n={usual}"


def _counted(left_out: Counter[str]) -> str:
    return "; ".join(f"{number:,} {reason}" for reason, number in left_out.items() if number)


def _command(inputs: Inputs) -> str:
    dataset = "" if inputs.dataset == "cifar10" else f"--dataset {inputs.dataset} "
    return inputs.command(f"search --method black-box {dataset}--seeds 500")


FIGURES = {"anytime": Maker("the best cell so far over the search's seconds", build)}
