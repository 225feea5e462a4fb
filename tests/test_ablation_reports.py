"""Tables 1, 7 and 8 and Figures 5 to 7: which records they take, what they say of them, and what is missing."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import make_record

from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.errors import DataError
from nasbench_stc.records import Record
from nasbench_stc.records.ablation import ABLATIONS
from nasbench_stc.report import FIGURES, FORMATS, TABLES, Inputs, MissingRecords, chart, make_figure, make_table, render
from nasbench_stc.report.published import PublishedRows, load_rows, read
from nasbench_stc.report.studies import studies
from nasbench_stc.report.table import Spread, Table
from nasbench_stc.space import Cell


def run(seed: int, changes: dict[str, Any] | None = None, score: float = 90.0, **others: Any) -> Record:
    """A run of an arm; its accuracy on CIFAR-10's test images, and ten points less on CIFAR-100's."""
    changed = changes or {}
    engine = {**make_record().settings["protocol"], **{k: v for k, v in changed.items() if k in ("channels", "epochs")}}
    scores = {"cifar10-test": score, "cifar100-test": score - 10}
    settings = {"protocol": engine, "method": {"noise": 0.3}}
    finished = f"2026-01-01T00:{seed // 60:02d}:{seed % 60:02d}+00:00"
    return make_record(
        seed, **{"changes": changed, "scores": scores, "settings": settings, "finished": finished, **others}
    )


def arms(name: str, dataset: str = "cifar10", n: int = 3, protocol: str = "cpu") -> list[Record]:
    """Complete records of an ablation: each arm a point above the one before it, seeds 0.1 apart."""
    return [
        run(
            seed,
            dict(arm.changes),
            80.0 + place + 0.1 * seed,
            method=arm.method,
            search_dataset=arm.dataset or dataset,
            protocol=protocol,
        )
        for place, arm in enumerate(ABLATIONS[name].of(dataset, protocol))
        for seed in range(n)
    ]


def said(table: Table) -> str:
    return " ".join((*table.caption, *table.more))


def by_arm(table: Any) -> dict[str, Any]:
    return {row.values["arm"]: row.values for row in table.rows}


def test_table_7_shows_each_arm_beside_the_printed_one() -> None:
    table = make_table(7, Inputs.of(arms("lambda")))
    rows = by_arm(table)
    assert list(rows) == ["0", "1", "2", "0→1", "1→2", "0→2"]
    assert (rows["0"]["published"].mean, rows["0"]["published"].std) == (97.19, 0.12)
    assert rows["0"]["published_change"].mean == pytest.approx(97.19 - 97.52)
    assert rows["1"]["accuracy"].mean == pytest.approx(81.1)
    assert rows["1"]["accuracy"].std == pytest.approx(np.std([0, 0.1, 0.2]))
    assert rows["1"]["change"].mean == pytest.approx(-4.0)
    assert not rows["1"]["change"].indistinct
    assert "change" not in rows["0→2"] and "published_change" not in rows["0→2"]
    assert {row["n"] for row in rows.values()} == {3}
    assert not table.missing


def test_a_change_below_the_noise_of_retraining_is_marked() -> None:
    records = [run(seed, {"lambda_end": 0.0}, 90.0 + 0.2) for seed in range(3)] + [run(seed, None) for seed in range(3)]
    change = by_arm(make_table(7, Inputs.of(records)))["0"]["change"]
    assert change.mean == pytest.approx(0.2) and change.indistinct  # every seed alike, but below 0.25
    records = [run(seed, {"lambda_end": 0.0}, 90.0 + 0.3) for seed in range(3)] + [run(seed, None) for seed in range(3)]
    assert not by_arm(make_table(7, Inputs.of(records)))["0"]["change"].indistinct


def test_table_8_takes_the_runs_on_another_data_set_and_compares_on_its_own() -> None:
    table = make_table(8, Inputs.of(arms("consistency", "cifar100")))
    rows = by_arm(table)
    assert list(rows) == ["all four", "not cell", "not discretization", "not depth/width", "not task dataset"]
    assert rows["not task dataset"]["accuracy"].mean == pytest.approx(80 + 4 + 0.1 - 10)  # of CIFAR-100
    assert rows["not task dataset"]["published_change"].mean == pytest.approx(-0.25)
    assert all("cifar100-test" in row.section for row in table.rows)


def test_what_cannot_be_run_on_a_data_set_is_still_shown_as_printed() -> None:
    rows = by_arm(make_table(8, Inputs.of(arms("consistency", "digits", protocol="digits"))))
    assert rows["not task dataset"].keys() == {"arm", "published", "published_change"}


@pytest.mark.parametrize(("number", "name"), [(7, "lambda"), (8, "consistency")])
def test_without_runs_the_printed_rows_and_the_command_are_there(number: int, name: str) -> None:
    table = make_table(number, Inputs.of())
    assert len(table.rows) == len(load_rows(f"table{number}").rows)
    assert all(isinstance(row.values["published"], Spread) and "accuracy" not in row.values for row in table.rows)
    assert [one.command for one in table.missing] == [f"stc-bench ablate {name}"]


def test_what_is_missing_is_named_with_the_command_that_fills_it(tmp_path) -> None:
    records = [record for record in arms("lambda") if record.changes != {"lambda_end": 1.0} or record.seed == 0]
    (missing,) = make_table(7, Inputs.of(records)).missing
    assert missing.what == "runs of 0→1 (1 of 3)"
    assert missing.command == "stc-bench ablate lambda --dataset cifar10 --protocol cpu"
    (missing,) = make_table(7, Inputs.of(records, folders=(tmp_path,))).missing
    assert missing.command.endswith(f" --out {tmp_path}")
    (missing,) = make_table(7, Inputs.of(records, folders=(Path("my results"),))).missing
    assert missing.command.endswith(" --out 'my results'")
    digits = [run(seed, None, protocol="digits", search_dataset="digits") for seed in range(3)]
    (missing,) = make_table(7, Inputs.of(digits)).missing
    assert missing.command == "stc-bench ablate lambda --dataset digits --protocol digits"


def test_runs_without_a_change_alone_are_no_ablation() -> None:
    only_usual = Inputs.of([run(seed) for seed in range(3)])
    assert studies(only_usual, "noise") == []
    with pytest.raises(MissingRecords, match="stc-bench ablate noise --protocol cpu"):
        make_figure(7, only_usual)


def test_devices_are_kept_apart_where_a_search_ran_again_on_another_one() -> None:
    here = arms("noise")
    elsewhere = [replace(record, device="another") for record in here]
    (study,) = studies(Inputs.of([*here[::2], *elsewhere[1::2]]), "noise")
    assert study.setting.device == "CPU: a_processor 100% and another" and len(study.runs) == len(here)
    apart = studies(Inputs.of([*here, elsewhere[0]]), "noise")
    assert len(apart[0].runs) == len(here) and {study.setting.device for study in apart} <= {here[0].device, "another"}


def test_protocols_and_benchmarks_are_kept_apart() -> None:
    other = {"name": "analog", "file": "x", "sha256": "f" * 64}
    records = [
        *arms("noise"),
        *(replace(record, protocol="digits", search_dataset="digits") for record in arms("noise", n=2)),
        *(replace(record, benchmark=other) for record in arms("noise", n=1)),
    ]
    found = studies(Inputs.of(records), "noise")
    assert [len(study.runs) for study in found] == [12, 4, 8]
    assert all(study.runs["protocol"].nunique() == 1 for study in found)
    assert "digits on digits, nb201 (n=8 in all)" in make_figure(7, Inputs.of(records)).caption


def test_the_newer_record_of_a_seed_counts() -> None:
    older = run(0, {"noise": 0.0}, 50.0, finished="2025-01-01T00:00:00+00:00")
    newer = run(0, {"noise": 0.0}, 70.0, finished="2026-06-01T00:00:00+00:00")
    for records in ([older, newer], [newer, older]):
        (study,) = studies(Inputs.of(records), "noise")
        assert study.runs["cifar10-test"].tolist() == [70.0]


@pytest.mark.parametrize(("number", "name", "labels"), [
    (6, "activation", ["softmax", "sigmoid", "ReLU"]),
    (7, "noise", ["0", "0.1", "0.3", "0.5"]),
])  # fmt: skip
def test_figures_6_and_7_show_every_run(number: int, name: str, labels: list[str]) -> None:
    made = make_figure(number, Inputs.of(arms(name)))
    assert [row["arm"] for row in made.rows] == [label for label in labels for _ in range(3)]
    assert made.rows[4]["cifar10-test"] == pytest.approx(81.1)
    assert "±" in made.caption and not made.missing
    (axes,) = made.draw().axes
    assert [text.get_text() for text in axes.get_xticklabels()] == labels
    assert "n=3" in axes.get_title(loc="left")
    shown = np.concatenate([line.get_ydata() for line in axes.lines])
    assert {row["cifar10-test"] for row in made.rows} <= set(shown)
    low, high = axes.get_ylim()
    assert low < min(shown) and max(shown) < high
    assert "95 % t-interval" in made.caption


def test_an_interval_that_goes_on_beyond_the_axis_has_a_caret() -> None:
    records = [run(seed, {"noise": 0.0}, score) for seed, score in enumerate((80.0, 81.0, 90.0))]
    (axes,) = make_figure(7, Inputs.of([*records, *(run(seed) for seed in range(3))])).draw().axes
    carets = [float(line.get_ydata()[0]) for line in axes.lines if line.get_marker() in (6, 7)]
    assert sorted(carets) == sorted(axes.get_ylim())


def test_a_figure_of_half_an_ablation_says_what_it_lacks() -> None:
    made = make_figure(6, Inputs.of(arms("activation")[:2]))
    assert {row["arm"] for row in made.rows} == {"softmax"}
    assert made.missing[0].what == "runs of softmax (2 of 3), sigmoid (0 of 3), ReLU (0 of 3)"
    (axes,) = made.draw().axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["softmax"]


def test_a_benchmark_without_the_data_set_compares_by_cifar10() -> None:
    """analog holds CIFAR-10 alone."""
    records = [replace(one, scores={"cifar10-test": 90.0 + one.seed}) for one in arms("consistency", "cifar100")]
    assert all("cifar10-test" in row.section for row in make_table(8, Inputs.of(records)).rows)
    records = [replace(one, scores={"cifar10-test": 90.0 + one.seed}) for one in arms("noise", "cifar100")]
    assert make_figure(7, Inputs.of(records)).draw().axes
    nothing = [replace(one, scores={}) for one in arms("noise", "cifar100")]
    with pytest.raises(MissingRecords):
        make_figure(7, Inputs.of(nothing))


def test_figure_5_takes_two_runs_to_rank() -> None:
    with pytest.raises(MissingRecords, match="1 of 8"):
        make_figure(5, Inputs.of(arms("depth", n=1)))
    assert len(make_figure(5, Inputs.of(arms("depth", n=2))).draw().axes) == 2


PRINTED = {row["network"]: row for row in load_rows("figure5").rows}


@pytest.mark.parametrize(("network", "tau", "p"), [("L=8, C=16", 0.357, 0.275), ("L=20, C=36", 0.643, 0.031)])
def test_figure_5_of_the_papers_own_ranks(network: str, tau: float, p: float) -> None:
    """Searches ranked 1 to 8 whose cells have the printed ranks; C tells the two networks apart."""
    ranks = PRINTED[network]["ranks"]
    records = [
        run(seed, changes, 90.0 - rank, supernet={"loss": 1.0, "accuracy": 60.0 - seed})
        for changes in ({}, {"channels": 8})
        for seed, rank in enumerate(ranks)
    ]
    made = make_figure(5, Inputs.of(records))
    assert [panel["network"] for panel in made.details["panels"]] == ["N=1, C=8", "N=1, C=16"]
    for panel in made.details["panels"]:
        assert (round(panel["tau"], 3), round(panel["p"], 3), panel["n"]) == (tau, p, 8)
    assert [row["evaluation_rank"] for row in made.rows] == 2 * ranks
    assert [row["search_rank"] for row in made.rows] == 2 * list(range(1, 9))
    assert f"{network} tau {tau} (printed {PRINTED[network]['tau']}), p {p}" in made.caption
    for panel in made.details["panels"]:
        assert -1 <= panel["low"] < panel["tau"] < panel["high"] <= 1
    left, right = made.draw().axes
    low, high = made.details["panels"][0]["low"], made.details["panels"][0]["high"]
    assert f"95 %: {low:.2f} to {high:.2f}" in left.get_title(loc="left")
    assert f"tau-b = {tau:.2f}" in left.get_title(loc="left") and "C=16, n=8" in right.get_title(loc="left")


def with_super_cell(method: str, before: float, after: float, seed: int) -> Record:
    supernet = {"loss": 1.0, "accuracy": after, "super_cell_loss": 1.0, "super_cell_accuracy": before}
    return make_record(seed, method=method, supernet=supernet)


def test_table_1_is_before_and_after() -> None:
    records = [with_super_cell("darts", 70.0 + seed, 20.0 + 2 * seed, seed) for seed in range(3)]
    table = make_table(1, Inputs.of([*records, *(make_record(seed, method="stc") for seed in range(3))]))
    printed, ours = table.rows
    assert (printed.values["before"].mean, printed.values["after"].mean) == (88.1, 9.9)
    assert printed.values["change"].mean == pytest.approx(-78.2)
    assert "79.2" in printed.notes[0]
    assert (ours.values["method"], ours.values["n"]) == ("DARTS", 3)
    assert (ours.values["before"].mean, ours.values["after"].mean) == (71.0, 22.0)
    assert ours.values["change"].mean == pytest.approx(-49.0)
    assert ours.values["change"].interval == pytest.approx(4.303 * 1.0 / np.sqrt(3), rel=1e-3)  # of -50, -49, -48
    assert not table.missing


def test_captions_are_short_and_the_rest_is_in_the_notes() -> None:
    records = [*arms("lambda"), *arms("consistency"), *(with_super_cell("darts", 70.0, 20.0, s) for s in range(2))]
    for name in ("1", "7", "8", "records"):
        table = make_table(name, Inputs.of(records))
        assert sum(len(textwrap.wrap(sentence, 100)) for sentence in table.caption) <= 4
        whole = " ".join(render(table, "text", 100, notes=True).split())
        assert all(" ".join(sentence.split()) in whole for sentence in (*table.caption, *table.more))


def test_table_1_says_what_older_records_lack() -> None:
    (missing,) = make_table(1, Inputs.of([make_record(method="darts")])).missing
    assert missing.command == "stc-bench search --method darts,stc --protocol cpu --seeds 3 --no-resume"
    (missing,) = make_table(1, Inputs.of()).missing
    assert missing.command.endswith("--seeds 3")


@pytest.mark.parametrize("form", FORMATS)
def test_every_table_has_every_format(form: str) -> None:
    inputs = Inputs.of(
        [
            *arms("lambda"),
            *arms("consistency", "cifar100"),
            *(with_super_cell("darts", 70.0, 20.0, s) for s in range(2)),
        ]
    )
    for name in ("1", "7", "8", "records"):
        text = render(make_table(name, inputs), form)
        assert text.endswith("\n") and not text.endswith("\n\n")
        assert "inputs." not in text and "None" not in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables_fit_a_terminal(width: int) -> None:
    inputs = Inputs.of([*arms("lambda"), *arms("consistency", "cifar100"), with_super_cell("darts", 70.0, 20.0, 0)])
    for name in ("1", "7", "8", "records"):
        lines = render(make_table(name, inputs), "text", width).splitlines()
        # Commands and checksums are to be copied.
        broken = [line for line in lines if not line.startswith("  stc-bench") and " " in line]
        assert max(map(len, broken)) <= width


@pytest.mark.parametrize(("damage", "where"), [
    (lambda content: content.pop("rows"), ": damaged"),
    (lambda content: content["rows"].clear(), ": damaged"),
    (lambda content: content["rows"][0].pop("source"), r", row 1 \(0\): damaged"),
    (lambda content: content["rows"][1].pop("mean"), ": damaged .*Table 7, Static 1"),
    (lambda content: content["rows"][1].update(mean=197.0), r", row 2 \(Table 7, Static 1\): damaged"),
])  # fmt: skip
def test_damaged_printed_rows_are_refused(damage: Any, where: str, tmp_path: Path) -> None:
    file = tmp_path / "table7.json"
    content = {"reference": "x", "about": "y", "rows": [dict(row) for row in load_rows("table7").rows]}
    file.write_text(json.dumps(content))
    assert read(file, PublishedRows).rows == load_rows("table7").rows
    damage(content)
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"table7\.json{where}"):
        read(file, PublishedRows)


def test_arms_have_printed_numbers_and_the_other_way_round() -> None:
    for table, name, dataset in (("table7", "lambda", "cifar10"), ("table8", "consistency", "cifar100")):
        labels = [arm.label for arm in ABLATIONS[name].of(dataset, "paper")]
        assert [row["arm"] for row in load_rows(table).rows] == labels


def test_ablations_are_not_rows_of_table_6() -> None:
    searches = [make_record(seed) for seed in range(3)]
    mine = make_record(0, changes={"noise": 0.2})
    changing = [record for record in arms("noise") if record.changes]
    table = make_table(6, Inputs.of([*searches, *changing, mine]))
    changed = [row.details["settings"] for row in table.rows if row.section.startswith("Ours, ")]
    assert len(changed) == 2
    assert any("of ablations" in line and ": 9." in line for line in (*table.caption, *table.more))


def test_every_exhibit_of_the_paper_that_is_here_has_a_place() -> None:
    assert {"1", "3", "6", "7", "8"} <= TABLES.keys()
    assert {"2", "3", "5", "6", "7", "8", "9", "10"} <= FIGURES.keys()
    assert PROTOCOLS.keys() >= {"paper", "cpu", "digits"}
    assert chart.FORMATS == ("csv", "json")
    assert Cell.from_index(0)


def study_records() -> list[Record]:
    """Of three arms, found by seed."""
    found = {
        "stc": {100: "333133", 101: "111111", 102: "000000", 0: "333333"},
        "noise": {100: "333333", 101: "333333"},
        "duel": {100: "333132"},
    }
    changes: dict[str, dict[str, Any]] = {"noise": {"noise": 1.0}}
    return [
        run(seed, changes.get(name), method="duel" if name == "duel" else "stc", cell=str(Cell.parse(digits)))
        for name, cells in found.items()
        for seed, digits in cells.items()
    ]


def test_the_study_is_shown_by_validation_accuracy_after_12_epochs(nb201: Any) -> None:
    of_table = {"name": nb201.name, "file": nb201.path.name, "sha256": nb201.sha256}
    records = [replace(record, benchmark={**record.benchmark, **of_table}) for record in study_records()]
    table = make_table("study", Inputs.of(records, nb201))
    rows = by_arm(table)
    assert list(rows) == ["default", "wide noise", "duel of any two"]
    accuracy = {
        digits: float(nb201.accuracy([Cell.parse(digits)], "cifar10", "valid", epochs=12)[0])
        for digits in ("333133", "111111", "000000", "333333", "333132")
    }
    first = [accuracy[digits] for digits in ("333133", "111111", "000000")]
    assert rows["default"]["criterion"].mean == pytest.approx(np.mean(first))
    assert (rows["default"]["n"], rows["default"]["cells"]) == (3, "333133, 111111, 000000")  # seed 0 is no tuning seed
    changes = [accuracy["333333"] - first[0], accuracy["333333"] - first[1]]
    assert rows["wide noise"]["change"].mean == pytest.approx(np.mean(changes))
    assert rows["duel of any two"]["change"].interval is None
    assert rows["default"]["change"] is None
    told = str(table.missing)
    assert "wide noise (2 of 5)" in told and "ablate study --dataset cifar10 --protocol cpu" in told
    assert "method duel" in said(table)


def test_runs_of_other_seeds_are_not_of_the_study() -> None:
    records = [run(seed, {"lambda_end": 0.0}, cell=str(Cell.parse("333133"))) for seed in range(3)]
    with pytest.raises(MissingRecords, match=r"to make it: stc-bench ablate study --protocol cpu$"):
        make_table("study", Inputs.of([*records, run(0, protocol="digits")]))


def test_when_leaders_change_for_the_last_time(nb201: Any) -> None:
    of_table = {"name": nb201.name, "file": nb201.path.name, "sha256": nb201.sha256}
    cells = ["333333", "133333", "133332", "133332"]  # one edge changes in epoch 2, one in epoch 3, four never
    trajectory = [{"epoch": n, "cell": str(Cell.parse(cell))} for n, cell in enumerate(cells)]
    of_two = [
        run(100, {"noise": 1.0}, trajectory=trajectory),
        run(100, {"lambda_end": 0.0}, trajectory=[{"cell": None}]),
    ]
    records = [replace(record, benchmark={**record.benchmark, **of_table}) for record in of_two]
    rows = by_arm(make_table("study", Inputs.of(records, nb201)))
    assert rows["wide noise"]["decided"] == pytest.approx((2 + 3 + 4 * 1) / 6)
    assert rows["no JS"]["decided"] is None


def test_the_study_says_what_it_lacks() -> None:
    with pytest.raises(MissingRecords, match="stc-bench ablate study"):
        make_table("study", Inputs.of([run(100, None)]))
    with pytest.raises(DataError, match="which is not at hand"):
        make_table("study", Inputs.of(study_records()))
