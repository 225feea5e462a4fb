"""The Pareto front of accuracy against a metric: the cells that no other cell is better than in both.

Definition: a cell is dominated when another one is at least as good in both and better in one. Cells that are
equal in both stand on the front together, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.benchmark import column
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.report import statistics, style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.figures.incumbents import Floats, longest
from nasbench_stc.report.groups import MANY, Group, grouped, labels
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.table import KINDS
from nasbench_stc.report.yardsticks import axis_begins
from nasbench_stc.space import Cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDE = 1e3  # largest over median, from which on an axis is logarithmic
_HEIGHT = 3.0  # inches, without the legend


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


def build(inputs: Inputs) -> Chart:
    """All cells by `inputs.metric`, which has to be there, their front, and the cells that runs found.

    Raises:
        BadCallError: no metric, or the benchmark does not hold the accuracy.
        DataError: the metric's file is damaged, or it has no number for any cell.
    """
    if inputs.metric is None:
        raise BadCallError("figure pareto: --metric is missing; `stc-bench metrics` lists what there is")
    benchmark, metric, dataset, split = inputs.benchmark, inputs.metric, inputs.dataset, inputs.split
    space = benchmark.space
    every = np.arange(space.num_cells)
    values, accuracy = metric.values(every), benchmark.accuracy(every, dataset, split)
    known = np.isfinite(values)
    if not known.any():
        raise DataError(f"metric {metric.name} has no finite number for any cell ({metric.source})")
    front = pareto_front(accuracy, values, metric.better)
    both = np.stack([values, accuracy])
    found = {which: both[:, cells] for which, cells in _found(inputs).items()}
    highest = float(accuracy[known].max())
    lowest = axis_begins(float(accuracy[known].mean()), highest)
    room = 0.04 * (highest - lowest)
    hidden = f"{(accuracy[known] < lowest - room).sum():,}"
    axes = {
        "title": f"{benchmark.name}, n={known.sum():,} cells, {hidden} below the axis",
        "xlabel": f"{metric.name} [{metric.unit}]" if metric.unit else metric.name,
        "ylabel": f"{dataset} {split} accuracy [%]",
        "ylim": (lowest - room, highest + room),
    }
    paint = partial(_paint, metric.better, both[:, known], both[:, front], found, axes)
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
            "cell": str(Cell.from_index(int(index), space.name)),
            column(dataset, split): round(float(accuracy[index]), 4),
            metric.name: float(f"{values[index]:.6g}"),
        }
        for index in front
    )
    caption = (
        f"{column(dataset, split)} of {benchmark.name} against {metric.name} ({metric.about}; {metric.source}). "
        f"Of {space.num_cells:,} cells the {known.sum():,} that have a finite number; {len(front)} of them on the "
        f"front of high accuracy and {metric.better} {metric.name}; {hidden} cells below {lowest - room:.1f} % are not "
        "shown."
    )
    if any((_marked(runs)[1] < lowest - room).any() for runs in found.values()):
        caption += " What runs found below it is marked at its end."
    numbers = [np.isfinite(runs[0]).sum() for runs in found.values()]
    if max(numbers, default=0) >= MANY:
        caption += (
            f" Of methods with {MANY} runs and more the mean is marked, with bars of its 95 % t-interval (ddof=1) in "
            "both directions, which may be shorter than the mark; of others every run."
        )
    elif found:
        caption += " Every run is marked."
    if unknown := sum(runs.shape[1] for runs in found.values()) - sum(numbers):
        caption += f" Cells found without a finite number, not marked: {unknown}."
    return Chart(caption, rows, details, paint, _HEIGHT, style.PAGE_WIDTH)


def _found(inputs: Inputs) -> dict[tuple[str, str], list[int]]:
    """The cells that each group of runs found, by its label and kind."""
    by_dataset: dict[str, list[Group]] = {}
    for group in grouped(longest(inputs.searches)):
        if len(runs := group.of(inputs.dataset)):
            by_dataset.setdefault(runs["search_dataset"].iloc[0], []).append(group)
    found = {}
    for searched, groups in by_dataset.items():
        where = "" if searched == inputs.dataset else f" on {searched}"
        for group, label in zip(groups, labels(groups), strict=True):
            protocol = "" if group["protocol"] in label else f", {group['protocol']}"
            found[f"{label}{protocol}{where}", group.kind] = group.of(inputs.dataset)["cell_index"].tolist()
    return found


def _marked(runs: Floats) -> Floats:
    """Where runs are marked by their cells, or many by their mean; both of shape (2, n), metric and accuracy."""
    known = runs[:, np.isfinite(runs[0])]
    return known if known.shape[1] < MANY else known.mean(axis=1, keepdims=True)


def _paint(
    better: str,
    cells: Floats,
    front: Floats,
    found: Mapping[tuple[str, str], Floats],
    labels: Mapping[str, Any],
    figure: Figure,
) -> None:
    """All on one pair of axes; `cells`, `front` and `found` are metric and accuracy of each cell, shape (2, cells)."""
    axes = figure.add_subplot(**labels)
    axes.plot(*cells, ".", color=style.GREY, markersize=1.5, markeredgewidth=0, rasterized=True)
    # The best accuracy that is to be had at each value of the metric.
    steps = "steps-post" if better == "low" else "steps-pre"
    label = f"front ({len(front[0])} cells)"
    (line,) = axes.plot(*front, ".-", markersize=3, drawstyle=steps, color=style.BLACK, label=label)
    axes.legend(handles=[line], loc="lower right" if better == "low" else "lower left")
    handles: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for ((name, kind), runs), look in zip(found.items(), style.looks(kind for _, kind in found), strict=True):
        known = runs[:, np.isfinite(runs[0])]
        n = f"n={runs.shape[1]}" if known.shape == runs.shape else f"{known.shape[1]} of {runs.shape[1]}"
        x, y = _marked(runs)
        y = y.clip(axes.get_ylim()[0])
        handles[kind] += axes.plot(x, y, zorder=3, clip_on=False, label=f"{name} ({n})", **look)
        if known.shape[1] >= MANY:
            across, up = statistics.t_half_widths(known.T)
            axes.errorbar(*_marked(runs), up, across, fmt="none", color=style.BLACK, elinewidth=0.6, zorder=2.5)
    x, size = cells[0], np.abs(cells[0])
    if size.max() > _WIDE * np.median(size):  # it spans many orders of magnitude
        if (x > 0).all():
            axes.set_xscale("log")
        elif (x < 0).any():  # zero and negative numbers have a place only on an axis that is linear about zero
            axes.set_xscale("asinh", linear_width=float(np.median(size)))
        else:
            axes.set_xscale("asinh", linear_width=float(size[size > 0].min()))
            axes.set_xlim(left=0)
    style.legend_by_kind(figure, handles)


FIGURES = {"pareto": Maker("accuracy against a metric, and what was found", build)}
