"""What the speed benchmarks count and measure with, on cases that can be told by hand."""

import json
from types import SimpleNamespace

import blackbox_speed
import many_runs
import measuring
import numpy as np
import pytest
import ranking_cost
import score_agreement
import side_by_side
import step_floor
import step_speed
import torch
from click.testing import CliRunner
from rich.console import Console

from nasbench_stc.benchmark.metrics import FILES, TRAINING_FREE
from nasbench_stc.report.frames import load_runs
from nasbench_stc.space import EDGES

SIZE = measuring.Size(8, 1, 8, 4)


def test_work_of_one_convolution():
    # 0 -> 3 alone: in each stage one 3x3 convolution; stem and reductions are always there.
    active = ((0,), (0,), (0,), (3,), (0,), (0,))
    pixels = 4 * 8 * 8
    stages = [(pixels, 8), (pixels // 4, 16), (pixels // 16, 32)]
    cells = sum(n * c * c * 9 for n, c in stages)
    reductions = sum(n * c // 2 * c * 9 + n * c * c * 9 + n * c // 2 * c for n, c in stages[1:])
    stem = pixels * 27 * 8
    assert step_floor.work(active, SIZE, True).macs == 3 * (cells + reductions) + 2 * stem
    assert step_floor.work(active, SIZE, False).macs == 2 * (cells + reductions) + stem


def test_work_is_only_what_reaches_the_result():
    assert step_floor.work(((3,), (3,), (3,), (0,), (0,), (0,)), SIZE, True).macs == 0
    one, all_mixed = (step_floor.work(active, SIZE, True) for active in (((3,),) * 6, measuring.full()))
    assert one.macs < all_mixed.macs < 1.3 * one.macs
    assert one.bytes < all_mixed.bytes


def test_paths_are_the_same_ones_always():
    assert measuring.drawn_paths(5)[:3] == measuring.drawn_paths(3)
    assert {ops for path in measuring.drawn_paths(50) for ops in path} == {(op,) for op in range(5)}
    assert (0,) not in {ops for path in measuring.drawn_paths(50, none=False) for ops in path}


def test_peak_memory_is_of_the_tensors():
    def step():
        first = torch.ones(3 * measuring.MIB // 4)
        second = first + 1
        del first, second
        torch.ones(2 * measuring.MIB // 4)

    assert 6.0 <= measuring.peak_memory(step, "cpu") < 6.1


def test_all_operations_on_all_edges():
    assert measuring.full() == ((0, 1, 2, 3, 4),) * len(EDGES)


def test_step_speed_says_what_it_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(step_speed, "SIZES", {"tiny": SIZE})
    threads = torch.get_num_threads()
    try:
        done = CliRunner().invoke(
            step_speed.main, ["--device", "cpu", "--rounds", "2", "--out", str(tmp_path / "f.json")]
        )
    finally:
        torch.set_num_threads(threads)
    assert done.exit_code == 0, done.output
    assert "all mixed" in done.output
    assert (tmp_path / "f.json").read_text().count('"mib_mean"') == 2


def test_ranking_cost_says_what_it_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(ranking_cost, "SIZES", {"cpu": SIZE})
    threads = torch.get_num_threads()
    args = ["--device", "cpu", "--rounds", "1", "--cells", "20", "--no-all", "--batch", "4"]
    try:
        done = CliRunner().invoke(ranking_cost.main, [*args, "--out", str(tmp_path / "f.json")])
    finally:
        torch.set_num_threads(threads)
    assert done.exit_code == 0, done.output
    (found,) = json.loads((tmp_path / "f.json").read_text())["figures"]
    assert found["different paths"] <= found["cells"] == 20
    assert found["ratio"] > 0


def test_blackbox_speed_says_what_it_measured(nats_folder, nats_table, tmp_path):
    args = ["--benchmark", "analog", "--runs", "3", "--methods", "rs,ls", "--rounds", "1", "--folder", str(nats_folder)]
    done = CliRunner().invoke(
        blackbox_speed.main, [*args, "--table", str(nats_table), "--out", str(tmp_path / "f.json")]
    )
    assert done.exit_code == 0, done.output
    assert "rea beside nats_bench" in done.output
    found = json.loads((tmp_path / "f.json").read_text())
    assert [(one["method"], one["runs"], one["queries_a_run"]) for one in found["here"]] == [
        ("rs", 3, 200),
        ("ls", 3, 200),
    ]
    assert found["ratio"].keys() == blackbox_speed.MEASURES.keys()
    assert all(seconds > 0 for seconds in found["rounds"][0].values())


def test_blackbox_speed_drives_both_sides_alike(nats_folder, nats_table):
    cells = [0, 11, 284]
    ours, theirs = blackbox_speed.of_ours(nats_table, cells)(5), blackbox_speed.of_api(nats_folder, cells)(5)
    for queries in (ours, theirs):  # of 61 to 154 s each
        assert 20_000 / 154 - 1 < queries < 20_000 / 60 + 1


def test_score_agreement_compares_what_both_have():
    ours = np.array([1.0, 2.0, -np.inf, 4.0, 5.0])
    found = score_agreement.compare(ours, np.array([10.0, 20.0, 0.0, np.nan, 15.0]))
    assert (found["n"], found["spearman"]) == (4, 0.8)
    assert found["tau_b"] == pytest.approx(2 / 3, abs=1e-3)
    known = {column.name for column in FILES[TRAINING_FREE].values()}
    assert {name for columns in score_agreement.PUBLISHED.values() for name in columns} <= known


def test_side_by_side_divides_by_what_the_machine_does(monkeypatch, tmp_path, stc_bench):
    def run(command, **_):
        assert command[1:3] == ["-m", "nasbench_stc"]
        assert stc_bench(*command[3:])[::2] == (0, "")

    monkeypatch.setattr(side_by_side, "multiplications", lambda at_once: 1.0 + (at_once == 2))
    monkeypatch.setattr(side_by_side, "subprocess", SimpleNamespace(run=run, DEVNULL=None))  # here: its workers start
    out = tmp_path / "figures.json"
    done = CliRunner().invoke(side_by_side.main, ["--protocol", "smoke", "--rounds", "1", "--out", str(out)])
    assert done.exit_code == 0, done.output
    figures = json.loads(out.read_text())
    assert figures["machine"] == 2.0
    assert figures["searches / machine"] == pytest.approx(figures["searches"] / 2) and figures["searches"] > 0


def test_made_up_runs_are_ones(tmp_path):
    methods = len(many_runs.patterns("cpu"))
    assert many_runs.make(tmp_path, "cpu", methods + 2, Console(quiet=True)) > 0
    runs = load_runs(tmp_path)
    assert len(runs) == len(runs[["method", "seed"]].drop_duplicates()) == methods + 2
    assert runs["cifar10-test"].nunique() == methods + 2
    assert many_runs.sizes(tmp_path)["inodes"] == 2 * (methods + 2)
    beside = many_runs.beside("smoke")
    assert 100_000 < beside["supernet_bytes"] < beside["checkpoint_bytes"] < 400_000
