"""Jobs of Slurm, by commands that behave as its do (`slurm/`); a real one is for tests/cluster."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch
from processes import GUARD
from records import untimed

from nasbench_stc import open_benchmark, search
from nasbench_stc.engine import checkpoint
from nasbench_stc.errors import BadCallError, RunError
from nasbench_stc.records import read_all
from nasbench_stc.runs import launch, launcher, status
from nasbench_stc.runs.launcher import Way

HERE = Path(__file__).parent
SMOKE = {"method": "stc", "dataset": "digits", "protocol": "smoke", "device": "cpu"}
ARGUMENTS = ["search", "--dataset", "digits", "--protocol", "smoke", "--device", "cpu", "--benchmark", "analog"]


@pytest.fixture(autouse=True)
def queue(monkeypatch, tmp_path, tmp_path_factory):
    """Slurm's commands, and the folder that is their queue."""
    queue = tmp_path / "queue"
    queue.mkdir()
    monkeypatch.setenv("STC_BENCH_DATA", str(tmp_path_factory.mktemp("data")))
    monkeypatch.setenv("QUEUE", str(queue))
    monkeypatch.setenv("PATH", os.pathsep.join((str(HERE / "slurm"), os.environ["PATH"])))
    monkeypatch.setattr(launcher, "_LOOK_AT_QUEUE", 0.2)
    return queue


def wait_until(condition):
    until = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < until, "it hangs"
        time.sleep(0.05)


def states(out):
    return [seen.state for seen in status.find([out])]


def test_it_submits_and_ends_and_the_same_command_shows_what_came_of_it(stc_bench, queue, tmp_path):
    out = tmp_path / "out"
    command = [*ARGUMENTS, "--seeds", "3", "--jobs", "2", "--out", out, "--launcher", "slurm"]
    search(**SMOKE, seed=1, benchmark="analog", out=out)
    (queue / "held").touch()
    code, said, err = stc_bench(*command, "--slurm", "partition=gpu", "--slurm", "cpus-per-task=3", "--slurm", "time=7")
    assert (code, err) == (0, "")
    assert "submitted 2 jobs: 77_0, 77_1" in said
    assert "Cells found" not in said
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=(.*)$", (queue / "script").read_text(), re.MULTILINE))
    assert (options["partition"], options["cpus-per-task"], options["time"]) == ("gpu", "3", "7")
    assert (options["array"], options["job-name"]) == ("0-1%2", "stc-bench")
    wait_until(lambda: {"77_0", "77_1"} <= {path.name for path in queue.iterdir()})
    assert sorted(states(out)) == ["done", "waiting", "waiting"]
    code, said, err = stc_bench(*command)
    assert "seed 0: waiting already, as job 77_0" in said and "submitted" not in said
    (queue / "held").unlink()
    wait_until(lambda: states(out) == ["done"] * 3 and not list(queue.glob("77*")))
    code, said, err = stc_bench(*command)
    assert (code, err) == (0, "")
    assert "nothing is left to run" in said and "submitted" not in said
    records, problems = read_all([out])
    assert not problems
    assert [untimed(done) for done in records] == [untimed(search(**SMOKE, seed=seed)) for seed in range(3)]
    assert [done.side_by_side for done in records] == [1, 1, 1]


def test_it_waits_where_it_is_asked_to(stc_bench, tmp_path):
    out = tmp_path / "out"
    code, said, err = stc_bench(*ARGUMENTS, "--seeds", "2", "--out", out, "--launcher", "slurm", "--wait")
    assert (code, err) == (0, "")
    assert "seed 0: epoch 2/2, 100%" in said and "seed 1: epoch 2/2, 100%" in said
    assert "Cells found" in said
    assert not (out / launcher.FOLDER).exists()


def test_a_job_that_is_put_into_the_queue_again_goes_on(queue, tmp_path, monkeypatch):
    """Its time is almost over, or others need its place: submitit asks for that, and the checkpoint is there."""
    held = tmp_path / "held"
    held.mkdir()
    (held / "limit").write_text("1")
    monkeypatch.setenv("HELD", str(held))
    own = {**SMOKE, "method": f"{HERE / 'cluster/held.py'}:Held"}
    todo = launch.plan(**own, changes={"epochs": 3})
    folder = tmp_path / "out" / todo.folder_name
    launcher.run_many([todo], open_benchmark("analog"), tmp_path / "out", way=Way(1, "slurm"))
    wait_until((held / "77.0.1.1").exists)  # in the midst of the second epoch
    pid = status.look(folder).status.pid
    os.kill(pid, signal.SIGTERM)  # which Slurm sends first; it is bypassed
    os.kill(pid, signal.SIGUSR2)
    wait_until((held / "77.1.1.1").exists)  # there again
    assert status.look(folder).status.pid not in (0, pid)
    assert not (held / "77.1.0.0").exists()
    assert len(checkpoint.load(folder / "checkpoint.pt")["trajectory"]) == 1
    (held / "limit").unlink()
    wait_until(lambda: states(tmp_path) == ["done"])
    assert "Requeued job 77" in next((tmp_path / "out" / launcher.FOLDER).rglob("*_log.out")).read_text()
    monkeypatch.delenv("HELD")
    (done,), _ = read_all([tmp_path])
    assert untimed(done) == untimed(search(**own, benchmark="analog", epochs=3))


def test_a_job_that_is_cancelled_is_told(queue, tmp_path):
    todo = launch.plan(**SMOKE, changes={"epochs": 60, "steps": 20})
    folder = tmp_path / "out" / todo.folder_name

    class Cancel(launcher.Watch):
        def step(self, task, epoch, *_):
            os.kill(status.read(folder).pid, signal.SIGKILL)

    with pytest.raises(RunError, match="ended without a word"):
        launcher.run_many(
            [todo], open_benchmark("analog"), tmp_path / "out", way=Way(1, "slurm", wait=True), watch=Cancel()
        )
    assert states(tmp_path) == ["lost"]


def test_what_slurm_refuses_is_told(tmp_path, monkeypatch):
    plans = [launch.plan(**SMOKE, seed=seed) for seed in range(2)]

    def launched(**slurm):
        launcher.run_many(plans, open_benchmark("analog"), tmp_path / "out", way=Way(2, "slurm", slurm))

    with pytest.raises(BadCallError, match="invalid partition specified: closed"):
        launched(partition="closed")
    with pytest.raises(
        BadCallError, match=r"--slurm: Unavailable parameter\(s\): \['memory'\]; choose from account, .*mem, "
    ):
        launched(memory="1GB")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadCallError, match="there is no srun here"):
        launched()
    with pytest.raises(BadCallError, match="give out"):
        launcher.run_many(plans, open_benchmark("analog"), None, way=Way(2, "slurm"))
    assert not (tmp_path / "out").exists()


def test_scores_are_waited_for(stc_bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["score", "--score", "params", "--format", "csv", "9930", "5", "--jobs", "2"]
    assert stc_bench(*command, "--launcher", "slurm")[0] == 2
    assert stc_bench(*command, "--launcher", "slurm", "--wait") == stc_bench(*command) == stc_bench(*command[:-2])
    assert not (tmp_path / launcher.FOLDER).exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_need_not_be_where_the_command_runs(stc_bench, queue, tmp_path):
    (queue / "held").touch()
    command = ["search", "--benchmark", "analog", "--dataset", "digits", "--device", "cuda", "--seeds", "1"]
    code, said, err = stc_bench(*command, "--out", tmp_path / "out", "--launcher", "slurm")
    assert (code, err) == (0, "")
    assert "device cuda" in said and "submitted 1 job: 77" in said
    (queue / "held").unlink()
    wait_until(lambda: not (queue / "77").exists())
    assert states(tmp_path / "out") == ["failed"]  # this machine, to which it came, has none
    planned = launch.plan("stc", device="cuda", here=False)
    assert (planned.protocol, planned.engine.form, planned.engine.precision) == ("paper", "static", "bfloat16")
    assert stc_bench(*command, "--out", tmp_path / "other")[0] == 2
    with pytest.raises(BadCallError, match="device 'cuda:3' is not to be had here"):
        launch.plan("stc", device="cuda:3", here=False)
