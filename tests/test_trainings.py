"""Trainings of single cells in reports: the frame, which ones are a row, and Tables 4 and 5 beside the paper's."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import found_by, make_record, make_training

from nasbench_stc import load_trainings
from nasbench_stc.benchmark.base import NoBenchmark
from nasbench_stc.errors import BadCallError, DamagedFileWarning, DataError
from nasbench_stc.records import Record
from nasbench_stc.records.training import TrainingRecord
from nasbench_stc.report import (
    Inputs,
    MissingRecords,
    Table,
    gather,
    make_all,
    make_figure,
    make_table,
    published,
    render,
)
from nasbench_stc.report.table import Spread
from nasbench_stc.space import DATASETS, TSS, Cell, find_space
from nasbench_stc.space import names as space_names

DARTS = find_space("darts")
PRINTED = {4: 18, 5: 16}
"""Rows."""


def of(*trainings: TrainingRecord, searches: dict[str, Record] | None = None, **more: Any) -> Inputs:
    """Inputs of trainings and, by the names of their folders, of searches."""
    sources = {Path(folder, "record.json"): record for folder, record in (searches or {}).items()}
    trained = {Path(str(number)): record for number, record in enumerate(trainings)}
    return Inputs(sources, trained=trained, space=DARTS, **more)


def search(seed: int = 0, **changes: Any) -> Record:
    """A search of DARTS's space by STC-NAS."""
    cell = str(Cell.parse("DARTS_V1", space="darts"))
    return make_record(seed, **{"space": "darts", "cell": cell, "scores": {}, **changes})


def write(record: TrainingRecord, folder: Path) -> Path:
    """The file of a training in its folder."""
    folder.mkdir()
    return record.write(folder)


def printed(number: int) -> list[str]:
    """The printed rows of a table, as text."""
    lines = render(make_table(number, of()), "text", 100).splitlines()
    first = lines.index("As printed, STC-NAS paper") + 1
    return lines[first : first + PRINTED[number] + 1]


def shown(table: Table) -> list[tuple[str, object, str]]:
    """Section, method and test accuracy of each row."""
    rows = [(row.section, row.values["method"], row.values["test_accuracy"]) for row in table.rows]
    return [(section, method, score.shown(".2f")) for section, method, score in rows if isinstance(score, Spread)]


# The frame


def test_a_row_says_what_the_record_does(tmp_path: Path) -> None:
    given, found = make_training(1), make_training(2, "PDARTS", found_by=found_by("a-search", seed=7))
    for name, record in (("given", given), ("found", found)):
        write(record, tmp_path / name)
    frame = load_trainings(tmp_path).set_index("path")
    for name, record in (("given", given), ("found", found)):
        row = frame.loc[str(tmp_path / name / "training.json")]
        for key in ("space", "cell", "dataset", "protocol", "seed", "test_accuracy", "params", "mflops", "device"):
            assert row[key] == getattr(record, key), key
        assert json.loads(row["settings"]) == record.settings
        assert (row["seconds"], row["training_seconds"]) == (record.total_seconds, record.seconds["training"])
        assert (row["epochs"], row["test_top5"], row["train_loss"]) == (1, 99.0, 0.5)
    columns = ["method", "title", "search_folder", "search_dataset", "search_protocol", "search_seed", "order"]
    first, second = frame[columns].to_numpy().tolist()
    assert first == ["stc", "STC-NAS", "a-search", "cifar10", "cpu", 7, first[-1]] and math.isfinite(first[-1])
    assert second == ["", "", "", "", "", -1, math.inf]


def test_every_column_is_documented_and_the_other_way_round(tmp_path: Path) -> None:
    write(make_training(), tmp_path / "one")
    told = set(re.findall(r"`(\w+)`", str(load_trainings.__doc__))) - {"load_runs"}
    some, none = load_trainings(tmp_path), load_trainings("not there")
    assert set(some.columns) == told == set(none.columns) and none.empty
    assert [type(kind) for kind in some.dtypes] == [type(kind) for kind in none.dtypes]
    whole = {name for name, kind in some.dtypes.items() if kind == np.int64}
    assert whole == {"seed", "cell_index", "epochs", "params", "threads", "side_by_side", "search_seed"}


def test_a_damaged_file_is_left_out_with_a_warning(tmp_path: Path) -> None:
    write(make_training(), tmp_path / "good")
    damaged = write(make_training(1), tmp_path / "damaged")
    damaged.write_text(damaged.read_text().replace("DARTS", "").replace("sep_conv_3x3", "conv"))
    with pytest.warns(DamagedFileWarning, match="damaged"):
        assert len(load_trainings(tmp_path)) == 1
    assert [str(damaged) in problem for problem in gather([tmp_path], space="darts").problems] == [True]


def test_reports_are_of_the_trainings_of_a_space(tmp_path: Path) -> None:
    write(make_training(), tmp_path / "darts")
    write(make_training(space="tss", cell=str(Cell.parse("333133"))), tmp_path / "tss")
    assert gather([tmp_path], space="darts").trainings["digits"].tolist() == ["4444034003060011013103001300"]
    assert gather([tmp_path]).trainings["digits"].tolist() == ["333133"]
    assert gather([tmp_path], space="sss").trainings.empty


# Which trainings are a row


def test_trainings_of_what_one_method_found_are_a_row() -> None:
    cells = ["DARTS_V1", "PDARTS", "PDARTS"]
    found = [
        make_training(seed, cell, found_by=found_by(f"search-{seed}", seed=seed)) for seed, cell in enumerate(cells)
    ]
    table = make_table("trainings", of(*found, make_training(5), make_training(6), make_training(3, "PC_DARTS_cifar")))
    section = "Ours, trained on cifar10 by protocol cpu"
    assert shown(table) == [
        (section, "STC-NAS", "91.00±0.82 (±2.48)"),
        (section, "given: PC_DARTS_cifar", "93.00"),
        (section, "given: DARTS_V2", "95.50±0.50 (±6.35)"),
    ]
    assert [row.values["n"] for row in table.rows] == [3, 1, 2]
    assert [row.values["distinct_cells"] for row in table.rows] == [2, 1, 1]
    assert table.rows[0].notes == (
        "Found on cifar10 by protocol cpu, seeds 0-2; n=3 trainings of 2 distinct cells (seeds 0-2); 101 s a training "
        "on CPU: a_processor 100%.",
    )


def test_what_was_searched_or_trained_otherwise_is_another_row() -> None:
    first = make_training(found_by=found_by("a"))
    others = [
        replace(first, found_by=found_by("b", method="darts")),
        replace(first, found_by=found_by("b", search_dataset="digits")),
        replace(first, found_by=found_by("b", protocol="paper")),
        replace(first, found_by=found_by("b")),  # of which the search's record says that a setting is changed
        replace(first, dataset="digits"),
        replace(first, protocol="digits"),
        replace(first, settings={**first.settings, "epochs": 3}, changes={"epochs": 3}),
        replace(first, device="another"),
        replace(first, found_by=None),
    ]
    searches = {"a": search(), "b": search(changes={"noise": 0.0})}
    for other in others:
        assert len(make_table("trainings", of(first, other, searches=searches)).rows) == 2, other
    table = make_table("trainings", of(first, others[3], others[6], searches=searches))
    assert [(row.section, row.values["method"]) for row in table.rows] == [
        ("Ours, trained on cifar10 by protocol cpu", "STC-NAS"),
        ("Ours, trained on cifar10 by protocol cpu", "STC-NAS, noise=0.0"),
        ("Ours, trained on cifar10 by protocol cpu, epochs=3", "STC-NAS"),
    ]


def test_of_two_of_a_cell_and_seed_the_newer_counts() -> None:
    old, new = make_training(finished="2026"), make_training(finished="2027", test_accuracy=50.0)
    new.trajectory[-1]["test_accuracy"] = 50.0
    assert [score for *_, score in shown(make_table("trainings", of(new, old)))] == ["50.00"]


def test_what_a_search_took_is_that_of_its_record() -> None:
    trainings = [make_training(seed, found_by=found_by(f"search-{seed}", seed=seed)) for seed in range(3)]
    searches = {f"search-{seed}": search(seed) for seed in (0, 2)}
    (row,) = make_table("trainings", of(*trainings, searches=searches)).rows
    assert row.values["search_seconds"] == np.mean([record.total_seconds for record in searches.values()])
    (row,) = make_table("trainings", of(*trainings)).rows
    assert row.values["search_seconds"] is None


def test_data_sets_stand_in_their_order() -> None:
    datasets = ["imagenet", "digits", *DATASETS[::-1]]
    table = make_table("trainings", of(*(make_training(dataset=name) for name in datasets)))
    assert [row.details["dataset"] for row in table.rows] == [*DATASETS, "digits", "imagenet"]


def test_what_is_missing_is_named() -> None:
    for inputs, command in (
        (of(folders=(Path("mine"),)), "stc-bench train DARTS_V2 --seeds 3 --space darts --out mine"),
        (Inputs(), f"stc-bench train '{TSS.example}' --seeds 3"),
    ):
        with pytest.raises(MissingRecords) as raised:
            make_table("trainings", inputs)
        (missing,) = raised.value.missing
        assert missing.command == command


# Tables 4 and 5


def test_the_printed_rows_of_table_4() -> None:
    assert printed(4) == [
        "  NASNet-A+cutout            –       2.65       3.30           –          –   1,800         RL",
        "  AmoebaNet-B+cutout         –  2.55±0.05       2.80           –          –   3,150         EA",
        "  PNAS                       –  3.41±0.09       3.20           –          –     225       SMBO",
        "  ENAS+cutout                –       2.89       4.60           –          –    0.45         RL",
        "  DARTS(first order)+cutout  –  3.00±0.14       3.30       17.76       3.30       4   Gradient",
        "  SNAS(moderate constraint)  –  2.85±0.02       2.80           –          –     1.5   Gradient",
        "  GDAS+cutout                –       2.93       3.40       18.38       3.40    0.21   Gradient",
        "  P-DARTS+cutout             –       2.50       3.40       16.55       3.40     0.3   Gradient",
        "  PC-DARTS+cutout            –  2.57±0.07       3.60           –          –     0.1   Gradient",
        "  DATA(M=7)+cutout           –       2.59       3.40           –          –       1   Gradient",
        "  SGAS(Cri.1 avg.)           –  2.66±0.24       3.70           –          –    0.25   Gradient",
        "  FairDARTS                  –  2.54±0.05  3.32±0.46           –          –     0.4   Gradient",
        "  SDARTS-ADV                 –  2.61±0.02       3.30           –          –     1.3   Gradient",
        "  NASP(7 operations)+cutout  –  2.83±0.09       3.30           –          –     0.1   Gradient",
        "  STC-NAS-w/o DepthC(avg.)   3  2.48±0.03  3.89±0.11  17.01±0.29  3.82±0.03   0.059   Gradient",
        "  STC-NAS-w/o DepthC(best)   –       2.45       3.98       16.59       3.79   0.059   Gradient",
        "  STC-NAS(avg.)              3  2.46±0.04  3.88±0.31  16.71±0.19  3.85±0.24    0.22   Gradient",
        "  STC-NAS(best)              –       2.42       3.86       16.45       4.17    0.22   Gradient",
        "",
    ]


def test_the_printed_rows_of_table_5() -> None:
    assert printed(5) == [
        "  NASNet-A               –     26.00      8.40      5.30          564   1,800         RL",
        "  AmoebaNet              –     24.30      7.60      6.40          570   3,150         EA",
        "  PNAS                   –     25.80      8.10      5.10          588     225       SMBO",
        "  DARTS                  –     26.70      8.70      4.70          574       4   Gradient",
        "  SNAS(mild constraint)  –     27.30      9.20      4.30          522     1.5   Gradient",
        "  GDAS                   –     26.00      8.50      5.30          581    0.21   Gradient",
        "  P-DARTS                –     24.40      7.40      4.90          577     0.3   Gradient",
        "  SGAS(Cri.1 best)       –     24.20      7.20      5.30          585    0.25   Gradient",
        "  PC-DARTS               –     25.10      7.80      5.30          586     0.1   Gradient",
        "  DATA                   –     24.90      8.00      5.00          588       1   Gradient",
        "  FairDARTS-B            –     24.90      7.50      4.80          541     0.4   Gradient",
        "  ProxylessNAS*          –     24.90      7.50      7.10          465     8.3   Gradient",
        "  DSNAS*                 –     25.70      8.10         –          324    17.5   Gradient",
        "  NASP(7 operations)     –     27.20      9.10      4.60            –     0.1   Gradient",
        "  STC-NAS-w/o DepthC&TC  –     24.30      7.40      5.30          596   0.059   Gradient",
        "  STC-NAS                –     24.20      7.30      5.30          588   0.625   Gradient",
        "",
    ]


def test_what_is_in_doubt_has_a_note() -> None:
    noted = {number: [row.method for row in published.load_trainings(number).rows if row.note] for number in (4, 5)}
    assert noted == {
        4: ["DARTS(first order)+cutout", "STC-NAS-w/o DepthC(avg.)", "STC-NAS(avg.)"],
        5: ["P-DARTS", "ProxylessNAS*", "DSNAS*"],
    }
    # What the note of P-DARTS says of genotypes.
    first, second = DARTS.mflops([DARTS.parse(name) for name in ("PDARTS", "PC_DARTS_cifar")], "imagenet")
    assert (round(first / second, 2), round(586 * first / second)) == (0.95, 557)
    # What the notes of STC-NAS say of Fig. 5.
    notes = {row.method: row.note for row in published.load_trainings(4).rows}
    methods = ("STC-NAS-w/o DepthC(avg.)", "STC-NAS(avg.)")
    for row, note in zip(published.load_rows("figure5").rows, map(notes.__getitem__, methods), strict=True):
        assert f"{row['mean']:.2f}±{row['std']:.2f}" in note and f"{100 - row['mean']:.2f}" in note
        assert f"{row['best']:.2f}" in note


def test_ours_stand_below_the_papers() -> None:
    trainings = [make_training(seed, found_by=found_by(f"search-{seed}", seed=seed)) for seed in range(2)]
    trainings += [make_training(0, dataset="cifar100"), make_training(0, dataset="digits")]
    trainings += [make_training(seed, dataset="imagenet", protocol="imagenet") for seed in range(2)]
    inputs = of(*trainings, searches={"search-0": search(seconds={"weights": 8640.0})})
    table = make_table(4, inputs)
    found, given = table.rows[PRINTED[4] :]
    assert found.section == "Ours, trained on cifar10 by protocol cpu"
    assert {key: value.shown(".2f") for key, value in found.values.items() if isinstance(value, Spread)} == {
        "cifar10_error": "9.50±0.50 (±6.35)",
        "cifar10_params": "3.35",
    }
    assert (found.values["n"], found.values["search_days"]) == (2, pytest.approx(0.1))
    assert (given.values["method"], given.values["search_days"]) == ("given: DARTS_V2", None)
    assert table.missing == () and "Protocol cpu: not the paper's training." in table.caption[1]
    table = make_table(5, inputs)
    (ours,) = table.rows[PRINTED[5] :]
    assert ours.values["imagenet_top5"] == Spread(1.0, 0.0, 0.0, "2 record(s) of trainings")
    assert ours.values["imagenet_mflops"] == 528.4
    assert not any("not the paper's" in line for line in table.caption)


def test_where_no_benchmark_exists_it_is_said_and_where_accuracies_are() -> None:
    """Searches of a space without a benchmark are shown with what they took; no name of a benchmark is made up."""
    none = {"name": "none", "about": "there is no table of DARTS", "file": "none", "sha256": ""}
    searches = {f"search-{seed}": search(seed, benchmark=none) for seed in range(2)}
    inputs = of(searches=searches, asked=NoBenchmark(DARTS))
    said = (
        "No benchmark of the space DARTS exists: cells found are not looked up. Accuracies are of trainings, in tables "
        "of their own (4, 5, trainings): `stc-bench report --table trainings --space darts`."
    )
    for name in ("6", "summary", "records"):
        table = make_table(name, inputs)
        assert said in table.caption
        text = render(table, "json") + render(table, "text", 100, notes=True)
        assert table.rows and not re.search(r"looked up in|[Bb]enchmark none|sha256 |: none|argest cell", text), name
    (row,) = make_table(6, inputs).rows
    assert row.section == "Ours, weight-sharing, on cifar10 by protocol cpu" and "; not looked up; " in row.notes[0]
    with pytest.raises(DataError, match="No benchmark of the space DARTS exists"):
        make_figure("summary", inputs)


# The space that they are of


def test_tables_4_and_5_take_their_space(stc_bench, tmp_path: Path) -> None:
    write(make_training(found_by=found_by("a")), tmp_path / "a-training")
    for table in ("4", "5"):
        status, out, err = stc_bench("report", "--table", table, "--results", tmp_path)
        assert (status, err) == (0, "") and "STC-NAS" in out
        assert stc_bench("report", "--table", table, "--results", tmp_path, "--space", "darts") == (0, out, "")
    status, _, err = stc_bench("report", "--table", "4", "--results", tmp_path, "--space", "tss")
    assert (status, err) == (2, "Error: table 4 is of another space: --space darts\n")
    with pytest.raises(BadCallError, match="another space: --space tss"):
        make_table(3, Inputs(space=find_space("sss")))
    with pytest.raises(BadCallError, match="unknown table"):
        make_table("42", of())


@pytest.mark.parametrize("name", space_names())
def test_every_space_has_its_tables_and_figures(name: str) -> None:
    """Without records each says in few words what it lacks; what makes no sense is left out."""
    space = find_space(name)
    entries = make_all(Inputs(space=space, asked=NoBenchmark(space)))
    there = {f"{entry.kind} {entry.name}" for entry in entries}
    assert {"table 6", "table trainings", "table summary", "figure summary", "figure genotypes"} <= there
    assert ({"table 4", "table 5"} <= there) == (name == "darts")
    assert ({"table 1", "table 3", "table 7", "figure 3", "figure 5", "figure 10"} <= there) == space.has_supernet
    for entry in entries:
        assert entry.made is not None or entry.missing or "\n" not in entry.problem, entry
        for one in entry.missing:
            assert name == "tss" or f"--space {name}" in one.command or " rank " in one.command, one.command
    assert make_all(Inputs(space=space))
