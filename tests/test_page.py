"""Every table and figure at once: one page that needs nothing else, and what is said where records are missing."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from records import make_record
from test_ablation_reports import arms

from nasbench_stc import search as run_search
from nasbench_stc.benchmark import Benchmark
from nasbench_stc.errors import BadCallError
from nasbench_stc.records import Record
from nasbench_stc.report import FIGURES, TABLES, Inputs, gather, make_all, make_table, render, render_all
from nasbench_stc.space import EDGES, OPS

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """What a browser would follow, and whether tags close in the order in which they open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str]] = []
        self.tags: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        named = {key: value or "" for key, value in attrs}
        self.ids += [named["id"]] if "id" in named else []
        self.links += [named[key] for key in ("href", "src", "srcset", "action", "data") if key in named]
        if tag == "img":
            self.images.append(named)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(text: str) -> Page:
    """A page without a broken reference, and none to elsewhere."""
    page = Page(text)
    assert len(set(page.ids)) == len(page.ids)
    for link in page.links:
        assert link.startswith("data:image/svg+xml;base64,") or (link[0] == "#" and link[1:] in page.ids)
    assert not page.tags & {"script", "link", "iframe", "object", "embed"}
    assert "url(" not in text and "@import" not in text
    for image in page.images:
        picture = base64.b64decode(image["src"].partition("base64,")[2])
        assert ElementTree.fromstring(picture).tag.endswith("svg") and image["alt"]
    return page


ALPHA = [[0.1 * (edge == op) + 0.2 for op in range(len(OPS))] for edge in range(len(EDGES))]


def complete(nb201: Benchmark) -> Inputs:
    """Records of everything that searches can give."""
    identity = {"name": nb201.name, "file": nb201.path.name, "sha256": nb201.sha256, "about": nb201.about}
    whole = {"loss": 1.0, "accuracy": 60.0, "super_cell_loss": 1.0, "super_cell_accuracy": 40.0}
    records = [*(arms("activation")), *arms("noise"), *arms("lambda"), *arms("consistency", "cifar100")]
    records += [*arms("depth", n=8), *arms("epochs")]
    for method in ("darts", "stc", "gdas"):
        records += [make_record(seed, method=method) for seed in range(3)]

    def full(record: Record) -> Record:
        entry = {"cell": record.cell, "alpha": ALPHA, "valid_loss": 1.0, "train_loss": 1.0, "seconds": 1.0}
        trajectory = [{"epoch": epoch, **entry} for epoch in range(4)]
        supernet = {**whole, "accuracy": 60.0 + record.seed}
        return Record(**{**vars(record), "trajectory": trajectory, "benchmark": identity, "supernet": supernet})

    return Inputs.of([full(record) for record in records], nb201, benchmarks=[nb201], folders=(Path("results"),))


def test_a_page_of_everything_needs_nothing_else(nb201: Benchmark) -> None:
    inputs = complete(nb201)
    entries = make_all(inputs)
    text = render_all(entries, inputs, "html")
    page = check(text)
    there = {entry.anchor for entry in entries if entry.made is not None}
    assert there <= set(page.ids) and there == {
        "table-summary",
        "figure-summary",
        *(link[1:] for link in page.links if link[0] == "#"),
    }
    assert {f"figure-{name}" for name in ("2", "3", "5", "6", "7", "8", "9", "10", "pareto", "anytime")} <= there
    assert {f"table-{name}" for name in ("1", "3", "6", "7", "8", "differences", "records")} <= there
    assert len(page.images) == len([one for one in there if one.startswith("figure-")])
    assert nb201.sha256 in text
    assert "stc-bench rank results" in text  # no ranking is among them
    assert '<meta name="viewport"' in text and "@media print" in text


def test_text_has_the_same_tables_and_the_commands_of_figures(nb201: Benchmark) -> None:
    inputs = complete(nb201)
    text = render_all(make_all(inputs), inputs, "text", 100)
    for name in ("1", "3", "6", "7", "8"):
        assert render(make_table(name, inputs), "text", 100).rstrip("\n") in text
    assert "Figure 5: " in text and "  stc-bench report --figure 5 --out figure5.pdf" in text
    assert "  stc-bench report --figure pareto --metric params --out pareto.pdf" in text
    with pytest.raises(BadCallError, match="choose from text, markdown, html"):
        render_all([], inputs, "latex")


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_an_empty_folder_gives_the_printed_rows_and_a_command_for_everything(tmp_path: Path, form: str) -> None:
    inputs = gather([tmp_path], "analog")
    entries = make_all(inputs)
    text = render_all(entries, inputs, form)
    told = unescape(text) if form == "html" else text
    for kind, makers in (("table", TABLES), ("figure", FIGURES)):
        for name in makers:
            (entry,) = [one for one in entries if (one.kind, one.name) == (kind, name)]
            if (kind, name) == ("figure", "pareto"):  # has the benchmark's cells
                continue
            assert entry.missing, f"{kind} {name} lacks its command"
            assert all(one.command in told for one in entry.missing)
    if form == "html":
        check(text)


def test_every_command_that_is_named_is_one(tmp_path: Path, stc_bench: Any) -> None:
    """Its options and names are known: `-h` behind it shows help, and what it names exists."""
    entries = make_all(gather([tmp_path], "analog"))
    commands = {one.command for entry in entries for one in entry.missing}
    assert len(commands) >= 8
    for command in commands:
        program, *words = command.split()
        assert program == "stc-bench"
        status, out, _ = stc_bench(*words, "-h")
        assert status == 0 and "Usage" in out
        if words[0] == "ablate":
            from nasbench_stc.records.ablation import ABLATIONS

            assert words[1] in ABLATIONS


def test_a_damaged_and_an_older_record_are_named_and_the_rest_is_reported(
    tmp_path: Path, stc_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STC_BENCH_DATA", str(tmp_path / "empty"))
    for method in ("stc", "darts", "gdas"):  # records of three methods
        run_search(method, "digits", 0, "smoke", out=tmp_path, benchmark="analog", device="cpu")
    (tmp_path / "older").mkdir()
    (tmp_path / "older/record.json").write_text(json.dumps({"schema": 0}))
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/record.json").write_text('{"schema": 1, "method": "st')
    status, out, err = stc_bench("report", "--all", "--results", tmp_path, "--benchmark", "analog", "--format", "text")
    assert status == 0
    assert "older/record.json: is a record of a run of schema 0, this version reads 1" in err + out
    assert "damaged/record.json: damaged, no JSON" in err + out
    assert "STC-NAS" in out and "DARTS" in out and "GDAS" in out
    assert f"stc-bench ablate lambda --dataset digits --protocol smoke --benchmark analog --out {tmp_path}" in out
    page = tmp_path / "report.html"
    status, out, _ = stc_bench("report", "--all", "--results", tmp_path, "--benchmark", "analog", "--out", page)
    assert (status, out) == (0, "")
    found = check(page.read_text())
    assert {"table-6", "table-1", "figure-2", "figure-3", "figure-9", "figure-10"} <= set(found.ids)
    assert "damaged/record.json" in page.read_text()


def test_one_table_is_a_page_too(stc_bench: Any, tmp_path: Path) -> None:
    status, out, _ = stc_bench("report", "--table", "7", "--results", tmp_path, "--format", "html")
    assert status == 0
    check(out)
    assert "97.52±0.03" in out and "<code>stc-bench ablate lambda" in out


def test_what_excludes_each_other_is_said(stc_bench: Any) -> None:
    status, _, err = stc_bench("report", "--all", "--table", "6")
    assert status == 2 and "exclude each other" in err
    status, _, err = stc_bench("report", "--all", "--format", "csv")
    assert status == 2 and "choose from text, markdown, html" in err


def test_text_in_records_is_shown_not_run(nb201: Benchmark) -> None:
    record = make_record(method="<script>alert(1)</script>")
    text = render(make_table(6, Inputs.of([record])), "html")
    check(text)
    assert "&lt;script&gt;" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("name", TABLES)
def test_the_latex_of_every_table_compiles(tmp_path: Path, nb201: Benchmark, name: str) -> None:
    committed = gather([Path(__file__).parents[1] / "results"], nb201.path)
    inputs = replace(complete(nb201), rankings=committed.rankings, profiles=committed.profiles)
    table = render(make_table(name, inputs), "latex")
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}" + table + r"\end{document}"
    (tmp_path / "table.tex").write_text(document)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
