"""The committed records, and that the README says what they say."""

import re
from pathlib import Path

import numpy as np
import pytest

from nasbench_stc import Cell
from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.runs import read_all

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def records():
    records, problems = read_all([ROOT / "results"])
    assert not problems
    return [record for record in records if (record.method, record.protocol) == ("stc", "cpu")]


def test_the_records_are_of_three_seeds_under_one_protocol(records):
    assert sorted(record.seed for record in records) == [0, 1, 2]
    assert len({str(record.settings) for record in records}) == 1
    assert all(not record.changes and "+changes" not in record.git_revision for record in records)


def test_the_records_scores_are_the_tables(records, nb201):
    for record in records:
        cell = Cell.parse(record.cell)
        assert record.benchmark["sha256"] == nb201.sha256
        assert record.scores == {name: float(nb201.accuracy([cell], *which)[0]) for name, which in COLUMNS.items()}
        assert record.trajectory[-1]["cell"] == record.cell


def test_the_readme_quotes_the_records(records):
    (line,) = re.findall(r"^\| \*\*STC-NAS, `cpu` protocol.*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    for dataset in ("cifar10", "cifar100", "ImageNet16-120"):
        values = [record.scores[f"{dataset}-test"] for record in records]
        assert f" {np.mean(values):.2f}±{np.std(values):.2f} " in line
    assert f" {np.mean([record.total_seconds for record in records]):.0f} |" in line
