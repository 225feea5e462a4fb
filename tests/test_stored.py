"""What is read from a file is checked before it reaches a number: every field of every kind of file, changed."""

from __future__ import annotations

import copy
import errno
import json
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import make_record

from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.records import profile, ranking, record, simulated, training
from nasbench_stc.report import Inputs, gather, make_figure, make_table, render
from nasbench_stc.report.registry import makers
from nasbench_stc.report.table import Estimate, Spread
from nasbench_stc.space import Cell

RESULTS = Path(__file__).parents[1] / "results"
READERS = {
    record.FILE_NAME: record.read,
    simulated.FILE_NAME: simulated.read,
    "ranking": ranking.read,
    "profile": profile.read,
    training.FILE_NAME: training.read,
}


def committed() -> dict[str, Path]:
    """One committed file of each kind, the smallest."""
    found = {
        record.FILE_NAME: RESULTS.glob("stc-digits-*/record.json"),
        simulated.FILE_NAME: RESULTS.glob("*/runs.json"),
        "ranking": RESULTS.rglob("ranking-*.json"),
        "profile": RESULTS.glob("profile-*.json"),
        training.FILE_NAME: RESULTS.glob(f"*/{training.FILE_NAME}"),
    }
    return {kind: min(paths, key=lambda path: (path.stat().st_size, path)) for kind, paths in found.items()}


FILES = committed()
CONTENT = {kind: json.loads(path.read_text()) for kind, path in FILES.items()}
SPACES = {kind: content.get("space", "tss") for kind, content in CONTENT.items()}
"""That a file is of, and so the reports that it is in."""


def places(content: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a tree of JSON; of a long list its first and last entries."""
    if at:
        yield at
    if isinstance(content, dict):
        for key, value in content.items():
            yield from places(value, (*at, key))
    elif isinstance(content, list):
        for number in sorted({0, 1, len(content) - 1} & set(range(len(content)))):
            yield from places(content[number], (*at, number))


PLACES = {kind: list(places(content)) for kind, content in CONTENT.items()}
LEFT_OUT: set[str] = set()
"""Kinds of files that were left out in a test of all that is reported."""
BAD = [940.0, -3, -0.5, math.nan, math.inf, "94", "0", "", "x", None, True, [], {}, {"weights": "x"}, [None], 10**30, 0]


def changed(content: Any, at: tuple[Any, ...], value: Any) -> Any:
    whole = copy.deepcopy(content)
    inside = whole
    for step in at[:-1]:
        inside = inside[step]
    inside[at[-1]] = value
    return whole


def numbers(table: Any) -> Iterator[float]:
    for row in table.rows:
        for value in row.values.values():
            if isinstance(value, Spread):
                yield from (number for number in (value.mean, value.std, value.interval) if number is not None)
            elif isinstance(value, Estimate):
                yield from (number for number in (value.value, value.low, value.high) if number is not None)
            elif isinstance(value, (int, float)):
                yield float(value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each kind, and a record beside it that nobody changes."""
    folder = tmp_path_factory.mktemp("results")
    for path in FILES.values():
        (folder / path.parent.name).mkdir(exist_ok=True)
        shutil.copy(path, folder / path.parent.name / path.name)
    (folder / "whole").mkdir()
    make_record(7).write(folder / "whole")
    return folder


def test_a_file_of_each_kind_is_read_and_reported(folder: Path) -> None:
    inputs = gather([folder], "analog")
    assert not inputs.problems
    assert len(inputs.rankings) == len(inputs.profiles) == 1
    assert {type(source) for source in inputs.sources.values()} == {record.Record, simulated.SimulatedRuns}
    elsewhere = gathered(folder, training.FILE_NAME)
    assert not elsewhere.problems and [type(one) for one in elsewhere.trained.values()] == [training.TrainingRecord]
    assert SPACES[training.FILE_NAME] == "darts" and len(make_table("trainings", elsewhere).rows) == 1


def gathered(folder: Path, kind: str) -> Inputs:
    """What reports of the space that the file of that kind is of are made from."""
    space = SPACES[kind]
    return gather([folder], "analog" if space == "tss" else "auto", space=space)


HEALTHY = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]  # the folder is as it was; see conftest.py


@settings(max_examples=120, deadline=None, suppress_health_check=HEALTHY)
@given(data=st.data())
def test_no_change_of_a_field_is_a_traceback_or_a_number_out_of_its_range(data: st.DataObject, folder: Path) -> None:
    kind = data.draw(st.sampled_from(sorted(FILES)))
    at, value = data.draw(st.sampled_from(PLACES[kind])), data.draw(st.sampled_from(BAD))
    path = folder / FILES[kind].parent.name / FILES[kind].name
    before = path.read_bytes()
    path.write_text(json.dumps(changed(CONTENT[kind], at, value)))
    try:
        inputs = gathered(folder, kind)
        assert all(str(path) in problem for problem in inputs.problems)
        if inputs.problems and kind in LEFT_OUT:  # what is reported of the other files was seen
            return
        if inputs.problems:
            LEFT_OUT.add(kind)
        for name in makers("tables", inputs.space.name):
            try:
                table = make_table(name, inputs)
                render(table, "json")
            except (DataError, BadCallError):
                continue
            assert all(math.isfinite(number) for number in numbers(table))
            if name == "6":
                assert all(
                    0 <= of.mean <= 100
                    for row in table.rows
                    for key, of in row.values.items()
                    if key.endswith("-test")
                    if isinstance(of, Spread) and not of.signed
                )
        for name in makers("figures", inputs.space.name):
            try:
                make_figure(name, inputs)
            except (DataError, BadCallError):
                continue
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (("scores", "cifar10-test"), 940.0, "Expected `float` <= 100"),
        (("scores", "cifar10-test"), -3, "Expected `float` >= 0"),
        (("scores", "cifar10-test"), math.nan, "no JSON"),
        (("scores", "cifar10-test"), "94", "Expected `float`, got `str`"),
        (("scores", "cifar10-test"), None, "Expected `float`, got `null`"),
        (("scores",), {"cifar11-test": 3.0}, "scores of no column: cifar11-test"),
        (("seed",), "0", "Expected `int`, got `str`"),
        (("seed",), 10**30, "Expected `int` <= 9223372036854775807"),
        (("seconds",), {"weights": "x"}, "Expected `float`, got `str`"),
        (("settings", "protocol", "epochs"), 0, "epochs=0"),
        (("settings",), {}, "settings lack"),
        (("supernet", "accuracy"), 101, "Expected `float` <= 100"),
        (("finished",), "yesterday", "Expected `str` matching regex"),
        (("trajectory", 0, "cell"), "|conv~0|", "conv"),
        (("trajectory", 0, "alpha"), [[1.0]], "shape"),
    ],
)
def test_a_damaged_record_is_named_with_the_reason_and_the_rest_is_reported(
    tmp_path: Path, at: tuple[Any, ...], value: Any, why: str
) -> None:
    for name, content in (("bad", changed(CONTENT[record.FILE_NAME], at, value)), ("good", CONTENT[record.FILE_NAME])):
        (tmp_path / name).mkdir()
        (tmp_path / name / record.FILE_NAME).write_text(json.dumps(content))
    inputs = gather([tmp_path], "analog")
    (problem,) = inputs.problems
    assert "bad/record.json: damaged" in problem and why in problem
    assert len(inputs.runs) == 1 and make_table(6, inputs).rows


def test_a_report_of_a_damaged_record_ends_well(stc_bench: Any, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/record.json").write_text(
        json.dumps(changed(CONTENT[record.FILE_NAME], ("scores", "cifar10-test"), 940.0))
    )
    make_record(3).write((tmp_path / "good").parent / "bad/..")
    status, out, err = stc_bench("report", "--results", tmp_path, "--benchmark", "analog")
    assert status == 0
    assert "bad/record.json: damaged" in err and "What was found" in out


def test_a_record_that_contradicts_its_own_benchmark_is_left_out(nb201: Any, tmp_path: Path) -> None:
    """The cell is another one, the scores are as they were; and likewise in a file of many runs."""
    columns = {"cifar10-test": ("cifar10", "test"), "cifar100-test": ("cifar100", "test")}
    of_table = {"name": nb201.name, "file": nb201.path.name, "sha256": nb201.sha256}

    def of(cell: str, scores_of: str, seed: int) -> record.Record:
        scores = {name: float(nb201.accuracy([Cell.parse(scores_of)], *which)[0]) for name, which in columns.items()}
        return replace(make_record(seed), cell=str(Cell.parse(cell)), scores=scores, benchmark=of_table)

    for seed, cell in enumerate(("333133", "333333")):
        folder = tmp_path / f"run{seed}"
        folder.mkdir()
        of(cell, "333133", seed).write(folder)
    inputs = gather([tmp_path], nb201.path)
    (problem,) = inputs.problems
    assert "run1/record.json: left out, for it says 94.3633 of 333333 in cifar10-test, nb201 93.76" in problem
    assert inputs.runs["seed"].tolist() == [0]
    elsewhere = gather([tmp_path], "analog")  # nothing is known of a benchmark that is not at hand
    assert isinstance(elsewhere, Inputs)


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (("test_accuracy",), 50.0, "not that of the last epoch"),
        (("trajectory", 0, "epoch"), 1, "not counted from 0"),
        (("trajectory",), [], "length >= 1"),
        (("params",), 0, "Expected `int` >= 1"),
        (("params",), 10**30, "Expected `int` <= 9223372036854775807"),
        (("found_by", "seed"), 10**30, "Expected `int` <= 9223372036854775807"),
        (("cell",), "DARTS_V9", "no cell of DARTS"),
        (("settings", "lr"), -1, "lr=-1"),
    ],
)
def test_a_damaged_training_is_named_with_the_reason_and_the_rest_is_reported(
    tmp_path: Path, at: tuple[Any, ...], value: Any, why: str
) -> None:
    kind = training.FILE_NAME
    for name, content in (("bad", changed(CONTENT[kind], at, value)), ("good", CONTENT[kind])):
        (tmp_path / name).mkdir()
        (tmp_path / name / kind).write_text(json.dumps(content))
    inputs = gathered(tmp_path, kind)
    (problem,) = inputs.problems
    assert "bad/training.json: damaged" in problem and why in problem
    assert len(make_table("trainings", inputs).rows) == 1


def test_what_cannot_be_read_back_is_not_written(tmp_path: Path) -> None:
    for change in ({"scores": {"cifar10-test": 101.0}}, {"seed": -1}, {"seconds": {"weights": math.nan}}):
        with pytest.raises(ValueError, match=r"Expected|JSON"):
            replace(make_record(), **change).write(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", sorted(READERS))
def test_files_are_written_as_they_were_read(kind: str, tmp_path: Path) -> None:
    """Byte for byte, but for fields that are newer than the file."""
    found = READERS[kind](FILES[kind])
    again = READERS[kind](found.write(tmp_path))  # type: ignore[attr-defined]
    assert again == found


def test_a_folder_that_cannot_be_read_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, scan = tmp_path / "closed", os.scandir
    closed.mkdir()

    def scandir(path: Any = ".") -> Any:
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert gather([tmp_path, tmp_path / "nothing"], "analog").problems == (
        f"{closed}: cannot be read (Permission denied)",
    )


def test_commands_that_make_what_is_missing_have_the_reports_options(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    inputs = gather([folder], "analog", tmp_path)
    out, data = f"--out '{folder}'", f"--data-dir {tmp_path}"
    assert inputs.command("search --seeds 3") == f"stc-bench search --seeds 3 --benchmark analog {data} {out}"
    assert inputs.command("train 333333") == f"stc-bench train 333333 {data} {out}"
    assert inputs.command("profile") == f"stc-bench profile {out}"
    assert gather([folder]).command("ablate noise") == f"stc-bench ablate noise {out}"
