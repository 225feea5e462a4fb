"""The committed records, and that the README says what they say."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from nasbench_stc import Cell
from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.methods import of_kind, title_of
from nasbench_stc.records import read_all
from nasbench_stc.records import simulated as simulated_records
from nasbench_stc.records.ablation import ABLATIONS
from nasbench_stc.report import Inputs, gather, make_table, render
from nasbench_stc.report.published import load
from nasbench_stc.report.studies import studies
from nasbench_stc.runs import simulate
from nasbench_stc.settings import earlier

ROOT = Path(__file__).parents[1]
RESULTS = (ROOT / "docs/results.md").read_text()


@pytest.fixture(scope="module")
def records():
    records, problems = read_all([ROOT / "results"])
    assert not problems
    return [record for record in records if record.space == "tss"]


ONE_SHOT = list(of_kind("one-shot"))


def of(method, records):
    """Its runs on CIFAR-10 by protocol cpu, without those of ablations; where seeds ran on two processors, Intel's."""
    of_all = [r for r in records if (r.method, r.protocol, r.search_dataset) == (method, "cpu", "cifar10")]
    unchanged = [record for record in of_all if not record.changes]
    twice = len({record.seed for record in unchanged}) < len(unchanged)
    return [record for record in unchanged if "Intel" in record.device or not twice]


@pytest.mark.parametrize("method", ONE_SHOT)
def test_each_method_has_three_seeds_under_one_protocol(records, method):
    ours = of(method, records)
    assert sorted(record.seed for record in ours) == list(range(max(3, len(ours))))
    assert len({str(record.settings) for record in ours}) == 1
    assert all(not record.changes and "+changes" not in record.git_revision for record in ours)


@pytest.mark.parametrize(("method", "n"), [("stc", 10), ("darts", 3)])
def test_two_methods_ran_again_on_another_processor(records, method, n):
    again = [r for r in records if (r.method, r.protocol, r.search_dataset) == (method, "cpu", "cifar10")]
    again = [record for record in again if not record.changes and "AMD" in record.device]
    assert sorted(record.seed for record in again) == list(range(n))
    assert all("super_cell_accuracy" in record.supernet for record in again)


@pytest.mark.parametrize("name", [name for name in ABLATIONS if name != "study"])
def test_every_ablation_is_complete_on_digits(records, name):
    (study,) = [one for one in studies(Inputs.of(records), name) if one.setting.dataset == "digits"]
    assert all(len(runs) >= len(ABLATIONS[name].seeds) for _, runs in study.arms)
    assert not study.runs["git_revision"].astype(str).str.contains("+changes", regex=False).any()


def test_the_methods_differ_in_the_method_alone(records):
    every = [record for method in ONE_SHOT for record in of(method, records)]
    shared = [earlier(Protocol()) | record.settings["protocol"] for record in every]
    fewer = {"steps": shared[0]["steps"] // 5}  # each of FairNAS's trains five paths
    for record, settings in zip(every, shared, strict=True):
        assert settings == (shared[0] | fewer if record.method == "fairnas" else shared[0])
    trained = [record for record in records if record.method in ONE_SHOT]
    images = defaultdict(set)
    for record in trained:
        images[record.search_dataset, record.seed].add(record.split["sha256"])
    assert all(len(split) == 1 for split in images.values())


def test_the_records_scores_are_the_tables(records, nb201):
    cells = sorted({record.cell for record in records})
    found = {name: nb201.accuracy([Cell.parse(cell) for cell in cells], *which) for name, which in COLUMNS.items()}
    places = {cell: place for place, cell in enumerate(cells)}
    for record in records:
        assert record.benchmark["sha256"] == nb201.sha256
        assert record.scores == {name: float(values[places[record.cell]]) for name, values in found.items()}
        assert (
            record.trajectory[-1]["cell"] in (None, record.cell) or record.method == "duel_ls"
        )  # which goes on from it


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


@pytest.mark.parametrize("method", ["rs", "rea", "reinforce", "bohb"])
def test_the_results_are_compared_with_published_runs(records, method):
    """Beside the row that was printed; random search and evolution within 0.15 points of it on CIFAR-10."""
    ours = simulated(method, "nas-bench-201", records)
    assert sorted(record.seed for record in ours) == list(range(500))
    name = title_of(method)
    (row,) = [row for row in load("without_supernet").rows if row.method == name]
    here, printed = [], []
    for dataset in DATASETS:
        values = [record.scores[f"{dataset}-test"] for record in ours]
        score = row.scores[f"{dataset}-test"]
        here.append(f"{np.mean(values):.2f}±{np.std(values):.2f}")
        printed.append(f"{score.mean:.2f}±{score.std:.2f}")
        if dataset == "cifar10" and method in ("rs", "rea"):
            assert abs(np.mean(values) - score.mean) < 0.15
    assert f"| {name} | {' / '.join(here)} | {' / '.join(printed)} |" in RESULTS


@pytest.mark.parametrize("method", of_kind("training-free"))
def test_each_training_free_method_has_its_runs(records, method):
    ours = [record for record in records if record.method == method]
    assert len(ours) >= 5 and not any("+changes" in record.git_revision for record in ours)


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


@pytest.mark.parametrize("path", ["README.md", "docs/results.md", "docs/study.md", "docs/darts-space.md"])
def test_the_tables_that_are_shown_are_what_the_records_give(regenerate, nb201, path):
    text = (ROOT / path).read_text()
    inputs = regenerate.PAGES[path](nb201.path)
    assert regenerate.filled(text, inputs) == text, "run docs/regenerate.py"
    assert "<!-- generated: " in text


def test_the_summary_says_what_the_records_say(regenerate, records, nb201):
    """Against plain numpy, for a row of each kind."""
    rows = {row.values["method"]: row.values for row in make_table("summary", regenerate.read(nb201.path)).rows}
    own = {"SETN": "setn", "REA": "rea", "NASWOT": "naswot"}
    for name, method in own.items():
        ours = [r for r in records if r.method == method and r.protocol in ("cpu", "nats-bench", "untrained")]
        of_dataset = [r for r in ours if r.search_dataset == "cifar10" or name != "REA"]
        values = [record.scores["cifar10-test"] for record in of_dataset]
        assert rows[name]["cifar10-test"].mean == pytest.approx(np.mean(values))
        assert rows[name]["cifar10-test"].std == pytest.approx(np.std(values))
        assert rows[name]["n"] == len(values)
    assert rows["STC-NAS"]["ImageNet16-120-test"].mean == 45.03  # the last row of that name is the paper's
    assert rows["largest cell"]["cifar10-test"].mean == pytest.approx(93.76, abs=0.005)
    assert rows["best cell of each column"]["cifar100-test"].mean == pytest.approx(73.51, abs=0.005)


@pytest.mark.parametrize("name", ["summary", "6", "differences"])
def test_no_two_rows_of_a_section_have_one_name(regenerate, nb201, name):
    rows = [(row.section, row.values["method"]) for row in make_table(name, regenerate.read(nb201.path)).rows]
    assert len(rows) == len(set(rows)) > 25


def test_table_6_fits_a_terminal(regenerate, nb201):
    """90 lines of 100 columns with all of ours on the benchmark's data sets, and the rest with --notes."""
    table = make_table(6, regenerate.read(nb201.path))
    lines = render(table, "text", 100).splitlines()
    assert len(lines) <= 90 and max(map(len, lines)) <= 100
    assert all(
        any(line.startswith(f"  {row.values['method']} ") for line in lines)
        for row in table.rows
        if row.details.get("seeds") and "digits" not in row.section
    )
    assert len(render(table, "text", 100, notes=True).splitlines()) > 150


def test_table_3_is_made_from_committed_profiles():
    inputs = gather([ROOT / "results"], "analog")
    assert not inputs.problems
    profiles = inputs.profiles
    points = [point for profile in profiles for point in profile.points]
    measured = {(point.method, point.cells_per_stage) for point in points if point.batch_size == 64}
    assert measured >= {(method, depth) for method in ONE_SHOT for depth in (5, 1)}
    assert all("+changes" not in point.git_revision for point in points)
