"""What supernets put first, in a picture: a panel a method, each cell by its place and by what it scores alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from nasbench_stc import seeds
from nasbench_stc.report import statistics, style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.supernets import PARAMETERS, Floats, Supernets, alike
from nasbench_stc.report.table import Spread
from nasbench_stc.report.tables.ranking import BEST
from nasbench_stc.report.yardsticks import axis_begins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS, _PANEL = 4, 1.45  # panels in a row, and their height in inches


def build(inputs: Inputs) -> Chart:
    """The supernets of most methods that were ranked alike, those of the lowest seed drawn, and parameters.

    Raises:
        MissingRecords, DataError: as of `alike`.
    """
    every = alike(inputs)
    sections = [one.section for one in every]
    section = max(sections, key=sections.count)
    shown = [one for one in every if one.section == section]
    first = shown[0]
    panels = [(PARAMETERS, first.counts.astype(np.float64), first.by_parameters)]
    panels += [(_named(one), np.array(one.first.accuracy), one.measures("accuracy")) for one in shown]
    orders = [_percent(score) for _, score, _ in panels]
    rows = tuple(
        {
            "supernet": name,
            "cell": cell.index,
            "place": round(float(place), 3),
            first.column: round(float(accuracy), 4),
        }
        for (name, *_), order in zip(panels, orders, strict=True)
        for cell, place, accuracy in zip(first.cells, order, first.truth, strict=True)
    )
    drawn = seeds.told(sorted({one.first.seed for one in shown}))
    caption = (
        f"{len(first.cells):,} cells (searched on {section.partition(';')[0]}; the same sample for all) by their place "
        f"among these by a supernet's accuracy on {first.first.images:,} validation images, and by {first.column} of "
        f"{inputs.benchmark.name} (sha256 {inputs.benchmark.sha256[:12]}). Coloured: the best tenth by the benchmark; "
        f"right of the line: what the supernet puts first. Drawn: {drawn}, a supernet a method; τ-b and P@10% (how "
        "much of what is right of the line is coloured; 0.10 without information): means over n supernets. Cells below "
        "the axis stand at its end."
    )
    details = {"column": first.column, "benchmark": {"name": inputs.benchmark.name, "sha256": inputs.benchmark.sha256}}
    begins = axis_begins(float(first.truth.mean()), float(first.truth.max()))
    titles = [_told(name, found) for name, _, found in panels]
    paint = partial(_paint, titles, orders, first.truth, begins, f"{first.column} [%]")
    height = 0.35 + _PANEL * math.ceil(len(panels) / _COLUMNS)
    return Chart(caption, rows, details, paint, height, style.PAGE_WIDTH)


def _named(one: Supernets) -> str:
    return f"{one.name} (n={len(one.rankings)})"


def _told(name: str, found: dict[str, Spread]) -> str:
    measures = {"τ-b": found.get("tau_b"), "P@10%": found.get("precision")}
    return f"{name}\n" + ", ".join(f"{what} {value.mean:.2f}" for what, value in measures.items() if value)


def _percent(score: Floats) -> Floats:
    """Which part of the cells a score puts before each, percent; equal ones have their mean place."""
    ordered = np.sort(-score)
    before = np.searchsorted(ordered, -score, "left") + np.searchsorted(ordered, -score, "right")
    found: Floats = 50 * before / len(score)
    return found


def _paint(
    titles: Sequence[str], orders: Sequence[Floats], truth: Floats, begins: float, label: str, figure: Figure
) -> None:
    columns = min(_COLUMNS, len(titles))
    rows = math.ceil(len(titles) / columns)
    panels: list[Axes] = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel().tolist()
    best = statistics.best(truth, BEST)
    height, room = np.maximum(truth, begins), 0.04 * (truth.max() - begins)
    for axes, title, order in zip(panels, titles, orders, strict=False):
        axes.set_title(title, fontsize=7)
        for which, colour in ((~best, style.GREY), (best, style.COLOURS[0])):
            axes.plot(order[which], height[which], ".", color=colour, markersize=3, mew=0, clip_on=False)
        axes.axvline(100 * BEST, color=style.BLACK, linewidth=0.6, linestyle=(0, (4, 2)), zorder=0)
        axes.set(xlim=(100, 0), ylim=(begins - room, float(truth.max()) + room))
    for axes in panels[len(titles) :]:
        axes.set_axis_off()
    for axes in panels[len(titles) - columns : len(titles)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel("place by the supernet [% of cells before it]", fontsize=8)
    figure.supylabel(label, fontsize=8)


FIGURES = {"supernets": Maker("what supernets put first", build, supernet=True)}
