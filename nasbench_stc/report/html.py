"""Tables and figures as one HTML page that needs nothing else: no network, no script; for phones and paper, too."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from html import escape

from nasbench_stc.report import style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.inputs import Missing
from nasbench_stc.report.render import Column, Line, Table, group_of, groups_of, lines_of, marks_of, named, title_of

_STYLE = """
:root { --ink: #1a1a1a; --soft: #5c5c5c; --line: #d4d4d4; --band: #f5f5f2; --link: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 76rem; color: var(--ink); background: #fff;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; line-height: 1.3; margin: 2.6rem 0 .6rem; padding-top: .6rem;
  border-top: 1px solid var(--line); }
p { margin: .4rem 0; max-width: 52rem; overflow-wrap: anywhere; }
a { color: var(--link); }
nav ul { columns: 18rem; padding-left: 1.2rem; margin: .5rem 0; }
nav li { break-inside: avoid; }
.note, figcaption, .caption { color: var(--soft); font-size: .85rem; line-height: 1.45; }
.caption p, .missing p { margin: .25rem 0; max-width: 60rem; }
figure { margin: 0; }
figure img { display: block; width: 100%; max-width: 34rem; height: auto; margin: 0 0 .5rem; }
figcaption { max-width: 60rem; }
.scroll { overflow-x: auto; margin: .5rem 0 .6rem; }
table { border-collapse: collapse; font-size: .8rem; line-height: 1.35; font-variant-numeric: tabular-nums; }
th, td { padding: .18rem .5rem; text-align: right; white-space: nowrap; vertical-align: top; font-weight: normal; }
thead th { color: var(--soft); vertical-align: bottom; border-bottom: 1px solid var(--ink); }
thead tr.groups th { border-bottom: none; }
thead tr.groups th[colspan] { border-bottom: 1px solid var(--line); text-align: center; }
th:first-child { text-align: left; position: sticky; left: 0; background: #fff; padding-left: 0; }
tr.section th { font-weight: 600; padding-top: .6rem; border-bottom: 1px solid var(--line); }
tbody tr.row:hover td, tbody tr.row:hover th { background: var(--band); }
tr.interval td, tr.interval th { color: var(--soft); padding-top: 0; }
sup { font-size: .7em; }
.missing { border-left: 3px solid #e69f00; background: var(--band); padding: .4rem .8rem; margin: .6rem 0;
  font-size: .85rem; }
code { font: .85em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
@media print {
  body { font-size: 9pt; max-width: none; padding: 0; }
  nav { display: none; }
  .scroll { overflow: visible; }
  table { font-size: 6.5pt; }
  th, td { padding: .1rem .25rem; }
  th:first-child { position: static; }
  figure, tr { break-inside: avoid; }
  figure img { max-width: 11cm; }
  h2 { break-after: avoid; }
  a { color: inherit; text-decoration: none; }
}
"""


def page(title: str, *body: str) -> str:
    """A whole document, ending with a newline."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def text(sentence: str) -> str:
    """A sentence; what is in backticks is code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(sentence))


def table_page(table: Table) -> str:
    """A page of one table."""
    return page(table.title, f"<h1>{escape(named(table))}</h1>", table_part(table))


def table_part(table: Table) -> str:
    """A table with its notes and caption."""
    marks = marks_of(table)
    head = _head(table.columns)
    body = "\n".join(_line(line, len(table.columns)) for line in lines_of(table, table.columns, marks))
    notes = [f"<p><sup>{mark}</sup> {text(note)}</p>" for note, mark in marks.items()]
    caption = [f"<p>{text(sentence)}</p>" for sentence in table.caption]
    return (
        f'<div class="scroll"><table>\n<thead>\n{head}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>\n'
        f'<div class="caption">{"".join([*notes, *caption])}</div>{missing_part(table.missing)}'
    )


def _head(columns: tuple[Column, ...]) -> str:
    titles = "".join(f"<th>{escape(title_of(column))}</th>" for column in columns)
    if not any(map(group_of, columns)):
        return f"<tr>{titles}</tr>"
    groups = "".join(
        f'<th colspan="{count}">{escape(group)}</th>' if group else "<th></th>" * count
        for group, count in groups_of(columns)
    )
    return f'<tr class="groups">{groups}</tr>\n<tr>{titles}</tr>'


def _line(line: Line, columns: int) -> str:
    first, *others = map(escape, line.texts)
    if line.kind == "section":
        return f'<tr class="section"><th colspan="{columns}">{first}</th></tr>'
    mark = f"<sup>{line.marks}</sup>" if line.marks else ""
    return f'<tr class="{line.kind}"><th>{first}{mark}</th>{"".join(f"<td>{one}</td>" for one in others)}</tr>'


def chart_part(chart: Chart, name: str) -> str:
    """A figure, drawn now, with its caption; `name` is read aloud where pictures are not seen."""
    # A phone need not have the font.
    content = base64.b64encode(style.encoded(chart.draw(), "svg", text_as_shapes=True)).decode()
    return (
        f'<figure><img alt="{escape(name)}; the caption below says what it shows" '
        f'src="data:image/svg+xml;base64,{content}"><figcaption>{text(chart.caption)}</figcaption></figure>'
        f"{missing_part(chart.missing)}"
    )


def missing_part(missing: Iterable[Missing]) -> str:
    """What is not there, each with its command."""
    parts = [f"<p>Missing: {text(what)}. To make it: <code>{escape(command)}</code></p>" for what, command in missing]
    return f'<div class="missing">{"".join(parts)}</div>' if parts else ""
