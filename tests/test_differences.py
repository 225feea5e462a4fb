"""The table of differences: what is compared with what, by which statistics, and how it is shown."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from records import make_record, simulated
from scipy import stats
from test_report import OUR_SECTION

from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.benchmark.base import NoBenchmark
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.records import Record, SimulatedRun
from nasbench_stc.report import FORMATS, Inputs, MissingRecords, make_table, render, statistics
from nasbench_stc.report.table import Column, Estimate, Row, Spread, Table
from nasbench_stc.space import Cell, find_space

TEST = ("cifar10-test", "cifar100-test", "ImageNet16-120-test")


def found(scores: list[float], method: str = "stc", seeds: list[int] | None = None, **changes: Any) -> list[Record]:
    """Searches that found cells of so many percent, on each data set."""
    numbers = range(len(scores)) if seeds is None else seeds
    return [
        make_record(seed, method=method, scores=dict.fromkeys(COLUMNS, score), **changes)
        for seed, score in zip(numbers, scores, strict=True)
    ]


def black_box(scores: list[float], dataset: str, method: str = "rea") -> list[SimulatedRun]:
    return [
        simulated(dataset, seed, scores=dict.fromkeys(COLUMNS, score), method=method)
        for seed, score in enumerate(scores)
    ]


def rows(records: list[Any], against: str = "stc") -> list[Row]:
    return list(make_table("differences", Inputs.of(records, against=against)).rows)


def spread(row: Row, key: str = "cifar10-test") -> Spread:
    value = row.values[key]
    assert isinstance(value, Spread)
    return value


def estimate(row: Row, key: str = "cifar10-test_better") -> Estimate:
    value = row.values[key]
    assert isinstance(value, Estimate)
    return value


OURS, THEIRS = [92.0, 93.5, 90.5], [91.0, 92.8, 90.2]


# What is compared


def test_weight_sharing_methods_are_compared_by_seed() -> None:
    (row,) = rows([*found(OURS), *found([*THEIRS, 70.0], "darts", [0, 1, 2, 7])])
    assert (row.values["method"], row.values["n"], row.values["common"]) == ("DARTS", 4, 3)
    theirs = stats.ttest_rel(THEIRS, OURS).confidence_interval(0.95)
    difference = spread(row)
    assert difference.mean == pytest.approx(np.mean(THEIRS) - np.mean(OURS))  # of the common seeds
    assert difference.mean - (difference.interval or 0) == pytest.approx(theirs.low)
    assert difference.std == pytest.approx(np.std(np.subtract(THEIRS, OURS)))
    assert difference.signed
    assert estimate(row).value == statistics.improvement([*THEIRS, 70.0], OURS)  # of all runs
    assert row.section == f"{OUR_SECTION}; against STC-NAS (cpu, on cifar10, n=3), by common seeds"
    assert row.details["paired"] is True


@pytest.mark.parametrize("seeds", [[5, 6, 7], [2, 3, 4]], ids=["none", "one"])
def test_without_two_common_seeds_means_are_compared(seeds: list[int]) -> None:
    (row,) = rows([*found(OURS), *found(THEIRS, "darts", seeds)])
    theirs = stats.ttest_ind(THEIRS, OURS, equal_var=False).confidence_interval(0.95)
    difference = spread(row)
    assert (difference.mean - (difference.interval or 0)) == pytest.approx(theirs.low)
    assert (row.values["common"], difference.std) == (None, None)
    assert row.section.endswith("without pairs")


def test_methods_of_different_kinds_have_no_pairs_though_seeds_are_the_same() -> None:
    (row,) = rows([*found(OURS), *black_box(THEIRS, "cifar10")])
    theirs = stats.ttest_ind(THEIRS, OURS, equal_var=False).confidence_interval(0.95)
    assert spread(row).mean - (spread(row).interval or 0) == pytest.approx(theirs.low)
    assert row.section.startswith("Ours, black-box, on cifar10 by protocol nats-bench: nb201; against STC-NAS")
    assert row.section.endswith("without pairs")
    (row,) = rows([*black_box(THEIRS, "cifar10"), *black_box(OURS, "cifar10", "rs")], "rs")
    assert row.section.endswith("by common seeds")


def test_a_column_of_searches_on_each_data_set_is_of_its_own() -> None:
    records = [*black_box([95.0, 96.0], "cifar10"), *black_box([70.0, 75.0, 80.0], "cifar100")]
    (row,) = rows([*found(OURS), *records])
    assert (row.details["searched_on"], row.values["n"]) == ("each", "2-3")
    assert spread(row).mean == pytest.approx(95.5 - 92)
    assert spread(row, "cifar100-test").mean == pytest.approx(75 - 92)
    assert (estimate(row).value, estimate(row, "cifar100-test_better").value) == (1.0, 0.0)
    over_all = estimate(row, "better")
    assert (over_all.value, over_all.low, over_all.high) == (0.5, 0.5, 0.5)
    assert "ImageNet16-120-test" not in row.values


def test_the_columns_of_one_search_are_drawn_together() -> None:
    (row,) = rows([*found(OURS), *found(THEIRS, "darts")])
    assert estimate(row, "better") == estimate(row)  # the same percentages on every data set
    columns = [dict.fromkeys(COLUMNS, score) for score in OURS]
    apart = [
        replace(run, scores=scores)
        for dataset in ("cifar10", "cifar100")
        for run, scores in zip(black_box(OURS, dataset), columns, strict=True)
    ]
    (row,) = rows([*black_box(THEIRS, "cifar10", "rs"), *apart], "rs")
    over_all, single = estimate(row, "better"), estimate(row)
    assert (over_all.high or 0) - (over_all.low or 0) < (single.high or 0) - (single.low or 0)


def test_the_reference_is_that_of_the_same_protocol_and_data_set() -> None:
    many = found([80.0] * 5, protocol="smoke")
    changed = found([60.0] * 6, changes={"noise": 0.2}, settings={"protocol": {}, "method": {"noise": 0.2}})
    table = rows([*found(OURS), *many, *changed, *found(THEIRS, "darts"), *found(THEIRS, "gdas", protocol="digits")])
    against = {
        (row.values["method"].split(",")[0], row.details["protocol"], row.values["n"]): re.findall(
            r"\((.*)\)", row.section
        )[0]
        for row in table
    }
    assert against == {
        ("DARTS", "cpu", 3): "cpu, on cifar10, n=3",
        ("GDAS", "digits", 3): "cpu, noise=0.2, on cifar10, n=6",  # none of its protocol: that of most runs
        ("STC-NAS", "cpu", 6): "cpu, on cifar10, n=3",
    }  # the one of the other protocol is compared with nothing
    assert "noise=0.2" in next(row for row in table if row.values["method"].startswith("STC-NAS")).notes[0]
    sections = [row.section for row in table]
    assert len(set(sections)) == sum(a != b for a, b in zip(["", *sections], sections, strict=False))


def test_only_cells_of_one_benchmark_are_compared() -> None:
    other = {"name": "nb201", "file": "other.csv.gz", "sha256": "f" * 64}
    ours, theirs = found(OURS), found(THEIRS, "darts")
    table = make_table("differences", Inputs.of([*ours, *theirs, *found([10.0] * 3, "gdas", benchmark=other)]))
    assert [row.values["method"] for row in table.rows] == ["DARTS"]
    assert "Not compared, since STC-NAS has no runs in their benchmark (nb201): groups: 1." in table.more
    table = make_table("differences", Inputs.of([*ours, *theirs, *found([50.0] * 3, "stc", benchmark=other)]))
    assert [row.values["method"] for row in table.rows] == ["DARTS"]
    assert not any("Not compared" in line for line in table.more)


def test_columns_are_of_what_the_benchmark_holds() -> None:
    only = [replace(record, scores={"cifar10-test": 90.0 + record.seed}) for record in found(OURS)]
    table = make_table("differences", Inputs.of([*only, *(replace(record, method="darts") for record in only)]))
    assert [column.key for column in table.columns][2:4] == ["cifar10-test", "cifar10-test_better"]
    assert estimate(table.rows[0]).value == 0.5
    nothing = [replace(record, scores={}, method="darts") for record in only]
    (row,) = rows([*only, *nothing])
    assert not set(row.values) & set(TEST)


def test_against_chooses_the_method() -> None:
    records = [*found(OURS), *found(THEIRS, "darts"), *found(THEIRS, "mine")]
    assert [row.values["method"] for row in rows(records, "mine")] == ["DARTS", "STC-NAS"]
    first = {against: spread(rows(records, against)[0]).mean for against in ("stc", "darts")}
    assert first["stc"] == pytest.approx(-(spread(rows(records, "darts")[0]).mean))


def test_without_runs_to_compare_it_says_how_to_make_some() -> None:
    with pytest.raises(MissingRecords, match=r"runs of RS; .* stc-bench search --method rs --seeds 3"):
        make_table("differences", Inputs.of(found(OURS), against="rs"))
    with pytest.raises(MissingRecords, match=r"runs of RS; .* stc-bench search --method rs --seeds 3"):
        make_table("differences", Inputs.of(found(OURS)))
    with pytest.raises(MissingRecords, match="runs of STC-NAS"):
        make_table("differences", Inputs.of())


def test_what_it_asks_for_are_methods_that_search_the_space() -> None:
    sizes, darts = find_space("sss"), find_space("darts")
    with pytest.raises(MissingRecords, match=r"runs of RS; .* stc-bench search --method rs --seeds 3 --space sss"):
        make_table("differences", Inputs(space=sizes))
    with pytest.raises(
        BadCallError, match="--against stc: weight-sharing methods do not search NATS-Bench's size space"
    ):
        make_table("differences", Inputs(space=sizes, against="stc"))
    none = {"asked": NoBenchmark(darts), "space": darts}
    with pytest.raises(MissingRecords, match=r"runs of STC-NAS; .* --method stc --seeds 3 --space darts"):
        make_table("differences", Inputs(**none))
    cell = {"space": "darts", "cell": str(Cell.parse("DARTS_V2", space="darts")), "scores": {}}
    with pytest.raises(MissingRecords, match=r"runs of RSPS; .* --method rsps --seeds 3 --space darts"):
        make_table("differences", Inputs.of([make_record(0, **cell)], **none))
    with pytest.raises(BadCallError, match="--against rs: black-box methods do not search DARTS; --against stc is"):
        make_table("differences", Inputs(**none, against="rs"))


def test_what_was_not_looked_up_has_no_differences() -> None:
    without = {"benchmark": {"name": "none", "file": "", "sha256": ""}, "scores": {}}
    records = [make_record(seed, method=method, **without) for seed in range(3) for method in ("stc", "darts")]
    with pytest.raises(DataError, match="nothing to compare: No benchmark of the space"):
        make_table("differences", Inputs.of(records))


def test_random_search_is_the_reference_where_there_is_no_supernet() -> None:
    sizes = find_space("sss")
    records = [*black_box(OURS, "cifar10", "rs"), *black_box(THEIRS, "cifar10")]
    records = [replace(one, space="sss", cell=sizes.example) for one in records]
    (row,) = make_table("differences", Inputs.of(records, space=sizes)).rows
    assert (row.values["method"], row.details["against"]) == ("REA", "rs")


# How it is marked and shown


def test_what_cannot_be_told_apart_is_marked() -> None:
    darts = found([score + step for score, step in zip(OURS, (0.30, 0.31, 0.32), strict=True)], "darts")
    (row,) = rows([*found(OURS), *darts])
    assert [spread(row, key).indistinct for key in TEST] == [False, True, True]  # 0.31 is more than 0.25 alone
    (row,) = rows([*found(OURS), *found([95.0, 92.0, 90.0], "darts")])
    assert spread(row).mean > 0.25 and spread(row).indistinct  # its interval reaches zero
    (row,) = rows([*found([90.0]), *found([99.0], "darts")])
    assert spread(row).indistinct and (spread(row).interval, estimate(row).low) == (None, None)


def test_what_needs_no_search_is_compared_by_the_same_rule(nb201: Any) -> None:
    identity = {"name": nb201.name, "about": nb201.about, "file": nb201.path.name, "sha256": nb201.sha256}
    best = {"cifar10-test": 94.06, "cifar100-test": 71.41}  # 93.76 and 71.11
    records = [
        make_record(seed, benchmark=identity, scores={key: value + seed / 100 for key, value in best.items()})
        for seed in range(3)
    ]
    records += found(OURS, "darts", benchmark=identity)
    table = make_table("differences", Inputs.of(records, benchmarks=[nb201]))
    (row,) = [row for row in table.rows if row.values["method"] == "STC-NAS" and "minus the largest" in row.section]
    assert [round(spread(row, key).mean, 2) for key in best] == [0.31, 0.31]
    assert [spread(row, key).indistinct for key in best] == [False, True]
    assert re.search(r" \+0.31 .* ≈\+0.31 ", render(table, "text", 140))
    assert any("≈: cannot be told from no difference" in line for line in table.caption)


def marked() -> Table:
    columns = (Column("name", "name"), Column("a", "a"), Column("b", "b"))
    values = [
        {"name": "x", "a": Spread(-0.1, 0.3, 0.5, signed=True, indistinct=True), "b": Estimate(0.25, 0.125, 0.5)},
        {"name": "y", "a": Spread(2.0, signed=True), "b": Estimate(1.0)},
        {"name": "z", "a": None, "b": None},
    ]
    return Table(None, "marks", columns, tuple(Row("", row) for row in values), ("≈: equal",))


def test_the_mark_and_intervals_of_estimates_in_every_format() -> None:
    text = render(marked(), "text", 80).splitlines()
    assert [line.split() for line in text if line.startswith(" ")] == [
        ["x", "≈-0.10", "(±0.50)", "0.25", "(0.12–0.50)"],
        ["y", "+2.00", "1.00"],
        ["z", "–", "–"],
    ]
    assert "| x | ≈-0.10 (±0.50) | 0.25 (0.12–0.50) |" in " ".join(render(marked(), "markdown").split())
    latex = render(marked(), "latex")
    assert r"x & $\approx$-0.10 ($\pm$0.50) & 0.25 (0.12--0.50) \\" in latex
    assert "≈" not in latex
    lines = list(csv.DictReader(io.StringIO(render(marked(), "csv"))))
    assert [line["a_indistinct"] for line in lines] == ["True", "False", ""]
    assert [(line["b_value"], line["b_low"], line["b_high"]) for line in lines] == [
        ("0.25", "0.125", "0.5"),
        ("1.0", "", ""),
        ("", "", ""),
    ]
    first, *_ = json.loads(render(marked(), "json"))["rows"]
    assert first["a_indistinct"] is True
    assert [first[f"b_{part}"] for part in ("value", "low", "high")] == [0.25, 0.125, 0.5]


def everything() -> list[Any]:
    sets = ("cifar10", "cifar100")
    return [
        *found(OURS),
        *found(THEIRS, "darts2"),
        *(run for dataset in sets for run in black_box([95.0, 96.0, 95.5], dataset, "reinforce")),
    ]


def test_a_terminal_of_100_columns_has_room() -> None:
    text = render(make_table("differences", Inputs.of(everything())), "text", 100)
    assert max(map(len, text.splitlines())) <= 100
    assert "diff." in text and "over" in text


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_shows_it_and_says_the_same_again(format: str) -> None:
    shown = [render(make_table("differences", Inputs.of(everything())), format) for _ in range(2)]
    assert shown[0] == shown[1]
    assert "DARTS(2nd)" in shown[0] and "nan" not in shown[0].lower()


def test_the_caption_says_what_pairs_and_marks_are() -> None:
    table = make_table("differences", Inputs.of(everything()))
    caption = " ".join((*table.caption, *table.more))
    for phrase in ("Pairs take away only what a seed fixes", "≈:", "0.25 / 0.41 / 0.60", "Welch", "Searched on each"):
        assert phrase in caption
    alone = make_table("differences", Inputs.of([*found(OURS), *found(THEIRS, "darts")])).more
    assert "Searched on each" not in " ".join(alone)


def test_the_command(stc_bench: Callable[..., tuple[int, str, str]], tmp_path: Any) -> None:
    for number, record in enumerate([*found(OURS), *found(THEIRS, "darts")]):
        (tmp_path / str(number)).mkdir()
        record.write(tmp_path / str(number))
    args = ("report", "--table", "differences", "--results", tmp_path, "--benchmark", "analog")
    status, out, err = stc_bench(*args)
    assert (status, err) == (0, "") and "against STC-NAS" in out
    assert "against DARTS (cpu" in stc_bench(*args, "--against", "darts")[1]
    status, _, err = stc_bench(*args, "--against", "rs")
    assert status == 1 and f"stc-bench search --method rs --seeds 3 --benchmark analog --out {tmp_path}" in err
    status, _, err = stc_bench(*args, "--against", "drats")
    assert status == 2 and "unknown method 'drats': choose from rsps" in err
    status, _, err = stc_bench("report", "--against", "darts")
    assert status == 2 and "give --table differences" in err


def test_it_imports_nothing_slow() -> None:
    code = (
        "import json, sys; from nasbench_stc.report import Inputs, make_table, render; "
        "from nasbench_stc.records import Record; "
        "render(make_table('differences', Inputs.of([Record(**record) for record in json.load(sys.stdin)]))); "
        "print([name for name in ('torch', 'scipy', 'matplotlib') if name in sys.modules])"
    )
    records = json.dumps([asdict(record) for record in [*found(OURS), *found(THEIRS, "darts")]])
    result = subprocess.run([sys.executable, "-c", code], input=records, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
