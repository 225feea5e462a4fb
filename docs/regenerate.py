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
from nasbench_stc.report import FIGURES, Inputs, MissingRecords, gather, make_figure, make_table, render, style
from nasbench_stc.report.groups import SCORED, SIMULATED, TRAINED, Group, grouped
from nasbench_stc.report.inputs import RESULTS
from nasbench_stc.report.published import load
from nasbench_stc.report.render import Column, Row, Spread, Table
from nasbench_stc.report.statistics import mean, std
from nasbench_stc.report.yardsticks import yardsticks
from nasbench_stc.runs import SimulatedRun
from nasbench_stc.space import DATASETS

ROOT = Path(__file__).parents[1]
FIGURES_DIR = ROOT / "docs/figures"
STUDY = ROOT / "docs/study"
LINE = re.compile(r"(\[`([\w.]+)`\]\((\.\./[\w/]+\.py)#L)(\d+)\)")
"""A link to where something is defined: all before its line, its name, its file, its line."""
_BLOCK = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_PROTOCOLS = {TRAINED: "cpu", SIMULATED: "nats-bench", SCORED: "untrained"}
_SECTIONS = {
    TRAINED: "Weight-sharing, searched on CIFAR-10 by protocol cpu (a small stand-in for the papers' searches)",
    SIMULATED: "Black-box, searched on each data set by protocol nats-bench",
    SCORED: "Training-free: the best of 100 random cells",
}


def read(benchmark: str | Path = "nb201") -> Inputs:
    """The committed records, and the benchmark that they were looked up in."""
    return replace(gather([ROOT / "results"], benchmark), folders=(RESULTS,))


def read_study(benchmark: str | Path = "nb201") -> Inputs:
    """The committed records of the study."""
    return replace(gather([STUDY], benchmark), folders=(STUDY.relative_to(ROOT),))


def short_table(inputs: Inputs) -> Table:
    """Table 6 in short: test accuracies of what was searched for here, of the paper's STC-NAS, and of no search."""
    columns = (
        Column("method", "test accuracy"),
        Column("n", "n"),
        *(Column(f"{dataset}-test", dataset, spread=True) for dataset in DATASETS),
        Column("cost", "a search takes"),
    )
    groups = [group for group in grouped(inputs.searches) if group.first.protocol == _PROTOCOLS[group.kind]]
    names = [group.name for group in groups]
    rows = [_short_row(group, names.count(group.name) > 1) for group in groups]
    rows += [
        Row("Without a search", {"method": one.name, **{key: Spread(score) for key, score in one.scores.items()}})
        for one in yardsticks(inputs.benchmark)
    ]
    (paper,) = [row for row in load(6).rows if row.method == "STC-NAS"]
    printed = {key: Spread(score.mean, score.std) for key, score in paper.scores.items()}
    name = {"method": "STC-NAS: the target network, 50 epochs, a GPU", "n": 3, "cost": f"{paper.seconds:,.0f} s"}
    rows.append(Row("As published", {**name, **printed}))
    return Table(None, "Table 6 in short, in percent: mean ± standard deviation (ddof=0)", columns, tuple(rows), ())


def _short_row(group: Group, again: bool) -> Row:
    """`again`: the same was run on several devices."""
    scores = {key: Spread(mean(values), std(values)) for key, values in group.scores().items() if key.endswith("-test")}
    runs = [record for record in group.records if isinstance(record, SimulatedRun)]
    if group.kind == SIMULATED:
        cost = f"{mean([run.evaluations for run in runs]):.0f} trainings"
    else:
        cost = f"{mean([record.total_seconds for record in group.records]):,.0f} s"
    name = f"{group.name}, on {group.first.device.removeprefix('CPU: ')}" if again else group.name
    return Row(_SECTIONS[group.kind], {"method": name, "n": group.runs, "cost": cost, **scores})


BLOCKS: dict[str, Callable[[Inputs], Table]] = {
    "short": short_table,
    **{f"table-{name}": partial(make_table, name) for name in ("1", "6", "7", "8", "differences", "study")},
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
    inputs, study = read(), read_study()
    if inputs.problems or study.problems:
        sys.exit("\n".join((*inputs.problems, *study.problems)))
    for page, of_page in (("README.md", inputs), ("docs/results.md", inputs), ("docs/study.md", study)):
        path = ROOT / page
        path.write_text(filled(path.read_text(), of_page))
    path = ROOT / "docs/paper-to-code.md"
    path.write_text(with_lines(path.read_text(), path.parent))
    FIGURES_DIR.mkdir(exist_ok=True)
    draw(inputs)


if __name__ == "__main__":
    main()
