"""An HTML page that needs nothing else: no network, no script; for phones and paper, in light and dark, too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from nasbench_stc.report.inputs import Missing

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


def missing(what: Iterable[Missing]) -> str:
    """What is not there, each with its command."""
    parts = [f"<p>Missing: {text(one)}. To make it: <code>{escape(command)}</code></p>" for one, command in what]
    return f'<div class="missing">{"".join(parts)}</div>' if parts else ""
