"""A figure before it is drawn: its numbers, and how to draw them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nasbench_stc.errors import choose
from nasbench_stc.report import style
from nasbench_stc.report.inputs import Missing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("csv", "json")


@dataclass(frozen=True)
class Chart:
    """A figure's numbers, in plain values, and how to draw them."""

    caption: str
    rows: tuple[Mapping[str, Any], ...]
    """What CSV and JSON have; all with the same keys."""
    details: Mapping[str, Any]
    """What JSON says besides."""
    paint: Callable[[Figure], None] = field(repr=False)
    """Draws on an empty figure in the style."""
    height: float
    """Inches."""
    width: float = style.COLUMN_WIDTH
    missing: tuple[Missing, ...] = ()
    """What it would show besides."""

    def draw(self) -> Figure:
        """The picture, made anew."""
        from matplotlib.figure import Figure

        with style.context():
            figure = Figure(figsize=(self.width, self.height), layout="constrained")
            self.paint(figure)
        return figure


def render(chart: Chart, format: str) -> str:
    """The numbers in one of `FORMATS`, ending with a newline.

    Raises:
        BadCallError: an unknown format.
    """
    from pandas import DataFrame

    if format not in FORMATS:
        raise choose("format of a figure's numbers", format, FORMATS)
    if format == "json":
        missing = [one._asdict() for one in chart.missing]
        content = {"caption": chart.caption, **chart.details, "rows": chart.rows, "missing": missing}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    text: str = DataFrame(chart.rows, dtype=object).to_csv(index=False, lineterminator="\n")
    return text
