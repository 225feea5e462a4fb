"""How anytime curves are drawn: a logarithmic clock, lines with bands, points with bars, the legend below them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.report import style
from nasbench_stc.report.figures.incumbents import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_EARLY = 0.05  # of a curve's length: what it was before may lie outside the axis, which it would flatten
_LEFT = 0.05  # of the x at which curves begin: points that cost less have a strip of their own, left of the axis
_STRIP = 1.7  # its width, as a factor


@dataclass(frozen=True)
class Picture:
    """What is on the figure."""

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Series]
    points: Sequence[Series]
    best: float | None
    """What no cell is better than, where it is known."""
    regret: bool
    """Whether low is good, on a logarithmic axis."""

    @property
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

    @property
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

    @property
    def cheaper(self) -> Sequence[Series]:
        """The points that stand left of the axis."""
        return [one for one in self.points if one.x[0] < self.x_limits[0]]

    def draw(self) -> Figure:
        """The figure."""
        from matplotlib.figure import Figure

        with style.context():
            figure = Figure(layout="constrained")
            axes = figure.add_subplot(title=self.title, xlabel=self.x_label, ylabel=self.y_label)
            self._scale(axes)
            lines = [self._line(axes, number, one) for number, one in enumerate(self.curves)]
            if self.best is not None and not self.regret:
                best = axes.axhline(self.best, color=style.GREY, linewidth=0.8, zorder=1, label="best cell")
                lines.append(best)
            points = [self._point(axes, number, one) for number, one in enumerate(self.points)]
            rows = style.legend_below(figure, lines, points)
            figure.set_size_inches(style.COLUMN_WIDTH, 2.5 + style.LEGEND_ROW * rows)
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

    def _line(self, axes: Axes, number: int, one: Series) -> Any:
        pattern, colour = style.line_look(number)
        low, high = self._interval(one)
        axes.fill_between(one.x, low, high, step="post", color=colour, alpha=0.15, linewidth=0)
        (line,) = axes.plot(
            one.x, one.mean, linestyle=pattern, color=colour, drawstyle="steps-post", linewidth=1, label=one.label
        )
        return line

    def _point(self, axes: Axes, number: int, one: Series) -> Any:
        marker, colour = style.look(number)
        left = self.x_limits[0]
        x = one.x if one.x[0] >= left else np.array([left / math.sqrt(_STRIP)])
        axes.vlines(x, *self._interval(one), color=colour, linewidth=0.6, alpha=0.6, zorder=2.5)
        (point,) = axes.plot(
            x,
            one.mean,
            marker,
            color=colour,
            markersize=4.5,
            markeredgecolor=style.BLACK,
            markeredgewidth=0.4,
            zorder=3,
            label=one.label,
        )
        return point

    def _interval(self, one: Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """It, without what is better than the best cell; NaN where there is none."""
        if self.regret:
            return np.maximum(one.low, 0), one.high
        return one.low, one.high if self.best is None else np.minimum(one.high, self.best)


def _ticks(axis: Axis, low: float, high: float, steps: Sequence[int]) -> None:
    """Those `steps` of each decade, written out (0.2, 5, 10,000), and the others without a number."""
    axis.set_ticks(list(_within(low, high, steps)))
    axis.set_ticks(list(_within(low, high, range(1, 10))), minor=True)
    axis.set_major_formatter(lambda value, _: f"{value:,g}")
    axis.set_minor_formatter(lambda *_: "")


def _within(low: float, high: float, steps: Sequence[int]) -> Iterator[float]:
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for step in steps:
            if low <= (tick := float(f"{step}e{power}")) <= high:
                yield tick
