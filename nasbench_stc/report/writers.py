"""A table as text, Markdown, LaTeX, CSV, JSON or HTML: rich writes for terminals, pandas all the rest.

A mean is shown with its deviation and, in parentheses, half the width of its 95 % interval. CSV and JSON have every
number of `Table.frame`.
"""

from __future__ import annotations

import io
import itertools
import json
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from nasbench_stc.errors import choose
from nasbench_stc.report import document
from nasbench_stc.report.table import INDISTINCT, Column, Several, Table, Value

if TYPE_CHECKING:
    from markupsafe import Markup
    from pandas import DataFrame
    from pandas.io.formats.style import Styler
    from rich.table import Table as RichTable

FORMATS = ("text", "markdown", "latex", "csv", "json", "html")
MISSING = "–"
_DEFAULT_WIDTH = 100  # of text that does not go to a terminal
_NARROWEST = 40
_INDENT = "  "  # of rows below their section's title
_SECTION = "\ue000"  # of private use: stands for a section's title, which may be wider than the first column
_SPACE = "\ue001"  # one that lines are not broken at
_LATEX_DROP = 2  # what a page has room for
_LATEX_SIGNS = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX_UNICODE = {
    "±": r"$\pm$",
    INDISTINCT: r"$\approx$",
    "×": r"$\times$",
    "→": r"$\to$",
    MISSING: "--",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "Λ": r"$\Lambda$",
}


def render(table: Table, format: str = "text", width: int | None = None, notes: bool = False) -> str:
    """The table in one of `FORMATS`, ending with a newline.

    Args:
        table: what to write.
        format: one of `FORMATS`.
        width: columns of the terminal, for text alone; None finds it out.
        notes: whether text says all that the table does; the other formats do.

    Raises:
        BadCallError: an unknown format.
    """
    if format not in FORMATS:
        raise choose("format", format, FORMATS)
    if format == "text":
        return _text(table, width or shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns, notes)
    return {"markdown": _markdown, "latex": _latex, "csv": _csv, "json": _json, "html": _html}[format](table)


def shown(value: Value, form: str = ".2f") -> str:
    """A value as a reader sees it; `form` as of `Column`."""
    if value is None:
        return MISSING
    if isinstance(value, Several):
        return value.shown(form)
    return f"{value:{form}}" if isinstance(value, float) else str(value)


def _lines(
    table: Table, columns: Sequence[Column], mark: str = "", escape: Callable[[str], str] = str, folded: bool = False
) -> Iterator[list[str]]:
    """The body, line by line: of a section its title alone, of a row a text a column.

    Args:
        mark: what the letters of a row's notes are written as, with `{}` for them; empty: they are not.
        escape: what is done with every text.
        folded: whether sections that the table says so of are left out.
    """
    marks = table.marks()
    for section, rows in table.sections():
        if folded and section in table.folded:
            continue
        if section:
            yield [escape(section)]
        for row in rows:
            name, *texts = (escape(shown(row.values.get(column.key), column.form)) for column in columns)
            letters = ", ".join(marks[note] for note in row.notes)
            yield [name + mark.format(letters) * bool(letters), *texts]


def _text(table: Table, width: int, notes: bool) -> str:
    from rich.console import Console

    out = io.StringIO()
    body = list(_lines(table, table.columns, " ({})" if notes else "", folded=not notes))
    # Letter by letter; and in a notebook rich would show the grid there, instead of writing it to `out`.
    console = partial(Console, markup=False, emoji=False, force_jupyter=False)
    widths = _widths(table.columns, body)
    limits = sorted({column.drop for column in table.columns}, reverse=True)
    for limit, gap in itertools.product(limits, (2, 1)):  # best first
        columns = [column for column in table.columns if column.drop <= limit and not column.below]
        # The natural width. A grid that is too wide all the same runs over the edge: numbers are never broken.
        needed = sum(widths[column.key] for column in columns) + gap * (len(columns) - 1)
        if any(column.align == "wrapped" for column in columns):
            needed = min(needed, max(width, _NARROWEST))
        if needed <= width:
            break
    places = [table.columns.index(column) for column in columns]
    grid = _grid(columns, [[line[place] for place in places] if len(line) > 1 else [] for line in body], gap)
    console(file=out, width=needed, color_system=None, highlight=False).print(grid)
    sections = (line[0] for line in body if len(line) == 1)
    lines = [*_wrap(table.name, width), ""]
    for line in out.getvalue().splitlines():
        lines += _wrap(next(sections), width) if line.startswith(_SECTION) else [line.rstrip()]
    lines += ["", *_below(table)]
    if notes:
        for note, letters in table.marks().items():
            lines += _wrap(note, width, f"({letters}) ")
    for sentence in (*table.caption, *(table.more if notes else _folded(table))):
        lines += _wrap(sentence, width)
    left_out = [column.heading for column in table.columns if column not in columns and not column.below]
    if left_out:
        lines += _wrap(f"Not shown in a width of {width}: {', '.join(left_out)}.", width)
    for what, command in table.missing:
        lines += [*_wrap(f"Missing: {what}. To make it:", width), f"  {command}"]  # whole, to be copied
    return "\n".join(lines) + "\n"


def _below(table: Table) -> list[str]:
    """What text has below the table, a line a row: whole, to be copied."""
    first, *others = table.columns
    columns = [column.key for column in others if column.below]
    lines = []
    for row in table.rows:
        texts = [shown(value) for key in columns if (value := row.values.get(key)) is not None]
        if texts:
            lines.append(" = ".join(dict.fromkeys([shown(row.values.get(first.key)), *texts])))
    return [*lines, ""] if lines else []


def _folded(table: Table) -> list[str]:
    """What there is besides, to see with `--notes`."""
    rows = [f"{section} ({len(rows)} rows)" for section, rows in table.sections() if section in table.folded]
    told = f"With --notes: {', '.join([*rows, 'notes on rows and sources'])}."
    return [told] if rows or table.marks() or table.more else []


def _widths(columns: Sequence[Column], lines: Sequence[Sequence[str]]) -> dict[str, int]:
    """How many characters of a terminal each column takes, by key; rich would measure them anew for every choice."""
    from rich.cells import cell_len

    found = {}
    for place, column in enumerate(columns):
        texts = [*column.head.split("\n"), *(_INDENT * (not place) + line[place] for line in lines if len(line) > 1)]
        found[column.key] = max(map(cell_len, texts))
    return found


def _grid(columns: Sequence[Column], body: Sequence[Sequence[str]], gap: int) -> RichTable:
    """`body` has a text a column, and nothing where a section's title is to stand."""
    from rich import box
    from rich.table import Table as RichTable

    grid = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))
    for column, at_left in zip(columns, _at_left(columns), strict=True):
        grid.add_column(column.head, justify="left" if at_left else "right", no_wrap=column.align != "wrapped")
    for texts in body:
        grid.add_row(*([_INDENT + texts[0], *texts[1:]] if texts else [_SECTION]))
    return grid


def _wrap(sentence: str, width: int, mark: str = "") -> list[str]:
    """Lines; code in backticks stays in one, to be copied."""
    whole = re.sub(r"`[^`]*`", lambda code: code[0].replace(" ", _SPACE), sentence)
    lines = textwrap.wrap(
        whole,
        max(width, _NARROWEST),
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [line.replace(_SPACE, " ") for line in lines]


def _texts(table: Table, columns: Sequence[Column], mark: str, section: str, escape: Callable[[str], str]) -> DataFrame:
    """The lines of the body as a frame of texts; `section` says how a section's title is written, with `{}` for it."""
    from pandas import DataFrame

    blank = [""] * (len(columns) - 1)
    lines = (
        line if len(line) > 1 else [section.format(*line), *blank] for line in _lines(table, columns, mark, escape)
    )
    return DataFrame(list(lines), columns=[escape(column.heading) for column in columns])


def _at_left(columns: Sequence[Column]) -> list[bool]:
    return [not number or column.align != "right" for number, column in enumerate(columns)]


def _markdown(table: Table) -> str:
    frame = _texts(table, table.columns, " <sup>{}</sup>", "**{}**", _escape_cell)
    align = ["left" if at_left else "right" for at_left in _at_left(table.columns)]
    notes = [f"<sup>{mark}</sup> {_escape_markdown(note)}" for note, mark in table.marks().items()]
    said = [*notes, *map(_escape_markdown, (*table.caption, *table.more))]
    said += [f"Missing: {_escape_markdown(what)}. To make it:\n\n    {command}" for what, command in table.missing]
    body = frame.to_markdown(index=False, colalign=align, disable_numparse=True)
    return "\n\n".join([f"**{_escape_markdown(table.name)}**", body, *said]) + "\n"


def _escape_markdown(text: str) -> str:
    """Text that shows as itself; code in backticks stays code."""
    return re.sub(r"(`[^`]*`)|[\\|*_<]", lambda found: found[1] or f"\\{found[0]}", text)


def _escape_cell(text: str) -> str:
    """The same in a table, whose columns `|` divides in code, too."""
    return re.sub(r"(?<!\\)\|", r"\\|", _escape_markdown(text))


def _styled(frame: DataFrame, columns: Sequence[Column]) -> Styler:
    """Without an index; groups above the titles, where there are any."""
    from pandas import MultiIndex

    heads = MultiIndex.from_tuples([column.in_line for column in columns])
    grouped = any(column.group for column in columns)
    return frame.set_axis(heads if grouped else heads.get_level_values(1), axis=1).style.hide(axis=0)


def _latex(table: Table) -> str:
    r"""A float that needs the package booktabs, without the columns that are left out first; `\input` it."""
    columns = [column for column in table.columns if column.drop <= _LATEX_DROP]
    # A title takes no room, for its column is as wide as the names in it.
    frame = _texts(table, columns, r"\textsuperscript{{{}}}", r"\midrule \rlap{{\emph{{{}}}}}", _escape_latex)
    body = (
        _styled(frame, columns)
        .format_index(_escape_latex, axis=1)
        .to_latex(
            hrules=True,
            column_format="".join("l" if at_left else "r" for at_left in _at_left(columns)),
            multicol_align="c",
            environment="table*",
            position_float="centering",
            caption=_escape_latex(table.title),
        )
        .replace("\\centering", r"\centering\scriptsize\setlength{\tabcolsep}{3pt}")
        .replace("\\midrule\n\\midrule ", "\\midrule\n")
    )
    said = [rf"\textsuperscript{{{mark}}} {_escape_latex(note)}\par" for note, mark in table.marks().items()]
    said += [rf"{_escape_latex(sentence)}\par" for sentence in (*table.caption, *table.more)]
    said += [f"% {one}" for one in table.missing]
    start, end = body.rsplit("\\end{table*}", 1)
    return "\n".join(["% needs \\usepackage{booktabs}", f"{start}\n\\raggedright", *said, f"\\end{{table*}}{end}"])


def _escape_latex(text: str) -> str:
    text = re.sub(r"[\\{}~^&%$#_]", lambda sign: _LATEX_SIGNS.get(sign[0], f"\\{sign[0]}"), text)
    text = re.sub(r"`([^`]*)`", r"\\texttt{\1}", text.replace("--", "-{}-"))
    return re.sub("|".join(_LATEX_UNICODE), lambda sign: _LATEX_UNICODE[sign[0]], text)


def _csv(table: Table) -> str:
    """One line a row. Lists have spaces between, other structures are JSON."""
    return str(table.frame.map(_plain).to_csv(index=False, lineterminator="\n"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _json(table: Table) -> str:
    content = {
        "table": table.number,
        "title": table.title,
        "columns": [{**asdict(column), "heading": column.heading} for column in table.columns],
        "rows": json.loads(str(table.frame.to_json(orient="records", double_precision=15))),
        "caption": [*table.caption, *table.more],
        "missing": [one._asdict() for one in table.missing],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _html(table: Table) -> str:
    return document.page(table.title, table=table, grid=html_grid)


def html_grid(table: Table) -> Markup:
    """The rows and columns alone."""
    from markupsafe import Markup

    frame = _texts(table, table.columns, "<sup>{}</sup>", '<span class="section">{}</span>', escape)
    body = _styled(frame, table.columns).format_index(escape, axis=1).to_html()
    body = re.sub(r' id="T_[^"]*"', "", body)  # drawn at random: the same table would be another text each time
    for number, at_left in enumerate(_at_left(table.columns)):
        if at_left:
            body = body.replace(f' col{number}"', f' col{number} left"')
    return Markup(body)
