"""Records as pandas frames: what the columns are, and that their values are the records'."""

from __future__ import annotations

import json
import math
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from records import make_record
from test_simulated_records import SESSION, runs

import nasbench_stc
from nasbench_stc import load_incumbents, load_runs, load_trajectories
from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.errors import DamagedFileWarning
from nasbench_stc.records import Record, SimulatedRun, SimulatedRuns, read_sources, record, simulated
from nasbench_stc.report import Inputs, cache, frames
from nasbench_stc.runs import simulate
from nasbench_stc.space import NUM_CELLS, TSS, Cell

RESULTS = Path(__file__).parents[1] / "results"
TRAINED, SIMULATED = "darts-cifar10-cpu-seed0-754db3ad", "bohb-cifar10-nats-bench-c5f2019a"
"""Folders of runs below it."""
LOADERS = (load_runs, load_trajectories, load_incumbents)

every_loader = pytest.mark.parametrize("load", LOADERS, ids=lambda load: load.__name__)


@pytest.fixture(scope="module")
def committed() -> tuple[list[Record], Inputs]:
    """The committed runs as records, and what frames are made of."""
    sources, problems = read_sources([RESULTS])
    assert not problems
    records = [
        one
        for source in sources.values()
        for one in (source.records() if isinstance(source, SimulatedRuns) else [source])
    ]
    return records, Inputs(sources)


# What the columns are


def test_they_are_public() -> None:
    for load in LOADERS:
        assert load.__name__ in nasbench_stc.__all__
        assert getattr(frames, load.__name__) is load


@every_loader
def test_every_column_is_documented_and_the_other_way_round(load: Callable[..., pd.DataFrame]) -> None:
    told = re.findall(r"`([^`]+)`", str(load.__doc__))
    shown = load(RESULTS / TRAINED).columns
    between = {*COLUMNS, *frames.alpha_columns(TSS)}  # of which the first and the last are named
    assert set(shown) - between <= set(told)
    assert set(told) - {one.__name__ for one in LOADERS} <= set(shown)
    for names in (list(COLUMNS), frames.alpha_columns(TSS)):
        assert ({names[0], names[-1]} <= set(told)) == (set(names) <= set(shown)) == (names[0] in shown)


@every_loader
def test_types_are_documented_and_the_same_with_and_without_rows(load: Callable[..., pd.DataFrame]) -> None:
    some = load([RESULTS / TRAINED, RESULTS / SIMULATED])
    for other in (load("not there"), load(RESULTS / TRAINED), load(RESULTS / SIMULATED)):
        assert list(other.columns) == list(some.columns)
        assert [type(kind) for kind in other.dtypes] == [type(kind) for kind in some.dtypes]
        for name, kind in other.dtypes.items():
            assert kind == some.dtypes[name] or isinstance(kind, pd.CategoricalDtype), name
    assert load("not there").empty
    whole = {"seed", "cell_index", "evaluations", "threads", "side_by_side", "epoch", "evaluation"}
    for name, kind in some.dtypes.items():
        if name in whole:
            assert kind == np.int64
        elif name == "of_ablation":
            assert kind == np.bool_
        elif name == "finished":
            assert str(kind) == "datetime64[us, UTC]"
        elif not isinstance(kind, pd.CategoricalDtype):
            assert kind == np.float64
    text = {name for name in some if isinstance(some[name].iloc[0], str)}
    assert text == {name for name, kind in some.dtypes.items() if isinstance(kind, pd.CategoricalDtype)}


@every_loader
def test_folders_are_given_in_any_form(load: Callable[..., pd.DataFrame]) -> None:
    one, other = RESULTS / TRAINED, RESULTS / SIMULATED
    both = load([one, str(other)])
    assert len(both) == len(load(one)) + len(load(str(other)))
    pd.testing.assert_frame_equal(load(iter([one, other, one, "not there"])), both)


# What the values are


def test_the_committed_runs_are_all_there(committed: tuple[list[Record], Inputs]) -> None:
    records, inputs = committed
    table = inputs.runs
    assert len(table) == len(records) > 15_000
    assert table["path"].nunique() == len(inputs.sources)
    own = ("method", "search_dataset", "protocol", "seed", "device", "threads", "side_by_side", "git_revision", "cell")
    for name in (*own, "space"):
        assert table[name].tolist() == [getattr(record, name) for record in records], name
    cells = {record.cell: Cell.parse(record.cell, space=record.space) for record in records}
    assert table["cell_index"].tolist() == [cells[record.cell].index for record in records]
    assert table["digits"].tolist() == [cells[record.cell].digits for record in records]
    assert table["isomorphism_class"].tolist() == [cells[record.cell].isomorphism_class for record in records]
    for column in COLUMNS:
        same(table[column], [record.scores.get(column) for record in records])
    same(table["seconds"], [record.total_seconds for record in records])
    for part in ("weights", "alpha", "evaluation", "simulated", "scores"):
        same(table[f"{part}_seconds"], [record.seconds.get(part) for record in records])
    for name in ("loss", "accuracy"):
        same(table[f"supernet_{name}"], [record.supernet.get(name) for record in records])
        same(table[f"super_cell_{name}"], [record.supernet.get(f"super_cell_{name}") for record in records])
    same(table["memory_mib"], [record.peak_memory.get("mib") for record in records])
    for name in ("changes", "settings", "versions"):
        found = {text: json.loads(text) for text in table[name].unique()}
        assert all(found[text] == getattr(one, name) for text, one in zip(table[name], records, strict=True)), name
    for name in ("name", "sha256", "file", "about"):
        expected = [record.benchmark.get(name, "") for record in records]
        assert table["benchmark" if name == "name" else f"benchmark_{name}"].tolist() == expected
    assert [time.isoformat() for time in table["finished"]] == [record.finished for record in records]
    black_box = [isinstance(record, SimulatedRun) for record in records]
    assert table["kind"].ne("one-shot").tolist() == black_box
    assert table["evaluations"].tolist() == [getattr(record, "evaluations", 0) for record in records]


def same(found: pd.Series, expected: list[float | None]) -> None:
    """Numbers; None is NaN."""
    np.testing.assert_array_equal(found, np.array(expected, dtype=np.float64), str(found.name))


def test_the_example_of_the_docstring() -> None:
    lines = str(load_runs.__doc__).splitlines()
    code = [line.strip() for line in lines if line.startswith("        runs") and "=" in line]
    found: dict[str, Any] = {"load_runs": lambda folder: load_runs(RESULTS / TRAINED)}
    exec(code[0], found)
    (row,) = eval(code[1], found).itertuples()
    assert (row.Index, row.count) == (("DARTS", "cpu"), 1)


def test_trajectories_are_the_records(committed: tuple[list[Record], Inputs]) -> None:
    records, inputs = committed
    found = inputs.trajectories
    found = found[found["space"] == "tss"]
    trained = [one for one in records if not isinstance(one, SimulatedRun) and one.space == "tss"]
    entries = [(record, entry) for record in trained for entry in record.trajectory]
    assert len(found) == len(entries) > 5_000
    for name in ("method", "search_dataset", "protocol", "seed"):
        assert found[name].tolist() == [getattr(record, name) for record, _ in entries]
    assert found["epoch"].tolist() == [epoch for one in trained for epoch in range(1, len(one.trajectory) + 1)]
    for name in ("train_loss", "valid_loss", "seconds"):
        same(found[name], [entry.get(name) for _, entry in entries])
    assert found["cell"].tolist() == [entry.get("cell") or "" for _, entry in entries]
    there = found["cell_index"] >= 0
    assert there.tolist() == [bool(entry.get("cell")) for _, entry in entries]
    assert [str(Cell.from_index(index)) for index in found["cell_index"][there]] == found["cell"][there].tolist()
    none = [[math.nan] * len(frames.alpha_columns(TSS))]
    alpha = [np.ravel(entry.get("alpha", none)) for _, entry in entries]
    np.testing.assert_array_equal(found[frames.alpha_columns(TSS)], alpha)
    last = found.groupby("path", observed=True).tail(1).set_index("path")["cell_index"]
    own = inputs.runs[(inputs.runs["kind"] == "one-shot") & (inputs.runs["space"] == "tss")]
    ends = own.set_index("path")["cell_index"]
    assert sorted(last.index) == sorted(ends.index)
    known = last[last >= 0]
    goes_on = own.set_index("path").loc[known.index, "method"] == "duel_ls"  # from there, by local search
    assert known[~goes_on].tolist() == ends.loc[known.index][~goes_on].tolist()
    in_the_end = found[found["path"].isin(last.index.difference(known.index))]["method"]
    assert set(in_the_end) == {"enas", "fairnas", "rsps", "setn", "spos"}  # they choose a cell only then


def test_incumbents_lead_to_the_runs_cells(committed: tuple[list[Record], Inputs]) -> None:
    records, inputs = committed
    found, table = inputs.incumbents, inputs.runs[inputs.runs["kind"] != "one-shot"]
    entries = [entry for record in records if isinstance(record, SimulatedRun) for entry in record.trajectory]
    assert found["evaluation"].tolist() == [entry["evaluation"] for entry in entries]
    same(found["seconds"], [entry["seconds"] for entry in entries])
    names = {cell: Cell.parse(cell).index for cell in {entry["cell"] for entry in entries}}
    assert found["cell_index"].tolist() == [names[entry["cell"]] for entry in entries]
    ends = found.groupby(["path", "seed"], observed=True).tail(1)
    joined = table.merge(ends, on=["path", "seed"], suffixes=("", "_of_end"), validate="1:1")
    assert len(joined) == len(table) == len(ends)
    for name in ("cell_index", "method", "search_dataset", "protocol"):
        assert joined[name].astype(str).tolist() == joined[f"{name}_of_end"].astype(str).tolist()
    assert (joined["evaluation"] <= joined["evaluations"]).all()
    assert (joined["seconds_of_end"] <= joined["simulated_seconds"] + 1e-3).all()


def numbers(low: float = 0, high: float = 100) -> st.SearchStrategy[float]:
    return st.floats(low, high)


records = st.builds(
    make_record,
    st.integers(0, 2**63 - 1),
    method=st.sampled_from(["stc", "darts", "mine"]),
    title=st.text(max_size=5),
    order=st.none() | st.integers(0, 99),
    search_dataset=st.sampled_from(["cifar10", "digits"]),
    protocol=st.text(max_size=5),
    changes=st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=2),
    finished=st.just("2026-02-30T00:00:00+00:00") | st.just(make_record().finished),
    cell=st.integers(0, NUM_CELLS - 1).map(lambda index: str(Cell.from_index(index))),
    scores=st.dictionaries(st.sampled_from(list(COLUMNS)), numbers()),
    supernet=st.dictionaries(st.sampled_from(["loss", "accuracy", "super_cell_loss"]), numbers()),
    seconds=st.dictionaries(st.sampled_from(["weights", "alpha", "evaluation"]), numbers(0, 1e9)),
    peak_memory=st.fixed_dictionaries({}, optional={"mib": st.none() | numbers(), "of": st.text(max_size=5)}),
    trajectory=st.lists(
        st.fixed_dictionaries(
            {"cell": st.none() | st.integers(0, NUM_CELLS - 1).map(lambda index: str(Cell.from_index(index)))},
            optional={"train_loss": st.none() | numbers(), "alpha": st.just([[0.5] * 5] * 6)},
        ),
        max_size=3,
    ),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(records, max_size=4))
def test_rows_are_the_records_whatever_they_lack(made: list[Record]) -> None:
    inputs = Inputs.of(made)
    assert [str(kind) for kind in inputs.runs.dtypes] == [str(kind) for kind in load_runs("not there").dtypes]
    for place, run in enumerate(made):
        row = inputs.runs.iloc[place]
        for name in ("method", "search_dataset", "protocol", "seed", "cell"):
            assert row[name] == getattr(run, name)
        assert json.loads(row["changes"]) == run.changes
        assert pd.isna(row["finished"]) == ("-30T" in run.finished)
        assert {name: row[name] for name in COLUMNS if not math.isnan(row[name])} == run.scores
        assert row["seconds"] == run.total_seconds
        for part in ("weights", "alpha", "evaluation"):
            assert row[f"{part}_seconds"] == run.seconds.get(part, pytest.approx(math.nan, nan_ok=True))
        assert row["supernet_loss"] == run.supernet.get("loss", pytest.approx(math.nan, nan_ok=True))
        epochs = inputs.trajectories[inputs.trajectories["path"] == str(place)]
        assert epochs["cell"].tolist() == [entry["cell"] or "" for entry in run.trajectory]
        same(epochs["train_loss"], [entry.get("train_loss") for entry in run.trajectory])
        same(epochs["alpha_2-3_none"], [0.5 if "alpha" in entry else None for entry in run.trajectory])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.dictionaries(st.integers(0, 2**63 - 1), runs, min_size=1, max_size=5), min_size=1, max_size=3))
def test_runs_of_one_file_are_like_runs_of_many(timed: Any, sessions: list[dict[int, Any]]) -> None:
    whole = simulate._nothing(simulate.plan("rs", timed))
    for number, some in enumerate(sessions):
        cells = {run.incumbents[-1].cell for run in some.values()}
        scores = {"cifar10-test": {str(cell): float(cell % 100) for cell in cells}}
        whole = simulated.with_runs(whole, some, scores, {**SESSION, "device": f"processor {number}"})
    together, apart = Inputs.of([whole]), Inputs.of(whole.records())
    for name in ("runs", "incumbents"):
        frame, other = (getattr(inputs, name).drop(columns="path") for inputs in (together, apart))
        pd.testing.assert_frame_equal(plain(frame), plain(other))
    assert together.trajectories.empty


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """With texts for categories, whose order depends on what was read first."""
    texts = [name for name, kind in frame.dtypes.items() if isinstance(kind, pd.CategoricalDtype)]
    return frame.astype(dict.fromkeys(texts, str))


# Files that cannot be read


@every_loader
def test_a_damaged_file_is_left_out_with_a_warning(load: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    for name in (TRAINED, SIMULATED):
        shutil.copytree(RESULTS / name, tmp_path / name)
        shutil.copytree(RESULTS / name, tmp_path / f"damaged-{name}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = load(tmp_path)
    for name, file in ((TRAINED, "record.json"), (SIMULATED, "runs.json")):
        damaged = tmp_path / f"damaged-{name}" / file
        damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.warns(DamagedFileWarning) as warned:
        found = load(tmp_path)
    assert len(found) * 2 == len(whole)
    assert len(warned) == 2
    assert all("left out: " in str(one.message) and "damaged-" in str(one.message) for one in warned)
    assert {one.filename for one in warned} == {__file__}
    assert not any("damaged-" in path for path in found["path"])


@pytest.fixture
def many(tmp_path, monkeypatch):
    """A folder with as many records as are worth a cache."""
    monkeypatch.setattr(cache, "FEWEST", 3)
    folders = [path for path in sorted(RESULTS.glob("*-cifar10-cpu-seed*")) if (path / record.FILE_NAME).exists()][:4]
    for folder in folders:
        (tmp_path / folder.name).mkdir()
        shutil.copyfile(folder / record.FILE_NAME, tmp_path / folder.name / record.FILE_NAME)
    return tmp_path


def reads(monkeypatch):
    """The records that are read from now on."""
    found, read = [], record.read
    monkeypatch.setattr(record, "read", lambda path: found.append(path.parent.name) or read(path))
    return found


def test_records_that_did_not_change_are_not_read_again(many, monkeypatch):
    whole = load_runs(many)
    assert (many / cache.FILE_NAME).exists()
    read = reads(monkeypatch)
    assert_frame_equal(load_runs(many), whole)
    assert read == []
    changed, gone = (Path(path) for path in whole["path"][:2])
    found = json.loads(changed.read_text())
    changed.write_text(json.dumps({**found, "seed": 77}))
    shutil.rmtree(gone.parent)
    after = load_runs(many)
    assert read == [changed.parent.name]
    assert after["seed"].tolist() == [77, *whole["seed"][2:]]
    assert_frame_equal(load_runs(many), after)
    assert len(read) == 1


def test_the_place_of_records_is_not_kept_with_them(many, monkeypatch):
    before = load_runs(many)
    read = reads(monkeypatch)
    monkeypatch.chdir(many)
    here = load_runs(".")
    assert read == []
    assert_frame_equal(here.drop(columns="path"), before.drop(columns="path"))
    assert [str(many / path) for path in here["path"]] == before["path"].tolist()


@pytest.mark.parametrize(
    "damage", [lambda kept: kept[:-1], lambda kept: b"", lambda kept: kept[:40] + b"x" + kept[41:]]
)
def test_what_is_kept_is_not_needed(many, monkeypatch, damage):
    whole = load_runs(many)
    path = many / cache.FILE_NAME
    path.write_bytes(damage(path.read_bytes()))
    read = reads(monkeypatch)
    assert_frame_equal(load_runs(many), whole)
    assert len(read) == len(whole)
    load_runs(many)
    assert len(read) == len(whole)


def test_what_other_code_made_of_records_is_not_taken(many, monkeypatch):
    load_runs(many)
    read = reads(monkeypatch)
    monkeypatch.setattr(cache, "_code", lambda: "another")
    assert len(load_runs(many)) == len(read) == 4


def test_few_records_are_read_each_time(many, monkeypatch):
    monkeypatch.setattr(cache, "FEWEST", 5)
    load_runs(many)
    assert not (many / cache.FILE_NAME).exists()


def test_a_damaged_record_is_told_of_each_time(many):
    damaged = sorted(many.glob(f"*/{record.FILE_NAME}"))[0]
    damaged.write_text("{")
    for _ in range(2):
        with pytest.warns(DamagedFileWarning, match="damaged"):
            assert len(load_runs(many)) == 3
