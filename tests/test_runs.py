"""Records, folders and the launcher: nothing is lost, nothing half-written, nothing run twice."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from filelock import FileLock
from records import untimed

from nasbench_stc import Cell, open_benchmark, search
from nasbench_stc.benchmark.base import Key
from nasbench_stc.benchmark.table import TableBenchmark
from nasbench_stc.errors import BadCallError, DataError, RunError
from nasbench_stc.methods import of_kind
from nasbench_stc.runs import launch, read_all, record

SMOKE = {"method": "stc", "dataset": "digits", "protocol": "smoke", "benchmark": "analog", "device": "cpu"}


@pytest.fixture(autouse=True)
def empty_data_dir(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("STC_BENCH_DATA", str(tmp_path_factory.mktemp("data")))


def path_of(out):
    (path,) = out.glob(f"*/{record.FILE_NAME}")
    return path


def test_a_record_holds_the_run(tmp_path):
    done = search(**SMOKE, seed=3, out=tmp_path, noise=0.2, steps=4)
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
    assert 0 < done.total_seconds < 60
    assert done.peak_memory["mib"] > 50
    assert (done.split["train_images"], done.split["valid_images"]) == (719, 718)
    assert {"python", "torch", "numpy"} <= done.versions.keys()
    assert sorted(p.name for p in path_of(tmp_path).parent.iterdir()) == [".lock", "record.json", "supernet.pt"]


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
    with FileLock(folder / ".lock"), pytest.raises(RunError, match="another process is running this very search"):
        search(**SMOKE, out=tmp_path)
    assert not (folder / record.FILE_NAME).exists()
    assert search(**SMOKE, out=tmp_path).seed == 0


COMMAND = [sys.executable, "-m", "nasbench_stc", "search", "--dataset", "digits", "--protocol", "smoke", "--benchmark"]
COMMAND += ["analog", "--device", "cpu", "--set", "epochs=40", "--set", "steps=10"]


def test_a_killed_run_continues_to_the_same_end(tmp_path):
    """SIGKILL at three moments; the same command each time; the record is that of the run that was never killed."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [*COMMAND, "--seeds", "7,", "--out", str(tmp_path / "killed")]
    folder = (
        tmp_path / "killed" / launch.plan("stc", "digits", 7, "smoke", {"epochs": 40, "steps": 10}, "cpu").folder_name
    )
    checkpoint, finished = folder / "checkpoint.pt", folder / record.FILE_NAME
    kills = 0
    for delay in (0.0, 0.15, 0.4):
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (checkpoint.exists() and checkpoint.stat().st_mtime_ns != before):
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 3
    assert not finished.exists()
    assert checkpoint.exists()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert sorted(p.name for p in folder.iterdir()) == [".lock", "record.json", "supernet.pt"]
    whole = [*COMMAND, "--seeds", "7,", "--out", str(tmp_path / "whole")]
    subprocess.run(whole, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert untimed(record.read(finished)) == untimed(record.read(path_of(tmp_path / "whole")))


def test_every_method_continues_where_it_was_killed(tmp_path):
    """One command over the baselines, killed by SIGKILL within each in turn, against the same one left alone."""
    names = [name for name in of_kind("one-shot") if name != "stc"]
    changes = {"epochs": 6, "steps": 10, "batch_size": 32}
    command = [*COMMAND, "--method", ",".join(names), "--seeds", "1"]
    command += [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    killed, whole = [*command, "--out", str(tmp_path / "killed")], [*command, "--out", str(tmp_path / "whole")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    left = subprocess.Popen(whole, env=environment, stdout=subprocess.DEVNULL)
    for name in names:
        folder = tmp_path / "killed" / launch.plan(name, "digits", 0, "smoke", changes, "cpu").folder_name
        process = subprocess.Popen(killed, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (folder / "checkpoint.pt").exists():
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert (folder / "checkpoint.pt").exists(), f"{name} was killed before its first epoch or after its last one"
    subprocess.run(killed, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert left.wait() == 0
    (one, problems), (other, _) = read_all([tmp_path / "killed"]), read_all([tmp_path / "whole"])
    assert not problems
    assert sorted(record.method for record in one) == sorted(names)
    assert list(map(untimed, one)) == list(map(untimed, other))


def test_two_processes_write_into_one_folder(tmp_path):
    commands = [[*COMMAND, "--set", "epochs=3", "--seeds", seeds, "--out", str(tmp_path)] for seeds in ("1,", "2,")]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
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
