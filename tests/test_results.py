"""The committed records, and that the README says what they say."""

import re
from pathlib import Path

import numpy as np
import pytest

from nasbench_stc import Cell
from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.methods import of_kind
from nasbench_stc.report import make_table, read_for, render
from nasbench_stc.report.groups import DISPLAY_NAMES
from nasbench_stc.runs import read_all

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def records():
    records, problems = read_all([ROOT / "results"])
    assert not problems
    return records


ONE_SHOT = of_kind("one-shot")


def of(method, records):
    return [record for record in records if (record.method, record.protocol) == (method, "cpu")]


@pytest.mark.parametrize("method", ONE_SHOT)
def test_each_method_has_three_seeds_under_one_protocol(records, method):
    ours = of(method, records)
    assert sorted(record.seed for record in ours) == [0, 1, 2]
    assert len({str(record.settings) for record in ours}) == 1
    assert all(not record.changes and "+changes" not in record.git_revision for record in ours)


def test_the_methods_differ_in_the_method_alone(records):
    assert len({str(record.settings["protocol"]) for method in ONE_SHOT for record in of(method, records)}) == 1
    trained = [record for record in records if record.method in ONE_SHOT]
    images = {record.seed: set() for record in trained}
    for record in trained:
        images[record.seed].add(record.split["sha256"])
    assert all(len(split) == 1 for split in images.values())


def test_the_records_scores_are_the_tables(records, nb201):
    for record in records:
        cell = Cell.parse(record.cell)
        assert record.benchmark["sha256"] == nb201.sha256
        assert record.scores == {name: float(nb201.accuracy([cell], *which)[0]) for name, which in COLUMNS.items()}
        assert record.trajectory[-1]["cell"] in (None, record.cell)


@pytest.mark.parametrize("method", ONE_SHOT)
def test_the_readme_quotes_the_records(records, method):
    (line,) = re.findall(rf"^\| \*\*{re.escape(DISPLAY_NAMES[method])}\*\* \|.*$", README, re.MULTILINE)
    ours = of(method, records)
    for dataset in ("cifar10", "cifar100", "ImageNet16-120"):
        values = [record.scores[f"{dataset}-test"] for record in ours]
        assert f" {np.mean(values):.2f}±{np.std(values):.2f} " in line
    assert f" {np.mean([record.total_seconds for record in ours]):,.0f} |" in line


def test_the_readmes_table_6_is_what_the_command_prints(records, nb201):
    assert render(make_table(6, records, [nb201]), "markdown").strip() in README


def test_table_3_is_made_from_committed_profiles():
    profiles, problems = read_for(3, [ROOT / "results"])
    assert not problems
    points = [point for profile in profiles for point in profile.points]
    measured = {(point.method, point.cells_per_stage) for point in points if point.batch_size == 64}
    assert measured >= {(method, depth) for method in ONE_SHOT for depth in (5, 1)}
    assert all("+changes" not in point.git_revision for point in points)
