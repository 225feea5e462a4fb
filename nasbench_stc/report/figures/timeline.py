"""How anytime curves are drawn: a logarithmic clock, lines with bands and their names beside them, points with bars.

The figure is as wide as both columns of a page: one has no room for the names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_stc.report import statistics, style
from nasbench_stc.report.figures.incumbents import Floats, Series
from nasbench_stc.report.table import KINDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINEAR = {"seconds": 10.0, "evaluations": 1.0}
"""By the clock: where its axis begins to be logarithmic. What costs less is near zero."""
LINEAR_REGRET = 0.01
"""Likewise of regret, percentage points."""
_HEIGHT, _NAME = 3.2, 1 / 8  # inches: of the figure without its legend, at least, and of a name beside it
_EARLY = 0.05  # of a curve's length: what it was before may lie outside the axis, which it would flatten
_GAP = 0.05  # heights of the axes from one name beside them to the next, at least, where there is room


@dataclass(frozen=True)
class Picture:
    """What is on the figure."""

    curves: Sequence[Series]
    """Of black-box methods."""
    points: Sequence[Series]
    """Of other methods."""
    clock: str
    """One of `LINEAR`."""
    best: float | None
    """What no cell is better than, where it is known."""
    regret: bool
    """Whether low is good."""
    begins: float
    """Percent: where the axis of accuracy begins at the lowest."""

    @property
    def series(self) -> Sequence[Series]:
        """All."""
        return (*self.curves, *self.points)

    @property
    def height(self) -> float:
        """Of the figure without its legend, inches."""
        return max(_HEIGHT, _NAME * len(self.curves))

    @cached_property
    def y_limits(self) -> tuple[float, float]:
        """All points, and the curves but for their first seconds; of regret from zero if something is near it.

        Of accuracy from `begins`, if points are lower.
        """
        late = [one.mean[max(0, np.searchsorted(one.x, _EARLY * one.x[-1], "right") - 1) :] for one in self.curves]
        seen = np.concatenate([*late, *(one.mean for one in self.points)])
        low, high = float(seen.min()), float(seen.max())
        if self.regret:
            return low / 1.3 if low > LINEAR_REGRET else 0.0, 1.15 * high or 1.0
        low, high = max(low, self.begins), max(high, self.best or 0.0)
        room = 0.05 * (high - low) or 1.0
        return low - room, high + room

    @cached_property
    def x_limits(self) -> tuple[float, float]:
        """From where the first curve comes into view, or the first point; from zero if that is near it."""
        bottom, top = self.y_limits
        begins = [one.x[(one.mean >= bottom) & (one.mean <= top) & (one.x > 0)] for one in self.curves]
        first = min((float(x[0]) for x in (*begins, *(one.x for one in self.points)) if x.size), default=0.0)
        linear = LINEAR[self.clock]
        left = first / 1.15 if first > linear else -0.3 * linear
        return left, 1.15 * max(linear, *(float(one.x[-1]) for one in self.series))

    def paint(self, labels: Mapping[str, str], figure: Figure) -> None:
        """All on one pair of axes; `labels` are their title and labels."""
        axes = figure.add_subplot(**labels, xlim=self.x_limits, ylim=self.y_limits)
        _logarithmic(axes, "x", LINEAR[self.clock])
        ends: list[tuple[str, float, float, dict[str, Any]]] = []
        if self.regret:
            _logarithmic(axes, "y", LINEAR_REGRET)
        elif self.best is not None:
            axes.axhline(self.best, linewidth=0.8, zorder=1, color=style.GREY)
            ends.append(("best cell", self.x_limits[1], self.best, {"color": style.GREY}))
        for number, one in enumerate(self.curves):
            pattern, colour = style.line_look(number, style.KIND_COLOURS["black-box"])
            look: dict[str, Any] = {"linestyle": pattern, "color": colour}
            low, high = one.mean - one.half, one.mean + one.half
            axes.fill_between(one.x, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
            axes.plot(one.x, one.mean, drawstyle="steps-post", linewidth=1, **look)
            ends.append((one.label, float(one.x[-1]), float(one.mean[-1]), look))
        _name(axes, ends)
        handles: dict[str, list[Any]] = {kind: [] for kind in KINDS}
        for one, mark in zip(self.points, style.looks(one.group.kind for one in self.points), strict=True):
            at, mean, half = float(one.x[0]), float(one.mean[0]), statistics.known(one.half[0])
            style.bar(axes, at, mean, half, color=mark["color"], linewidth=0.8, alpha=0.4, zorder=2.5)
            handles[one.group.kind] += style.mark(axes, at, mean, zorder=3, label=one.label, **mark)
        style.legend_by_kind(figure, handles)


def _logarithmic(axes: Axes, which: str, linear: float) -> None:
    """Make the x or y axis logarithmic from `linear` on, and linear from there to zero, which has a place, too."""
    from matplotlib.ticker import SymmetricalLogLocator

    getattr(axes, f"set_{which}scale")("symlog", linthresh=linear, linscale=0.3, subs=range(2, 10))
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    span = high / max(low, linear)
    steps = (1, 2, 3, 4, 6, 8) if span < 10 else (1, 2, 5) if span < 3000 else (1,)
    axis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=linear, subs=steps))
    axis.set_major_formatter("{x:,g}")


def _name(axes: Axes, ends: Sequence[tuple[str, float, float, dict[str, Any]]]) -> None:
    """Write names right of the axes, each with a leader like its line: of each name, last x and y, and the look."""
    if not ends:
        return
    heights = (axes.transScale + axes.transLimits).transform([end[1:3] for end in ends])[:, 1]
    for (name, x, y, look), height in zip(ends, spread(heights, min(_GAP, 1 / len(ends))), strict=True):
        leader = {"arrowstyle": "-", "linewidth": 0.8, "capstyle": "butt", "relpos": (0, 0.5), "shrinkB": 0, **look}
        place: Any = {"textcoords": "axes fraction", "annotation_clip": False, "arrowprops": leader}
        axes.annotate(name, (x, y), (1.06, height), va="center", size=6.5, **place)


def spread(heights: Floats, gap: float) -> Floats:
    """The heights from 0 to 1 nearest to these, by least squares, that are `gap` apart, in the same order.

    That is an isotonic regression of what is left of them without the gaps below each.
    """
    from scipy.optimize import isotonic_regression

    order, below = np.argsort(heights, kind="stable"), gap * np.arange(len(heights))
    found = np.empty(len(heights))
    found[order] = np.clip(isotonic_regression(heights[order] - below).x, 0, max(0, 1 - below[-1])) + below
    return found
