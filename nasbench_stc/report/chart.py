"""A figure before it is drawn: its numbers, and how to draw them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nasbench_stc.benchmark import Benchmark, Metric
from nasbench_stc.errors import choose
from nasbench_stc.runs import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("csv", "json")


@dataclass(frozen=True)
class Inputs:
    """What figures are made from; each takes what it needs."""

    records: Sequence[Record]
    benchmark: Benchmark
    dataset: str = "cifar10"
    split: str = "test"
    metric: Metric | None = None
    """Of the figure pareto."""
    regret: bool = False
    """Of the figure anytime: how far below the best cell, instead of the accuracy."""


@dataclass(frozen=True)
class Chart:
    """A figure's numbers, in plain values, and how to draw them."""

    caption: str
    rows: tuple[Mapping[str, Any], ...]
    """What CSV and JSON have; all with the same keys."""
    details: Mapping[str, Any]
    """What JSON says besides."""
    draw: Callable[[], Figure] = field(repr=False)


def render(chart: Chart, format: str) -> str:
    """The numbers in one of `FORMATS`, ending with a newline.

    Raises:
        BadCallError: an unknown format.
    """
    if format not in FORMATS:
        raise choose("format of a figure's numbers", format, FORMATS)
    if format == "json":
        content = {"caption": chart.caption, **chart.details, "rows": chart.rows}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    out = io.StringIO()
    writer = csv.DictWriter(out, chart.rows[0] if chart.rows else (), lineterminator="\n")
    writer.writeheader()
    writer.writerows(chart.rows)
    return out.getvalue()
