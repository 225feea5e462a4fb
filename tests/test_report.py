"""Tables: the published numbers, the statistics, the grouping of records, and every format."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import subprocess
import sys
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import make_record, simulated

from nasbench_stc.benchmark import COLUMNS, Benchmark, open_benchmark
from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.records import Record
from nasbench_stc.report import FORMATS, TABLES, Inputs, make_table, opened_for, published, render, statistics
from nasbench_stc.report.table import Column, Row, Spread, Table
from nasbench_stc.space import Cell

OURS = 36  # the first of our rows, after the printed ones
OUR_SECTION = "Ours, weight-sharing, on cifar10 by protocol cpu: nb201"
SINCE_SECTION = "As printed, published since"


def three() -> list[Record]:
    return [make_record(seed) for seed in range(3)]


def own_rows(records: list[Record]) -> tuple[Row, ...]:
    return make_table(6, Inputs.of(records)).rows[OURS:]


# Published numbers


def test_the_rows_are_the_papers() -> None:
    rows = published.load().rows
    assert [(row.block, row.method) for row in rows] == [
        ("", "Optimal"),
        *(("NAS-Bench-201", name) for name in ("RSPS", "DARTS", "GDAS", "SETN", "ENAS")),
        *(("NATS-Bench", name) for name in ("RSPS", "DARTS(1st)", "DARTS(2nd)", "GDAS", "SETN", "ENAS")),
        ("STC-NAS", "STC-NAS"),
    ]
    assert len(rows) + len(published.load("without_supernet").rows) + len(published.load("since").rows) == OURS
    assert all(list(row.scores) == list(COLUMNS) for row in rows)
    assert [row.method for row in rows if row.seconds is None] == ["Optimal", "DARTS(2nd)"]


@pytest.mark.parametrize(
    ("block", "method", "seconds", "means", "stds"),
    [
        ("STC-NAS", "STC-NAS", 3600, [89.83, 93.41, 70.04, 70.43, 44.45, 45.03], [0.04, 0.2, 0.63, 0.21, 0.16, 0.36]),
        ("", "Optimal", None, [91.61, 94.37, 73.49, 73.51, 46.77, 47.31], [None] * 6),
        (
            "NAS-Bench-201",
            "ENAS",
            14058.8,
            [37.51, 53.89, 13.37, 13.96, 15.06, 14.84],
            [3.19, 0.58, 2.35, 2.33, 1.95, 2.1],
        ),
        ("NATS-Bench", "GDAS", 31609.8, [89.68, 93.23, 68.35, 68.17, 39.55, 39.4], [0.72, 0.58, 2.71, 2.5, 0.0, 0.0]),
    ],
)
def test_golden_rows(
    block: str, method: str, seconds: float | None, means: list[float], stds: list[float | None]
) -> None:
    row = next(row for row in published.load().rows if (row.block, row.method) == (block, method))
    assert row.seconds == seconds
    assert [score.mean for score in row.scores.values()] == means
    assert [score.std for score in row.scores.values()] == stds


def test_every_number_has_a_source_and_the_doubtful_ones_a_note() -> None:
    scores = {(row.block, row.method, key): score for row in published.load().rows for key, score in row.scores.items()}
    assert all("Table 6" in score.source for score in scores.values())
    assert {where for where, score in scores.items() if score.note} == {
        ("NATS-Bench", "ENAS", "cifar10-test"),
        ("", "Optimal", "ImageNet16-120-valid"),
    }


@pytest.mark.parametrize(("name", "count"), [("table6", 24), ("since", 36)])
def test_printed_numbers_are_what_their_cells_look_up_to(name: str, count: int, nb201: Benchmark) -> None:
    checked = 0
    for row in published.load(name).rows:
        for key, score in row.scores.items():
            if score.lookup:
                values = nb201.accuracy([Cell.parse(digits) for digits in score.lookup], *COLUMNS[key])
                assert np.mean(values) == pytest.approx(score.mean, abs=0.0051)
                assert np.std(values) == pytest.approx(score.std or 0.0, abs=0.0051)
                checked += 1
    assert checked == count


def content_of(name: str) -> Any:
    """The content of one of the package's files."""
    return json.loads(Path(published.__file__).with_suffix("").joinpath(name).read_text(encoding="utf-8"))


def read_again(content: Any, file: Path) -> published.Published:
    file.write_text(json.dumps(content))
    return published.read(file, published.Published)


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        *((damage, r", row 2 \(RSPS\)") for damage in ("no column", "no percentage", "no source", "unknown key")),
        *((damage, r", row 2 \(RSPS\)") for damage in ("no cell", "no data set", "no seconds")),
        *((damage, "") for damage in ("twice", "runs of a row", "no runs", "no rows", "no table")),
    ],
)
def test_damaged_published_numbers_are_refused(damage: str, where: str, tmp_path: Path) -> None:
    content = content_of("table6.json")
    row = content["rows"][1]
    cells = row["cells"]
    if damage == "no column":
        del cells["cifar10-test"]
    elif damage == "no percentage":
        cells["cifar10-test"]["mean"] = 840.7
    elif damage == "no source":
        cells["cifar10-test"]["source"] = ""
    elif damage == "unknown key":
        cells["cifar10-test"]["men"] = 1.0
    elif damage == "no cell":
        cells["cifar10-test"]["lookup"] = ["555555"]
    elif damage == "no data set":
        row["search_dataset"] = "svhn"
    elif damage == "no seconds":
        row["seconds"] = 0
    elif damage == "twice":
        content["rows"].append(row)
    elif damage == "runs of a row":
        row["runs"] = 3
    elif damage == "no runs":
        content["runs"] = None
    elif damage == "no rows":
        del content["rows"]
    else:
        content = None
    with pytest.raises(DataError, match=rf"table6\.json{where}: damaged"):
        read_again(content, tmp_path / "table6.json")


def test_published_numbers_that_are_no_json_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "table6.json"
    for text in (None, b"{", b"\xff"):
        if text:
            file.write_bytes(text)
        with pytest.raises(DataError, match=r"table6\.json: cannot be read .*install the package again"):
            published.read(file, published.Published)


SINCE = [
    *("PC-DARTS", "FS-DARTS", "FS-ENAS", "DrNAS", "DARTS-PT", "PT fix α"),
    *("DARTS-", "FairNAS", "SGNAS", "iDARTS", "RLNAS", "β-DARTS"),
    *("CDARTS-1", "CDARTS-2", "CDARTS-3", "Λ-DARTS", "EG-NAS", "ReLIZO"),
]


def since(method: str) -> published.PublishedRow:
    return next(row for row in published.load("since").rows if row.method == method)


def test_the_rows_published_since() -> None:
    rows = published.load("since").rows
    assert [row.method for row in rows] == SINCE
    assert {row.block for row in rows} == {"Published since"}
    assert {row.method: row.runs for row in rows if row.runs} == {
        **dict.fromkeys(["DARTS-", "FairNAS", "SGNAS"], 4),
        **dict.fromkeys(["RLNAS", "ReLIZO"], 3),
        **dict.fromkeys([name for name in SINCE if name.startswith("CDARTS")], 1),
    }
    searched_on = {row.method: row.search_dataset for row in rows if row.search_dataset}
    assert searched_on == dict.fromkeys(["DARTS-PT", "PT fix α", "DARTS-", "FairNAS", "SGNAS", "ReLIZO"], "cifar10")
    assert [(row.method, row.seconds) for row in rows if row.seconds] == [("ReLIZO", 55005)]
    partial = ["FS-DARTS", "FS-ENAS", "DARTS-PT", "PT fix α"]
    assert [row.method for row in rows if list(row.scores) == ["cifar10-test"]] == partial
    assert all(list(row.scores) == list(COLUMNS) for row in rows if row.method not in partial)
    assert all(row.note for row in rows if row.method.startswith(("CDARTS", *partial)))


@pytest.mark.parametrize(
    ("method", "source", "printed"),
    [
        ("PC-DARTS", "EEEA-Net.*Table 9", "89.96±0.15 93.41±0.30 67.12±0.39 67.48±0.89 40.83±0.08 41.31±0.22"),
        ("DrNAS", "GENIUS.*Table 1", "91.55±0.00 94.36±0.00 73.49±0.00 73.51±0.00 46.37±0.00 46.34±0.00"),
        ("iDARTS", "GENIUS.*Table 1", "89.86±0.60 93.58±0.32 70.57±0.24 70.83±0.48 40.38±0.59 40.89±0.68"),
        ("DARTS-", "MathNAS.*Table 8", "91.03±0.44 93.80±0.40 71.36±1.51 71.53±1.51 44.87±1.46 45.12±0.82"),
        ("FairNAS", "MathNAS.*Table 8", "90.07±0.57 93.23±0.18 70.94±0.84 71.00±1.46 41.90±1.00 42.19±0.31"),
        ("RLNAS", "RZ-NAS.*Table 2", "89.94±0.00 93.35±0.00 70.98±0.00 70.71±0.00 46.86±0.00 43.70±0.00"),
        ("EG-NAS", "CoLLM-NAS.*Table 4", "90.12±0.05 93.56±0.02 70.78±0.12 70.91±0.07 44.89±0.29 46.13±0.46"),
        ("ReLIZO", "ReLIZO.*Table 2", "89.50±1.53 92.45±1.84 69.00±2.27 69.03±1.98 42.09±3.55 42.31±3.87"),
    ],
)
def test_golden_rows_published_since(method: str, source: str, printed: str) -> None:
    """The numbers as the source prints them, one after another."""
    row = since(method)
    assert " ".join(f"{score.mean:.2f}±{score.std:.2f}" for score in row.scores.values()) == printed
    assert re.search(source, row.scores["cifar10-valid"].source)


def test_an_error_that_is_printed_is_the_rest_of_the_accuracy() -> None:
    for method, error in (("DARTS-PT", "11.89"), ("PT fix α", "6.20")):
        row = since(method)
        assert row.scores["cifar10-test"].mean == pytest.approx(100 - float(error))
        assert f"test error of {error} %" in row.note


def test_best_of_several_is_said_and_so_is_doubt() -> None:
    assert "cell 1 is the best of them" in since("CDARTS-1").note
    doubtful = {(row.method, key) for row in published.load("since").rows for key in row.scores if row.scores[key].note}
    assert doubtful == {
        ("FairNAS", "cifar100-valid"),
        ("RLNAS", "cifar100-valid"),
        ("RLNAS", "ImageNet16-120-valid"),
    }


def test_what_is_said_of_rlnas_holds_in_the_table(nb201: Benchmark) -> None:
    cells = [Cell.from_index(index) for index in range(15_625)]
    assert max(nb201.accuracy(cells, *COLUMNS["ImageNet16-120-valid"])) == pytest.approx(46.73, abs=0.005)
    values = np.asarray(nb201.accuracy(cells, *COLUMNS["cifar100-valid"]))
    assert np.abs(values - since("RLNAS").scores["cifar100-valid"].mean).min() > 0.005


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        *((damage, r", row 13 \(CDARTS-1\)") for damage in ("order", "no columns", "unknown column", "no note")),
        *((damage, r", row 13 \(CDARTS-1\)") for damage in ("runs", "source")),
        ("no number of runs", r"(?=.*CDARTS-1)"),
        ("runs of all", ""),
    ],
)
def test_damaged_rows_with_gaps_are_refused(damage: str, where: str, tmp_path: Path) -> None:
    content = content_of("since.json")
    read_again(content, tmp_path / "since.json")
    row = next(row for row in content["rows"] if row["method"] == "CDARTS-1")
    cells = row["cells"]
    if damage == "order":
        cells["cifar10-valid"] = cells.pop("cifar10-valid")
    elif damage == "no columns":
        cells.clear()
    elif damage == "unknown column":
        cells["svhn-test"] = cells["cifar10-test"]
    elif damage == "no note":
        row["note"] = ""
    elif damage == "no number of runs":
        del row["runs"]
    elif damage == "runs":
        row["runs"] = 0
    elif damage == "runs of all":
        content["runs"] = 3
    else:
        cells["cifar10-test"]["source"] = ""
    with pytest.raises(DataError, match=rf"since\.json{where}: damaged"):
        read_again(content, tmp_path / "since.json")


def test_gaps_are_refused_where_one_number_of_runs_is_that_of_all(tmp_path: Path) -> None:
    content = content_of("since.json")
    content["runs"] = 3
    for row in content["rows"]:
        del row["runs"]
    with pytest.raises(DataError, match=r"since\.json, row 2 \(FS-DARTS\).*they have to be cifar10-valid"):
        read_again(content, tmp_path / "since.json")


@pytest.mark.parametrize("format", FORMATS)
def test_the_section_published_since_is_in_every_format(format: str) -> None:
    table = make_table(6, Inputs.of(three()))
    sections = list(dict.fromkeys(row.section for row in table.rows))
    assert sections.index(SINCE_SECTION) == sections.index("As printed, NAS-Bench-201, without a supernet") + 1
    assert sections.index(OUR_SECTION) == sections.index(SINCE_SECTION) + 1
    text = " ".join(render(table, format, 400, notes=True).split())
    assert SINCE_SECTION in text and "FairNAS" in text and "MathNAS paper (Wang et al., NeurIPS 2023)" in text
    assert ("$\\beta$-DARTS" if format == "latex" else "β-DARTS") in text
    rows = {row.values["method"]: row for row in table.rows if row.section == SINCE_SECTION}
    assert list(rows) == SINCE
    assert all(row.notes[0].startswith("Source: ") for row in rows.values())
    assert rows["DrNAS"].values["n"] is None and rows["FairNAS"].values["n"] == 4


# Grouping


def test_three_seeds_are_one_row() -> None:
    (row,) = own_rows(three())
    assert row.section == OUR_SECTION
    assert (row.values["method"], row.values["n"], row.values["distinct_cells"]) == ("STC-NAS", 3, 1)
    assert row.values["seconds"] == pytest.approx(597.0)
    score = row.values["cifar10-test"]
    assert isinstance(score, Spread)
    assert score.mean == pytest.approx(46.0)
    assert score.std == pytest.approx(math.sqrt(2 / 3))
    assert score.interval == pytest.approx(2.484, abs=1e-3)
    assert row.details["seeds"] == [0, 1, 2]


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "mine"},
        {"search_dataset": "cifar100"},
        {"protocol": "smoke"},
        {"settings": {"protocol": {"epochs": 10}, "method": {}}},
        {"benchmark": {"name": "nb201", "file": "nb201.csv.gz", "sha256": "f" * 64}},
        {"device": "another"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_differs_is_another_row(changes: dict[str, Any]) -> None:
    assert [row.values["n"] for row in own_rows([*three(), make_record(0, **changes)])] in ([3, 1], [1, 3])


def test_a_seed_counts_once_and_the_newest_record_is_kept() -> None:
    newer = make_record(0, scores={key: 90.0 for key in COLUMNS}, finished="2026-02-01T00:00:00+00:00")
    for records in ([newer, *three()], [*three(), newer]):
        table = make_table(6, Inputs.of(records))
        (row,) = table.rows[OURS:]
        score = row.values["cifar10-test"]
        assert isinstance(score, Spread)
        assert row.values["n"] == 3
        assert score.mean == pytest.approx((90 + 46 + 47) / 3)
        assert any("left out: 1." in line for line in table.more)


def test_the_order_of_records_does_not_matter() -> None:
    records = [*three(), make_record(0, method="mine"), make_record(4, search_dataset="cifar100")]
    assert make_table(6, Inputs.of(records)).rows == make_table(6, Inputs.of(records[::-1])).rows


def test_isomorphic_cells_count_as_one() -> None:
    cells = ["100000", "200000", "100100"]  # nothing arrives at the last node of the first two
    (row,) = own_rows([make_record(seed, cell=str(Cell.parse(digits))) for seed, digits in enumerate(cells)])
    assert (row.values["n"], row.values["distinct_cells"]) == (3, 2)


def test_one_run_has_no_deviation() -> None:
    text = render(make_table(6, Inputs.of([make_record(0)])), "text", 100)
    line = text.splitlines()[text.splitlines().index(OUR_SECTION) + 1]
    assert line.split()[:8] == ["STC-NAS", "1", "40.00", "45.00", "50.00", "55.00", "60.00", "65.00"]


def test_columns_that_the_benchmark_lacks_are_dashes() -> None:
    analog = make_record(
        0,
        scores={"cifar10-test": 92.5},
        benchmark={"name": "analog", "about": "its own retraining", "file": "data.anb", "sha256": "a" * 64},
    )
    table = make_table(6, Inputs.of([analog, *three()]))
    assert [row.section for row in table.rows[OURS:]] == [OUR_SECTION, OUR_SECTION.replace("nb201", "analog")]
    assert set(table.rows[-1].values) & set(COLUMNS) == {"cifar10-test"}
    text = render(table, "text", 100)
    line = next(line for line in text.splitlines() if "92.50" in line)
    assert line.split()[2:5] == ["92.50", "–", "–"]
    assert "Benchmark analog: its own retraining (data.anb, sha256 aaaaaaaaaaaa)." in text


def test_versions_of_a_benchmark_are_kept_apart_and_named() -> None:
    records = [
        make_record(seed, scores=dict.fromkeys(COLUMNS, score), benchmark=benchmark)
        for name, digest, score in (("NATS-Bench v1.0", "a", 90.0), ("NAS-Bench-201 v1.1", "b", 60.0))
        for benchmark in [{"name": name, "about": "imported from a file", "file": "t.table", "sha256": digest * 64}]
        for seed in range(3)
    ]
    table = make_table(6, Inputs.of(records))
    assert {row.section: row.values["cifar10-test"].mean for row in table.rows[OURS:]} == {
        OUR_SECTION.replace("nb201", "NAS-Bench-201 v1.1"): 60.0,
        OUR_SECTION.replace("nb201", "NATS-Bench v1.0"): 90.0,
    }
    text = render(table, "text", 100)
    for name, digest in (("NATS-Bench v1.0", "a"), ("NAS-Bench-201 v1.1", "b")):
        assert OUR_SECTION.replace("nb201", name) in text
        assert f"Benchmark {name}: imported from a file (t.table, sha256 {digest * 12})" in text


def test_what_needs_no_search_is_a_row(nb201: Benchmark) -> None:
    identity = {"name": nb201.name, "about": nb201.about, "file": nb201.path.name, "sha256": nb201.sha256}
    skips = str(Cell((1,) * 6))
    records = [make_record(seed, benchmark=identity, cell=str(Cell((3, 3, 3, 3, 1, 0)))) for seed in range(3)]
    records += [make_record(seed, method="darts", benchmark=identity, cell=skips) for seed in range(3)]
    table = make_table(6, Inputs.of(records, benchmarks=[nb201]))
    sections = list(dict.fromkeys(row.section for row in table.rows[OURS:]))
    assert sections == [OUR_SECTION, "Without a search: nb201"]
    rows = {(row.section, row.values["method"]): row for row in table.rows[OURS:]}
    mean, largest = (rows["Without a search: nb201", name].values for name in ("mean of all cells", "largest cell"))
    # nas-bench-201.md: of all cells; the largest one is what NATS-Bench's ENAS found
    assert mean["cifar10-test"].mean == pytest.approx(np.mean(nb201.accuracy(range(15_625))))
    assert (largest["cifar10-valid"].mean, largest["cifar10-test"].mean) == pytest.approx((90.20, 93.76), abs=0.005)
    assert [rows[OUR_SECTION, name].values["skips"] for name in ("DARTS", "STC-NAS")] == [6.0, 1.0]
    assert "not at hand" not in render(table, "text", 140, notes=True)
    assert "not at hand" in render(make_table(6, Inputs.of(records)), "text", 140, notes=True)


def test_the_benchmarks_of_records_are_found_by_what_they_were(nb201: Benchmark, tmp_path: Path) -> None:
    identity = {"name": nb201.name, "about": nb201.about, "file": nb201.path.name, "sha256": nb201.sha256}
    analog = open_benchmark("analog")
    other = {"name": "analog", "about": "", "file": "", "sha256": analog.sha256}
    records = [
        make_record(benchmark=identity),
        make_record(1, benchmark=other),
        make_record(2),
    ]  # the last is of no file
    wanted = {(record.benchmark["name"], record.benchmark["sha256"]) for record in records}
    found = opened_for(wanted, nb201, tmp_path)
    assert [(b.name, b.sha256) for b in found] == [("analog", analog.sha256), (nb201.name, nb201.sha256)]
    assert opened_for({("nb201", records[2].benchmark["sha256"])}, nb201, tmp_path) == []
    assert opened_for(set(), None, tmp_path) == []


def test_seeds_on_several_devices_are_one_row_unless_a_seed_ran_again() -> None:
    here, there = ([replace(make_record(seed), device=device) for seed in range(4)] for device in ("CPU: B", "CPU: A"))
    (row,) = own_rows([*here[:2], *there[2:]])
    assert row.values["n"] == 4 and "on CPU: A and CPU: B" in row.notes[0]
    rows = own_rows([*here[:3], *there[2:]])  # seed 2 on both
    assert [(row.values["method"], row.values["n"]) for row in rows] == [("STC-NAS, on A", 2), ("STC-NAS, on B", 3)]


def test_the_summary_writes_names_as_they_are() -> None:
    benchmark = {"name": "NATS-Bench v1.0", "about": "", "file": "t.table", "sha256": "a" * 64}
    rows = make_table("summary", Inputs.of([make_record(search_dataset="ImageNet16-120", benchmark=benchmark)])).rows
    assert rows[0].section == "Weight-sharing, on ImageNet16-120 by protocol cpu: NATS-Bench v1.0"


def test_the_summary_prefers_the_papers_protocol_to_another_but_several_searches_to_one() -> None:
    by_cpu, by_paper = ([make_record(seed, protocol=name) for seed in range(3)] for name in ("cpu", "paper"))
    for records, section in (([*by_cpu, *by_paper], "paper"), ([*by_cpu, by_paper[0]], "cpu"), (by_paper[:1], "paper")):
        row, _ = make_table("summary", Inputs.of(records)).rows
        assert f"by protocol {section}" in row.section and row.values["n"] == min(len(records), 3)


def test_rows_are_in_the_papers_order() -> None:
    names = ["stc", "mine", "setn", "darts2", "rsps", "darts"]
    rows = own_rows([make_record(method=name) for name in names])
    assert [row.values["method"] for row in rows] == ["RSPS", "DARTS", "DARTS(2nd)", "SETN", "STC-NAS", "mine"]


def test_changed_settings_are_named_at_the_row() -> None:
    record = make_record()
    settings = {"protocol": {**record.settings["protocol"], "epochs": 10}, "method": {"noise": 0.3, "lambda_end": 0.0}}
    rows = own_rows([record, replace(record, settings=settings, changes={"epochs": 10, "lambda_end": 0.0})])
    notes = {row.notes[0].split(";")[0] for row in rows}
    assert notes == {
        "Searched on cifar10 by protocol cpu",
        "Searched on cifar10 by protocol cpu, epochs=10, lambda_end=0.0",
    }


def test_runs_from_before_a_setting_was_added_are_like_those_after_with_its_default() -> None:
    before, settings = make_record(0), make_record(0).settings
    after = [
        make_record(seed, settings={**settings, "method": {**settings["method"], "moves": moves}}, changes=changes)
        for seed, moves, changes in ((1, 0, {}), (2, 1, {"moves": 1}))
    ]
    rows = own_rows([before, *after])
    assert [(row.values["n"], row.details["seeds"]) for row in rows] == [(2, [0, 1]), (1, [2])]
    other = make_record(1, settings={**settings, "method": {**settings["method"], "noise": 0.4}})  # another default
    assert [row.values["n"] for row in own_rows([before, other])] == [1, 1]
    default_changed = replace(after[1], changes={})  # first 0, then 1: the one from before is like neither
    assert [row.values["n"] for row in own_rows([before, after[0], default_changed])] == [1, 1, 1]


def test_code_in_markdown_is_as_it_is_typed() -> None:
    row = Row("", {"a": "a_b", "b": "`a_b|c`"})
    table = Table(None, "T", (Column("a", "a"), Column("b", "b")), (row,), ("`x_y --set a=*` of x_y",))
    text = render(table, "markdown")
    assert "`x_y --set a=*` of x\\_y" in text
    assert "a\\_b" in text and "`a_b\\|c`" in text  # a bar would end the cell


def test_seconds_of_runs_side_by_side_are_marked() -> None:
    alone, beside = make_record(0), [make_record(0), make_record(1, side_by_side=6), make_record(2, side_by_side=4)]
    for records, seconds, mark in (([alone], "596 s", ""), (beside, "597 s", ", 1-6 side by side")):
        (row,) = own_rows(records)
        assert row.notes[0].endswith(f"{seconds} a search on CPU: a_processor 100%{mark}.")
        assert make_table("summary", Inputs.of(records)).rows[0].values["cost"] == seconds + mark


def test_the_caption_says_what_the_numbers_are() -> None:
    table = make_table(6, Inputs.of(three()))
    caption = " ".join((*table.caption, *table.more))
    for phrase in ("ddof=0", "ddof=1", "n=3", PROTOCOLS["cpu"].about, "a search on each data set", "nb201.csv.gz"):
        assert phrase in caption
    assert "sha256 0123456789ab)" in caption


def test_without_records_the_table_says_how_to_make_some() -> None:
    table = make_table(6, Inputs.of())
    assert len(table.rows) == OURS
    commands = ("stc-bench search --dataset cifar10 --seeds 3", "stc-bench search --method black-box --seeds 500")
    assert tuple(one.command for one in table.missing) == commands
    text = render(table, "text", 80)
    assert all(f"\n  {command}\n" in text for command in commands)


def test_published_rows_without_a_supernet_have_their_source() -> None:
    """As printed in Mellor et al., ICML 2021, Table 2(a)."""
    table = make_table(6, Inputs.of())
    rows = {row.values["method"]: row for row in table.rows if row.section.endswith("without a supernet")}
    assert list(rows) == ["REA", "RS", "REINFORCE", "BOHB", "NASWOT N=100"]
    score = rows["REA"].values["cifar10-test"]
    assert isinstance(score, Spread) and (score.mean, score.std) == (93.92, 0.30)
    assert "as reprinted in Mellor et al. (ICML 2021), Table 2(a)" in score.source
    assert (rows["RS"].values["n"], rows["RS"].values["seconds"]) == (500, 12000)
    assert "not in that table" in " ".join(table.more)


def test_black_box_runs_on_several_data_sets_are_one_row() -> None:
    runs = [simulated("cifar100", seed) for seed in range(3)]
    runs += [simulated("cifar10", seed, scores=dict.fromkeys(COLUMNS, 90.0 + seed)) for seed in range(2)]
    (row,) = own_rows(runs)
    assert row.section == "Ours, black-box, on each by protocol nats-bench: nb201"
    assert (row.values["method"], row.details["searched_on"], row.values["n"]) == ("REA", "each", "2-3")
    assert row.values["cifar10-test"].mean == 90.5
    assert row.values["cifar100-test"].mean == 56.0  # of the runs on CIFAR-100, 40 + 3 · 5 + seed
    assert "ImageNet16-120-test" not in row.values
    assert "Searched on cifar10 / cifar100" in row.notes[0] and "19,900 / 39,900 s a search" in row.notes[0]
    assert "told the valid accuracy" in row.notes[0]
    assert row.values["seconds"] is None


def test_black_box_runs_on_one_data_set_show_all_columns() -> None:
    (row,) = own_rows([simulated("cifar10", seed) for seed in range(7)])
    assert (row.details["searched_on"], row.values["n"], row.values["seconds"]) == ("cifar10", 7, 19_900)
    assert row.values["ImageNet16-120-test"].mean == 68.0
    assert "(seeds 0-6)" in row.notes[0]


def test_black_box_runs_with_another_budget_are_another_row() -> None:
    other = {"protocol": {"budget": 500, "evaluations": 0}, "method": {}}
    runs = [simulated("cifar10", 0), simulated("cifar10", 0, settings=other, changes={"budget": 500.0})]
    assert len(own_rows(runs)) == 2


def test_unknown_tables_and_formats_are_refused() -> None:
    with pytest.raises(BadCallError, match="unknown table '44': choose from"):
        make_table(44, Inputs.of())
    with pytest.raises(BadCallError, match="unknown format 'xml': choose from text, markdown, latex, csv, json"):
        render(make_table(6, Inputs.of()), "xml")
    assert set(TABLES) >= {"3", "6"}


# Formats


@pytest.mark.parametrize("width", [80, 100, 120])
def test_text_fits_and_breaks_no_number(width: int) -> None:
    text = render(make_table(6, Inputs.of(three())), "text", width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)
    golden = next(line for line in lines if line.startswith("  STC-NAS ") and "93.41" in line)
    assert golden.split()[:5] == ["STC-NAS", "3", "93.41±0.20", "70.43±0.21", "45.03±0.36"]
    ours = lines[lines.index(OUR_SECTION) + 1]
    assert ours.split()[2:8] == ["46.00±0.82", "(±2.48)", "56.00±0.82", "(±2.48)", "66.00±0.82", "(±2.48)"]
    assert "valid" not in text.split("─")[0]  # dropped first but for what tells no rows apart
    assert "Not shown in a width of" in text
    assert "Not shown" not in render(make_table(6, Inputs.of(three())), "text", 250)


def test_text_that_cannot_fit_runs_over_whole() -> None:
    assert "45.03±0.36" in render(make_table(6, Inputs.of(three())), "text", 20)


def test_names_are_shown_as_they_are() -> None:
    """Neither rich's markup nor Markdown's or LaTeX's signs in a name do anything."""
    table = make_table(6, Inputs.of([make_record(method="[bold]my_method|:smile:")]))
    assert "  [bold]my_method|:smile: " in render(table, "text", 120)
    assert "  [bold]my_method|:smile: (" in render(table, "text", 120, notes=True)
    assert "| [bold]my\\_method\\|:smile: <sup>" in render(table, "markdown")
    assert "[bold]my\\_method|:smile:\\textsuperscript" in render(table, "latex")


def test_a_notebook_gets_the_text_too(monkeypatch: pytest.MonkeyPatch) -> None:
    table = make_table(6, Inputs.of())
    expected = render(table, "text", 100)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)  # there rich shows things instead of writing them
    assert render(table, "text", 100) == expected


def test_markdown_has_the_same_number_of_cells_in_every_row() -> None:
    lines = [
        line for line in render(make_table(6, Inputs.of(three())), "markdown").splitlines() if line.startswith("|")
    ]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {12}
    assert len(lines) == 2 + OURS + 7 + 1  # head, printed rows, sections, ours


def test_latex_is_well_formed() -> None:
    table = make_table(6, Inputs.of(three()))
    latex = render(table, "latex")
    plain = re.sub(r"\\[\\{}&%$#_]", "", latex)
    assert plain.count("{") == plain.count("}")
    assert plain.count("$") % 2 == 0
    assert "±" not in latex and "–" not in latex and "a\\_processor 100\\%" in latex
    opened = re.findall(r"\\begin\{(.*?)\}", latex)
    assert opened == re.findall(r"\\end\{(.*?)\}", latex)[::-1]
    body = latex.split(r"\toprule")[1].split(r"\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    spans = [sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d)\}", row)) for row in rows]
    assert {row.count("&") - row.count(r"\&") + span for row, span in zip(rows, spans, strict=True)} == {8}


def test_csv_has_every_number_as_it_is() -> None:
    rows = list(csv.DictReader(io.StringIO(render(make_table(6, Inputs.of(three())), "csv"))))
    assert len(rows) == OURS + 1
    paper, ours = next(row for row in rows if row["method"] == "STC-NAS"), rows[-1]
    assert (paper["cifar10-valid_mean"], paper["cifar10-valid_std"], paper["seconds"]) == ("89.83", "0.04", "3600.0")
    assert "Table 6" in paper["source"]
    assert float(ours["cifar10-test_std"]) == statistics.std([45.0, 46.0, 47.0])
    assert (ours["n"], ours["seeds"], ours["protocol"], ours["benchmark"]) == ("3", "0 1 2", "cpu", "nb201")
    assert json.loads(ours["settings"])["method"] == {"noise": 0.3, "lambda_end": 2.0}
    assert len(ours["cells"].split()) == 3


def test_json_has_everything() -> None:
    content = json.loads(render(make_table(6, Inputs.of(three())), "json"))
    assert content["table"] == 6
    assert len(content["rows"]) == OURS + 1
    ours = content["rows"][-1]
    assert ours["settings"] == make_record().settings
    assert ours["cifar10-test_mean"] == 46.0 and ours["cifar10-test_interval95"] > 0
    assert "slip" in next(row for row in content["rows"][::-1] if row["method"] == "ENAS")["notes"][0]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("records", [[], three()], ids=["empty", "three"])
def test_every_format_ends_with_one_newline_and_is_reproducible(format: str, records: list[Record]) -> None:
    text = render(make_table(6, Inputs.of(records)), format)
    assert text.endswith("\n") and not text.endswith("\n\n")
    assert text == render(make_table(6, Inputs.of(records)), format)


def test_more_than_26_notes_have_marks_of_their_own() -> None:
    columns = (Column("name", "name"), Column("value", "value"))
    rows = tuple(Row("", {"name": f"row{n}", "value": n}, (f"note {n}",)) for n in range(60))
    text = render(Table(1, "marks", columns, rows, ()), "text", 80, notes=True)
    marks = re.findall(r"^\((\w+)\) note", text, flags=re.MULTILINE)
    assert marks[25:28] == ["z", "aa", "ab"] and len(set(marks)) == 60
    assert all(len(a) <= len(b) for a, b in pairwise(marks))


def test_reports_of_three_seeds_import_nothing_slow() -> None:
    code = (
        "import json, sys; from nasbench_stc.report import Inputs, make_table, render; "
        "from nasbench_stc.records import Record; "
        "render(make_table(6, Inputs.of([Record(**record) for record in json.load(sys.stdin)]))); "
        "print([name for name in ('torch', 'scipy', 'matplotlib') if name in sys.modules])"
    )
    records = json.dumps([asdict(record) for record in three()])
    result = subprocess.run([sys.executable, "-c", code], input=records, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
