"""The committed records, and that the README says what they say."""

import re
from pathlib import Path

import numpy as np
import pytest

from nasbench_stc import Cell
from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.methods import of_kind
from nasbench_stc.report import Inputs, gather, make_table, render
from nasbench_stc.report.groups import DISPLAY_NAMES
from nasbench_stc.report.published import load_without_supernet
from nasbench_stc.runs import read_all, simulate
from nasbench_stc.runs import simulated as simulated_records

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
    cells = sorted({record.cell for record in records})
    found = {name: nb201.accuracy([Cell.parse(cell) for cell in cells], *which) for name, which in COLUMNS.items()}
    places = {cell: place for place, cell in enumerate(cells)}
    for record in records:
        assert record.benchmark["sha256"] == nb201.sha256
        assert record.scores == {name: float(values[places[record.cell]]) for name, values in found.items()}
        assert record.trajectory[-1]["cell"] in (None, record.cell)


@pytest.mark.parametrize("method", ONE_SHOT)
def test_the_readme_quotes_the_records(records, method):
    (line,) = re.findall(rf"^\| \*\*{re.escape(DISPLAY_NAMES[method])}\*\* \|.*$", README, re.MULTILINE)
    ours = of(method, records)
    for dataset in ("cifar10", "cifar100", "ImageNet16-120"):
        values = [record.scores[f"{dataset}-test"] for record in ours]
        assert f" {np.mean(values):.2f}±{np.std(values):.2f} " in line
    assert f" {np.mean([record.total_seconds for record in ours]):,.0f} |" in line


BLACK_BOX = of_kind("black-box")
DATASETS = ("cifar10", "cifar100", "ImageNet16-120")


def simulated(method, protocol, records):
    return [record for record in records if (record.method, record.protocol) == (method, protocol)]


@pytest.mark.parametrize("method", BLACK_BOX)
def test_each_black_box_method_has_500_runs_on_each_data_set(records, method):
    ours = simulated(method, "nats-bench", records)
    for dataset in DATASETS:
        assert [r.seed for r in ours if r.search_dataset == dataset] == list(range(500))
    assert all(not record.changes and "+changes" not in record.git_revision for record in ours)


@pytest.mark.parametrize("method", BLACK_BOX)
def test_the_readme_quotes_the_black_box_records(records, method):
    ours = simulated(method, "nats-bench", records)
    (line,) = re.findall(rf"^\| \*\*{re.escape(DISPLAY_NAMES[method])}\*\* \|.*$", README, re.MULTILINE)
    for dataset in DATASETS:
        values = [record.scores[f"{dataset}-test"] for record in ours if record.search_dataset == dataset]
        assert f" {np.mean(values):.2f}±{np.std(values):.2f} " in line
    assert line.endswith(f" {np.mean([record.evaluations for record in ours]):.0f} |")


@pytest.mark.parametrize("method", ["rs", "rea", "reinforce", "bohb"])
def test_the_readme_compares_with_published_runs(records, method):
    """Beside the row that was printed; random search and evolution within 0.15 points of it on CIFAR-10."""
    ours = simulated(method, "nas-bench-201", records)
    assert sorted(record.seed for record in ours) == list(range(500))
    name = DISPLAY_NAMES[method]
    (row,) = [row for row in load_without_supernet().rows if row.method == name]
    here, printed = [], []
    for dataset in DATASETS:
        values = [record.scores[f"{dataset}-test"] for record in ours]
        score = row.scores[f"{dataset}-test"]
        here.append(f"{np.mean(values):.2f}±{np.std(values):.2f}")
        printed.append(f"{score.mean:.2f}±{score.std:.2f}")
        if dataset == "cifar10" and method in ("rs", "rea"):
            assert abs(np.mean(values) - score.mean) < 0.15
    assert f"| {name} | {' / '.join(here)} | {' / '.join(printed)} |" in README


@pytest.mark.parametrize("method", of_kind("training-free"))
def test_the_readme_quotes_the_training_free_records(records, method):
    ours = [record for record in records if record.method == method]
    assert len(ours) >= 5 and not any("+changes" in record.git_revision for record in ours)
    (line,) = re.findall(rf"^\| \*\*{re.escape(DISPLAY_NAMES[method])}\*\* \|.*$", README, re.MULTILINE)
    for dataset in DATASETS:
        values = [record.scores[f"{dataset}-test"] for record in ours]
        assert f" {np.mean(values):.2f}±{np.std(values):.2f} " in line
    assert f"| {len(ours)} |" in line


def test_simulated_records_say_what_a_new_run_says(records, nb201):
    """The first and the last of each method, run again."""
    for path in (ROOT / "results").glob("*/runs.json"):
        kept = simulated_records.read(path)
        if kept.protocol not in simulate.PROTOCOLS["black-box"] or "scores" in kept.settings:
            continue
        todo = simulate.plan(kept.method, nb201, kept.search_dataset, kept.protocol, kept.changes)
        assert todo.folder_name == path.parent.name
        again = simulate.run_many(todo, nb201, [kept.seeds[0], kept.seeds[-1]], None)
        for seed, run in again.runs().items():
            assert run == kept.runs()[seed]


def test_the_readmes_table_6_is_what_the_command_prints(records, nb201):
    assert render(make_table(6, Inputs(records, benchmarks=[nb201])), "markdown").strip() in README


def test_table_3_is_made_from_committed_profiles():
    inputs = gather([ROOT / "results"], "analog")
    assert not inputs.problems
    profiles = inputs.profiles
    points = [point for profile in profiles for point in profile.points]
    measured = {(point.method, point.cells_per_stage) for point in points if point.batch_size == 64}
    assert measured >= {(method, depth) for method in ONE_SHOT for depth in (5, 1)}
    assert all("+changes" not in point.git_revision for point in points)
