"""The Pareto front of accuracy against a metric: the cells that no other cell is better than in both.

Definition: a cell is dominated when another one is at least as good in both and better in one. Cells that are
equal in both stand on the front together, or not at all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.benchmark import Metric, column
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.report import statistics, style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.figures.incumbents import Floats, longest
from nasbench_stc.report.groups import KINDS, MANY, grouped
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.registry import Maker
from nasbench_stc.space import NUM_CELLS, Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE = 1e3  # largest over median, from which on an axis is logarithmic
_HEIGHT, _WIDE_HEIGHT = 2.6, 3.0  # inches, of one column and of both, without a legend below
_INSIDE = 4  # groups that the legend names inside the axes, at most
_TICKS = 3  # or one more, on each side of zero of such an axis
_SHOWN_FROM = 5  # percentile of accuracy: below it are cells that hardly learn, which would flatten the rest


def pareto_front(accuracy: Floats, values: Floats, better: str) -> NDArray[np.int64]:
    """The positions of the front's cells, by rising metric; cells without a finite metric are left out."""
    known = np.flatnonzero(np.isfinite(values))
    cost = values[known] if better == "low" else -values[known]
    levels, level = np.unique(cost, return_inverse=True)
    best = np.full(len(levels), -np.inf)
    np.maximum.at(best, level, accuracy[known])
    cheaper = np.concatenate([[-np.inf], np.maximum.accumulate(best)])[level]  # the best of all at a lower cost
    front: NDArray[np.int64] = known[(accuracy[known] == best[level]) & (accuracy[known] > cheaper)]
    return front[np.argsort(values[front], kind="stable")]


class _Marks(NamedTuple):
    """The cells that one way of searching found, or of many their mean."""

    label: str
    kind: str
    x: Floats
    y: Floats
    half: tuple[float, float] | None
    """Half the widths of the mean's 95 % t-intervals in x and y; None: single cells."""


def build(inputs: Inputs) -> Chart:
    """All cells by `inputs.metric`, which has to be there, their front, and the cells that runs found.

    Raises:
        BadCallError: no metric, or the benchmark does not hold the accuracy.
        DataError: the metric's file is damaged, or it has no number for any cell.
    """
    if inputs.metric is None:
        raise BadCallError("figure pareto: --metric is missing; `stc-bench metrics` lists what there is")
    benchmark, metric, dataset, split = inputs.benchmark, inputs.metric, inputs.dataset, inputs.split
    every = np.arange(NUM_CELLS)
    values, accuracy = metric.values(every), benchmark.accuracy(every, dataset, split)
    known = np.isfinite(values)
    if not known.any():
        raise DataError(f"metric {metric.name} has no finite number for any cell ({metric.source})")
    front = pareto_front(accuracy, values, metric.better)
    found = _found(inputs)
    marks = [_marks(*which, values[cells], accuracy[cells]) for which, cells in found.items()]
    lowest = float(min([np.percentile(accuracy[known], _SHOWN_FROM), *(y for mark in marks for y in mark.y)]))
    highest = float(accuracy[known].max())
    room = 0.04 * (highest - lowest)
    hidden = f"{(accuracy[known] < lowest - room).sum():,}"
    title = f"{benchmark.name}, n={known.sum():,} cells, {hidden} below the axis"
    y_label = f"{dataset} {split} accuracy [%]"
    limits = (lowest - room, highest + room)
    both = np.stack([values, accuracy])
    draw = partial(_draw, metric, title, y_label, limits, both[:, known], both[:, front], marks)
    details = {
        "metric": metric.described(),
        "benchmark": {"name": benchmark.name, "about": benchmark.about, "sha256": benchmark.sha256},
        "dataset": dataset,
        "split": split,
        "cells": int(known.sum()),
    }
    rows = tuple(
        {
            "index": int(index),
            "cell": str(Cell.from_index(int(index))),
            column(dataset, split): round(float(accuracy[index]), 4),
            metric.name: float(f"{values[index]:.6g}"),
        }
        for index in front
    )
    caption = (
        f"{column(dataset, split)} of {benchmark.name} against {metric.name} ({metric.about}; {metric.source}). "
        f"Of {NUM_CELLS:,} cells the {known.sum():,} that have a finite number; {len(front)} of them on the front of "
        f"high accuracy and {metric.better} {metric.name}; {hidden} cells below {lowest - room:.1f} % are not shown."
    )
    if any(mark.half for mark in marks):
        caption += (
            f" Of methods with {MANY} runs and more the mean is marked, with bars of its 95 % t-interval (ddof=1) in "
            "both directions, which may be shorter than the mark; of others every run."
        )
    elif marks:
        caption += " Every run is marked."
    unknown = sum(int((~known[cells]).sum()) for cells in found.values())
    if unknown:
        caption += f" Cells found without a finite number, not marked: {unknown}."
    return Chart(caption, rows, details, draw)


def _found(inputs: Inputs) -> dict[tuple[str, str], NDArray[np.int64]]:
    """The cells that each way of searching found, by its name and kind."""
    found: dict[tuple[str, str], NDArray[np.int64]] = {}
    for group in grouped(longest(inputs.searches)):
        runs = group.of(inputs.dataset)
        if runs.empty:
            continue
        searched = runs["search_dataset"].iloc[0]
        name = f"{group.name}, {group['protocol']}{'' if searched == inputs.dataset else f' on {searched}'}"
        cells = runs["cell_index"].to_numpy()
        found[name, group.kind] = np.concatenate([found.get((name, group.kind), cells[:0]), cells])
    return found


def _marks(name: str, kind: str, values: Floats, accuracy: Floats) -> _Marks:
    known = np.isfinite(values)
    n = f"n={len(known)}" if known.all() else f"{known.sum()} of {len(known)}"
    x, y = values[known], accuracy[known]
    half = None
    if len(x) >= MANY:
        half = float(statistics.t_half_widths(x)), float(statistics.t_half_widths(y))
        x, y = x.mean(keepdims=True), y.mean(keepdims=True)
    return _Marks(f"{name} ({n})", kind, x, y, half)


def _draw(
    metric: Metric,
    title: str,
    y_label: str,
    limits: tuple[float, float],
    cells: Floats,
    front: Floats,
    marks: Sequence[_Marks],
) -> Figure:
    """The figure: a column wide, or both where more groups are named than the axes have room for.

    `cells` and `front` have the metric and the accuracy of each cell, shape (2, cells).
    """
    from matplotlib.figure import Figure

    x_label = f"{metric.name} [{metric.unit}]" if metric.unit else metric.name
    with style.context():
        figure = Figure(figsize=(style.COLUMN_WIDTH, _HEIGHT), layout="constrained")
        axes = figure.add_subplot(title=title, xlabel=x_label, ylabel=y_label, ylim=limits)
        axes.plot(*cells, ".", color=style.GREY, markersize=1.5, markeredgewidth=0, rasterized=True)
        # The best accuracy that is to be had at each value of the metric.
        steps = "steps-post" if metric.better == "low" else "steps-pre"
        label = f"front ({len(front[0])} cells)"
        (line,) = axes.plot(*front, ".-", markersize=3, drawstyle=steps, color=style.BLACK, label=label)
        handles: dict[str, list[Any]] = {kind: [] for kind in KINDS}
        for one, look in zip(marks, style.looks(one.kind for one in marks), strict=True):
            handles[one.kind] += axes.plot(one.x, one.y, zorder=3, label=one.label, **look)
            if one.half:
                across, up = one.half
                axes.hlines(one.y, one.x - across, one.x + across, color=style.BLACK, linewidth=0.6, zorder=2.5)
                axes.vlines(one.x, one.y - up, one.y + up, color=style.BLACK, linewidth=0.6, zorder=2.5)
        _scale(axes, cells[0])
        inside = len(marks) <= _INSIDE
        corner: Any = "lower right" if metric.better == "low" else "lower left"
        axes.legend(handles=[line, *(itertools.chain(*handles.values()) if inside else ())], loc=corner)
        if not inside:
            rows = style.legend_by_kind(figure, {KINDS[kind]: own for kind, own in handles.items()})
            figure.set_size_inches(style.PAGE_WIDTH, _WIDE_HEIGHT + style.LEGEND_ROW * rows)
    return figure


def _scale(axes: Axes, x: Floats) -> None:
    """A logarithmic axis for a metric that spans many orders of magnitude."""
    size = np.abs(x)
    if size.max() <= _WIDE * np.median(size):
        return
    if (x > 0).all():
        axes.set_xscale("log")
        return
    # Zero and negative numbers have a place only on an axis that is linear about zero.
    linear = float(np.median(size) if (x < 0).any() else size[size > 0].min())
    axes.set_xscale("symlog", linthresh=linear, linscale=0.3)
    first, last = math.floor(math.log10(linear)) + 2, math.floor(math.log10(size.max()))
    decades = [10.0**power for power in range(last, first, -math.ceil(max(1, (last - first) / _TICKS)))]
    axes.set_xticks([0, *(tick for size in decades for tick in (-size, size) if x.min() <= tick <= x.max())])
    axes.minorticks_off()


FIGURES = {"pareto": Maker("accuracy against a metric, and what was found", build)}
