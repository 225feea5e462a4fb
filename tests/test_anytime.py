"""Anytime curves against a plain reimplementation, run by run, and the figure as files and as numbers."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from dataclasses import fields, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import rc_context
from matplotlib.collections import LineCollection
from matplotlib.style import context as style_context
from matplotlib.text import Text
from PIL import Image
from records import make_record
from scipy import stats

from nasbench_stc.benchmark import Benchmark, open_benchmark
from nasbench_stc.errors import BadCallError
from nasbench_stc.records import Record, SimulatedRun
from nasbench_stc.report import Chart, Inputs, MissingRecords, make_figure, statistics, style
from nasbench_stc.report.figures.incumbents import POINTS, at, grid
from nasbench_stc.report.figures.timeline import spread
from nasbench_stc.space import Cell

BAD, GOOD = 4, 9930


@pytest.fixture(scope="module")
def bench() -> Benchmark:
    return open_benchmark("analog")


def simulated(bench: Benchmark, *incumbents: tuple[int, float, int], seed: int = 0, **changes: Any) -> SimulatedRun:
    """A run of which the best cell changed so: (evaluation, seconds, cell)."""
    entries = [{"evaluation": n, "seconds": s, "cell": str(Cell.from_index(cell))} for n, s, cell in incumbents]
    usual: dict[str, Any] = {
        "method": "rea",
        "protocol": "nats-bench",
        "settings": {"protocol": {"budget": 1000.0, "evaluations": 0}, "method": {}},
        "seed": seed,
        "cell": entries[-1]["cell"],
        "trajectory": entries,
        "supernet": {},
        "benchmark": {"name": bench.name, "file": "", "sha256": bench.sha256},
        "seconds": {"simulated": incumbents[-1][1], "scores": 0.0},
        "device": f"the clock of {bench.name}",
        "told": "what it was told",
        "evaluations": incumbents[-1][0],
    }
    record = make_record(seed)
    return SimulatedRun(**{**{item.name: getattr(record, item.name) for item in fields(Record)}, **usual, **changes})


def trained(bench: Benchmark, seed: int = 0, cell: int = GOOD, **changes: Any) -> Record:
    """A weight-sharing search."""
    benchmark = {"name": bench.name, "file": "", "sha256": bench.sha256}
    return make_record(seed, cell=str(Cell.from_index(cell)), benchmark=benchmark, **changes)


def drawn(bench: Benchmark, records: list[Record], **others: Any) -> Chart:
    return make_figure("anytime", replace(Inputs.of(records, bench), **others))


def rows(made: Chart, label: str) -> list[dict[str, Any]]:
    return [dict(row) for row in made.rows if row["label"] == label]


# The curve


def held_plainly(run: list[tuple[float, float]], x: float) -> float:
    """The last change that is not after `x`."""
    value = math.nan
    for time, worth in run:
        if time <= x:
            value = worth
    return value


moments = st.one_of(st.integers(0, 9).map(float), st.floats(0, 1e5))
changes = st.lists(st.tuples(moments, st.floats(-100, 100)), min_size=1, max_size=8)


@given(st.lists(changes.map(lambda run: sorted(run, key=lambda change: change[0])), min_size=1, max_size=6))
def test_what_runs_hold_is_the_definitions(runs: list[list[tuple[float, float]]]) -> None:
    every, held = np.array([change for run in runs for change in run]).T
    own = np.repeat(np.arange(len(runs)), [len(run) for run in runs])
    x = grid(every, max(run[0][0] for run in runs), every.max() + 1)
    expected = [[held_plainly(run, moment) for moment in x] for run in runs]
    np.testing.assert_array_equal(at(x, own, every, held), expected)


@given(st.lists(moments, min_size=1, max_size=60), st.integers(5, 20))
def test_the_grid_is_of_changes(times: list[float], points: int) -> None:
    begin, end = sorted(times)[len(times) // 2], max(times) + 1.0
    found = grid(np.array(times), begin, end, points)
    possible = {begin, end, *(time for time in times if begin <= time <= end)}
    assert (np.diff(found) > 0).all()
    assert (found[0], found[-1]) == (begin, end)
    assert set(found) <= possible
    assert set(found) == possible if len(possible) <= points else len(found) <= points


def test_a_grid_of_many_changes_is_logarithmic() -> None:
    found = grid(np.arange(0, 100_000.0), 0, 100_000.0)
    assert len(found) <= POINTS
    assert found[:2].tolist() == [0, 1]
    steps = np.diff(np.log(found[found > 100]))
    assert steps.max() < 1.3 * steps.min()


def test_a_curve_is_the_plain_mean_and_interval(bench: Benchmark) -> None:
    generator = np.random.default_rng(0)
    records, runs = [], []
    for seed in range(7):
        times = np.sort(generator.uniform(1, 900, 6)).round(2)
        cells = generator.integers(15_625, size=6)
        steps = [(n + 1, float(time), int(cell)) for n, (time, cell) in enumerate(zip(times, cells, strict=True))]
        records.append(simulated(bench, *steps, seed=seed))
        runs.append([(time, float(bench.accuracy([cell])[0])) for _, time, cell in steps])
    found = drawn(bench, records).rows
    begin = max(run[0][0] for run in runs)
    moments = sorted({begin, 1000.0, *(time for run in runs for time, _ in run if time > begin)})
    assert [row["x"] for row in found] == moments
    for row in found:
        held = [held_plainly(run, row["x"]) for run in runs]
        interval = stats.ttest_1samp(held, 0).confidence_interval(0.95)
        assert row["mean"] == pytest.approx(np.mean(held), abs=1e-5)
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high), abs=1e-5)
        assert (row["n"], row["clock"], row["kind"]) == (7, "seconds", "curve")


def test_intervals_of_columns_are_those_of_each() -> None:
    values = np.random.default_rng(0).normal(size=(5, 4))
    expected = [statistics.t_half_width(column.tolist()) for column in values.T]
    np.testing.assert_allclose(statistics.t_half_widths(values), expected)


def test_a_single_run_has_no_interval(bench: Benchmark) -> None:
    made = drawn(bench, [simulated(bench, (1, 50.0, BAD), (2, 100.0, GOOD))])
    assert [(row["x"], row["low"], row["high"]) for row in made.rows] == [(x, None, None) for x in (50, 100, 1000)]
    assert "interval" not in made.caption
    style.save(made.draw(), Path("one.png"))


def test_regret_is_what_lacks_to_the_best_cell(bench: Benchmark) -> None:
    best, top = bench.optimal()
    records = [simulated(bench, (1, 50.0, BAD), (2, 90.0, best.index), seed=seed) for seed in range(2)]
    made = drawn(bench, [*records, trained(bench)], regret=True)
    curve = [row for row in made.rows if row["kind"] == "curve"]
    accuracy = bench.accuracy([BAD, GOOD])
    assert [row["mean"] for row in curve] == [pytest.approx(top - accuracy[0], abs=1e-5), 0, 0]
    assert made.rows[-1]["mean"] == pytest.approx(top - accuracy[1], abs=1e-5)
    assert (made.details["quantity"], made.details["best"]["cell"]) == ("regret", str(best))
    assert "Regret below 0.01 is on a linear scale." in made.caption
    axes = made.draw().axes[0]
    assert (axes.get_yscale(), axes.get_ylim()[0]) == ("symlog", 0)
    far = drawn(bench, [trained(bench, cell=BAD)], regret=True)
    assert "linear" not in far.caption
    assert 0.01 < far.draw().axes[0].get_ylim()[0] < far.rows[0]["mean"]


def test_no_regret_has_a_place(bench: Benchmark) -> None:
    best = trained(bench, cell=bench.optimal()[0].index, method="perfect")
    figure = drawn(bench, [trained(bench), best], regret=True).draw()
    (perfect,) = (line for line in figure.axes[0].lines if line.get_label() == "perfect")
    assert perfect.get_ydata() == [0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["weight-sharing", "STC-NAS", "perfect"]


def test_nothing_but_the_best_cell(bench: Benchmark) -> None:
    best = bench.optimal()[0].index
    for regret in (False, True):
        for record in (simulated(bench, (1, 0.5, best)), trained(bench, cell=best)):
            made = drawn(bench, [record], regret=regret)
            assert len(style.save(made.draw(), Path("flat.png"))) > 5_000


# What is shown


def test_evaluations_have_an_axis_of_their_own(bench: Benchmark) -> None:
    counted = {"protocol": {"budget": 0.0, "evaluations": 20}, "method": {}}
    records: list[Record] = [
        simulated(bench, (2, 0.0, BAD), (7, 0.0, GOOD), seed=seed, clock="evaluations", settings=counted)
        for seed in range(2)
    ]
    made = drawn(bench, [*records, trained(bench), simulated(bench, (1, 5.0, GOOD), seed=9)])
    assert [(row["clock"], row["x"]) for row in made.rows] == [("evaluations", x) for x in (2, 7, 20)]
    assert "2 counted by another clock" in made.caption
    assert "no training times: evaluations are counted" in made.caption
    assert made.draw().axes[0].get_xlabel() == "evaluations"


def test_points_and_lines(bench: Benchmark) -> None:
    records = [simulated(bench, (1, 60.0 + seed, BAD), (2, 400.0, GOOD), seed=seed) for seed in range(2)]
    cheap = simulated(
        bench, (1, 0.0, GOOD), method="a_score", settings={"protocol": {}}, seconds={"scores": 0.25}, device="a card"
    )
    made = drawn(bench, [*records, *(trained(bench, seed) for seed in range(3)), cheap])
    shared, score = rows(made, "STC-NAS")[0], rows(made, "a_score")[0]
    assert (shared["kind"], shared["x"], shared["n"], shared["low"]) == ("point", 597.0, 3, shared["mean"])
    assert (score["x"], score["device"], score["low"]) == (0.25, "a card", None)
    assert "measured on CPU: a_processor 100%, a card, not by that clock" in made.caption
    assert "Time below 10 s is on a linear scale: a_score (0.25 s)" in made.caption
    figure = made.draw()
    (axes,) = figure.axes
    assert figure.get_size_inches()[0] == style.PAGE_WIDTH
    said = "analog, lines n=2, points n=1–3; bands and bars: 95 % intervals of the mean"
    assert axes.get_title(loc="left") == said
    assert axes.get_xscale() == "symlog" and axes.get_xlim()[0] < 0 and 0 in axes.get_xticks()
    assert axes.get_ylim()[0] < min(row["mean"] for row in made.rows if row["kind"] == "point")
    assert {text.get_text() for text in axes.texts} == {made.rows[0]["label"], "best cell"}
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["weight-sharing", "STC-NAS", "training-free", "a_score"]


def test_a_point_below_the_axis_stands_at_its_end_with_its_number(bench: Benchmark) -> None:
    worst = int(bench.accuracy(range(15_625)).argmin())
    made = drawn(bench, [trained(bench), trained(bench, method="failed", cell=worst)])
    assert "A mean that lies below the axis stands at its end, with its number." in made.caption
    (row,), (axes,) = rows(made, "failed"), made.draw().axes
    bottom = axes.get_ylim()[0]
    assert row["mean"] < bottom < bench.accuracy(range(15_625)).mean()
    (line,) = (line for line in axes.lines if line.get_label() == "failed")
    assert (line.get_ydata(), line.get_clip_on()) == ([bottom], False)
    assert f"{row['mean']:.1f}" in {text.get_text() for text in axes.texts}
    regret = drawn(bench, [trained(bench, cell=worst)], regret=True).draw().axes[0]
    assert regret.get_ylim()[1] > 50  # there it has a place


def test_the_first_seconds_do_not_flatten_the_rest(bench: Benchmark) -> None:
    made = drawn(bench, [simulated(bench, (1, 10.0, 0), (2, 50.0, BAD), (3, 500.0, GOOD))])
    accuracy = bench.accuracy([0, BAD, GOOD])
    axes = made.draw().axes[0]
    assert accuracy[0] < accuracy[1]
    assert axes.get_ylim()[0] > accuracy[0]
    assert axes.get_xlim()[0] == pytest.approx(50.0 / 1.15)  # from where it is in view
    assert f"Beyond the axis, early: {accuracy[0]:.2f} to {accuracy[0]:.2f}." in made.caption


def test_groups_of_one_method_are_told_apart(bench: Benchmark) -> None:
    smoke = {"protocol": {"budget": 500.0, "evaluations": 12}, "method": {}}
    records = [
        simulated(bench, (1, 50.0, GOOD)),
        simulated(bench, (1, 50.0, GOOD), protocol="smoke", settings=smoke),
        simulated(bench, (1, 50.0, GOOD), changes={"sample": 5}, settings={**smoke, "method": {"sample": 5}}),
        simulated(bench, (1, 50.0, GOOD), finished="2025", cell=str(Cell.from_index(BAD))),
    ]
    made = drawn(bench, records)
    name = made.rows[0]["label"].split(",")[0]
    labels = [one["label"] for one in made.details["series"]]
    assert labels == [f"{name}, nats-bench", f"{name}, sample=5", f"{name}, smoke"]
    assert "1 older than another one of the same seed" in made.caption
    assert made.rows[1]["x"] == 1000


def test_the_beginning_of_a_longer_run_is_not_drawn_beside_it(bench: Benchmark) -> None:
    run = simulated(bench, (1, 50.0, GOOD))
    protocol = run.settings["protocol"]
    shorter = replace(
        run, protocol="nas-bench-201", settings={**run.settings, "protocol": {**protocol, "budget": 60.0}}
    )
    alone = replace(shorter, seed=run.seed + 1)
    for records, series in (([run, shorter], 1), ([shorter, run, alone], 2), ([shorter], 1)):
        made = drawn(bench, records)
        assert len(made.details["series"]) == series
        assert ("1 the beginnings of longer runs" in made.caption) == (len(records) > 1)


def test_curves_are_in_the_order_of_table_6(bench: Benchmark) -> None:
    records: list[Record] = [trained(bench, method=method) for method in ("mine", "stc", "gdas", "another", "rsps")]
    made = drawn(bench, records)
    assert [row["label"] for row in made.rows] == ["RSPS", "GDAS", "STC-NAS", "another", "mine"]
    assert "No black-box run is here: `stc-bench search --method black-box --seeds 500` adds lines." in made.caption


def test_what_cannot_be_shown_is_counted(bench: Benchmark) -> None:
    other = simulated(bench, (1, 5.0, GOOD), benchmark={"name": bench.name, "file": "", "sha256": "0"})
    foreign = simulated(bench, (1, 5.0, GOOD), search_dataset="digits")
    made = drawn(bench, [simulated(bench, (1, 5.0, GOOD)), other, foreign, foreign])
    assert made.caption.endswith("Records not shown: 1 looked up in another benchmark; 2 searched on another data set.")
    for records, said in (([], "cifar10; "), ([other], r"cifar10 \(1 looked up in another benchmark\); ")):
        with pytest.raises(MissingRecords, match=f"{said}to make it: stc-bench search --method black-box --seeds 500"):
            drawn(bench, records)
    with pytest.raises(MissingRecords, match="--method black-box --dataset cifar100 --seeds 500"):
        drawn(bench, [], dataset="cifar100")
    with pytest.raises(BadCallError, match="does not hold"):
        drawn(bench, [simulated(bench, (1, 5.0, GOOD))], split="valid")


def test_bars_and_names_stay_on_the_page(bench: Benchmark) -> None:
    cells = [0, GOOD, GOOD]  # far apart, so that the interval leaves the axes
    records: list[Record] = [trained(bench, seed, cell) for seed, cell in enumerate(cells)]
    records += [trained(bench, method=f"way_{n}", seconds={"weights": 300 * 1.2**n}) for n in range(12)]
    records += [simulated(bench, (1, 60.0, BAD), (2, 400.0, GOOD), method=f"own_{number}") for number in range(9)]
    made = drawn(bench, records)
    assert "a caret where a bar goes on" in made.caption
    figure = made.draw()
    (axes,) = figure.axes
    bottom = axes.get_ylim()[0]
    (bar,) = (bars.get_segments()[0] for bars in axes.collections if isinstance(bars, LineCollection))
    row = rows(made, "STC-NAS")[0]
    assert bar[:, 1] == pytest.approx([row["low"], row["high"]], abs=1e-5)
    (bars,) = (bars for bars in axes.collections if isinstance(bars, LineCollection))
    assert bars.get_clip_on() and row["low"] < bottom and row["high"] > axes.get_ylim()[1]
    carets = {line.get_marker(): line.get_ydata()[0] for line in axes.lines if line.get_marker() in (6, 7)}
    assert carets == {7: bottom, 6: axes.get_ylim()[1]}
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the leader
    assert len(boxes) == 9 + 1
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert not [pair for pair in combinations(boxes, 2) if pair[0].padded(-1).overlaps(pair[1].padded(-1))]


def test_points_are_named_in_the_legend(bench: Benchmark) -> None:
    made = drawn(bench, [trained(bench, method=f"method_{number:02d}") for number in range(25)])
    figure = made.draw()
    assert [text.get_text().strip() for text in figure.axes[0].texts] == ["best cell"]
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [text for text in shown if text.strip()] == ["weight-sharing", *(row["label"] for row in made.rows)]


def test_a_legend_of_long_names_stays_on_the_page(bench: Benchmark) -> None:
    made = drawn(bench, [trained(bench, method=f"{number:02d}_{'long_' * 5}") for number in range(40)])
    figure = made.draw()
    figure.draw_without_rendering()
    extent = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= extent.x0 and extent.x1 <= figure.bbox.x1


def test_many_lines_have_names_apart(bench: Benchmark) -> None:
    records: list[Record] = [
        simulated(bench, (1, 60.0, BAD), (2, 400.0 + n, GOOD), method=f"own_{n}") for n in range(40)
    ]
    figure = drawn(bench, records).draw()
    figure.draw_without_rendering()
    heights = sorted(Text.get_window_extent(text).y0 for text in figure.axes[0].texts)
    assert len(heights) == 41 and min(np.diff(heights)) > 6 / 72 * figure.dpi


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_names_at_the_ends_of_lines_are_apart(heights: list[float]) -> None:
    found = spread(np.array(heights), 0.08)
    order = np.argsort(heights, kind="stable")
    assert (np.diff(found[order]) > 0.08 - 1e-9).all()
    assert found.min() >= 0 and found.max() <= 1 + 1e-9
    if (np.diff(np.sort(heights)) >= 0.08).all():
        np.testing.assert_allclose(found, heights, atol=1e-9)


def test_kinds_look_different() -> None:
    found = {kind: list(style.looks([kind] * 15)) for kind in style.KIND_COLOURS}
    assert all(len(set(map(str, looks))) == 15 for looks in found.values())
    for one, other in combinations(found.values(), 2):
        for name in ("marker", "color"):
            assert not {look[name] for look in one} & {look[name] for look in other}


def test_pictures_are_opaque_and_black_on_white_whatever_the_users_style(bench: Benchmark) -> None:
    made = drawn(bench, [trained(bench)])
    plain = style.save(made.draw(), Path("a.png"))
    with style_context("dark_background"), rc_context({"savefig.transparent": True}):
        assert style.save(made.draw(), Path("a.png")) == plain
    with Image.open(io.BytesIO(plain)) as picture:
        assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


def test_series_look_different() -> None:
    assert len({style.look(number) for number in range(42)}) == 42
    assert len({str(style.line_look(number)) for number in range(35)}) == 35
    assert len({str(style.line_look(number, style.KIND_COLOURS["black-box"])) for number in range(15)}) == 15


# The command line


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four short runs of each of two methods."""
    folder = tmp_path_factory.mktemp("anytime")
    command = [sys.executable, "-m", "nasbench_stc", "search", "--method", "rs,rea", "--seeds", "4"]
    settings = ["--set", "evaluations=30", "--benchmark", "analog", "--out", str(folder)]
    subprocess.run([*command, *settings], check=True, capture_output=True, cwd=Path(__file__).parents[1])
    return folder


@pytest.mark.parametrize("options", [[], ["--regret"]])
def test_report_writes_the_figure(stc_bench, results: Path, tmp_path: Path, options: list[str]) -> None:
    common = ("report", "--figure", "anytime", *options, "--benchmark", "analog", "--results", results)
    for ending in style.ENDINGS[:1] if options else style.ENDINGS:
        out = tmp_path / f"anytime{ending}"
        status, said, err = stc_bench(*common, "--out", out)
        assert (status, err) == (0, "")
        assert said.startswith(f"{out}: cifar10-test {'regret' if options else 'accuracy'}")
        assert "n=4 runs" in said
        assert out.stat().st_size > 5_000
    assert b"/Type3" not in (tmp_path / "anytime.pdf").read_bytes()
    if not options:
        with Image.open(tmp_path / "anytime.png") as picture:
            assert picture.size[0] == pytest.approx(7 * 300, abs=1)
    status, said, _ = stc_bench(*common, "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(said)))
    assert status == 0
    assert list(lines[0])[:6] == ["kind", "method", "label", "protocol", "n", "clock"]
    assert {(line["method"], line["clock"], line["n"]) for line in lines} == {
        (method, "evaluations", "4") for method in ("rs", "rea")
    }
    assert {line["x"] for line in lines} >= {"1.0", "30.0"}
    assert stc_bench(*common, "--format", "json", "--out", tmp_path / "anytime.json")[:2] == (0, "")
    content = json.loads((tmp_path / "anytime.json").read_text())
    assert content["quantity"] == ("regret" if options else "accuracy")
    assert [one["seeds"] for one in content["series"]] == [[0, 1, 2, 3]] * 2
    assert len(content["rows"]) == len(lines)


def test_the_curve_of_many_runs(stc_bench, nb201: Benchmark, tmp_path: Path) -> None:
    """By the benchmark's clock, to its budget."""
    out, table = tmp_path / "runs", nb201.path
    assert stc_bench("search", "--method", "rs", "--seeds", "100", "--benchmark", table, "--out", out)[0] == 0
    status, said, _ = stc_bench(
        "report", "--figure", "anytime", "--benchmark", table, "--results", out, "--format", "csv"
    )
    assert status == 0
    lines = list(csv.DictReader(io.StringIO(said)))
    assert 100 < len(lines) <= POINTS
    last = lines[-1]
    assert (last["clock"], float(last["x"]), last["n"]) == ("seconds", 20_000, "100")
    assert float(last["mean"]) == pytest.approx(93.86, abs=0.1)
    assert 0.05 < float(last["high"]) - float(last["low"]) < 0.2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--figure", "anytime", "--out", "a.pdf"], "make it: stc-bench search --method black-box --seeds 500"),
        (["--figure", "anytime"], "--out is missing: a file for the figure, like anytime.pdf"),
        (["--regret"], "give --figure anytime"),
        (["--figure", "pareto", "--metric", "params", "--regret", "--out", "a.pdf"], "give --figure anytime"),
        (["--figure", "anytime", "--metric", "params", "--out", "a.pdf"], "--metric is of the figure pareto"),
        (["--figure", "anytime", "--dataset", "x", "--out", "a.pdf"], "unknown data set 'x'"),
    ],
)
def test_bad_figures_end_in_one_line(stc_bench, monkeypatch, tmp_path: Path, args: list[str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = stc_bench("report", "--benchmark", "analog", *args)
    assert (status, out) == (1 if said.startswith(("missing", "make it")) else 2, "")
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", [["--format", "csv"], ["--out", "a.pdf"]])
def test_no_figure_imports_torch_and_only_a_picture_matplotlib(results: Path, tmp_path: Path, to: list[str]) -> None:
    banned = ["torch", *(["matplotlib"] if "csv" in to else [])]
    code = (
        "import sys; from nasbench_stc.cli.main import cli; cli(sys.argv[1:], standalone_mode=False); "
        f"sys.exit(bool(sys.modules.keys() & set({banned})))"
    )
    arguments = ["report", "--figure", "anytime", "--benchmark", "analog", "--results", str(results), *to]
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
