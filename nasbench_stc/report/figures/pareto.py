"""The Pareto front of accuracy against a metric: the cells that no other cell is better than in both.

Definition: a cell is dominated when another one is at least as good in both and better in one. Cells that are
equal in both stand on the front together, or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.benchmark import Benchmark, Metric, column
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.report import style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.groups import MANY, grouped
from nasbench_stc.report.figures.incumbents import longest
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.runs import Record
from nasbench_stc.space import NUM_CELLS, Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE = 1e3  # largest over median, from which on an axis is logarithmic
_HEIGHT = 2.6  # inches, without a legend below
_INSIDE = 4  # groups that the legend names inside the axes, at most
_TICKS = 3  # or one more, on each side of zero of such an axis
_SHOWN_FROM = 5  # percentile of accuracy: below it are cells that hardly learn, which would flatten the rest


def pareto_front(accuracy: NDArray[np.float64], values: NDArray[np.float64], better: str) -> NDArray[np.int64]:
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
    """The chart of `inputs.metric`, which has to be there.

    Raises:
        BadCallError: no metric, or the benchmark does not hold the accuracy.
        DataError: the metric's file is damaged, or it has no number for any cell.
    """
    if inputs.metric is None:
        raise BadCallError("figure pareto: --metric is missing; `stc-bench metrics` lists what there is")
    values = inputs.metric.values(np.arange(NUM_CELLS))
    return chart(inputs.benchmark, values, inputs.metric, inputs.searches, inputs.dataset, inputs.split)


def chart(
    benchmark: Benchmark,
    values: NDArray[np.float64],
    metric: Metric,
    records: Sequence[Record],
    dataset: str = "cifar10",
    split: str = "test",
) -> Chart:
    """All cells, their front, and the cells that `records` found.

    Args:
        benchmark: gives the accuracies, at its full budget.
        values: the metric of all cells, in index order.
        metric: what they are.
        records: runs whose cells are marked.
        dataset, split: of the accuracy.
    """
    accuracy = benchmark.accuracy(np.arange(NUM_CELLS), dataset, split)
    known = np.isfinite(values)
    if not known.any():
        raise DataError(f"metric {metric.name} has no finite number for any cell ({metric.source})")
    front = pareto_front(accuracy, values, metric.better)
    groups = _groups(records, dataset)
    found = np.array([index for group in groups.values() for index in group], dtype=np.int64)
    marked = {_label(name, known[index]): _marked(values, accuracy, index) for name, index in groups.items()}
    lowest = min([np.percentile(accuracy[known], _SHOWN_FROM), *(y for points in marked.values() for y in points.y)])
    room = 0.04 * float(accuracy[known].max() - lowest)
    bottom, top = float(lowest) - room, float(accuracy[known].max()) + room
    hidden = f"{(accuracy[known] < bottom).sum():,}"
    picture = _Picture(
        title=f"{benchmark.name}, n={known.sum():,} cells, {hidden} below the axis",
        x_label=f"{metric.name} [{metric.unit}]" if metric.unit else metric.name,
        y_label=f"{dataset} {split} accuracy [%]",
        better=metric.better,
        y_limits=(bottom, top),
        cells=_Points(values[known], accuracy[known]),
        front=_Points(values[front], accuracy[front]),
        found=marked,
    )
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
        f"high accuracy and {metric.better} {metric.name}; {hidden} cells below {bottom:.1f} % are not shown."
    )
    if any(len(index) >= MANY for index in groups.values()):
        caption += f" Of methods with {MANY} runs and more the mean is marked."
    if not known[found].all():
        caption += f" Cells found without a finite number, not marked: {(~known[found]).sum()}."
    return Chart(caption, rows, details, picture.draw)


def _groups(records: Sequence[Record], dataset: str) -> dict[str, NDArray[np.int64]]:
    """The cells that each way of searching found, by name."""
    groups: dict[str, list[int]] = {}
    for group in grouped(longest(records)[0]):
        for record in group.of(dataset):
            where = "" if record.search_dataset == dataset else f" on {record.search_dataset}"
            name = f"{group.name}, {record.protocol}{where}"
            groups.setdefault(name, []).append(Cell.parse(record.cell).index)
    return {name: np.array(index) for name, index in groups.items()}


def _marked(values: NDArray[np.float64], accuracy: NDArray[np.float64], index: NDArray[np.int64]) -> _Points:
    """The cells that have a finite metric, or of many their mean."""
    index = index[np.isfinite(values[index])]
    if len(index) < MANY:
        return _Points(values[index], accuracy[index])
    return _Points(values[index].mean(keepdims=True), accuracy[index].mean(keepdims=True))


def _label(name: str, marked: NDArray[np.bool_]) -> str:
    return f"{name} (n={len(marked)})" if marked.all() else f"{name} ({marked.sum()} of {len(marked)})"


class _Points(NamedTuple):
    x: NDArray[np.float64]
    y: NDArray[np.float64]


@dataclass(frozen=True)
class _Picture:
    """What is on the figure."""

    title: str
    x_label: str
    y_label: str
    better: str
    y_limits: tuple[float, float]
    cells: _Points
    front: _Points
    found: Mapping[str, _Points]

    def draw(self) -> Figure:
        """The figure."""
        from matplotlib.figure import Figure

        with style.context():
            figure = Figure(figsize=(style.COLUMN_WIDTH, _HEIGHT), layout="constrained")
            axes = figure.add_subplot(title=self.title, xlabel=self.x_label, ylabel=self.y_label, ylim=self.y_limits)
            axes.plot(*self.cells, ".", color=style.GREY, markersize=1.5, markeredgewidth=0, rasterized=True)
            # The best accuracy that is to be had at each value of the metric.
            steps = "steps-post" if self.better == "low" else "steps-pre"
            axes.plot(
                *self.front,
                ".-",
                markersize=3,
                drawstyle=steps,
                color=style.BLACK,
                label=f"front ({len(self.front.x)} cells)",
            )
            for number, (name, points) in enumerate(self.found.items()):
                marker, colour = style.look(number)
                axes.plot(*points, marker, color=colour, markeredgecolor="white", zorder=3, label=name)
            self._scale(axes)
            if len(self.found) <= _INSIDE:
                axes.legend(loc="lower right" if self.better == "low" else "lower left")
            else:
                rows = style.legend_below(figure, (), axes.lines[1:])
                figure.set_size_inches(style.COLUMN_WIDTH, _HEIGHT + style.LEGEND_ROW * rows)
        return figure

    def _scale(self, axes: Axes) -> None:
        """A logarithmic axis for a metric that spans many orders of magnitude."""
        x = self.cells.x
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
