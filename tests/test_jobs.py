"""Several runs at a time: the same records as one at a time, whatever becomes of a worker or of who started it."""

import io
import os
import re
import signal
from subprocess import PIPE

import pytest
import torch
import worker_tasks
from filelock import FileLock
from processes import GUARD, Held
from records import untimed
from rich.console import Console

from nasbench_stc import open_benchmark, search
from nasbench_stc.cli.bars import Bars
from nasbench_stc.engine import checkpoint
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
    assert "seeds 0-2 (2 at a time)" in out.splitlines()[1]
    records, problems = read_all([tmp_path])
    assert not problems
    assert [untimed(done) for done in records] == [untimed(search(**SMOKE, seed=seed)) for seed in range(3)]
    for done in records:
        assert f"seed {done.seed}: epoch 2/2, 100%" in out
        assert re.search(rf"seed {done.seed} = \d+ = {re.escape(done.cell)}\n", out)
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
    messages = worker_tasks.STEPS * worker_tasks.MOMENT / workers._EVERY
    assert 0.9 * messages < len(diary.steps[0]) < messages + 3  # of 3001 steps
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
        if sigint is background:
            os.killpg(process.pid, signal.SIGINT)
        stop(process.pid, number)
        if number == signal.SIGKILL:
            held.hold()  # a worker finds out when it next tells of a step: within the last epoch at the latest
        _, err = process.communicate(timeout=GUARD)  # which ends when no process is left that could write
        assert (process.returncode, err) == ended
        assert all(path.exists() and not path.with_name(record.FILE_NAME).exists() for path in checkpoints)
        kept = [len(checkpoint.load(path)["trajectory"]) for path in checkpoints]
        assert kept == [epoch, epoch] or (number == signal.SIGKILL and epoch <= min(kept) <= max(kept) < 4)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert stc_bench(*command)[::2] == (0, "")
        torch.set_num_threads(1)  # which each of the two had
        expected = [untimed(search(**SMOKE, seed=seed, benchmark="analog", **changes)) for seed in range(2)]
    finally:
        torch.set_num_threads(threads)
    assert list(map(untimed, read_all([out])[0])) == expected
