"""The paper's ablations: their arms are runs that a search makes, and records find their arm."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from nasbench_stc import open_benchmark
from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.errors import BadCallError
from nasbench_stc.records.ablation import ABLATIONS, Search, belongs, find_ablation, is_of_ablation
from nasbench_stc.runs import launch
from nasbench_stc.runs.ablation import plans
from nasbench_stc.runs.launcher import run_many


@pytest.mark.parametrize("name", ABLATIONS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_arms_changes_are_what_a_record_of_it_says(name: str, protocol: str) -> None:
    ablation = ABLATIONS[name]
    assert bool(ablation.of("cifar10", protocol)) == (protocol in ablation.protocols)
    for dataset in ("cifar10", "cifar100"):
        for arm in ablation.of(dataset, protocol):
            todo = launch.plan(arm.method, arm.dataset or dataset, 0, protocol, arm.changes, "cpu")
            assert todo.changes == dict(arm.changes)


@pytest.mark.parametrize("name", ABLATIONS)
def test_arms_differ_and_one_is_the_search_as_it_is(name: str) -> None:
    for protocol in ABLATIONS[name].protocols:
        arms = ABLATIONS[name].of("cifar10", protocol)
        assert len({(arm.method, arm.dataset, str(dict(arm.changes))) for arm in arms}) == len(arms)
        assert sum(arm.is_usual for arm in arms) == (name != "epochs")


def test_what_the_paper_varies() -> None:
    def arms(name: str, protocol: str = "paper", dataset: str = "cifar10") -> dict[str, dict[str, object]]:
        return {arm.label: dict(arm.changes) for arm in ABLATIONS[name].of(dataset, protocol)}

    assert [find_ablation("noise").of("cifar10", "cpu")[place].label for place in range(4)] == [
        "0",
        "0.1",
        "0.3",
        "0.5",
    ]
    assert arms("lambda")["1→2"] == {"lambda_start": 1.0} and arms("lambda")["0→2"] == {}
    assert arms("consistency")["not depth/width"] == {"cells_per_stage": 2, "channels": 8}  # L = 8, as the paper's
    assert arms("consistency", "cpu")["not depth/width"] == {"channels": 8}  # N is 1 already
    assert arms("epochs")["DARTS"] == {"epochs": 150}
    assert "not task dataset" not in arms("consistency", "digits", "digits")
    (other,) = [arm for arm in ABLATIONS["consistency"].of("cifar100", "cpu") if arm.dataset]
    assert other.dataset == "cifar10"


def test_the_study_is_of_the_short_protocols() -> None:
    with pytest.raises(BadCallError, match="ablation study is of the protocols cpu, digits: give --protocol"):
        plans("study", protocol="paper", device="cpu")
    todo = plans("study", protocol="cpu", device="cpu")
    assert {plan.seed for plan in todo} == {100, 101, 102, 103, 104}
    assert {plan.method.name for plan in todo} == {
        "stc",
        "darts",
        "drnas",
        "duel",
        "twins",
        "paired_twins",
        "elimination",
        "duel_ls",
    }


def test_final_searches_with_an_arms_settings_are_not_of_the_study() -> None:
    for seed, inside in ((100, True), (3, False)):
        assert is_of_ablation(Search("twins", "cifar10", "cpu", {"alpha_lr": 3e-3}, seed)) is inside
    assert is_of_ablation(Search("stc", "cifar10", "cpu", {"lambda_end": 0.0}, 3))  # of Table 7


def test_an_unknown_ablation_is_refused() -> None:
    with pytest.raises(BadCallError, match="unknown ablation 'x': choose from activation, noise"):
        plans("x")


def test_an_ablation_runs_resumes_and_its_records_find_their_arms(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("STC_BENCH_DATA", str(tmp_path / "empty"))
    again = plans("activation", "digits", [0, 1], "smoke", "cpu"), open_benchmark("analog"), tmp_path
    records = run_many(*again)
    arms = ABLATIONS["activation"].of("digits", "smoke")
    assert [belongs(record, arm, "digits") for record, arm in zip(records, arms * 2, strict=True)] == [True] * 6
    assert [is_of_ablation(record) for record in records] == [True, True, False] * 2
    assert [record.seed for record in records] == [0, 0, 0, 1, 1, 1]
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/record.json")}
    assert len(written) == 6
    run_many(*again)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/record.json")} == written
    assert not belongs(replace(records[0], changes={"noise": 0.1}), arms[0], "digits")


def test_ablate_from_the_command_line(stc_bench, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("STC_BENCH_DATA", str(tmp_path / "empty"))
    status, out, _ = stc_bench("ablate")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(ABLATIONS)
    call = ("ablate", "epochs", "--dataset", "digits", "--protocol", "smoke", "--seeds", "1", "--device", "cpu")
    status, out, _ = stc_bench(*call, "--out", tmp_path / "out")
    assert status == 0
    assert "Figure 8" in out
    for method in ("stc", "darts"):
        assert re.search(rf"\n{method} epochs=6 seed 0 = \d+ = \|", out)
    assert "stc-bench report --figure 8 --out figure8.pdf" in out
    status, out, _ = stc_bench(*call, "--out", tmp_path / "out")
    assert out.count("done before") == 2
    status, _, err = stc_bench("ablate", "nonsense")
    assert status == 2 and "choose from activation" in err
