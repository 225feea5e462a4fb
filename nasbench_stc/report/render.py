"""A small model of a table, and the same table as text, Markdown, LaTeX, CSV, JSON or HTML.

A row holds raw values; what a reader sees is made from them here. Text, Markdown, LaTeX and HTML say the rest in
notes below the table; CSV and JSON have everything as columns.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from nasbench_stc.errors import choose
from nasbench_stc.report import statistics
from nasbench_stc.report.inputs import Missing

if TYPE_CHECKING:
    from rich.table import Table as RichTable

FORMATS = ("text", "markdown", "latex", "csv", "json", "html")
MISSING = "–"
INTERVAL_LABEL = "95 %"
INDISTINCT = "≈"
_DEFAULT_WIDTH = 100  # of text that does not go to a terminal
_ENDLESS = 10_000
_SECTION = "\ue000"  # of private use: stands for a section's title, which may be wider than the first column
_SPREAD = ("mean", "std", "interval95", "indistinct")  # what CSV has of one
_ESTIMATE = ("value", "low", "high")
_LATEX_DROP = 2  # what a page has room for
_LATEX_SIGNS = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX_GREEK = str.maketrans({"α": r"$\alpha$", "β": r"$\beta$", "Λ": r"$\Lambda$"})


@dataclass(frozen=True)
class Spread:
    """A mean over runs and how far they lie apart."""

    mean: float
    std: float | None = None
    """With ddof=0; None where there is none (a single run, an optimum)."""
    interval: float | None = None
    """Half the width of the 95 % interval of the mean."""
    source: str = ""
    note: str = ""
    """Why the number is in doubt."""
    signed: bool = False
    """Whether it is a difference, shown with its sign and without the deviation of what it is a difference of."""
    indistinct: bool = False
    """Whether it is a difference that cannot be told from none; marked."""

    @classmethod
    def over(cls, values: Sequence[float], source: str = "") -> Spread:
        """Of runs, one value each; a single one says nothing of how far runs lie apart."""
        if len(values) == 1:
            return cls(values[0], source=source)
        return cls(statistics.mean(values), statistics.std(values), statistics.t_half_width(values), source)


@dataclass(frozen=True)
class Estimate:
    """A number with a 95 % interval that need not have it in its middle."""

    value: float
    low: float | None = None
    """None, like `high`, where there is no interval."""
    high: float | None = None


Value = str | int | float | Spread | Estimate | None


@dataclass(frozen=True)
class Column:
    """One column. A wide table loses, where room is short, the columns with the highest `drop` first."""

    key: str
    title: str
    """Text breaks it at a newline, which is a space elsewhere."""
    group: str = ""
    """What its neighbours have in common with it, written above the title. Text breaks it at a newline."""
    drop: int = 0
    """0: never left out."""
    spread: bool = False
    """Whether its values are `Spread`s."""
    estimate: bool = False
    """Whether they are `Estimate`s."""
    form: str = ".2f"
    """How floats are written, but for CSV and JSON, as of `format`."""


@dataclass(frozen=True)
class Row:
    """One row; `values` by column key, nothing where the key is absent."""

    section: str
    values: Mapping[str, Value]
    notes: tuple[str, ...] = ()
    """Marked at the row and written below the table."""
    details: Mapping[str, object] = field(default_factory=dict)
    """Plain values that only CSV and JSON have."""


@dataclass(frozen=True)
class Table:
    """A table. The first column names the row; rows of one section stand together."""

    number: int | None
    """The paper's; None of a table that it does not have."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    caption: tuple[str, ...]
    """One sentence or two each, written below."""
    missing: tuple[Missing, ...] = ()
    """What it would show besides, written last."""


def render(table: Table, format: str = "text", width: int | None = None) -> str:
    """The table in one of `FORMATS`, ending with a newline.

    Args:
        table: what to write.
        format: one of `FORMATS`.
        width: columns of the terminal, for text alone; None finds it out.

    Raises:
        BadCallError: an unknown format.
    """
    if format not in FORMATS:
        raise choose("format", format, FORMATS)
    if format == "text":
        return _text(table, width or shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns)
    if format == "html":
        from nasbench_stc.report.html import table_page  # which is made of this module

        return table_page(table)
    return {"markdown": _markdown, "latex": _latex, "csv": _csv, "json": _json}[format](table)


class Line(NamedTuple):
    """What is written as one line of the body."""

    kind: str
    """`section`, `row` or `interval`."""
    texts: tuple[str, ...]
    """A section has only the first; the others have one a column."""
    marks: str = ""


def lines_of(table: Table, columns: tuple[Column, ...], marks: Mapping[str, str]) -> Iterator[Line]:
    """The body, line by line."""
    section = ""
    for row in table.rows:
        if row.section != section:
            section = row.section
            yield Line("section", (section,))
        texts = tuple(_show(row.values.get(column.key), column.form) for column in columns)
        yield Line("row", texts, ", ".join(marks[note] for note in row.notes))
        intervals = tuple(_show_interval(row.values.get(column.key), column.form) for column in columns)
        if any(intervals):
            yield Line("interval", (INTERVAL_LABEL, *intervals[1:]))


def _show(value: Value, form: str) -> str:
    if value is None:
        return MISSING
    if isinstance(value, Spread):
        if value.signed:
            return f"{INDISTINCT * value.indistinct}{value.mean:+.2f}"
        return f"{value.mean:.2f}" if value.std is None else f"{value.mean:.2f}±{value.std:.2f}"
    if isinstance(value, Estimate):
        value = value.value
    return f"{value:{form}}" if isinstance(value, float) else str(value)


def _show_interval(value: Value, form: str) -> str:
    if isinstance(value, Estimate) and value.low is not None:
        return f"{value.low:{form}}–{value.high:{form}}"
    return f"±{value.interval:.2f}" if isinstance(value, Spread) and value.interval is not None else ""


def named(table: Table) -> str:
    """Its title, after the paper's number if it has one."""
    return table.title if table.number is None else f"Table {table.number}. {table.title}"


def marks_of(table: Table) -> dict[str, str]:
    """A letter for each different note, in the order of the rows."""
    notes = dict.fromkeys(note for row in table.rows for note in row.notes)
    return {note: _letters(number) for number, note in enumerate(notes)}


def _letters(number: int) -> str:
    """a … z, aa, ab …"""
    before, last = divmod(number, 26)
    return (_letters(before - 1) if before else "") + chr(ord("a") + last)


def _text(table: Table, width: int) -> str:
    from rich.console import Console

    out = io.StringIO()
    marks = marks_of(table)
    # Letter by letter; and in a notebook rich would show the grid there, instead of writing it to `out`.
    console = partial(Console, markup=False, emoji=False, force_jupyter=False)
    for columns, gap in _choices(table):
        grid = _grid(table, columns, marks, gap)
        # The natural width. A grid that is too wide all the same runs over the edge: numbers are never broken.
        needed = console(width=_ENDLESS).measure(grid).maximum
        if needed <= width:
            break
    console(file=out, width=needed, color_system=None, highlight=False).print(grid)
    sections = (line.texts[0] for line in lines_of(table, columns, marks) if line.kind == "section")
    body = (next(sections) if line.startswith(_SECTION) else line.rstrip() for line in out.getvalue().splitlines())
    lines = [*_wrap(named(table), width), "", *body, ""]
    for note, mark in marks.items():
        lines += _wrap(note, width, f"({mark}) ")
    if marks:
        lines.append("")
    for sentence in table.caption:
        lines += _wrap(sentence, width)
    left_out = [_heading(column) for column in table.columns if column not in columns]
    if left_out:
        lines += _wrap(f"Not shown in a width of {width}: {', '.join(left_out)}.", width)
    for what, command in table.missing:
        lines += [*_wrap(f"Missing: {what}. To make it:", width), f"  {command}"]  # whole, to be copied
    return "\n".join(lines) + "\n"


def _choices(table: Table) -> Iterator[tuple[tuple[Column, ...], int]]:
    """The columns to show and the gap between them, best first."""
    for limit in sorted({column.drop for column in table.columns}, reverse=True):
        for gap in (2, 1):
            yield tuple(column for column in table.columns if column.drop <= limit), gap


def _grid(table: Table, columns: tuple[Column, ...], marks: Mapping[str, str], gap: int) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable

    grid = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))
    for column in columns:
        heading = f"{column.group}\n{column.title}" if column.group else column.title
        grid.add_column(heading, justify="left" if column == columns[0] else "right", no_wrap=True)
    for line in lines_of(table, columns, marks):
        name, *texts = line.texts
        if line.kind != "section":
            name = f" {name}"
        else:
            name = _SECTION
            if grid.row_count:
                grid.add_section()
        grid.add_row(f"{name} ({line.marks})" if line.marks else name, *texts)
    return grid


def _wrap(sentence: str, width: int, mark: str = "") -> list[str]:
    indent = " " * len(mark)
    return textwrap.wrap(
        sentence, max(width, 40), initial_indent=mark, subsequent_indent=indent, break_on_hyphens=False
    )


def _heading(column: Column) -> str:
    """Group and title in one line."""
    return f"{group_of(column)} {title_of(column)}".strip()


def groups_of(columns: tuple[Column, ...]) -> Iterator[tuple[str, int]]:
    """Groups and the number of their columns, from left to right; empty for columns without a group."""
    return ((group, len(list(members))) for group, members in itertools.groupby(columns, key=group_of))


def group_of(column: Column) -> str:
    """What it has in common with its neighbours, in one line."""
    return column.group.replace("\n", "")


def title_of(column: Column) -> str:
    """In one line."""
    return column.title.replace("\n", " ")


def _markdown(table: Table) -> str:
    marks = marks_of(table)
    lines = [f"**{_escape_markdown(named(table))}**", ""]
    lines.append("| " + " | ".join(_heading(column) for column in table.columns) + " |")
    lines.append("|" + "|".join(["---", *["---:"] * (len(table.columns) - 1)]) + "|")
    for line in lines_of(table, table.columns, marks):
        name, *texts = map(_escape_markdown, line.texts)
        if line.kind == "section":
            name, texts = f"**{name}**", [""] * (len(table.columns) - 1)
        mark = f" <sup>{line.marks}</sup>" if line.marks else ""
        lines.append(f"| {' | '.join([name + mark, *texts])} |")
    for note, mark in marks.items():
        lines += ["", f"<sup>{mark}</sup> {_escape_markdown(note)}"]
    for sentence in table.caption:
        lines += ["", _escape_markdown(sentence)]
    for what, command in table.missing:
        lines += ["", f"Missing: {_escape_markdown(what)}. To make it:", "", f"    {command}"]
    return "\n".join(lines) + "\n"


def _escape_markdown(text: str) -> str:
    """Text that shows as itself; code in backticks stays code."""
    for sign in "\\|*_<":
        text = text.replace(sign, f"\\{sign}")
    return text


def _latex(table: Table) -> str:
    r"""A float that needs the package booktabs; `\input` it."""
    marks = marks_of(table)
    columns = tuple(column for column in table.columns if column.drop <= _LATEX_DROP)
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table*}",
        r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{_escape_latex(table.title)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}",
        r"\toprule",
        *_latex_head(columns),
        r"\midrule",
    ]
    body = list(lines_of(table, columns, marks))
    for number, line in enumerate(body):
        name, *texts = map(_escape_latex, line.texts)
        if line.kind == "section":
            lines += [r"\midrule"] * (number > 0)
            lines.append(rf"\multicolumn{{{len(columns)}}}{{l}}{{\emph{{{name}}}}} \\")
        else:
            mark = rf"\textsuperscript{{{line.marks}}}" if line.marks else ""
            lines.append(rf"{' & '.join([name + mark, *texts])} \\")
    lines += [r"\bottomrule", r"\end{tabular}", "", r"\raggedright"]
    lines += [rf"\textsuperscript{{{mark}}} {_escape_latex(note)}\par" for note, mark in marks.items()]
    lines += [rf"{_escape_latex(sentence)}\par" for sentence in table.caption]
    lines += [f"% {one}" for one in table.missing]
    return "\n".join([*lines, r"\end{table*}"]) + "\n"


def _latex_head(columns: tuple[Column, ...]) -> list[str]:
    """Groups, a rule below each, titles."""
    groups, rules, position = [], [], 1
    for group, count in groups_of(columns):
        if group:
            groups.append(rf"\multicolumn{{{count}}}{{c}}{{{_escape_latex(group)}}}")
            rules.append(rf"\cmidrule(lr){{{position}-{position + count - 1}}}")
        else:
            groups += [""] * count
        position += count
    titles = [_escape_latex(title_of(column)) for column in columns]
    return [rf"{' & '.join(groups)} \\", " ".join(rules), rf"{' & '.join(titles)} \\"]


def _escape_latex(text: str) -> str:
    text = re.sub(r"[\\{}~^&%$#_]", lambda sign: _LATEX_SIGNS.get(sign[0], f"\\{sign[0]}"), text)
    text = re.sub(r"`([^`]*)`", r"\\texttt{\1}", text.replace("--", "-{}-"))
    text = text.translate(_LATEX_GREEK).replace("±", r"$\pm$").replace(INDISTINCT, r"$\approx$")
    return text.replace("×", r"$\times$").replace("→", r"$\to$").replace(MISSING, "--")


def _csv(table: Table) -> str:
    """One line a row; a spread or an estimate has a column for each of its numbers. Lists have spaces between."""
    several: dict[str, tuple[str, ...]] = {column.key: _SPREAD for column in table.columns if column.spread}
    several |= {column.key: _ESTIMATE for column in table.columns if column.estimate}
    lines = []
    for row in _plain_rows(table):
        line: dict[str, Any] = {}
        for key, value in row.items():
            if key in several:
                line |= {f"{key}_{part}": value[part] if value else None for part in several[key]}
            elif isinstance(value, dict):
                line[key] = json.dumps(value, ensure_ascii=False, sort_keys=True)
            else:
                line[key] = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        lines.append(line)
    out = io.StringIO()
    names = list(dict.fromkeys(name for line in lines for name in line))
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _json(table: Table) -> str:
    content = {
        "table": table.number,
        "title": table.title,
        "columns": [{**asdict(column), "heading": _heading(column)} for column in table.columns],
        "rows": _plain_rows(table),
        "caption": table.caption,
        "missing": [one._asdict() for one in table.missing],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _plain_rows(table: Table) -> list[dict[str, Any]]:
    """All that the rows hold, in values of JSON, every row with the same keys."""
    details = dict.fromkeys(key for row in table.rows for key in row.details)
    rows = []
    for row in table.rows:
        values = {column.key: row.values.get(column.key) for column in table.columns}
        plain = {key: _plain(value) for key, value in values.items()}
        more = {key: row.details.get(key) for key in details}
        rows.append({"section": row.section, **plain, **more, "notes": row.notes})
    return rows


def _plain(value: Value) -> Any:
    if isinstance(value, Estimate):
        return asdict(value)
    if not isinstance(value, Spread):
        return value
    spread = asdict(value)
    spread["interval95"] = spread.pop("interval")
    return spread
