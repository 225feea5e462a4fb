"""Several runs at a time: the same records as one at a time, whatever becomes of a worker or of who started it."""

import io
import json
import os
import pickle
import re
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from subprocess import PIPE

import pytest
import torch
import worker_tasks
from claims import claimed_elsewhere
from processes import GUARD, Held
from records import untimed
from rich.console import Console

from nasbench_stc import open_benchmark, search
from nasbench_stc.cli.bars import Bars
from nasbench_stc.engine import checkpoint
from nasbench_stc.errors import BadCallError, DataError, RunError, describe
from nasbench_stc.records import ranking, read_all, record, simulated
from nasbench_stc.runs import launch, launcher, status
from nasbench_stc.runs.launcher import Task, Watch, Way, visible_cards

SMOKE = {"method": "stc", "dataset": "digits", "protocol": "smoke", "device": "cpu"}
ARGUMENTS = ["search", "--dataset", "digits", "--protocol", "smoke", "--device", "cpu", "--benchmark", "analog"]


@pytest.fixture(autouse=True)
def empty_data_dir(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("STC_BENCH_DATA", str(tmp_path_factory.mktemp("data")))


class Diary(Watch):
    """Notes what it is told."""

    def __init__(self):
        self.begun, self.steps, self.ended, self.errors = [], {}, [], {}

    def begin(self, task):
        self.begun.append(task.name)

    def step(self, task, *at):
        self.steps.setdefault(task.name, []).append(at)
        if at == (1, 2, 2, 3) and task.name == "steps":  # which waits for it
            (task.folder / "read").touch()

    def end(self, task):
        self.ended.append(task.name)

    def failed(self, task, error):
        self.errors[task.name] = error


def test_jobs_give_the_records_of_one_at_a_time(stc_bench, tmp_path):
    status, out, err = stc_bench(*ARGUMENTS, "--seeds", "3", "--jobs", "2", "--out", tmp_path)
    assert (status, err) == (0, "")
    assert "seeds 0-2 (2 at a time)" in out.splitlines()[1]
    records, problems = read_all([tmp_path])
    assert not problems
    assert [untimed(done) for done in records] == [untimed(search(**SMOKE, seed=seed)) for seed in range(3)]
    assert [done.side_by_side for done in records] == [2, 2, 2]
    for done in records:
        assert f"seed {done.seed}: epoch 2/2, 100%" in out
        assert re.search(rf"seed {done.seed} = \d+ = {re.escape(done.cell)}\n", out)
    assert all(
        {path.name for path in folder.iterdir()} == {"record.json", "supernet.pt"} for folder in tmp_path.iterdir()
    )


def test_a_run_that_fails_leaves_the_others(tmp_path):
    plans = [launch.plan(**SMOKE, seed=seed) for seed in range(3)]
    first = search(**SMOKE, seed=0, out=tmp_path, benchmark="analog")
    taken = tmp_path / plans[1].folder_name
    diary = Diary()
    with claimed_elsewhere(taken), pytest.raises(RunError) as caught:
        launcher.run_many(plans, open_benchmark("analog"), tmp_path, way=Way(2), watch=diary)
    assert str(caught.value).startswith(f"stc seed 1: {taken}: another process is running this very search")
    assert str(caught.value).endswith("(2 of 3 runs are done, their records kept)")
    assert "in _run_in" not in str(caught.value)
    assert "folder.py" in caught.value.__cause__.__notes__[0]  # where it was raised, for --debug
    assert (diary.begun, diary.ended) == (["stc seed 1", "stc seed 2"], ["stc seed 2"])
    assert list(diary.errors) == ["stc seed 1"]
    assert "stc seed 1" not in diary.steps
    assert not (tmp_path / launcher.FOLDER).exists()
    again = launcher.run_many(plans, open_benchmark("analog"), tmp_path, way=Way(2))
    assert [done.seed for done in again] == [0, 1, 2]
    assert again[0] == first


def test_methods_of_simulated_runs_are_divided(stc_bench, tmp_path):
    command = [
        "search",
        "--method",
        "rs,rea",
        "--seeds",
        "3",
        "--set",
        "evaluations=20",
        "--benchmark",
        "analog",
        "--out",
    ]
    alone, divided = stc_bench(*command, tmp_path / "one"), stc_bench(*command, tmp_path / "two", "--jobs", "2")
    assert (alone[0], divided[0], divided[2]) == (0, 0, "")
    shown = [
        said[said.index("Cells found") :].replace(str(tmp_path / "two"), str(tmp_path / "one"))
        for said in (alone[1], divided[1])
    ]
    assert shown[0] == shown[1]
    again = stc_bench(*command, tmp_path / "two", "--jobs", "2", "--no-resume")
    assert again[0] == 0
    sessions = [simulated.read(path).sessions for path in (tmp_path / "two").glob("*/runs.json")]
    assert [[session["seeds"] for session in of] for of in sessions] == [[[0, 1, 2]]] * 2
    assert not (tmp_path / "two" / launcher.FOLDER).exists()


def test_supernets_rank_side_by_side_as_one_by_one(stc_bench, tmp_path):
    for seed in range(2):
        search(**SMOKE, seed=seed, out=tmp_path, benchmark="analog")
    command = ["rank", tmp_path, "--cells", "30", "--benchmark", "analog", "--device", "cpu"]

    def rankings(*more):
        code, shown, err = stc_bench(*command, *more)
        assert (code, err) == (0, "") and "STC-NAS" in shown
        found = [ranking.read(path) for path in sorted(tmp_path.glob("*/ranking-*.json"))]
        assert len(found) == 2
        return [(one.seed, one.cells, one.loss, one.accuracy) for one in found]

    assert rankings("--jobs", "2") == rankings("--no-resume")


def test_without_a_folder_several_at_a_time_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plans = [launch.plan(**SMOKE, seed=seed) for seed in range(2)]
    found = launcher.run_many(plans, open_benchmark("analog"), None, way=Way(2))
    assert [untimed(done) for done in found] == [untimed(search(**SMOKE, seed=seed)) for seed in range(2)]
    assert list(tmp_path.iterdir()) == []


def test_what_fails_every_run_is_said_as_of_one(stc_bench, tmp_path):
    args = [*ARGUMENTS, "--dataset", "cifar10", "--seeds", "2", "--out", tmp_path / "out"]
    status, _, alone = stc_bench(*args)
    assert (status, alone.count("\n")) == (1, 1)
    assert stc_bench(*args, "--jobs", "2")[::2] == (1, alone)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def tasks_of(nb201, tmp_path, monkeypatch):
    """Makes tasks of those of `worker_tasks`, by their names."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(Path(__file__).parent), *sys.path)))
    return lambda *names: [
        Task(name, partial(getattr(worker_tasks, name), tmp_path / name, nb201), tmp_path / name) for name in names
    ]


def asked(nb201, tmp_path, visible):
    """That a worker was answered by the same benchmark, computes with one thread, and sees these cards."""
    answer = json.loads((tmp_path / "asks" / "answer").read_text())
    assert answer == [nb201.accuracy([9930]).tolist(), nb201.name, nb201.path.name, nb201.sha256, 1, visible]


def test_a_worker_sees_the_card_that_the_command_does(nb201, tasks_of, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with pytest.warns(UserWarning, match="mind the step"):
        launcher.carry_out(tasks_of("asks"), Way(2), tmp_path / "jobs", done=1)
    asked(nb201, tmp_path, "7")


def test_however_a_worker_ends_it_is_told_and_the_others_go_on(nb201, tasks_of, tmp_path):
    tasks = tasks_of("killed", "left", "odd", "ours", "asks", "steps", "refused")
    tasks.append(Task("unborn", worker_tasks.Unborn()))
    diary = Diary()
    with pytest.warns(UserWarning, match="mind the step"), pytest.raises(RunError) as caught:
        launcher.carry_out(tasks, Way(3), tmp_path / "jobs", diary, 1)
    assert str(caught.value).endswith("(2 of 8 runs are done, their records kept)")
    assert sorted(diary.ended) == ["asks", "steps"]
    errors = diary.errors
    assert set(errors) == {"killed", "left", "odd", "ours", "refused", "unborn"}
    for name in ("killed", "left"):
        assert isinstance(errors[name], RunError)
        assert "ended without a word; if memory ran out, lower --jobs" in str(errors[name])
        (log,) = re.findall(r"what it wrote is in (.*)$", str(errors[name]))
        assert f"{name} is about to go" in Path(log).read_text()
    assert "could not begin (nasbench_stc.errors.DataError: the file is damaged)" in str(errors["unborn"])
    assert describe(errors["odd"]).startswith("RuntimeError: Odd: one and two (unexpected")
    assert "in odd" in errors["odd"].__notes__[0]
    assert type(errors["ours"]) is DataError
    assert describe(errors["ours"]) == "the file is damaged"
    assert isinstance(errors["refused"], BadCallError)
    asked(nb201, tmp_path, None)
    assert diary.steps["steps"][-1] == (1, 2, 2, 3)
    assert not any(left.is_dir() and left.name.endswith("odd") for left in (tmp_path / "jobs").iterdir())


def test_who_cannot_be_pickled_is_refused(tmp_path):
    with pytest.raises(RunError, match="cannot be handed to another process"):
        launcher.carry_out([Task("odd", partial(print, threading.Lock()))] * 2, Way(2), tmp_path / "jobs")
    assert not (tmp_path / "jobs").exists()


def test_a_benchmark_that_is_another_one_there_is_refused(tmp_path):
    opened = open_benchmark("analog")
    opened.sha256 = "0" * 64
    pickled = pickle.dumps(opened)
    assert len(pickled) < 1000  # its name, not its numbers
    with pytest.raises(DataError, match=r"benchmark analog is analog \(sha256 .*\) here, where the command was given"):
        pickle.loads(pickled)


def test_bars_of_many_seeds_fit_the_terminal():
    tasks = [Task(f"seed {seed}", print, epochs=2) for seed in range(9)]
    shown = io.StringIO()
    with Bars(Console(file=shown, force_terminal=True, width=80, height=5)) as bars:
        for task, before in zip(tasks, [None, *tasks], strict=False):
            bars.begin(task)
            bars.step(task, 0, 2, 1, 3)
            if before:
                bars.end(before)
        shown.truncate(shown.seek(0))
        bars._progress.refresh()
        now = shown.getvalue()
    assert [seed for seed in range(9) if f"seed {seed}" in now] == [5, 6, 7, 8]
    assert now.count("epoch 2/2") == 3
    assert now.count("epoch 1/2") == 1
    assert "33%" in now


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"jobs": 0}, "jobs=0"),
        ({"launcher": "pbs"}, "unknown launcher 'pbs': choose from local, slurm"),
        ({"slurm": {"partition": "gpu"}}, "go with --launcher slurm"),
        ({"wait": False}, "--no-wait goes with --launcher slurm"),
    ],
)
def test_ways_that_are_none_are_refused(call, said):
    with pytest.raises(BadCallError, match=said):
        Way(**call)


@pytest.mark.parametrize(
    ("visible", "count", "expected"),
    [
        (None, 0, [None, None, None]),
        ("", 0, ["", "", ""]),
        (None, 1, [None, None, None]),
        ("3", 1, ["3", "3", "3"]),
        (None, 2, ["0", "1", "0"]),
        ("4, 7", 2, ["4", "7", "4"]),
        ("GPU-a,GPU-b,GPU-c", 3, ["GPU-a", "GPU-b", "GPU-c"]),
        ("1,2,9", 2, ["1", "2", "1"]),  # there is no card 9
    ],
)
def test_processes_spread_over_the_cards(visible, count, expected):
    assert [visible_cards(slot, visible, count) for slot in range(3)] == expected


def test_stopped_in_any_way_no_worker_stays_and_the_same_command_continues(stc_bench, tmp_path):
    """Each time in the midst of an epoch, in the end as a background job that does not hear Ctrl-C; then to its end."""
    changes, out = {"epochs": 4}, tmp_path / "out"
    plans = [launch.plan(**SMOKE, seed=seed, changes=changes) for seed in range(2)]
    checkpoints = [out / todo.folder_name / "checkpoint.pt" for todo in plans]
    command = [*ARGUMENTS, "--set", "epochs=4", "--seeds", "2", "--jobs", "2", "--out", out]
    held = Held(tmp_path / "held", "one-shot")
    foreground, background = signal.default_int_handler, signal.SIG_IGN
    said = "\nError: {}; the same command continues where it stood\n"
    for epoch, (sigint, stop, number, ended) in enumerate(
        (
            (foreground, os.killpg, signal.SIGINT, (130, said.format("interrupted"))),  # to all of a terminal's group
            (foreground, os.kill, signal.SIGKILL, (-signal.SIGKILL, "")),
            (background, os.killpg, signal.SIGTERM, (143, said.format("terminated"))),
        ),
        start=1,
    ):
        held.hold(stc=("step", epoch))
        process = held.start(*command, sigint=sigint, stdout=PIPE, stderr=PIPE, start_new_session=True)
        held.wait(process, "step", epoch, processes=2)
        assert {seen.state for seen in status.find([out])} == {"running"}
        if sigint is background:
            os.killpg(process.pid, signal.SIGINT)
        stop(process.pid, number)
        _, err = process.communicate(timeout=GUARD)  # which ends when no process is left that could write
        assert (process.returncode, err) == ended
        assert all(path.exists() and not path.with_name(record.FILE_NAME).exists() for path in checkpoints)
        assert [len(checkpoint.load(path)["trajectory"]) for path in checkpoints] == [epoch, epoch]
        assert [seen.state for seen in status.find([out])] == ["stopped", "stopped"]
    held.hold()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert stc_bench(*command)[::2] == (0, "")
        torch.set_num_threads(1)  # which each of the two had
        expected = [untimed(search(**SMOKE, seed=seed, benchmark="analog", **changes)) for seed in range(2)]
    finally:
        torch.set_num_threads(threads)
    assert list(map(untimed, read_all([out])[0])) == expected
    assert [seen.state for seen in status.find([out])] == ["done", "done"]
