"""Status: what a run tells in its folder, and what anybody can see of it there."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from claims import ELSEWHERE, claim_as

from nasbench_stc import claim, load_status, search
from nasbench_stc.runs import status
from nasbench_stc.runs.folder import locked
from nasbench_stc.runs.status import Status, Teller, find, look, read, telling

OLD = claim.STALE + 5
SMOKE = {"method": "stc", "dataset": "digits", "protocol": "smoke", "device": "cpu", "benchmark": "analog"}


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test lets go by."""
    now = SimpleNamespace(at=100.0)
    monkeypatch.setattr(status, "time", SimpleNamespace(monotonic=lambda: now.at))
    return now


def told(folder, at, **changes):
    """A status as a run tells it."""
    folder.mkdir(exist_ok=True)
    replace(Status("running", "node7", 4321, "", 3, 50, 20, 400, 1.25, 61.0), **changes).write(folder)
    if at is not None:
        claim_as(ELSEWHERE, folder, age=at)
    return folder


def test_it_is_written_once_a_second_at_most(tmp_path, clock):
    written = []
    teller = Teller(tmp_path, 2)
    assert read(tmp_path).state == "running"
    for step in range(3000):
        clock.at += 0.001
        (tmp_path / status.FILE_NAME).unlink(missing_ok=True)
        teller.step(0, 2, step, 3000, None, 10.0)
        written += [step] * (tmp_path / status.FILE_NAME).exists()
    assert written == [0, 1000, 2000]
    clock.at += 1
    teller.step(1, 2, 0, 3000, 0.5, 10.0)
    at = read(tmp_path)
    assert (at.epoch, at.epochs, at.step, at.steps, at.loss, at.seconds) == (
        2,
        2,
        1,
        3000,
        0.5,
        pytest.approx(14, abs=0.1),
    )
    # 3000 steps in 4 seconds, and 2999 are left.
    left = status.datetime.fromisoformat(at.expected_end) - status.datetime.fromisoformat(at.written)
    assert 3 <= left.total_seconds() <= 5
    teller.step(1, 2, 2999, 3000, 0.5)
    assert read(tmp_path).step == 3000  # the last one for certain


def test_how_a_run_ends_can_be_seen(tmp_path):
    for name, error, state in (
        ("failed", ValueError("two\nlines"), "failed"),
        ("stopped", KeyboardInterrupt(), "stopped"),
    ):
        folder = tmp_path / name
        with pytest.raises(type(error)), locked(folder), telling(folder, 2):
            (folder / "checkpoint.pt").touch()
            assert look(folder).state == "running"
            raise error
        assert look(folder).state == state
    assert "ValueError: two lines" in read(tmp_path / "failed").error
    with locked(tmp_path / "done"), telling(tmp_path / "done", 2):
        (tmp_path / "done" / "record.json").touch()
    assert look(tmp_path / "done").state == "done"
    assert not (tmp_path / "done" / status.FILE_NAME).exists()


def test_what_failed_before_it_began_leaves_nothing_here_and_its_reason_on_a_cluster(tmp_path, monkeypatch):
    with pytest.raises(ValueError), locked(tmp_path / "run"), telling(tmp_path / "run", 2):
        raise ValueError
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    with pytest.raises(ValueError), locked(tmp_path / "run"), telling(tmp_path / "run", 2):
        raise ValueError("no images")
    seen = look(tmp_path / "run")
    assert (seen.state, seen.status.job) == ("failed", "77")
    assert seen.status.error.startswith("ValueError: no images")
    with pytest.raises(SystemExit), locked(tmp_path / "run"), telling(tmp_path / "run", 2):
        raise SystemExit(-1)  # as submitit ends what it had Slurm put into its queue again
    assert look(tmp_path / "run").state == "waiting"


def test_whether_it_goes_on_is_for_its_claim_to_say(tmp_path, monkeypatch):
    told(tmp_path / "running", 3.0)
    told(tmp_path / "lost", OLD)
    told(tmp_path / "killed", None)
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "checkpoint.pt").touch()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / status.FILE_NAME).write_text("{")
    claim_as(ELSEWHERE, tmp_path / "starting")
    claim_as(ELSEWHERE, tmp_path / ".jobs" / "nothing")
    (tmp_path / "other").mkdir()
    states = {seen.folder.name: seen.state for seen in find([tmp_path])}
    assert states == {
        "running": "running",
        "lost": "lost",
        "killed": "lost",
        "begun": "lost",
        "damaged": "lost",
        "starting": "running",
    }
    assert look(tmp_path / "starting").status.host == "another"
    assert look(tmp_path / "other") is None


@pytest.mark.parametrize(
    ("queue", "states"),
    [
        (None, ["lost", "waiting", "waiting"]),
        (set(), ["lost", "lost", "lost"]),
        ({"5_0", "5_1"}, ["waiting", "waiting", "lost"]),
    ],
    ids=["not to be asked", "empty", "some"],
)
def test_slurm_says_what_waits(tmp_path, monkeypatch, queue, states):
    monkeypatch.setattr(status, "queued", lambda: queue)
    told(tmp_path / "a", OLD, job="5_0")  # its node is gone, and it is to begin anew on another
    status.say_waiting(tmp_path / "b", "5_1")
    status.say_waiting(tmp_path / "c", "5_2")
    assert [seen.state for seen in find([tmp_path])] == states


def test_who_runs_by_now_is_not_said_to_wait(tmp_path):
    told(tmp_path / "run", 0.0)
    status.say_waiting(tmp_path / "run", "5_1")
    assert read(tmp_path / "run").state == "running"


def test_a_search_tells_its_epochs(tmp_path, monkeypatch):
    seen = []
    step = Teller.step

    def spied(self, *at):
        step(self, *at)
        seen.append(tuple(self._at[name] for name in ("epoch", "step", "steps", "loss")))

    monkeypatch.setattr(Teller, "step", spied)
    done = search(**SMOKE, out=tmp_path)
    loss = done.trajectory[0]["train_loss"]
    assert seen == [*((1, step, 3, None) for step in (1, 2, 3)), *((2, step, 3, loss) for step in (1, 2, 3))]
    assert [(one.state, one.folder.name[:3]) for one in find([tmp_path])] == [("done", "stc")]
    search("rs", benchmark="analog", out=tmp_path, evaluations=5)
    assert [one.state for one in find([tmp_path, tmp_path])] == ["done", "done"]


def test_the_command_shows_what_is_not_done(stc_bench, tmp_path, monkeypatch):
    search("rs", benchmark="analog", out=tmp_path / "results", evaluations=5)
    told(tmp_path / "results" / "stc-seed0", 3.0, expected_end="2026-11-27T12:34:56+00:00")
    told(tmp_path / "results" / "stc-seed1", None, state="failed", error="the disk is full", job="12_3")
    told(tmp_path / "results" / "stc-seed2", OLD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    code, out, err = stc_bench("status")
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith("  stc-")}
    assert rows["stc-seed0"] == ["running", "node7", "–", "3/50", "1.250", "61", "2026-11-27", "12:34"]
    assert rows["stc-seed1"][:3] == ["failed", "node7", "12_3"]
    assert "stc-seed1 = the disk is full\n" in out
    assert "1 running, 1 failed, 1 lost, 1 done." in out
    _, out, _ = stc_bench("status", "results", "--format", "json")
    found = {row["run"]: row for row in json.loads(out)["rows"]}
    assert (found["stc-seed0"]["pid"], found["stc-seed2"]["state"]) == (4321, "lost")
    assert stc_bench("status", "nowhere")[::2] == (
        2,
        "Error: nowhere is no folder; give that of records, which is --out of a search\n",
    )
    (tmp_path / "empty").mkdir()
    assert stc_bench("status", "empty") == (0, "No runs.\n", "")


def test_a_frame_has_what_is_told(tmp_path):
    told(tmp_path / "a", 3.0, expected_end="2026-11-27T12:34:56+00:00")
    told(tmp_path / "b", None, state="failed", error="the disk is full", loss=None)
    for frame in (load_status(tmp_path), load_status([tmp_path / "a", tmp_path / "b"])):
        assert frame["state"].tolist() == ["running", "failed"]
        assert frame["error"].tolist() == ["", "the disk is full"]
        assert frame["loss"].isna().tolist() == [False, True]
        assert str(frame["expected_end"][0]) == "2026-11-27 12:34:56+00:00"
    empty = load_status(tmp_path / "nowhere")
    assert list(empty) == list(frame) and list(map(type, empty.dtypes)) == list(map(type, frame.dtypes))
    assert all(f"`{name}`" in load_status.__doc__ for name in frame)


def test_status_imports_nothing_slow(tmp_path):
    told(tmp_path / "a", 3.0)
    code = (
        "import sys; from nasbench_stc import cli; sys.argv = ['stc-bench', 'status', sys.argv[1]]\n"
        "try: cli.main()\n"
        "finally: print(sys.modules.keys() & {'torch', 'submitit', 'pandas', 'matplotlib', 'scipy'})"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()", time.monotonic() - begun
