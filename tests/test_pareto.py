"""The Pareto front against its definition, and the figure as files and as numbers."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from records import make_record, simulated

from nasbench_stc.benchmark import Benchmark, find_metric, find_metrics, open_benchmark
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.records import Record
from nasbench_stc.report import FIGURES, Inputs, chart, make_figure, statistics, style
from nasbench_stc.report.figures.pareto import pareto_front
from nasbench_stc.space import Cell

EVERY = np.arange(15_625)


@pytest.fixture(scope="module")
def analog_bench() -> Benchmark:
    return open_benchmark("analog")


def inputs(benchmark: Benchmark, name: str = "params", records: Sequence[Record] = (), **others: object) -> Inputs:
    return replace(Inputs.of(records, benchmark, metric=find_metrics(benchmark)[name]), **others)


# The front


def front_by_definition(accuracy: NDArray[np.float64], values: NDArray[np.float64], better: str) -> set[int]:
    """Every pair is compared."""
    cost = values if better == "low" else -values
    known = np.flatnonzero(np.isfinite(values))

    def dominated(i: int) -> bool:
        return any(
            accuracy[j] >= accuracy[i] and cost[j] <= cost[i] and (accuracy[j] > accuracy[i] or cost[j] < cost[i])
            for j in known
        )

    return {int(i) for i in known if not dominated(i)}


few = st.integers(0, 6).map(float)  # so that many are equal
numbers = st.one_of(few, st.floats(-1e6, 1e6), st.sampled_from([np.nan, np.inf, -np.inf]))


@given(
    st.lists(st.tuples(st.one_of(few, st.floats(0, 100)), numbers), max_size=40),
    st.sampled_from(["low", "high"]),
)
def test_the_front_is_the_definitions(cells: list[tuple[float, float]], better: str) -> None:
    accuracy, values = (
        (np.array(column, dtype=np.float64) for column in zip(*cells, strict=True))
        if cells
        else (
            np.array([]),
            np.array([]),
        )
    )
    front = pareto_front(accuracy, values, better)
    assert len(set(front)) == len(front)
    assert set(front) == front_by_definition(accuracy, values, better)
    steps = np.diff(accuracy[front])
    assert (np.diff(values[front]) >= 0).all()
    assert (steps >= 0).all() if better == "low" else (steps <= 0).all()


def test_the_front_of_all_cells_is_the_definitions(nb201: Benchmark) -> None:
    accuracy = nb201.accuracy(EVERY)
    cost = find_metrics(nb201)["mflops"].values(EVERY)
    dominated = np.zeros(len(EVERY), dtype=bool)
    for other in np.lexsort((cost, -accuracy))[:2000]:  # no cell of the front is dominated, by the best ones either
        dominated |= (
            (accuracy[other] >= accuracy)
            & (cost[other] <= cost)
            & ((accuracy[other] > accuracy) | (cost[other] < cost))
        )
    front = pareto_front(accuracy, cost, "low")
    assert not dominated[front].any()
    assert accuracy[front[-1]] == nb201.optimal()[1]
    # Every other cell is dominated by one of the front.
    for cell in np.setdiff1d(EVERY, front)[::97]:
        assert ((accuracy[front] >= accuracy[cell]) & (cost[front] <= cost[cell])).any()


def test_golden_front(nb201: Benchmark) -> None:
    made = make_figure("pareto", inputs(nb201))
    assert len(made.rows) == 17
    assert made.rows[0]["params"] == 0.073306  # no convolution
    # The optimum is two cells, equal in both: they stand on the front together.
    assert [(row["index"], row["cifar10-test"]) for row in made.rows[-2:]] == [(6111, 94.3733), (13714, 94.3733)]


# The figure


def test_what_is_drawn(nb201: Benchmark) -> None:
    records = [make_record(0), make_record(1, cell=str(Cell.from_index(4))), make_record(2, search_dataset="digits")]
    figure = make_figure("pareto", inputs(nb201, records=records)).draw()
    (axes,) = figure.axes
    cells, front, ours, digits = axes.lines
    assert len(cells.get_xdata()) == 15_625
    assert cells.get_rasterized()
    assert (len(front.get_xdata()), front.get_drawstyle()) == (17, "steps-post")
    np.testing.assert_array_equal(ours.get_ydata(), nb201.accuracy([9930, 4]))
    np.testing.assert_array_equal(digits.get_xdata(), [nb201.cost([9930])["params"][0]])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["front (17 cells)"]
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["weight-sharing", "STC-NAS, cpu (n=2)", "STC-NAS, cpu on digits (n=1)"]
    assert axes.get_xlabel() == "params [M]"
    assert axes.get_ylabel() == "cifar10 test accuracy [%]"
    below = int((nb201.accuracy(EVERY) < axes.get_ylim()[0]).sum())
    assert axes.get_title(loc="left") == f"nb201, n=15,625 cells, {below:,} below the axis"
    assert figure.get_size_inches()[0] == style.PAGE_WIDTH
    assert "marked at its end" not in make_figure("pareto", inputs(nb201, records=records)).caption
    low_cell = make_record(0, cell=str(Cell((0,) * 6)))
    made = make_figure("pareto", inputs(nb201, records=[low_cell]))
    assert "What runs found below it is marked at its end." in made.caption
    (axes,) = made.draw().axes
    bottom = axes.get_ylim()[0]
    assert nb201.accuracy([Cell((0,) * 6)])[0] < bottom < nb201.accuracy(EVERY).mean()
    assert axes.lines[-1].get_ydata() == [bottom] and not axes.lines[-1].get_clip_on()


def test_many_runs_are_marked_by_their_mean_and_on_their_own_data_set(nb201: Benchmark) -> None:
    few = [make_record(0, method=f"method_{number}") for number in range(5)]
    runs = [simulated("cifar10", seed, cell=str(Cell.from_index(9900 + seed))) for seed in range(40)]
    runs += [simulated("cifar100", seed, cell=str(Cell.from_index(11))) for seed in range(40)]
    shorter = {"protocol": {"budget": 500, "evaluations": 0}, "method": {}}
    runs += [simulated("cifar10", seed, cell=str(Cell.from_index(7)), settings=shorter) for seed in range(40)]
    made = make_figure("pareto", inputs(nb201, records=[*few, *runs]))
    figure = made.draw()
    line = figure.axes[0].lines[-1]
    assert line.get_label() == "REA, nats-bench (n=40)"
    np.testing.assert_allclose(line.get_ydata(), [nb201.accuracy(range(9900, 9940)).mean()])
    np.testing.assert_allclose(line.get_xdata(), [nb201.cost(range(9900, 9940))["params"].mean()])
    across, up = (bar.get_segments()[0] for bar in figure.axes[0].collections)
    half = statistics.t_half_width(nb201.accuracy(range(9900, 9940)).tolist())
    np.testing.assert_allclose(np.diff(up[:, 1]), 2 * half)
    half = statistics.t_half_width(nb201.cost(range(9900, 9940))["params"].tolist())
    np.testing.assert_allclose(np.diff(across[:, 0]), 2 * half)
    assert "with bars of its 95 % t-interval" in made.caption
    assert len(figure.axes[0].lines) == 2 + 5 + 1  # neither the other data set nor the beginnings of longer runs
    assert "runs and more the mean is marked" in made.caption
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["front (17 cells)"]
    shown = [text.get_text() for text in figure.legends[0].get_texts() if text.get_text().strip()]
    assert [text for text in shown if text in ("weight-sharing", "black-box")] == ["weight-sharing", "black-box"]
    assert len(shown) == 2 + 6
    assert figure.get_size_inches()[0] == style.PAGE_WIDTH
    assert figure.get_size_inches()[1] > 2.6


def test_runs_of_other_settings_and_of_another_device_have_marks_of_their_own(nb201: Benchmark) -> None:
    runs = [make_record(seed, device=device) for seed in range(2) for device in ("CPU: one", "CPU: two")]
    runs += [make_record(seed, changes={"alpha_lr": 0.1}) for seed in range(3)]
    figure = make_figure("pareto", inputs(nb201, records=runs)).draw()
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    for label in ("STC-NAS, on one, cpu (n=2)", "STC-NAS, on two, cpu (n=2)", "STC-NAS, alpha_lr=0.1, cpu (n=3)"):
        assert label in shown, shown


def test_high_is_good(analog_bench: Benchmark) -> None:
    made = make_figure("pareto", inputs(analog_bench, "analog-noisy"))
    values = [row["analog-noisy"] for row in made.rows]
    assert values == sorted(values)
    assert max(values) == pytest.approx(find_metrics(analog_bench)["analog-noisy"].values(EVERY).max(), abs=1e-3)
    assert made.draw().axes[0].lines[1].get_drawstyle() == "steps-pre"


def test_cells_without_a_number_are_left_out_and_told(nb201: Benchmark, metrics_dir: Path) -> None:
    metric = find_metric("edgetpu-latency", nb201, metrics_dir)
    missing = int(np.flatnonzero(np.isnan(metric.values(EVERY)))[0])
    records = [make_record(0), make_record(1, cell=str(Cell.from_index(missing)))]
    made = make_figure("pareto", Inputs.of(records, nb201, metric=metric))
    assert made.details["cells"] == 15_625 - 4_699
    assert "10,926 that have a finite number" in made.caption
    assert "Cells found without a finite number, not marked: 1." in made.caption
    assert "STC-NAS, cpu (1 of 2)" in [text.get_text() for text in made.draw().legends[0].get_texts()]
    nothing = replace(metric, read=lambda index: np.full(len(index), np.nan))
    with pytest.raises(DataError, match="no finite number for any cell"):
        make_figure("pareto", Inputs.of([], nb201, metric=nothing))


@pytest.mark.parametrize(
    ("name", "scale"),
    [("params", "linear"), ("zcsuite-fisher", "log"), ("synflow", "asinh"), ("zcsuite-grasp", "asinh")],
)
def test_scales(nb201: Benchmark, metrics_dir: Path, name: str, scale: str) -> None:
    axes = make_figure("pareto", Inputs.of([], nb201, metric=find_metric(name, nb201, metrics_dir))).draw().axes[0]
    assert axes.get_xscale() == scale
    ticks = [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
    assert 3 <= len(ticks) <= 12


def test_files(analog_bench: Benchmark) -> None:
    made = make_figure("pareto", inputs(analog_bench))
    pdf, svg, png = (style.save(made.draw(), Path(f"front{ending}")) for ending in style.ENDINGS)
    assert pdf.startswith(b"%PDF")
    assert b"/FontFile2" in pdf  # TrueType, embedded
    assert b"/Type3" not in pdf
    assert len(pdf) < 300_000  # 15,625 points are one picture in it
    texts = ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert "cifar10 test accuracy [%]" in texts
    assert Image.open(io.BytesIO(png)).size[0] == pytest.approx(7 * 300, abs=1)
    for ending, content in zip(style.ENDINGS, (pdf, svg, png), strict=True):
        assert style.save(made.draw(), Path(f"again{ending}")) == content
    with pytest.raises(BadCallError, match=r"'.doc': choose from .pdf, .svg, .png"):
        style.save(made.draw(), Path("front.doc"))


def test_numbers(nb201: Benchmark) -> None:
    made = make_figure("pareto", inputs(nb201, dataset="cifar100", split="valid"))
    lines = list(csv.DictReader(io.StringIO(chart.render(made, "csv"))))
    content = json.loads(chart.render(made, "json"))
    assert list(lines[0]) == ["index", "cell", "cifar100-valid", "params"]
    assert [int(line["index"]) for line in lines] == [row["index"] for row in content["rows"]]
    for row in content["rows"]:
        assert Cell.parse(row["cell"]).index == row["index"]
        assert row["cifar100-valid"] == pytest.approx(nb201.accuracy([row["index"]], "cifar100", "valid")[0], abs=1e-4)
    assert (content["metric"]["unit"], content["split"], content["cells"]) == ("M", "valid", 15_625)
    with pytest.raises(BadCallError, match="choose from csv, json"):
        chart.render(made, "html")


# The command line


def test_report_writes_the_figure(stc_bench, tmp_path: Path) -> None:
    common = ("report", "--figure", "pareto", "--metric", "params", "--benchmark", "analog", "--results", tmp_path)
    for ending in style.ENDINGS:
        out = tmp_path / f"front{ending}"
        status, said, err = stc_bench(*common, "--out", out)
        assert (status, err) == (0, "")
        assert said.startswith(f"{out}: cifar10-test of analog against params (")
        assert out.stat().st_size > 5_000
    status, said, _ = stc_bench(*common, "--format", "csv")
    assert status == 0
    assert said.startswith("index,cell,cifar10-test,params\n")
    assert stc_bench(*common, "--format", "json", "--out", tmp_path / "front.json")[:2] == (0, "")
    assert json.loads((tmp_path / "front.json").read_text())["metric"]["name"] == "params"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--figure", "pareto", "--metric", "params"], "--out is missing"),
        (["--figure", "pareto", "--out", "a.pdf"], "--metric is missing"),
        (["--figure", "pareto", "--metric", "parms", "--out", "a.pdf"], "did you mean params"),
        (["--figure", "pareto", "--metric", "params", "--out", "a.doc"], "choose from .pdf, .svg, .png"),
        (["--figure", "pareto", "--metric", "params", "--format", "latex"], "choose from csv, json"),
        (["--figure", "pareto", "--metric", "params", "--dataset", "x", "--out", "a.pdf"], "unknown data set 'x'"),
        (["--figure", "pareto", "--metric", "params", "--split", "x", "--out", "a.pdf"], "unknown split 'x'"),
        (["--figure", "pareto", "--metric", "params", "--split", "valid", "--out", "a.pdf"], "does not hold"),
        (
            ["--figure", "99", "--out", "a.pdf"],
            "unknown figure '99': choose from 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, anytime, genotypes, pareto, summary, "
            "supernets",
        ),
        (["--figure", "pareto", "--table", "6", "--out", "a.pdf"], "exclude each other"),
        (["--metric", "params"], "give --figure pareto"),
        (["--figure", "2", "--metric", "params", "--out", "a.pdf"], "--metric is of the figure pareto; 2 has none"),
    ],
)
def test_bad_figures_end_in_one_line(stc_bench, monkeypatch, tmp_path: Path, args: list[str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = stc_bench("report", "--benchmark", "analog", *args)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_figures_are_named() -> None:
    numbers = ["2", "3", *map(str, range(5, 13))]
    assert list(FIGURES) == [*numbers, "anytime", "genotypes", "pareto", "summary", "supernets"]


@pytest.mark.parametrize(
    "args", [["report"], ["report", "--figure", "pareto", "--metric", "params", "--format", "csv"]]
)
def test_only_a_picture_imports_matplotlib(args: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from nasbench_stc.cli.main import cli; cli(sys.argv[1:], standalone_mode=False); "
        "sys.exit('matplotlib' in sys.modules or 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, *args, "--benchmark", "analog", "--results", str(tmp_path)]
    here = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
