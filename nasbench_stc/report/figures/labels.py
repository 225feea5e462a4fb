"""Names written beside what they name: at the ends of lines, and around points where they hide least."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
SIZE = 6.5
"""Of the names, points (1/72 inch)."""
_GAP = 8.0  # points from one name at the ends of lines to the next, at least
_FAN, _KEY = 0.03, 0.055  # widths of axes to the right: up to where leaders spread, and up to where a name begins
_MARK = 3.5  # points: half the size of a mark
_RINGS = (1.0, 4.0, 8.0, 13.0, 19.0, 26.0, 36.0)  # points between a mark and the edge of its name
_TURNS = 16  # places on a ring


def beside(axes: Axes, ends: Sequence[tuple[str, float, float, Mapping[str, Any]]]) -> None:
    """Names right of the axes, each with a leader from its line's end. This lays the figure out, for good.

    Args:
        axes: alone in a figure of constrained layout.
        ends: of each line its name, its last x and y, and what `plot` is told of its look.
    """
    texts = [
        axes.text(1 + _KEY, 0.5, f" {name}", transform=axes.transAxes, va="center", size=SIZE) for name, *_ in ends
    ]
    figure: Any = axes.figure
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    if not ends:
        return
    places = axes.transAxes.inverted().transform(axes.transData.transform([end[1:3] for end in ends]))
    gap = _GAP * figure.dpi / 72 / axes.bbox.height
    for (*_, look), text, (x, y), height in zip(ends, texts, places, spread(places[:, 1], gap), strict=True):
        text.set_y(height)
        # The leader ends as a piece of the line, so that its pattern can be read there.
        xs, ys = [x, 1.005, 1 + _FAN, 1 + _KEY], [y, y, height, height]
        axes.plot(xs, ys, transform=axes.transAxes, clip_on=False, linewidth=0.8, **look)


def spread(heights: Floats, gap: float, low: float = 0.0, high: float = 1.0) -> Floats:
    """The heights nearest to these, by least squares, that are `gap` apart, in the same order and within limits.

    That is an isotonic regression of what is left of them without the gaps below each, here by its min-max formula.
    """
    order, n = np.argsort(heights, kind="stable"), len(heights)
    below = gap * np.arange(n)
    left = heights[order] - below
    moved = [max(min(left[a:b].mean() for b in range(i + 1, n + 1)) for a in range(i + 1)) for i in range(n)]
    found = np.empty(n)
    found[order] = np.clip(moved, low, max(low, high - below[-1])) + below
    return found


def around(axes: Axes, points: Sequence[tuple[str, float, float]], lines: Sequence[Floats] = ()) -> None:
    """Each name at the best of many places around its point: inside the axes, away from marks, names and lines.

    Args:
        axes: of a figure that is laid out already.
        points: name, x and y of each.
        lines: what names better keep off, each in data coordinates, shape (any, 2).
    """
    from matplotlib.text import Text

    pixels = axes.figure.dpi / 72
    centres = axes.transData.transform([point[1:] for point in points])
    inside = axes.bbox.extents
    seen = [np.clip(axes.transData.transform(line), inside[:2], inside[2:]) for line in lines]
    drawn = np.concatenate([*(_dots(line, 2 * pixels) for line in seen), np.empty((0, 2))])
    faint = np.hstack([drawn - pixels, drawn + pixels])
    taken = np.hstack([centres - _MARK * pixels, centres + _MARK * pixels])
    leader = {"arrowstyle": "-", "color": style.BLACK, "linewidth": 0.4, "shrinkA": 0, "shrinkB": _MARK}
    look: dict[str, Any] = {"size": SIZE, "ha": "center", "va": "center", "zorder": 4, "arrowprops": leader}
    look["bbox"] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.2}
    for number, ((name, x, y), centre) in enumerate(zip(points, centres, strict=True)):
        text = axes.annotate(name, (x, y), (0, 0), textcoords="offset points", **look)
        extent = Text.get_window_extent(text)  # without the leader
        half = np.array([extent.width + 2 * pixels, extent.height]) / 2  # and a space, to the next name
        offsets = _offsets(half, pixels)
        boxes = np.hstack([centre + offsets - half, centre + offsets + half])
        outside = (boxes[:, :2] < inside[:2]).any(axis=1) | (boxes[:, 2:] > inside[2:]).any(axis=1)
        # A name that is about as near to another mark would be read as that one's.
        away = np.hypot(*(np.clip(centres, boxes[:, None, :2], boxes[:, None, 2:]) - centres).T)
        strange = np.delete(away, number, axis=0).min(axis=0, initial=np.inf) < away[number] + 3 * pixels
        hides = 20 * _hidden(boxes, taken) + 1.5 * _hidden(boxes, faint)
        cost = hides + strange + np.repeat(_RINGS, _TURNS) / 26 + 100 * outside
        best = int(np.argmin(cost))
        text.set_position(tuple(offsets[best] / pixels))
        if text.arrow_patch and best < _TURNS:  # a name that touches its mark needs no leader
            text.arrow_patch.set_visible(False)
        taken = np.vstack([taken, boxes[best]])


def _offsets(half: Floats, pixels: float) -> Floats:
    """Of the centre of a name of that half size from its point, ring by ring, to the right first."""
    turns = 2 * math.pi * np.arange(_TURNS) / _TURNS
    turns = turns[np.argsort(np.abs(np.sin(turns)) - 0.1 * np.cos(turns), kind="stable")]
    away = half + (np.array(_RINGS)[:, None, None] + _MARK) * pixels
    offsets: Floats = (np.column_stack([np.cos(turns), np.sin(turns)]) * away).reshape(-1, 2)
    return offsets


def _hidden(boxes: Floats, others: Floats) -> Floats:
    """How much of each box lies over others, in areas of the box."""
    sides = np.minimum(boxes[:, None, 2:], others[:, 2:]) - np.maximum(boxes[:, None, :2], others[:, :2])
    areas: Floats = np.maximum(sides, 0).prod(axis=2).sum(axis=1)
    shares: Floats = areas / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return shares


def _dots(line: Floats, step: float) -> Floats:
    """Along a line, in pixels, one each `step`."""
    lengths = np.concatenate([[0.0], np.hypot(*np.diff(line, axis=0).T).cumsum()])
    at = np.arange(0, lengths[-1] + step, step)
    return np.stack([np.interp(at, lengths, line[:, 0]), np.interp(at, lengths, line[:, 1])], axis=1)
