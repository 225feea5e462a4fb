"""Figure 8: which runs are compared, epoch by epoch, and what is drawn."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import make_record
from test_cells_figure import RESULTS

from nasbench_stc.benchmark import Benchmark
from nasbench_stc.benchmark.table import TableBenchmark
from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.errors import DataError
from nasbench_stc.records import Record
from nasbench_stc.report import Chart, Inputs, MissingRecords, gather, make_figure, style
from nasbench_stc.runs.lookup import scores
from nasbench_stc.space import Cell

LONG = {"epochs": 60}
"""Three times the 20 epochs of the protocol cpu."""


def run(
    method: str, seed: int = 0, epochs: int = 20, warm: int = 13, cells: Sequence[int] | None = None, **changes: Any
) -> Record:
    """A search, whose cells are drawn unless they are given."""
    draws = random.Random(f"{method} {seed} {epochs}")
    cells = cells or [draws.randrange(15_625) for _ in range(epochs)]
    trajectory = [
        {"epoch": n, "cell": str(Cell.from_index(cell)), "train_loss": 1.0, "valid_loss": None if n < warm else 1.0}
        for n, cell in enumerate(cells)
    ]
    record = make_record(seed, method=method, trajectory=trajectory, cell=trajectory[-1]["cell"])
    protocol = {**record.settings["protocol"], "epochs": epochs}
    usual: dict[str, Any] = {
        "benchmark": {"name": "made up", "file": "", "sha256": "0" * 64},
        "settings": {**record.settings, "protocol": protocol},
    }
    return replace(record, **{**usual, **changes})


def long(method: str, seed: int = 0, **changes: Any) -> Record:
    """One of the ablation `epochs`."""
    return run(method, seed, **{"epochs": 60, "warm": 39, "changes": LONG, **changes})


def drawn(benchmark: Benchmark | None, *records: Record, **others: Any) -> Chart:
    return make_figure("8", replace(Inputs.of(records, benchmark), **others))


def shown(made: Chart) -> dict[str, tuple[int, list[int]]]:
    """Of each method the epochs and seeds."""
    return {one["method"]: (one["epochs"], one["seeds"]) for one in made.details["series"]}


# Which runs


def test_the_ablations_runs_are_shown(timed: TableBenchmark) -> None:
    more = [run(method, seed) for method in ("darts", "stc") for seed in range(5)]
    changed = [run("darts", seed, changes={"epochs": 20, "alpha_lr": 0.1}) for seed in range(6)]
    other = [run("stc", seed, epochs=120, changes={"epochs": 120}) for seed in range(7)]
    both = [long("darts", 0), long("darts", 1), long("stc", 4)]
    made = drawn(timed, *more, *changed, *other, *both)
    assert shown(made) == {"darts": (60, [0, 1]), "stc": (60, [4])}
    assert made.missing == ()
    assert "Not the paper's comparison" not in made.caption
    assert "(protocol cpu, searched on cifar10, epochs=60; n=2, seeds 0, 1) and STC-NAS (protocol cpu" in made.caption
    assert "2 other groups of DARTS runs" in made.caption
    assert "2 other groups of STC-NAS runs" in made.caption


def test_without_them_the_longest_are_shown_and_what_is_missing_is_named(timed: TableBenchmark) -> None:
    made = drawn(timed, run("darts"), run("darts", epochs=30), run("stc"), run("stc", epochs=90, changes={"noise": 1}))
    assert shown(made) == {"darts": (30, [0]), "stc": (20, [0])}
    (missing,) = made.missing
    assert missing.what == "runs over 60 epochs of DARTS and STC-NAS on cifar10"
    assert missing.command == "stc-bench ablate epochs --protocol cpu"
    assert f"{missing.what} are missing" in made.caption


@pytest.mark.parametrize("lone", ["darts", "stc"])
def test_one_method_may_be_missing(timed: TableBenchmark, lone: str) -> None:
    other = {"darts": "stc", "stc": "darts"}[lone]
    name = {"darts": "DARTS", "stc": "STC-NAS"}[other]
    for records, series in (
        ([long(lone)], {lone: (60, [0])}),
        ([long(lone), run(other)], {lone: (60, [0]), other: (20, [0])}),
    ):
        made = drawn(timed, *records, folders=(Path("mine"),))
        assert shown(made) == series
        (missing,) = made.missing
        assert missing.what == f"runs over 60 epochs of {name} on cifar10"
        assert missing.command == "stc-bench ablate epochs --protocol cpu --out mine"


@pytest.mark.parametrize(
    ("changes", "what", "call"),
    [
        ({"search_dataset": "digits", "protocol": "digits"}, "runs over 180", "--dataset digits --protocol digits"),
        ({"search_dataset": "cifar100"}, "runs over 60", "--dataset cifar100 --protocol cpu"),
        ({"protocol": "of another version"}, "longer runs of", "--protocol of another version"),
    ],
)
def test_the_missing_call_is_of_the_same_setting(
    timed: TableBenchmark, changes: dict[str, str], what: str, call: str
) -> None:
    made = drawn(timed, run("darts", **changes), run("stc", **changes))
    (missing,) = made.missing
    assert missing.what.startswith(what)
    assert missing.command == f"stc-bench ablate epochs {call}"


def test_three_times_is_of_the_records_own_protocol(timed: TableBenchmark) -> None:
    longer = {"epochs": 3 * PROTOCOLS["digits"].settings.epochs}
    settings = {"protocol": "digits", "search_dataset": "digits"}
    records = [run("darts", seed, epochs=180, changes=longer, **settings) for seed in range(2)]
    assert drawn(timed, *records, run("stc", epochs=180, changes=longer, **settings)).missing == ()
    wrong = [run(method, changes=LONG, **settings) for method in ("darts", "stc")]  # 60 are the protocol's own
    with pytest.raises(MissingRecords):
        drawn(timed, *wrong)


def test_both_methods_are_under_the_same_setting(timed: TableBenchmark) -> None:
    digits = {"protocol": "digits", "search_dataset": "digits", "epochs": 60}
    alone = [run("darts", seed, **digits) for seed in range(9)]
    together = [run("darts"), run("stc")]
    assert shown(drawn(timed, *alone, *together)) == {"darts": (20, [0]), "stc": (20, [0])}
    # The ablation's runs come first.
    assert shown(drawn(timed, *alone, *together, long("stc", search_dataset="cifar100"))) == {"stc": (60, [0])}
    # Then those on a data set of the benchmark's, then most seeds, then the newest.
    newer = [replace(record, finished="2027") for record in together]
    more = [run(method, seed, **digits) for method in ("darts", "stc") for seed in range(2)]
    assert shown(drawn(timed, *newer, *more)) == {"darts": (20, [0]), "stc": (20, [0])}
    more = [replace(record, search_dataset="cifar10") for record in more]
    assert shown(drawn(timed, *newer, *more)) == {"darts": (60, [0, 1]), "stc": (60, [0, 1])}
    assert shown(drawn(timed, *newer, *more[::2])) == {"darts": (20, [0]), "stc": (20, [0])}


def test_the_ablations_runs_count_more_than_longer_ones(timed: TableBenchmark) -> None:
    records = [long("darts"), long("stc"), *(run("stc", seed, epochs=90) for seed in range(3))]
    assert shown(drawn(timed, *records)) == {"darts": (60, [0]), "stc": (60, [0])}


def test_both_methods_were_looked_up_in_the_same_benchmark(timed: TableBenchmark) -> None:
    elsewhere = {"name": "made up", "file": "", "sha256": "1" * 64}
    records = [run("darts", seed, benchmark=elsewhere) for seed in range(3)]
    assert shown(drawn(timed, *records, run("darts"), run("stc"))) == {"darts": (20, [0]), "stc": (20, [0])}


def test_without_records_the_call_is_like_theirs(timed: TableBenchmark) -> None:
    useless = [make_record(method="darts"), run("gdas"), run("stc", changes={"noise": 1.0})]
    with pytest.raises(MissingRecords) as raised:
        drawn(timed, *useless)
    (missing,) = raised.value.missing
    assert missing == ("runs of DARTS and STC-NAS", "stc-bench ablate epochs --protocol cpu")


def test_a_benchmark_that_is_not_at_hand_is_named(timed: TableBenchmark) -> None:
    record = run("darts", benchmark={"name": "made up", "file": "", "sha256": "1" * 64})
    for asked in (None, timed):
        with pytest.raises(DataError, match=r"benchmark made up \(sha256 111111111111\)") as raised:
            drawn(asked, record)
        assert not isinstance(raised.value, MissingRecords)
    assert drawn(None, run("darts"), benchmarks=[timed]).rows


# The numbers


def test_rows_are_of_each_epochs_cell(timed: TableBenchmark) -> None:
    records = [long("darts", 0), long("darts", 3), long("stc", 1)]
    made = drawn(timed, *records)
    assert [(row["method"], row["seed"], row["epoch"]) for row in made.rows] == [
        (record.method, record.seed, epoch) for record in records for epoch in range(1, 61)
    ]
    cells = [entry["cell"] for record in records for entry in record.trajectory]
    assert [row["cell"] for row in made.rows] == cells
    assert [row["skip_connects"] for row in made.rows] == [cell.count("skip_connect") for cell in cells]
    expected = timed.accuracy([Cell.parse(cell) for cell in cells])
    assert [row["cifar10-test"] for row in made.rows] == pytest.approx(expected.tolist(), abs=1e-4)
    ends = [np.mean([row["skip_connects"] for row in made.rows if (row["method"], row["epoch"]) == ("darts", 60)])]
    ends += [made.rows[-1]["skip_connects"]]
    assert f"DARTS {ends[0]:.1f} skip connections and " in made.caption
    assert f"STC-NAS {ends[1]:.1f} skip connections and {made.rows[-1]['cifar10-test']:.2f} %." in made.caption


@pytest.mark.parametrize(("searched", "name"), [("cifar100", "cifar100-test"), ("digits", "cifar10-test")])
def test_accuracy_is_of_the_searched_data_set_if_there_is_one(timed: TableBenchmark, searched: str, name: str) -> None:
    made = drawn(timed, run("darts", search_dataset=searched))
    cells = [Cell.parse(row["cell"]) for row in made.rows]
    expected = timed.accuracy(cells, name.removesuffix("-test"), "test")
    assert [row[name] for row in made.rows] == pytest.approx(expected.tolist(), abs=1e-4)
    assert made.draw().axes[1].get_ylabel() == f"{name.removesuffix('-test')} test\naccuracy [%]"


# What is drawn


def test_what_is_drawn(timed: TableBenchmark) -> None:
    runs = [long("darts", seed) for seed in range(3)]
    made = drawn(timed, *runs, run("stc"))
    figure = made.draw()
    above, below = figure.axes
    assert (above.get_ylabel(), below.get_xlabel()) == ("skip connections", "epoch")
    assert above.get_xlim() == below.get_xlim() == (0, 61)
    assert above.get_ylim()[0] <= 0 and above.get_ylim()[1] >= 6
    counts = np.array([[entry["cell"].count("skip_connect") for entry in record.trajectory] for record in runs])
    *thin, darts, stc, beginning, other = above.lines
    assert len(thin) == 3  # a single run of STC-NAS is its own mean
    for line, values in (*zip(thin, counts, strict=True), (darts, counts.mean(axis=0))):
        assert line.get_drawstyle() == "steps-post"
        np.testing.assert_allclose(line.get_ydata(), [*values, values[-1]])
        np.testing.assert_allclose(line.get_xdata(), np.arange(61) + 0.5)  # a step is as wide as its epoch
    assert all(line.get_linewidth() < darts.get_linewidth() for line in thin)
    assert len(stc.get_xdata()) == 21
    assert [line.get_xdata()[0] for line in (beginning, other)] == [39.5, 13.5]
    assert "from epoch 40 on alpha learns (DARTS)" in made.caption
    assert "from epoch 14 on alpha learns (STC-NAS)" in made.caption
    accuracy = timed.accuracy([Cell.parse(entry["cell"]) for entry in runs[0].trajectory])
    np.testing.assert_allclose(below.lines[0].get_ydata()[:-1], accuracy)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["DARTS (n=3)", "STC-NAS (n=1)"]
    assert figure.get_size_inches()[0] == style.COLUMN_WIDTH
    assert "Thick: the mean over runs" in made.caption


def test_a_method_looks_the_same_alone(timed: TableBenchmark) -> None:
    def look(made: Chart) -> tuple[str, str]:
        line = made.draw().axes[0].lines[-2]  # the last but the vertical one
        return line.get_color(), line.get_linestyle()

    assert (
        look(drawn(timed, run("darts"), run("stc")))
        == look(drawn(timed, run("stc")))
        != look(drawn(timed, run("darts")))
    )


@pytest.mark.parametrize("warm", [0, 1, 13])
def test_the_beginning_of_alpha_is_marked_where_there_is_a_warm_up(timed: TableBenchmark, warm: int) -> None:
    made = drawn(timed, run("darts", warm=warm), run("stc", warm=warm))
    lines = made.draw().axes[1].lines
    assert [line.get_xdata()[0] for line in lines[2:]] == ([warm + 0.5] if warm else [])
    assert ("Vertical line" in made.caption) == bool(warm)
    if warm:
        assert f"from epoch {warm + 1} on alpha learns (DARTS, STC-NAS)" in made.caption
    assert [one["alpha_learns_from"] for one in made.details["series"]] == [warm + 1] * 2
    assert "Thick" not in made.caption


# The committed records


def test_the_committed_records(nb201: Benchmark) -> None:
    records = [one for one in gather(RESULTS).sources.values() if isinstance(one, Record)]
    records = [record for record in records if record.protocol == "cpu" and "Intel" in record.device]
    made = make_figure("8", Inputs.of(records, benchmarks=[nb201]))
    last = {(row["method"], row["seed"]): row for row in made.rows}
    assert {method for method, _ in last} == {"darts", "stc"}
    for series in made.details["series"]:
        for record in records:
            if (record.method, record.changes) == (series["method"], series["changes"]):
                row = last[record.method, record.seed]
                assert (row["epoch"], row["cell"]) == (series["epochs"], record.cell)
                assert row["cifar10-test"] == pytest.approx(record.scores["cifar10-test"], abs=1e-4)
        assert len(series["seeds"]) >= 3
    assert made.draw().axes[1].get_ylabel() == "cifar10 test\naccuracy [%]"


def test_the_command_says_what_is_missing(stc_bench, nb201: Benchmark, tmp_path: Path) -> None:
    found = run("darts")
    of_table = {"name": nb201.name, "file": "", "sha256": nb201.sha256}
    replace(found, benchmark=of_table, scores=scores(Cell.parse(found.cell), nb201)).write(tmp_path)
    out = tmp_path / "8.png"
    status, said, err = stc_bench(
        "report", "--figure", "8", "--benchmark", nb201.path, "--results", tmp_path, "--out", out
    )
    assert (status, err) == (0, "")
    caption, missing = said.splitlines()
    assert caption.startswith(f"{out}: The cell after each epoch of DARTS (")
    assert missing.startswith(
        "missing: runs over 60 epochs of DARTS and STC-NAS on cifar10; to make it: stc-bench ablate"
    )
    assert out.is_file()
