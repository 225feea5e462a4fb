"""Records, folders and the launcher: nothing is lost, nothing half-written, nothing run twice."""

import json
import signal
import sys
import time
from pathlib import Path
from subprocess import DEVNULL, PIPE

import numpy as np
import pytest
from claims import claimed_elsewhere
from processes import GUARD, Held, start
from records import untimed

from nasbench_stc import Cell, open_benchmark, search
from nasbench_stc.benchmark.base import Key
from nasbench_stc.benchmark.table import TableBenchmark
from nasbench_stc.engine import checkpoint
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.errors import BadCallError, DataError, RunError
from nasbench_stc.methods import of_kind
from nasbench_stc.records import read_all, record
from nasbench_stc.runs import launch, status
from nasbench_stc.settings import earlier

RESULTS = Path(__file__).parents[1] / "results"
SMOKE = {"method": "stc", "dataset": "digits", "protocol": "smoke", "benchmark": "analog", "device": "cpu"}


@pytest.fixture(autouse=True)
def empty_data_dir(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("STC_BENCH_DATA", str(tmp_path_factory.mktemp("data")))


def path_of(out):
    (path,) = out.glob(f"*/{record.FILE_NAME}")
    return path


def test_a_record_holds_the_run(tmp_path):
    begun = time.perf_counter()
    done = search(**SMOKE, seed=3, out=tmp_path, noise=0.2, steps=4)
    took = time.perf_counter() - begun
    assert record.read(path_of(tmp_path)) == done
    assert (done.method, done.search_dataset, done.seed, done.protocol) == ("stc", "digits", 3, "smoke")
    assert done.settings["method"]["noise"] == 0.2
    assert done.settings["protocol"]["steps"] == 4
    assert done.changes == {"steps": 4, "noise": 0.2}
    assert [entry["epoch"] for entry in done.trajectory] == [0, 1]
    assert done.trajectory[-1]["cell"] == done.cell
    assert done.scores == {"cifar10-test": open_benchmark("analog").accuracy([Cell.parse(done.cell)])[0]}
    assert done.benchmark["name"] == "analog"
    assert len(done.benchmark["sha256"]) == 64
    assert set(done.seconds) == {"weights", "alpha", "evaluation"}
    assert 0 < done.total_seconds < took
    assert done.peak_memory["mib"] > 50
    assert (done.split["train_images"], done.split["valid_images"]) == (719, 718)
    assert {"python", "torch", "numpy"} <= done.versions.keys()
    assert sorted(p.name for p in path_of(tmp_path).parent.iterdir()) == ["record.json", "supernet.pt"]


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert untimed(search(**SMOKE, seed=3)) == untimed(search(**SMOKE, seed=3))
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_is_not_run_again(tmp_path):
    first = search(**SMOKE, out=tmp_path)
    assert search(**SMOKE, out=tmp_path) == first
    again = search(**SMOKE, out=tmp_path, resume=False)
    assert again.seconds != first.seconds
    assert untimed(again) == untimed(first)
    search(**SMOKE, out=tmp_path, noise=0.1)
    assert len(list(tmp_path.iterdir())) == 2  # another setting is another run


@pytest.mark.parametrize("method", ["stc", "darts"])
def test_a_run_of_before_some_settings_is_the_same_commands(method):
    """`form`, `compiled` and `deterministic` came later: its folder is found, and it stands with newer seeds."""
    todo = launch.plan(method, "cifar10", 0, "cpu", device="cpu")
    folder = RESULTS / todo.folder_name
    kept = json.loads((folder / record.FILE_NAME).read_text())["settings"]["protocol"]
    assert not earlier(Protocol()).keys() & kept.keys()
    assert record.read(folder / record.FILE_NAME).settings == todo.settings
    static = launch.plan(method, "cifar10", 0, "cpu", {"form": "static"}, device="cpu")
    assert static.folder_name != todo.folder_name and static.changes == {"form": "static"}


def test_a_run_that_is_made_again_is_continued_where_it_stood(tmp_path):
    """Its record of before stays until the new one is there, and does not end the new run."""
    first = search(**SMOKE, out=tmp_path)
    todo = launch.plan("stc", "digits", 0, "smoke", device="cpu")

    def stop(epoch, *_):
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch.run(todo, open_benchmark("analog"), tmp_path, resume=False, on_step=stop)
    assert record.read(path_of(tmp_path)) == first and not launch.is_done(todo, tmp_path)
    seen = []
    again = launch.run(todo, open_benchmark("analog"), tmp_path, on_step=lambda epoch, *_: seen.append(epoch))
    assert min(seen) == 1 and launch.is_done(todo, tmp_path)
    assert untimed(again) == untimed(first) and record.read(path_of(tmp_path)) == again


def test_a_run_of_before_its_method_had_a_setting_is_the_same_commands():
    todo = launch.plan("duel_ls", "cifar10", 0, "cpu", device="cpu")
    assert "moves" in todo.settings["method"] and launch.is_done(todo, RESULTS)
    kept = record.read(RESULTS / todo.folder_name / record.FILE_NAME)
    assert todo.settings["method"] == {**kept.settings["method"], "moves": 0}
    one = launch.plan("duel_ls", "cifar10", 0, "cpu", {"moves": 1}, device="cpu")
    assert one.folder_name != todo.folder_name and "moves" in one.naming["method"]


def test_a_finished_run_is_looked_up_in_another_benchmark(tmp_path):
    first = search(**SMOKE, out=tmp_path)
    values = np.linspace(0, 100, 15_625)
    keys = [Key(dataset, "test", 200, None) for dataset in ("cifar10", "cifar100")]
    other = TableBenchmark("other", "made here", tmp_path / "o", "f" * 64, {(key, "accuracy"): values for key in keys})
    second = search(**SMOKE | {"benchmark": other}, out=tmp_path)
    assert second.scores == dict.fromkeys(("cifar10-test", "cifar100-test"), values[Cell.parse(first.cell).index])
    assert second.benchmark == {"name": "other", "about": "made here", "file": "o", "sha256": "f" * 64}
    assert second.trajectory == first.trajectory
    assert record.read(path_of(tmp_path)) == second
    assert search(**SMOKE, out=tmp_path) == first
    assert record.read(path_of(tmp_path)) == second  # which has a column more: nothing is lost


def test_a_finished_run_is_looked_up_in_another_column_of_the_same_file(tmp_path):
    first = search(**SMOKE | {"benchmark": "analog"}, out=tmp_path)
    second = search(**SMOKE | {"benchmark": "analog:noisy"}, out=tmp_path)
    assert second.benchmark["sha256"] == first.benchmark["sha256"]
    assert second.scores == {"cifar10-test": open_benchmark("analog:noisy").accuracy([Cell.parse(first.cell)])[0]}
    assert second.trajectory == first.trajectory
    assert record.read(path_of(tmp_path)) == second


def test_a_run_in_progress_is_not_run_twice(tmp_path):
    todo = launch.plan("stc", "digits", 0, "smoke", device="cpu")
    folder = tmp_path / todo.folder_name
    folder.mkdir()
    with claimed_elsewhere(folder), pytest.raises(RunError, match="another process is running this very search"):
        search(**SMOKE, out=tmp_path)
    assert not (folder / record.FILE_NAME).exists()
    assert search(**SMOKE, out=tmp_path).seed == 0


ARGUMENTS = ["search", "--dataset", "digits", "--protocol", "smoke", "--benchmark", "analog", "--device", "cpu"]


def test_a_stopped_run_continues_to_the_same_end(stc_bench, tmp_path):
    """Within an epoch and while what it came to is written; the record is that of the run that was never stopped."""
    out = tmp_path / "out"
    command = [*ARGUMENTS, "--set", "epochs=4", "--seeds", "7,", "--out", out]
    folder = out / launch.plan("stc", "digits", 7, "smoke", {"epochs": 4}, "cpu").folder_name
    held = Held(tmp_path / "held", "one-shot")
    terminated = (143, "\nError: terminated; the same command continues where it stood\n")
    for number, place, at, ended, left in (
        (signal.SIGKILL, "step", 1, (-signal.SIGKILL, ""), {".json", ".pt", ".0"}),
        (signal.SIGKILL, "write", 2, (-signal.SIGKILL, ""), {".json", ".pt", ".1", ".partial"}),
        (signal.SIGTERM, "write", 3, terminated, {".json", ".pt"}),
    ):
        held.hold(stc=(place, at))
        process = held.start(*command, stdout=PIPE, stderr=PIPE)
        held.wait(process, place, at)
        process.send_signal(number)
        _, err = process.communicate(timeout=GUARD)
        assert (process.returncode, err) == ended
        assert {path.suffix for path in folder.iterdir()} == left
        state, found = status.look(folder)[1:]
        assert state == ("lost" if number == signal.SIGKILL else "stopped")
        assert (found.epoch == 3 and found.loss > 0 and found.pid == process.pid) or number == signal.SIGKILL
        assert len(checkpoint.load(folder / checkpoint.FILE_NAME)["trajectory"]) == at - (place == "write")
    assert stc_bench(*command)[::2] == (0, "")
    assert status.look(folder).state == "done"
    assert sorted(p.name for p in folder.iterdir()) == ["record.json", "supernet.pt"]
    assert untimed(record.read(folder / record.FILE_NAME)) == untimed(search(**SMOKE, seed=7, epochs=4))


def test_how_many_ran_side_by_side_is_remembered_when_a_run_continues(tmp_path):
    todo, benchmark = launch.plan("stc", "digits", 0, "smoke", device="cpu"), open_benchmark("analog")

    def stop_in_second(epoch, *_):
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch.run(todo, benchmark, tmp_path, on_step=stop_in_second, side_by_side=3)
    assert launch.run(todo, benchmark, tmp_path, side_by_side=2).side_by_side == 3
    assert search(**SMOKE, seed=1, out=tmp_path).side_by_side == 1


def test_every_method_continues_where_it_was_killed(stc_bench, tmp_path):
    """Each of the baselines killed by SIGKILL within its second epoch, against the same command left alone."""
    names = [name for name in of_kind("one-shot") if name != "stc"]
    command = [*ARGUMENTS, "--seeds", "1", "--set", "epochs=3", "--out"]
    killed, whole, every = tmp_path / "killed", tmp_path / "whole", ["--method", ",".join(names)]
    held = Held(tmp_path / "held", "one-shot")
    assert held.start(json.dumps(names), *command, killed, script="killed_in_turn.py", stdout=DEVNULL).wait() == 0
    for name in names:
        folder = killed / launch.plan(name, "digits", 0, "smoke", {"epochs": 3}, "cpu").folder_name
        assert {path.name for path in folder.iterdir()} == {"checkpoint.pt", "status.json", ".claim.0"}
    assert stc_bench(*command, killed, *every)[::2] == stc_bench(*command, whole, *every)[::2] == (0, "")
    (one, problems), (other, _) = read_all([killed]), read_all([whole])
    assert not problems
    assert sorted(record.method for record in one) == sorted(names)
    assert list(map(untimed, one)) == list(map(untimed, other))


def test_two_processes_write_into_one_folder(tmp_path):
    command = [sys.executable, "-m", "nasbench_stc", *ARGUMENTS, "--out", str(tmp_path), "--seeds"]
    processes = [start([*command, seeds], stdout=DEVNULL) for seeds in ("1,", "2,")]
    assert [process.wait() for process in processes] == [0, 0]
    records, problems = read_all([tmp_path])
    assert ([r.seed for r in records], problems) == ([1, 2], [])


def test_left_over_partial_files_are_removed(tmp_path):
    done = search(**SMOKE, out=tmp_path)
    folder = path_of(tmp_path).parent
    (folder / ".record.json.123.partial").write_text("{")
    assert search(**SMOKE, out=tmp_path) == done
    assert not list(folder.glob(".*.partial"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:100], "damaged, no JSON"),
        (lambda text: "[]", "no record of a run"),
        (lambda text: text.replace('"schema": 1', '"schema": 0'), "schema 0, this version reads 1"),
        (lambda text: text.replace('"seed"', '"sead"'), "missing: \\['seed'\\]; unknown: \\['sead'\\]"),
        (lambda text: text.replace('"cell": "|', '"cell": "', 1), "is no cell"),
    ],
)
def test_damaged_records_are_named_and_the_rest_is_read(tmp_path, damage, said):
    search(**SMOKE, out=tmp_path / "good")
    search(**SMOKE, seed=1, out=tmp_path / "bad")
    path = path_of(tmp_path / "bad")
    content = json.loads(path.read_text())
    content["trajectory"] = []
    path.write_text(damage(json.dumps(content)))
    with pytest.raises(DataError, match=said):
        record.read(path)
    records, problems = read_all([tmp_path])
    assert [r.seed for r in records] == [0]
    assert len(problems) == 1
    assert str(path) in problems[0]


def test_plans_are_checked_before_anything_runs(tmp_path):
    for bad in (
        {"method": "darts3"},
        {"dataset": "mnist"},
        {"protocol": "quick"},
        {"device": "tpu"},
        {"seed": -1},
        {"seed": "0"},
        {"channels": 0},
        {"batch_size": 5000},
        {"nose": 0.1},
        {"resolution": 5},
        {"benchmark": "nats"},
    ):
        with pytest.raises(BadCallError):
            search(**SMOKE | bad, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
