"""Every table and figure at once: those whose records are there, and for each other one the command that makes it."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from nasbench_stc import __version__
from nasbench_stc.benchmark import find_metric
from nasbench_stc.errors import StcBenchError, choose
from nasbench_stc.report import document, style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.inputs import RESULTS, Inputs, Missing, MissingRecords
from nasbench_stc.report.registry import makers
from nasbench_stc.report.table import Table
from nasbench_stc.report.writers import html_grid, render
from nasbench_stc.runs.environment import git_revision

FORMATS = ("text", "markdown", "html")
FIRST = "summary"
"""The table and the figure that a page opens with."""


@dataclass(frozen=True)
class Entry:
    """One table or figure, or why it is not there."""

    kind: str
    """`table` or `figure`."""
    name: str
    about: str
    made: Table | Chart | None
    missing: tuple[Missing, ...] = ()
    """What it lacks, all or in part."""
    problem: str = ""
    """Another reason for not being there."""

    @property
    def title(self) -> str:
        """`Figure 5: …`."""
        name = f"{self.kind.capitalize()} {self.name}" if self.name.isdigit() else self.name.capitalize()
        return f"{name}: {self.about}"

    @property
    def anchor(self) -> str:
        """Of links to it."""
        return f"{self.kind}-{self.name}"


def make_all(inputs: Inputs, tick: Callable[[str], None] = lambda title: None) -> list[Entry]:
    """An entry for every table and figure of the space: itself, or what it lacks and the command that makes it.

    Args:
        tick: is told what comes next.
    """
    entries = []
    for kind in ("table", "figure"):
        for name, maker in makers(f"{kind}s", inputs.space.name).items():
            tick(f"{kind} {name}")
            entries.append(_entry(kind, name, maker.about, maker.build, inputs))
    return entries


def _entry(kind: str, name: str, about: str, build: Callable[[Inputs], Table | Chart], inputs: Inputs) -> Entry:
    try:
        if (kind, name) == ("figure", "pareto") and inputs.metric is None:
            inputs = replace(inputs, metric=find_metric("params", inputs.benchmark))
        made = build(inputs)
    except MissingRecords as error:
        return Entry(kind, name, about, None, error.missing)
    except StcBenchError as error:
        return Entry(kind, name, about, None, problem=str(error))
    return Entry(kind, name, about, made, made.missing)


def render_all(
    entries: Sequence[Entry],
    inputs: Inputs,
    format: str,
    width: int | None = None,
    tick: Callable[[str], None] = lambda title: None,
    notes: bool = False,
) -> str:
    """All of them in one of `FORMATS`, ending with a newline: what was found first.

    Args:
        entries: of all tables and figures.
        inputs: what they were made from.
        format: one of `FORMATS`.
        width: columns of the terminal, for text alone; None finds it out.
        tick: is told what is drawn next.
        notes: of tables as text; as of `render`.

    Raises:
        BadCallError: an unknown format.
    """
    if format not in FORMATS:
        raise choose("format of all tables and figures", format, FORMATS)
    ordered = sorted(entries, key=lambda entry: entry.name != FIRST)
    if format != "html":
        return "\n".join(_plain(ordered, inputs, format, width, notes)) + "\n"

    def drawn(entry: Entry, chart: Chart) -> str:
        """The address of its picture, which is the whole content."""
        tick(f"drawing {entry.kind} {entry.name}")
        content = style.save(chart.draw(), Path("figure.svg"), text_as_shapes=True)  # a phone need not have the font
        return f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}"

    there = [entry for entry in ordered if entry.made is not None]
    return document.page(
        "nasbench_stc report",
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC by nasbench_stc {__version__} (revision {git_revision()})",
        inputs=inputs,
        first=[entry for entry in there if entry.name == FIRST],
        rest=[entry for entry in there if entry.name != FIRST],
        absent=[entry for entry in ordered if entry.made is None],
        grid=html_grid,
        drawn=drawn,
    )


def _plain(entries: Sequence[Entry], inputs: Inputs, format: str, width: int | None, notes: bool) -> Iterator[str]:
    """Tables as they are, of figures the command that draws them."""
    yield from (f"Not read: {problem}" for problem in inputs.problems)
    for entry in entries:
        yield ""
        if isinstance(entry.made, Table):
            yield render(entry.made, format, width, notes).rstrip("\n")
            continue
        yield f"## {entry.title}" if format == "markdown" else entry.title
        if entry.made is not None:
            yield f"  {_command(entry, inputs)}"
        yield from (f"  {line}" for one in entry.missing for line in (f"missing: {one.what}; to make it:", one.command))
        if entry.problem:
            yield f"  {entry.problem}"


def _command(entry: Entry, inputs: Inputs) -> str:
    """What draws a figure."""
    name = f"figure{entry.name}" if entry.name.isdigit() else entry.name
    folders = "".join(
        f" --results {shlex.quote(str(folder))}" for folder in inputs.folders if inputs.folders != (RESULTS,)
    )
    metric = " --metric params" if entry.name == "pareto" else ""
    return f"stc-bench report --figure {entry.name}{metric}{inputs.options('report')}{folders} --out {name}.pdf"
