"""Several runs at a time: the same records as one at a time, whatever becomes of a worker or of who started it."""

import io
import os
import signal
import subprocess
import sys
import time

import pytest
import worker_tasks
from filelock import FileLock
from records import untimed
from rich.console import Console

from nasbench_stc import open_benchmark, search
from nasbench_stc.cli.bars import Bars
from nasbench_stc.errors import BadCallError, DataError, RunError, describe
from nasbench_stc.runs import launch, read_all, record, workers
from nasbench_stc.runs.watch import Watcher

SMOKE = {"method": "stc", "dataset": "digits", "protocol": "smoke", "device": "cpu"}
ARGUMENTS = ["search", "--dataset", "digits", "--protocol", "smoke", "--device", "cpu", "--benchmark", "analog"]


@pytest.fixture(autouse=True)
def empty_data_dir(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("STC_BENCH_DATA", str(tmp_path_factory.mktemp("data")))


class Diary(Watcher):
    """Notes what it is told."""

    def __init__(self):
        self.begun, self.steps, self.ended, self.errors = [], {}, [], {}

    def begin(self, todo):
        self.begun.append(todo.seed)

    def step(self, todo, *at):
        self.steps.setdefault(todo.seed, []).append(at)

    def end(self, todo):
        self.ended.append(todo.seed)

    def failed(self, todo, error):
        self.errors[todo.seed] = error


def test_jobs_give_the_records_of_one_at_a_time(stc_bench, tmp_path):
    status, out, err = stc_bench(*ARGUMENTS, "--seeds", "3", "--jobs", "2", "--out", tmp_path)
    assert (status, err) == (0, "")
    assert "seeds 0, 1, 2 (2 at a time)" in out.splitlines()[1]
    records, problems = read_all([tmp_path])
    assert not problems
    assert [untimed(done) for done in records] == [untimed(search(**SMOKE, seed=seed)) for seed in range(3)]
    for done in records:
        assert f"seed {done.seed}: epoch 2/2, 100%" in out
        assert f"seed {done.seed}: {done.cell}" in out
    assert all(
        {path.name for path in folder.iterdir()} == {".lock", "record.json", "supernet.pt"}
        for folder in tmp_path.iterdir()
    )


def test_a_run_that_fails_leaves_the_others(tmp_path):
    plans = [launch.plan(**SMOKE, seed=seed) for seed in range(3)]
    first = search(**SMOKE, seed=0, out=tmp_path, benchmark="analog")
    taken = tmp_path / plans[1].folder_name
    taken.mkdir()
    diary = Diary()
    with FileLock(taken / ".lock"), pytest.raises(RunError) as caught:
        launch.run_many(plans, open_benchmark("analog"), tmp_path, jobs=2, watch=diary)
    assert str(caught.value).startswith(f"stc seed 1: {taken}: another process is running this very search")
    assert str(caught.value).endswith("(2 of 3 runs are done, their records kept)")
    assert "in _run_in" not in str(caught.value)
    assert "workers.py" in caught.value.__cause__.__notes__[0]  # where it was raised, for --debug
    assert (diary.begun, diary.ended, list(diary.errors)) == ([0, 1, 2], [0, 2], [1])
    assert list(diary.steps) == [2]
    assert diary.steps[2][0] == (0, 2, 0, 3)
    assert diary.steps[2][-1] == (1, 2, 2, 3)
    again = launch.run_many(plans, open_benchmark("analog"), tmp_path, jobs=2)
    assert [done.seed for done in again] == [0, 1, 2]
    assert again[0] == first


def test_what_fails_every_run_is_said_as_of_one(stc_bench, tmp_path):
    args = [*ARGUMENTS, "--dataset", "cifar10", "--seeds", "2", "--out", tmp_path / "out"]
    status, _, alone = stc_bench(*args)
    assert (status, alone.count("\n")) == (1, 1)
    assert stc_bench(*args, "--jobs", "2")[::2] == (1, alone)
    assert not (tmp_path / "out").exists()


def test_however_a_worker_ends_it_is_told_and_the_others_go_on(nb201):
    plans = [launch.plan(**SMOKE, seed=seed) for seed in range(7)]
    diary = Diary()
    with pytest.warns(UserWarning, match="mind the step"):
        outcomes = workers.side_by_side(worker_tasks.misbehave, plans, nb201, 3, 1, diary)
    counted, killed, left, odd, ours, asked, refused = outcomes
    assert counted == "counted"
    assert diary.steps[0][0] == (0, 1, 0, worker_tasks.STEPS)
    assert diary.steps[0][-2:] == [(0, 1, worker_tasks.STEPS - 1, worker_tasks.STEPS), (0, 2, 0, worker_tasks.STEPS)]
    assert len(diary.steps[0]) < 20  # of 3001 that took a moment
    assert isinstance(killed, RunError)
    assert "signal 9 (Killed); if memory ran out, lower --jobs" in str(killed)
    assert isinstance(left, RunError)
    assert "with status 7" in str(left)
    assert describe(odd).startswith("RuntimeError: Odd: one and two (unexpected")
    assert "in misbehave" in odd.__notes__[0]
    assert type(ours) is DataError
    assert describe(ours) == "the file is damaged"
    assert asked == (nb201.accuracy([9930]).tolist(), nb201.name, nb201.path.name, nb201.sha256)
    assert isinstance(refused, Exception)  # raised by the benchmark here, and there, and brought back
    assert (sorted(diary.ended), sorted(diary.errors)) == ([0, 5], [1, 2, 3, 4, 6])


def test_bars_of_many_seeds_fit_the_terminal():
    plans = [launch.plan(**SMOKE, seed=seed) for seed in range(9)]
    shown = io.StringIO()
    with Bars(Console(file=shown, force_terminal=True, width=80, height=5)) as bars:
        for todo, before in zip(plans, [None, *plans], strict=False):
            bars.begin(todo)
            bars.step(todo, 0, 2, 1, 3)
            if before:
                bars.end(before)
        shown.truncate(shown.seek(0))
        bars._progress.refresh()
        now = shown.getvalue()
    assert [seed for seed in range(9) if f"seed {seed}" in now] == [5, 6, 7, 8]
    assert now.count("epoch 2/2") == 3
    assert now.count("epoch 1/2") == 1
    assert "33%" in now


def test_jobs_have_to_be_a_number_of_them(tmp_path):
    with pytest.raises(BadCallError, match="jobs=0"):
        launch.run_many([launch.plan(**SMOKE)], open_benchmark("analog"), tmp_path, jobs=0)


def test_stopped_in_any_way_no_worker_stays_and_the_same_command_continues(tmp_path):
    """Ctrl-C (to all of the group), an interrupt of the one process, and SIGKILL, then to the end."""
    changes = {"epochs": 40, "steps": 3}
    plans = [launch.plan(**SMOKE, seed=seed, changes=changes) for seed in range(2)]
    checkpoints = [tmp_path / todo.folder_name / "checkpoint.pt" for todo in plans]
    command = [sys.executable, "-m", "nasbench_stc", *ARGUMENTS, "--set", "epochs=40", "--set", "steps=3"]
    command += ["--seeds", "2", "--jobs", "2", "--out", str(tmp_path)]
    started = {
        "env": os.environ | {"OMP_NUM_THREADS": "2"},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "start_new_session": True,
        "text": True,
    }
    interrupted = "\nError: interrupted; the same command continues where it stood\n"
    for stop, number, status, said in (
        (os.killpg, signal.SIGINT, 130, interrupted),
        (os.kill, signal.SIGINT, 130, interrupted),
        (os.kill, signal.SIGKILL, -signal.SIGKILL, ""),
    ):
        before = list(map(modified, checkpoints))
        process = subprocess.Popen(command, **started)
        while process.poll() is None and any(map(int.__eq__, map(modified, checkpoints), before)):
            time.sleep(0.005)
        stop(process.pid, number)
        _, err = process.communicate(timeout=20)  # which ends when no process is left that could write
        assert (process.returncode, err) == (status, said)
        assert all(path.exists() and not path.with_name(record.FILE_NAME).exists() for path in checkpoints)
    done = subprocess.run(command, **started, check=True)
    assert done.stderr == ""
    expected = [untimed(search(**SMOKE, seed=seed, benchmark="analog", **changes)) for seed in range(2)]
    assert expected[0].threads == 1  # half of the two
    assert list(map(untimed, read_all([tmp_path])[0])) == expected


def modified(path):
    return path.stat().st_mtime_ns if path.exists() else 0
