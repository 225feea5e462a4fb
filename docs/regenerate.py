"""Writes what README.md and the pages show of the committed records: tables between comments, and pictures.

Records are in results/; those of the study (docs/study.md), of tuning seeds, in docs/study/. The line numbers in
docs/paper-to-code.md are written anew, too.

    python docs/regenerate.py            # needs the table nb201: stc-bench data fetch nb201

A test holds the tables to the records, so this is to be run whenever results/ or a table changes.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from nasbench_stc.benchmark import find_metric
from nasbench_stc.report import FIGURES, Inputs, MissingRecords, Table, gather, make_figure, make_table, render, style
from nasbench_stc.report.inputs import RESULTS

ROOT = Path(__file__).parents[1]
FIGURES_DIR = ROOT / "docs/figures"
STUDY = ROOT / "docs/study"
LINE = re.compile(r"(\[`([\w.]+)`\]\((\.\./[\w/]+\.py)#L)(\d+)\)")
"""A link to where something is defined: all before its line, its name, its file, its line."""
_BLOCK = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def read(benchmark: str | Path = "nb201", space: str = "tss") -> Inputs:
    """The committed records of a space, and the benchmark that they were looked up in."""
    return replace(gather([ROOT / "results"], benchmark, space=space), folders=(RESULTS,), asked_by={})


def read_study(benchmark: str | Path = "nb201") -> Inputs:
    """The committed records of the study."""
    return replace(gather([STUDY], benchmark), folders=(STUDY.relative_to(ROOT),), asked_by={})


def read_darts(benchmark: str | Path = "auto") -> Inputs:
    """The committed records of DARTS's space, of which there is no benchmark."""
    return read("auto", "darts")


PAGES: dict[str, Callable[..., Inputs]] = {
    "README.md": read,
    "docs/results.md": read,
    "docs/study.md": read_study,
    "docs/darts-space.md": read_darts,
}
"""Pages with tables, and what these are made from."""
BLOCKS: dict[str, Callable[[Inputs], Table]] = {
    f"table-{name}": partial(make_table, name)
    for name in ("summary", "1", "6", "7", "8", "differences", "study", "trainings", "supernets")
}


def filled(text: str, inputs: Inputs) -> str:
    """The text with the tables of now in its blocks."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{render(BLOCKS[block[2]](inputs), 'markdown')}\n{block[3]}", text)


def line_of(name: str, path: Path) -> int:
    """Where a class, function, method or constant of a module is defined."""
    found: dict[str, int] = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = node.lineno
        if isinstance(node, ast.ClassDef):
            methods = (inner for inner in node.body if isinstance(inner, ast.FunctionDef))
            found |= {f"{node.name}.{inner.name}": inner.lineno for inner in methods}
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.lineno
    return found[name.removeprefix(f"{path.stem}.")]


def with_lines(text: str, folder: Path) -> str:
    """The text of a page in `folder` with the lines of now in its links."""
    return LINE.sub(lambda link: f"{link[1]}{line_of(link[2], (folder / link[3]).resolve())})", text)


def draw(inputs: Inputs) -> None:
    """Every figure whose records are there, as a picture."""
    inputs = replace(inputs, metric=find_metric("params", inputs.benchmark))
    for name in FIGURES:
        path = FIGURES_DIR / f"{name if not name.isdigit() else f'figure{name}'}.png"
        try:
            path.write_bytes(style.save(make_figure(name, inputs).draw(), path))
        except MissingRecords as error:
            print(f"figure {name}: {error}")


def main() -> None:
    """Write tables and pictures."""
    inputs = {page: read_for() for page, read_for in PAGES.items()}
    if problems := dict.fromkeys(problem for of_page in inputs.values() for problem in of_page.problems):
        sys.exit("\n".join(problems))
    for page, of_page in inputs.items():
        path = ROOT / page
        path.write_text(filled(path.read_text(), of_page))
    path = ROOT / "docs/paper-to-code.md"
    path.write_text(with_lines(path.read_text(), path.parent))
    FIGURES_DIR.mkdir(exist_ok=True)
    draw(inputs["README.md"])
    path = FIGURES_DIR / "genotypes.png"
    path.write_bytes(style.save(make_figure("genotypes", inputs["docs/darts-space.md"]).draw(), path))


if __name__ == "__main__":
    main()
