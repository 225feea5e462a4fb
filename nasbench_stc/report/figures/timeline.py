"""How anytime curves are drawn: a logarithmic clock, lines with bands, points with bars, names beside both.

The figure is as wide as both columns of a page: one has no room for the names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_stc.report import style
from nasbench_stc.report.figures import labels
from nasbench_stc.report.figures.incumbents import Floats, Series
from nasbench_stc.report.groups import KINDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_EARLY = 0.05  # of a curve's length: what it was before may lie outside the axis, which it would flatten
_LEFT = 0.05  # of the x at which curves begin: points that cost less have a strip of their own, left of the axis
_STRIP = 1.7  # its width, as a factor
_HEIGHT = 3.2  # inches, without the legend
_NAMED = 24  # points, at most, that have their names beside them: more are named in the legend
_CARETS = 7, 6  # matplotlib's CARETDOWN and CARETUP, their tips where they are put


@dataclass(frozen=True)
class Picture:
    """What is on the figure."""

    series: Sequence[Series]
    best: float | None
    """What no cell is better than, where it is known."""
    regret: bool
    """Whether low is good, on a logarithmic axis."""

    @cached_property
    def curves(self) -> Sequence[Series]:
        """Those of black-box methods."""
        return [one for one in self.series if one.is_curve]

    @cached_property
    def points(self) -> Sequence[Series]:
        """Those of the other methods."""
        return [one for one in self.series if not one.is_curve]

    @cached_property
    def y_limits(self) -> tuple[float, float]:
        """All points, and the curves but for their first seconds."""
        late = [one.mean[max(0, np.searchsorted(one.x, _EARLY * one.x[-1], "right") - 1) :] for one in self.curves]
        seen = np.concatenate([*late, *(one.mean for one in self.points)])
        if self.regret:
            seen = seen[seen > 0]
            return (float(seen.min()) / 1.3, float(seen.max()) * 1.15) if seen.size else (0.01, 1.0)
        low, high = float(seen.min()), float(seen.max() if self.best is None else max(self.best, seen.max()))
        room = 0.05 * (high - low) or 1.0
        return low - room, high + room

    @cached_property
    def x_limits(self) -> tuple[float, float]:
        """From where the first curve comes into view, or the first point."""
        bottom, top = self.y_limits
        inside = [one.x[(one.mean >= bottom) & (one.mean <= top) & (one.x > 0)] for one in self.curves]
        begins = [float(x[0]) for x in inside if x.size]
        shown = [cost for one in self.points if (cost := float(one.x[0])) > _LEFT * min(begins, default=0.0)]
        ends = [float(one.x[-1]) for one in self.curves]
        left = min(shown, default=math.inf) / 1.15
        right = max(shown, default=0.0) * 1.15
        left = min([left, *begins]) if begins or shown else 1.0
        return left, max([right, *ends, 1.5 * left])

    @cached_property
    def cheaper(self) -> Sequence[Series]:
        """The points that stand left of the axis."""
        return [one for one in self.points if one.x[0] < self.x_limits[0]]

    @property
    def cut(self) -> Sequence[Series]:
        """The points of which bars go on outside the axes: to zero regret, for one."""
        bottom, top = self.y_limits
        ends = [(one, *self._interval(one)) for one in self.points]
        return [one for one, low, high in ends if low[0] < bottom or high[0] > top]

    def draw(self, title: str, x_label: str, y_label: str) -> Figure:
        """The figure."""
        from matplotlib.figure import Figure

        with style.context():
            figure = Figure(figsize=(style.PAGE_WIDTH, _HEIGHT), layout="constrained")
            axes = figure.add_subplot(title=title, xlabel=x_label, ylabel=y_label)
            self._scale(axes)
            ends = [self._line(axes, number, one) for number, one in enumerate(self.curves)]
            if self.best is not None and not self.regret:
                axes.axhline(self.best, color=style.GREY, linewidth=0.8, zorder=1)
                ends.append(("best cell", self.x_limits[1], self.best, {"color": style.GREY}))
            looks = style.looks(one.group.kind for one in self.points)
            marks = [self._point(axes, one, look) for one, look in zip(self.points, looks, strict=True)]
            rows = self._legend(figure, marks)
            figure.set_size_inches(style.PAGE_WIDTH, max(_HEIGHT, len(ends) / 8) + style.LEGEND_ROW * rows)
            labels.beside(axes, ends)
            if len(marks) <= _NAMED:
                self._name(axes)
        return figure

    def _scale(self, axes: Axes) -> None:
        left, right = self.x_limits
        start = left / _STRIP if self.cheaper else left
        axes.set_xscale("log", nonpositive="clip")
        axes.set_xlim(start, right)
        _ticks(axes.xaxis, left, right, (1, 2, 5) if right / left < 30 else (1, 3) if right / left < 300 else (1,))
        if self.cheaper:
            axes.axvline(left, color=style.GREY, linewidth=0.6, linestyle=":", zorder=1)
            crowded = [tick for tick in axes.get_xticks() if tick > left * (right / left) ** 0.12]
            axes.set_xticks(
                [math.sqrt(start * left), *crowded],
                [f"<{float(f'{left:.2g}'):,g}", *(f"{tick:,g}" for tick in crowded)],
            )
        if self.regret:
            axes.set_yscale("log", nonpositive="clip")
            bottom, top = self.y_limits
            _ticks(axes.yaxis, bottom, top, (1, 2, 5) if top / bottom > 10 else (1, 2, 3, 4, 6, 8))
        axes.set_ylim(*self.y_limits)

    def _line(self, axes: Axes, number: int, one: Series) -> tuple[str, float, float, Mapping[str, Any]]:
        pattern, colour = style.curve_look(number)
        low, high = self._interval(one)
        axes.fill_between(one.x, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
        axes.plot(one.x, one.mean, linestyle=pattern, color=colour, drawstyle="steps-post", linewidth=1)
        last = max(float(one.mean[-1]), self.y_limits[0])
        return one.label, float(one.x[-1]), last, {"color": colour, "linestyle": pattern}

    def _place(self, one: Series) -> tuple[float, float]:
        """Where a point stands: one that costs less than the axis has, in the strip on its left."""
        left = self.x_limits[0]
        return float(one.x[0]) if one.x[0] >= left else left / math.sqrt(_STRIP), float(one.mean[0])

    def _point(self, axes: Axes, one: Series, look: Mapping[str, Any]) -> Any:
        x, y = self._place(one)
        low, high = (float(end[0]) for end in self._interval(one))
        bottom, top = self.y_limits
        if one.n > 1:
            axes.vlines(x, max(low, bottom), min(high, top), color=look["color"], linewidth=0.8, alpha=0.7, zorder=2.5)
        for limit, caret in [(bottom, _CARETS[0])] * (low < bottom) + [(top, _CARETS[1])] * (high > top):
            axes.plot(x, limit, marker=caret, color=look["color"], markersize=4, zorder=2.5)
        return axes.plot(x, y, zorder=3, label=one.label, **look)[0]

    def _legend(self, figure: Figure, marks: Sequence[Any]) -> int:
        """How kinds look, and which point is which where there are too many to name them beside it; returns rows."""
        from matplotlib.lines import Line2D

        blocks: dict[str, list[Any]] = {kind: [] for kind in KINDS}
        for mark, one in zip(marks, self.points, strict=True):
            blocks[one.group.kind].append(mark)
        if len(marks) > _NAMED:
            return style.legend_by_kind(figure, {KINDS[kind]: own for kind, own in blocks.items()})
        keys = [Line2D([], [], color=style.curve_look(0)[1], linewidth=1, label="black-box")] if self.curves else []
        for kind, own in blocks.items():
            for mark in own[:1]:
                keys.append(Line2D([], []))
                keys[-1].update_from(mark)
                keys[-1].set_label(KINDS[kind])
        groups = ("band", self.curves), ("bar", self.points)
        if shown := [name for name, group in groups if any(one.n > 1 for one in group)]:
            label = f"{', '.join(shown)}: 95 % interval of the mean{', a caret: it goes on' if self.cut else ''}"
            keys.append(Line2D([], [], color=style.GREY, linewidth=4, label=label))
        place: dict[str, Any] = {"loc": "outside lower center", "ncols": len(keys), "borderaxespad": 0.1}
        figure.legend(handles=keys, fontsize=labels.SIZE, **place)
        return 1

    def _name(self, axes: Axes) -> None:
        """Write the points' names around them."""
        shown = [(one.label, *self._place(one)) for one in self.points if one.mean[0] >= self.y_limits[0]]
        lines = [np.column_stack([one.x, one.mean]) for one in self.curves]
        for one in self.points:
            if one.n > 1:
                lines.append(np.array([(self._place(one)[0], end[0]) for end in self._interval(one)]))
        if shown:
            labels.around(axes, shown, lines)

    def _interval(self, one: Series) -> tuple[Floats, Floats]:
        """It, without what is better than the best cell; NaN where there is none."""
        least, most = (0, None) if self.regret else (None, self.best)
        return np.clip(one.mean - one.half, least, None), np.clip(one.mean + one.half, None, most)


def _ticks(axis: Axis, low: float, high: float, steps: Sequence[int]) -> None:
    """Those `steps` of each decade, written out (0.2, 5, 10,000), and the others without a number."""
    for some, minor in ((steps, False), (range(1, 10), True)):
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [float(f"{step}e{power}") for power in powers for step in some]
        axis.set_ticks([tick for tick in ticks if low <= tick <= high], minor=minor)
    axis.set_major_formatter(lambda value, _: f"{value:,g}")
    axis.set_minor_formatter(lambda *_: "")
