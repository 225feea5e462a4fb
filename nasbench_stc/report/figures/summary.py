"""What was found, in a picture: each method's cells by test accuracy, beside what needs no search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nasbench_stc.benchmark import Benchmark
from nasbench_stc.errors import DataError
from nasbench_stc.report import style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.groups import MANY, Group, grouped, labels, leading
from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.table import KINDS, Spread
from nasbench_stc.report.yardsticks import axis_begins, best_cells, yardsticks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("cifar10-test", "ImageNet16-120-test")
"""Two of six: cells that are alike on the first differ on the second."""
_LINES: Mapping[str, Any] = {"mean of all cells": ":", "largest cell": (0, (4, 2)), "best cell of each column": "-"}
_ROW = 0.17  # inches


def build(inputs: Inputs) -> Chart:
    """The leading groups of each method in the benchmark of most of them.

    Raises:
        MissingRecords: nothing was searched for.
        DataError: there is no benchmark of what was found.
    """
    groups = leading(grouped(inputs.searches))
    if groups and not groups[0].is_looked_up:
        raise DataError(groups[0].benchmark_line)
    if not groups or not groups[0].scores():
        raise MissingRecords(Missing("records of searches", inputs.command(inputs.a_search)))
    name, sha256 = groups[0].benchmark
    columns = [column for column in COLUMNS if column in groups[0].scores()]
    shown = [group for group in groups if group.benchmark == (name, sha256) and {*columns} <= group.scores().keys()]
    rows = [
        {"method": label, "column": column, "n": len(values), "mean": mean.mean, "interval95": mean.interval}
        for group, label in zip(shown, labels(shown), strict=True)
        for column in columns
        for values in [group.scores()[column]]
        for mean in [Spread.over(values)]
    ]
    searched = dict.fromkeys(f"{KINDS[g.kind]} on {g.searched_on} by protocol {g['protocol']}" for g in shown)
    caption = (
        f"Test accuracy of the cells found, by method; looked up in {name} (sha256 {sha256[:12]}). Marks and bars: "
        "the mean over n searches and its 95 % t-interval (ddof=1; a caret where it goes on beyond the axis); dots: "
        f"single searches, of fewer than {MANY}. A mean that lies before an axis begins stands there with its number. "
        f"Searched: {'; '.join(searched)}."
    )
    details = {"benchmark": {"name": name, "sha256": sha256}}
    paint = partial(_paint, shown, columns, inputs.benchmark_of(name, sha256))
    return Chart(caption, tuple(rows), details, paint, 0.9 + _ROW * len(shown), 2 * style.COLUMN_WIDTH)


def _paint(groups: Sequence[Group], columns: Sequence[str], benchmark: Benchmark | None, figure: Figure) -> None:
    """A panel a column, a line a method."""
    handles: dict[str, Any] = {}
    free = [] if benchmark is None else [*yardsticks(benchmark), best_cells(benchmark)]
    (panels,) = figure.subplots(1, len(columns), sharey=True, squeeze=False)
    for axes, column in zip(panels, columns, strict=True):
        means = [Spread.over(group.scores()[column]) for group in groups]
        ends = [*(mean.mean for mean in means), *(one.scores[column] for one in free)]
        every, _, best = [one.scores[column] for one in free] or (min(ends),) * 3
        first, last = max(min(ends), axis_begins(every, best)), max(ends)
        room = 0.04 * (last - first) or 1.0
        axes.set(xlim=(first - room, min(last + room, 100)), ylim=(len(groups) - 0.4, -0.6))
        axes.set_xlabel(f"{column.replace('-test', '')} test accuracy [%]")
        axes.grid(axis="y")
        axes.tick_params(axis="y", length=0)
        for place, (group, mean) in enumerate(zip(groups, means, strict=True)):
            marker, colour = style.KIND_MARKERS[group.kind][0], style.KIND_COLOURS[group.kind][0]
            if len(values := group.scores()[column]) < MANY:
                axes.plot(values, [place] * len(values), ".", color=colour, alpha=0.6, markeredgewidth=0)
            style.bar(axes, mean.mean, place, mean.interval, along="x", color=colour, linewidth=1)
            look = {"marker": marker, "color": colour, "markersize": 6, "mec": "white", "mew": 0.4, "linestyle": "none"}
            handles.setdefault(KINDS[group.kind], *style.mark(axes, mean.mean, place, along="x", **look))
        for one in free:
            line = axes.axvline(one.scores[column], color=style.BLACK, lw=0.7, linestyle=_LINES[one.name], zorder=0)
            handles.setdefault(one.name.removesuffix(" of each column"), line)
    names = [f"{label} (n={group.n})" for group, label in zip(groups, labels(groups), strict=True)]
    panels[0].set_yticks(range(len(names)), names)
    figure.legend(handles.values(), handles.keys(), loc=style.BELOW, ncols=len(handles))


FIGURES = {"summary": Maker("what was found", build)}
