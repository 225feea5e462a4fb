"""What was found, in a picture: each method's cells by test accuracy, beside what needs no search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nasbench_stc.benchmark import Benchmark
from nasbench_stc.report import style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.groups import KINDS, MANY, Group, grouped, labels, leading
from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.table import Spread
from nasbench_stc.report.yardsticks import best_cells, yardsticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ("cifar10-test", "ImageNet16-120-test")
"""Two of six: cells that are alike on the first differ on the second."""
_LINES = {"mean of all cells": ":", "largest cell": (0, (4, 2)), "best cell of each column": "-"}
_ROW = 0.17  # inches


def build(inputs: Inputs) -> Chart:
    """The leading groups of each method in the benchmark of most of them.

    Raises:
        MissingRecords: nothing was searched for.
    """
    groups = leading(grouped(inputs.searches))
    if not groups or not groups[0].scores():
        raise MissingRecords(Missing("records of searches", inputs.command("search --dataset cifar10 --seeds 3")))
    name, sha256 = groups[0].benchmark
    columns = [column for column in COLUMNS if column in groups[0].scores()]
    shown = [group for group in groups if group.benchmark == (name, sha256) and {*columns} <= group.scores().keys()]
    named = list(zip(shown, labels(shown), strict=True))
    rows = [
        {"method": label, "column": column, "n": len(values), "mean": mean.mean, "interval95": mean.interval}
        for group, label in named
        for column in columns
        for values in [group.scores()[column]]
        for mean in [Spread.over(values)]
    ]
    names = [f"{label} (n={group.n})" for group, label in named]
    picture = _Picture(shown, names, columns, inputs.benchmark_of(name, sha256))
    caption = (
        f"Test accuracy of the cells found, by method; looked up in {name} (sha256 {sha256[:12]}). Marks and bars: "
        "the mean over n searches and its 95 % t-interval (ddof=1, cut at the axis); dots: single searches, of fewer "
        f"than {MANY}. {_searched(shown)}"
    )
    return Chart(caption, tuple(rows), {"benchmark": {"name": name, "sha256": sha256}}, picture.draw)


def _searched(groups: Sequence[Group]) -> str:
    told = dict.fromkeys(f"{KINDS[g.kind]} on {g.searched_on} by protocol {g['protocol']}" for g in groups)
    return f"Searched: {'; '.join(told)}."


@dataclass(frozen=True)
class _Picture:
    groups: Sequence[Group]
    names: Sequence[str]
    columns: Sequence[str]
    benchmark: Benchmark | None

    def draw(self) -> Figure:
        """A panel a column, a line a method."""
        from matplotlib.figure import Figure

        with style.context():
            figure = Figure(figsize=(2 * style.COLUMN_WIDTH, 0.9 + _ROW * len(self.groups)), layout="constrained")
            (panels,) = figure.subplots(1, len(self.columns), sharey=True, squeeze=False)
            for axes, column in zip(panels, self.columns, strict=True):
                self._panel(axes, column)
            panels[0].set_yticks(range(len(self.names)), self.names)
            panels[0].set_ylim(len(self.names) - 0.4, -0.6)
            lines = [line for line in panels[0].lines if not line.get_label().startswith("_")]
            figure.legend(handles=lines, loc="outside lower center", ncols=6)
        return figure

    def _panel(self, axes: Axes, column: str) -> None:
        means = []
        seen: set[str] = set()
        for place, group in enumerate(self.groups):
            values = group.scores()[column]
            mean = Spread.over(values)
            means.append(mean.mean)
            marker, colour = style.KIND_MARKERS[group.kind][0], style.KIND_COLOURS[group.kind][0]
            if len(values) < MANY:
                axes.plot(values, [place] * len(values), ".", color=colour, alpha=0.6, markersize=5, markeredgewidth=0)
            half = mean.interval or 0.0
            axes.plot([mean.mean - half, mean.mean + half], [place] * 2, color=colour, linewidth=1)
            label = "_" if group.kind in seen else KINDS[group.kind]
            seen.add(group.kind)
            axes.plot(mean.mean, place, marker, color=colour, markersize=6, mec="white", mew=0.4, label=label)
        if self.benchmark is not None:
            for one in (*yardsticks(self.benchmark), best_cells(self.benchmark)):
                look: Any = _LINES[one.name]
                label = one.name.removesuffix(" of each column")
                axes.axvline(
                    one.scores[column], color=style.BLACK, linewidth=0.7, linestyle=look, zorder=0, label=label
                )
                means.append(one.scores[column])
        room = 0.04 * (max(means) - min(means)) or 1.0
        axes.set_xlim(min(means) - room, min(max(means) + room, 100))
        axes.set_xlabel(f"{column.replace('-test', '')} test accuracy [%]")
        axes.grid(axis="y", linewidth=0.3, color=style.GREY, alpha=0.6)
        axes.tick_params(axis="y", length=0)


FIGURES = {"summary": Maker("what was found", build)}
