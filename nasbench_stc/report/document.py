"""An HTML page that needs nothing else: no network, no script; for phones and paper, in light and dark, too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasbench_stc.report.inputs import Missing


_STYLE = """
:root { --paper: #fff; --ink: #1a1a1a; --soft: #5c5c5c; --line: #d4d4d4; --band: #f5f5f2; --link: #0072b2;
  color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181a; --ink: #e6e6e3; --soft: #a3a3a0; --line: #3a3d40; --band: #202326; --link: #6db9e8; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 76rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; line-height: 1.3; margin: 2.6rem 0 .6rem; padding-top: .6rem;
  border-top: 1px solid var(--line); }
p { margin: .4rem 0; max-width: 52rem; overflow-wrap: anywhere; }
a, summary { color: var(--link); }
summary { cursor: pointer; margin: .3rem 0; }
nav ul { columns: 18rem; padding-left: 1.2rem; margin: .5rem 0; }
nav li { break-inside: avoid; }
.note, figcaption, .caption { color: var(--soft); font-size: .85rem; line-height: 1.45; }
.caption p, .missing p { margin: .25rem 0; max-width: 60rem; }
figure { margin: 0; }
figure img { display: block; max-width: min(100%, 60rem); height: auto; margin: 0 0 .5rem; background: #fff; }
figcaption { max-width: 60rem; }
.scroll { overflow-x: auto; margin: .5rem 0 .6rem; }
table { border-collapse: collapse; font-size: .8rem; line-height: 1.35; font-variant-numeric: tabular-nums; }
th, td { padding: .18rem .5rem; text-align: right; white-space: nowrap; vertical-align: top; font-weight: normal; }
thead th { color: var(--soft); vertical-align: bottom; }
thead th[colspan] { border-bottom: 1px solid var(--line); text-align: center; }
thead th[colspan]:empty { border-bottom: none; }
thead tr:last-child th { border-bottom: 1px solid var(--ink); }
.left { text-align: left; }
.col0 { position: sticky; left: 0; background: var(--paper); padding-left: 0; }
td.col0:has(.section) { max-width: 1px; overflow: visible; padding-top: .6rem; }
.section { font-weight: 600; }
tbody tr:hover td { background: var(--band); }
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
  .col0 { position: static; }
  figure, tr { break-inside: avoid; }
  figure img { max-width: 15cm; }
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
