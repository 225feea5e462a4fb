"""Figures 2 and 10: which runs, which panels, which edges take part, and what is drawn."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch
from PIL import Image
from records import make_record

from nasbench_stc.records import Record
from nasbench_stc.report import Chart, Inputs, MissingRecords, chart, gather, make_figure, style
from nasbench_stc.report.figures.cells import idle, live
from nasbench_stc.report.groups import Chosen, chosen
from nasbench_stc.space import EDGES, NUM_NODES, Cell

RESULTS = [
    folder
    for method in ("darts", "stc")
    for folder in (Path(__file__).parents[1] / "results").glob(f"{method}-cifar10-*")
]
"""Where the committed records of both methods are: to read all others would take longer than the tests."""
FROM_RESULTS = [argument for folder in RESULTS for argument in ("--results", str(folder))]


def run(digits: str, seed: int = 0, **changes: Any) -> Record:
    """A search of DARTS that found the cell of these six digits."""
    return make_record(seed, **{"method": "darts", "cell": str(Cell.parse(digits)), **changes})


def figure_2(*records: Record) -> Chart:
    return make_figure("2", Inputs.of(records))


def drawn_edges(axes: Any) -> dict[str, tuple[str, str]]:
    """Colour and line style of each edge of a panel, by name."""
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    # An edge has a head, too, which has no name.
    return {arrow.get_label(): (to_hex(arrow.get_ec()), str(arrow.get_ls())) for arrow in arrows if arrow.get_label()}


# Which edges take part


def reached(start: int, edges: list[tuple[int, int]]) -> set[int]:
    """The nodes to which a way leads from one."""
    nodes = {start}
    for source, target in sorted(edges) * NUM_NODES:
        nodes |= {target} if source in nodes else set()
    return nodes


def test_an_edge_is_live_when_it_is_on_a_way_through_the_cell() -> None:
    for ops in itertools.product((0, 3), repeat=len(EDGES)):
        there = [edge for edge, op in zip(EDGES, ops, strict=True) if op]
        fed, needed = reached(0, there), reached(NUM_NODES - 1, [(target, source) for source, target in there])
        assert live(Cell(ops)) == [edge for edge in there if edge[0] in fed and edge[1] in needed]
        assert sorted(live(Cell(ops)) + idle(Cell(ops))) == sorted(there)


@pytest.mark.parametrize(
    ("digits", "dead"),
    [
        ("333333", []),
        ("000000", []),
        ("333000", [(0, 1), (0, 2), (1, 2)]),  # nothing reaches the output
        ("022300", [(0, 2), (1, 2)]),  # node 2 leads nowhere; node 1 has no input
        ("011011", [(1, 2), (1, 3)]),
        ("111111", []),  # what the operation is does not matter
    ],
)
def test_idle_edges(digits: str, dead: list[tuple[int, int]]) -> None:
    assert idle(Cell.parse(digits)) == dead


# Which runs


def of_darts(*records: Record) -> tuple[Chosen, list[Record]]:
    """What is shown, and the records of its runs."""
    inputs = Inputs.of(records)
    found = chosen(inputs, inputs.runs, "darts")
    return found, [records[int(path)] for path in found.runs["path"]]


def test_the_group_of_most_seeds_without_changes_is_shown() -> None:
    few = [run("333333", seed, finished=f"2027-01-0{seed + 1}") for seed in range(2)]
    many = [run("111111", seed, protocol="smoke") for seed in range(3)]
    changed = [run("222222", seed, changes={"alpha_lr": 0.1}) for seed in range(9)]
    found, records = of_darts(*few, *many, *changed, make_record(7))
    assert (records, found.others) == (many, 2)
    assert found.group.told == "DARTS (protocol smoke, searched on cifar10; n=3, seeds 0-2)"
    digits = [replace(record, search_dataset="digits") for record in many]
    assert of_darts(*few, *digits)[1] == few  # of a data set that the benchmark has
    assert of_darts(*few, *many[:2], *changed)[1] == few  # of equally many seeds the newer
    only, records = of_darts(*changed)
    assert (records, only.left_out) == (changed, "")
    assert "searched on cifar10, alpha_lr=0.1; n=9" in only.group.told


def test_the_caption_says_which_runs_and_that_there_are_others() -> None:
    records = [run("333333"), run("111111", protocol="smoke"), run("222222", changes={"alpha_lr": 0.1})]
    made = figure_2(*records, run("444444", 1))
    assert made.caption.startswith("Cells found by DARTS (protocol cpu, searched on cifar10; n=2, seeds 0, 1); 2 dist")
    assert "2 other groups of DARTS runs (by settings, data set, device or benchmark) not shown." in made.caption
    assert made.details["other_groups"] == 2
    assert [row["cell"] for row in made.rows] == [records[0].cell, str(Cell.parse("444444"))]


def test_the_newest_record_of_a_seed_counts() -> None:
    made = figure_2(run("111111", finished="2027"), run("333333", finished="2026"))
    assert [row["cell"] for row in made.rows] == [str(Cell.parse("111111"))]


@pytest.mark.parametrize(("name", "method", "shown"), [("2", "darts", "DARTS"), ("10", "stc", "STC-NAS")])
def test_what_is_missing_is_named(name: str, method: str, shown: str) -> None:
    other = make_record(method={"darts": "stc", "stc": "darts"}[method])
    with pytest.raises(MissingRecords) as raised:
        make_figure(name, Inputs.of([other], folders=(Path("mine"),)))
    (missing,) = raised.value.missing
    assert missing.what == f"runs of {shown}"
    assert missing.command == f"stc-bench search --method {method} --protocol cpu --seeds 3 --out mine"
    assert make_figure(name, Inputs.of([make_record(method=method)])).missing == ()


# The panels


ALIKE = ("300010", "100030", "000300")
"""A convolution of the input, on three ways; not the same numbers in a benchmark."""


def test_cells_that_compute_the_same_are_in_one_panel() -> None:
    records = [run("333333", 0), *(run(digits, seed) for seed, digits in zip((3, 1, 6), ALIKE, strict=True))]
    made = figure_2(*records, run("222222", 2))
    assert {row["seed"]: row["panel"] for row in made.rows} == {1: 1, 3: 1, 6: 1, 0: 2, 2: 3}
    assert "3 distinct cells." in made.caption
    assert "(+k): k more cells that compute the same." in made.caption
    assert len(made.draw().axes) == 4  # one of them is empty
    assert "(+k)" not in figure_2(records[0], run("333333", 1)).caption


def test_titles_say_seeds_cell_and_accuracy() -> None:
    def scored(digits: str, seed: int, score: float) -> Record:
        return run(digits, seed, scores={"cifar10-test": score, "cifar10-valid": 1.0})

    records = [scored(digits, 2 * seed, 91.234 + seed) for seed, digits in enumerate(ALIKE)]
    records += [scored("333333", 1, 93.0), scored("333333", 3, 93.0), run("222222", 5, scores={})]
    made = figure_2(*records)
    assert [axes.get_title(loc="left") for axes in made.draw().axes[:3]] == [
        f"seeds 0, 2, 4\ncell {Cell.parse(ALIKE[0]).index} (+2): 91.23–93.23 %",
        f"seeds 1, 3\ncell {Cell.parse('333333').index}: 93.00 %",
        f"seed 5\ncell {Cell.parse('222222').index}",
    ]
    assert "Percent: cifar10-test accuracy in nb201 (sha256 0123456789ab)" in made.caption
    assert "Percent" not in figure_2(records[-1]).caption
    assert [row["cifar10-test"] for row in made.rows] == [91.234, 93.0, 92.234, 93.0, 93.234, None]


def test_many_seeds_are_counted() -> None:
    (axes,) = figure_2(*(run("333333", seed) for seed in range(1, 40, 3))).draw().axes
    assert axes.get_title(loc="left").startswith("13 seeds\n")


def test_six_panels_at_most_those_of_most_runs_first_and_none_by_accuracy() -> None:
    digits = [f"33333{last}" for last in range(5)] + [f"22222{last}" for last in range(1, 5)]
    records = [run(one, seed, scores={"cifar10-test": 90.0 + seed}) for seed, one in enumerate(digits)]
    records.append(run(digits[7], 20, scores={"cifar10-test": 10.0}))
    made = figure_2(*records)
    assert [row["panel"] for row in made.rows] == [2, 3, 4, 5, 6, None, None, 1, None, 1]
    assert "9 distinct cells, of which the 6 that most runs found" in made.caption
    assert len(made.draw().axes) == 6


# What is drawn


def test_edges_are_drawn_by_their_operation() -> None:
    (axes,) = figure_2(run("123401")).draw().axes
    assert [text.get_text() for text in axes.texts] == ["0", "1", "2", "3"]
    edges = drawn_edges(axes)
    assert list(edges) == ["0-1", "0-2", "1-2", "0-3", "2-3"]  # none is not there
    assert edges["0-1"] == edges["2-3"]
    # Four operations differ in colour, and in line style for those who see none.
    for part in (0, 1):
        assert len({edges[name][part] for name in ("0-1", "0-2", "1-2", "0-3")}) == 4
    assert style.GREY not in {colour for colour, _ in edges.values()}
    (legend,) = axes.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["3×3 conv", "1×1 conv", "skip", "3×3 pool"]
    keys = zip(legend.get_texts(), legend.get_lines(), strict=True)
    shown = {text.get_text(): to_hex(line.get_color()) for text, line in keys}
    names = {"0-1": "skip", "0-2": "1×1 conv", "1-2": "3×3 conv", "0-3": "3×3 pool"}
    assert {name: colour for name, (colour, _) in edges.items() if name in names} == {
        name: shown[label] for name, label in names.items()
    }


def test_idle_edges_are_grey() -> None:
    made = figure_2(run("022300"))
    (axes,) = made.draw().axes
    grey = {name for name, (colour, _) in drawn_edges(axes).items() if colour == style.GREY}
    assert grey == {"0-2", "1-2"}
    assert [text.get_color() for text in axes.texts] == [style.BLACK, style.GREY, style.GREY, style.BLACK]
    assert made.rows[0]["idle_edges"] == "0-2 1-2"
    assert "Grey: edges whose input is all zero" in made.caption
    assert "Grey" not in figure_2(run("333333")).caption


def test_edges_keep_apart() -> None:
    """No line runs through a node that is not its own."""
    figure = figure_2(run("333333")).draw()
    figure.draw_without_rendering()  # arrows bend by where their ends are on the page
    (axes,) = figure.axes
    places = axes.transData.transform([line.get_xydata()[0] for line in axes.lines])
    node = axes.lines[0].get_markersize() / 72 * figure.dpi
    way = np.linspace(0, 1, 50)[:, None]
    for arrow in axes.patches:
        if arrow.get_label():
            start, control, end = axes.transData.transform(arrow.get_path().vertices)
            curve = (1 - way) ** 2 * start + 2 * way * (1 - way) * control + way**2 * end
            ends = {int(node) for node in arrow.get_label().split("-")}
            others = [place for number, place in enumerate(places) if number not in ends]
            assert min(np.hypot(*(curve - place).T).min() for place in others) > node


@pytest.mark.parametrize(("cells", "height"), [(1, 1.2), (2, 1.2), (3, 2.4), (6, 3.6)])
def test_size(cells: int, height: float) -> None:
    figure = figure_2(*(run(f"33{seed}3{seed % 5}3" if seed < 5 else "222222", seed) for seed in range(cells))).draw()
    assert figure.get_size_inches() == pytest.approx([style.COLUMN_WIDTH, height + style.LEGEND_ROW])


# The command line


@pytest.fixture(scope="module")
def ours() -> Inputs:
    """The committed records."""
    return gather(RESULTS)


@pytest.mark.parametrize("name", ["2", "10"])
def test_the_committed_records(ours: Inputs, name: str) -> None:
    method = {"2": "darts", "10": "stc"}[name]
    made = make_figure(name, ours)
    own = ours.runs[(ours.runs["method"] == method) & (ours.runs["changes"] == "{}")]
    assert {row["cell"] for row in made.rows} <= set(own["cell"])
    assert len(made.rows) >= 3
    for row in made.rows:
        assert Cell.parse(row["cell"]).index == row["index"]
        assert 50 < row["cifar10-test"] < 95
    assert all(axes.get_title(loc="left").endswith(" %") for axes in made.draw().axes[: made.details["distinct_cells"]])


def test_numbers() -> None:
    made = figure_2(run("022300"), run("333333", 1))
    lines = list(csv.DictReader(io.StringIO(chart.render(made, "csv"))))
    content = json.loads(chart.render(made, "json"))
    assert list(lines[0]) == ["panel", "seed", "index", "cell", "idle_edges", "cifar10-test"]
    assert [row["idle_edges"] for row in content["rows"]] == ["0-2 1-2", ""]
    assert (content["method"], content["protocol"], content["seeds"]) == ("darts", "cpu", [0, 1])
    assert content["distinct_cells"] == 2


@pytest.mark.parametrize("name", ["2", "10", "3", "9"])
def test_report_writes_the_figures(stc_bench, tmp_path: Path, name: str) -> None:
    for ending in (".pdf", ".png"):
        out = tmp_path / f"{name}{ending}"
        status, said, err = stc_bench("report", "--figure", name, "--benchmark", "analog", *FROM_RESULTS, "--out", out)
        assert (status, err) == (0, "")
        assert said.startswith(f"{out}: ")
        assert out.stat().st_size > 5_000
    assert b"/Type3" not in (tmp_path / f"{name}.pdf").read_bytes()
    with Image.open(tmp_path / f"{name}.png") as picture:
        assert picture.size[0] == pytest.approx(3.3 * 300, abs=1)


@pytest.mark.parametrize("name", ["2", "3", "8", "9", "10"])
def test_without_records_one_line_says_how_to_make_them(stc_bench, tmp_path: Path, name: str) -> None:
    folder, out = tmp_path / "nothing", tmp_path / "a.pdf"
    folder.mkdir()
    status, said, err = stc_bench("report", "--figure", name, "--results", folder, "--out", out)
    call = "ablate epochs" if name == "8" else "search --method (darts|stc) --seeds 3"
    assert (status, said) == (1, "")
    assert re.search(f"to make it: stc-bench {call} --out {folder}\n$", err)
    assert err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("to", ["--format csv", "--out {}.svg"])
def test_no_figure_imports_torch_and_only_a_picture_matplotlib(to: str, table_path: Path, tmp_path: Path) -> None:
    banned = ["torch", *(["matplotlib"] if "csv" in to else [])]
    code = (
        "import sys; from nasbench_stc.cli.main import cli\n"
        "for name in ('2', '3', '8', '9', '10'):\n"
        "    to = sys.argv[1].format(name).split()\n"
        "    cli(['report', '--figure', name, *to, *sys.argv[2:]], standalone_mode=False)\n"
        f"sys.exit(bool(sys.modules.keys() & set({banned})))"
    )
    command = [sys.executable, "-c", code, to, "--benchmark", str(table_path), *FROM_RESULTS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.svg"))) == (5 if "svg" in to else 0)
