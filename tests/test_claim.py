"""Claims: one process at a time has a folder, whatever locks the machines of a shared disk know of."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from claims import ELSEWHERE, claim_as
from processes import start, wait_until

from nasbench_stc import claim
from nasbench_stc.claim import Owner, Taken, holder, take
from nasbench_stc.errors import BadCallError, RunError
from nasbench_stc.runs import folder
from nasbench_stc.runs.folder import locked

OLD = claim.STALE + 5


def test_one_at_a_time(tmp_path):
    first = take(tmp_path / "run")
    with pytest.raises(Taken):
        take(tmp_path / "run")
    owner, alive = holder(tmp_path / "run")
    assert (owner.pid, owner.host, alive) == (os.getpid(), os.uname().nodename, True)
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".claim.0"]
    first.release()
    assert holder(tmp_path / "run") is None
    assert list((tmp_path / "run").iterdir()) == []
    take(tmp_path / "run").release()


def test_another_machine_has_it_as_long_as_it_gives_signs_of_life(tmp_path):
    """It shares no table of locks or of processes with this one: all that it can be known by is the file."""
    path = claim_as(ELSEWHERE, tmp_path, age=claim.STALE - 20)
    with pytest.raises(Taken):
        take(tmp_path)
    assert holder(tmp_path) == (ELSEWHERE, True)
    os.utime(path, (time.time() - OLD,) * 2)
    assert holder(tmp_path) == (ELSEWHERE, False)
    own = take(tmp_path)
    assert [left.name for left in tmp_path.iterdir()] == [".claim.1"]
    own.release()


def test_the_clock_is_the_file_servers(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)  # this machine's is wrong
    claim_as(ELSEWHERE, tmp_path, age=0)
    os.utime(tmp_path / ".claim.0")
    with pytest.raises(Taken):
        take(tmp_path)
    assert holder(tmp_path)[1]


def test_a_process_of_this_machine_that_is_gone_has_nothing(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    claim_as(replace(Owner.here(), pid=done.pid, started=claim.started(done.pid)), tmp_path)
    done.wait()
    take(tmp_path).release()
    # Its number may have been given to another process since.
    claim_as(replace(Owner.here(), started=Owner.here().started - 1), tmp_path)
    take(tmp_path).release()


def test_a_process_that_waits_to_be_reaped_is_gone(tmp_path):
    process = start([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    own = claim.started(process.pid)
    assert own > 0
    process.kill()
    wait_until_zombie = time.monotonic() + 60
    while claim.started(process.pid) == own:
        assert time.monotonic() < wait_until_zombie
        time.sleep(0.01)
    process.communicate()


def test_a_job_of_slurm_waits_for_a_claim_to_be_stale(tmp_path, monkeypatch):
    """What left it may be its predecessor, killed on another node; or that goes on, on a node that Slurm gave up."""
    monkeypatch.setattr(claim, "STALE", 2.0)
    claim_as(ELSEWHERE, tmp_path / "run")
    with pytest.raises(RunError, match="another process"), locked(tmp_path / "run"):
        pass
    for name, value in (("SLURM_ARRAY_JOB_ID", "12"), ("SLURM_ARRAY_TASK_ID", "3")):
        monkeypatch.setenv(name, value)
    claim_as(ELSEWHERE, tmp_path / "run")
    with locked(tmp_path / "run") as own:
        assert own.path.name == ".claim.1"
        assert holder(tmp_path / "run")[0].job == "12_3"
    monkeypatch.setattr(folder, "_PATIENCE", 0.5)
    claim_as(ELSEWHERE, tmp_path / "run", age=-3600)  # it goes on
    with pytest.raises(RunError, match="another process"), locked(tmp_path / "run"):
        pass


def test_a_damaged_claim_counts_as_long_as_it_is_young(tmp_path):
    path = tmp_path / ".claim.0"
    path.write_text("{")
    with pytest.raises(Taken):
        take(tmp_path)
    os.utime(path, (time.time() - OLD,) * 2)
    take(tmp_path).release()


RACE = """
import sys, time
from pathlib import Path
from nasbench_stc.claim import Taken, take
folder, go = Path(sys.argv[1]), Path(sys.argv[2])
(go / f"ready.{sys.argv[3]}").touch()
while not (go / "go").exists():
    pass
try:
    own = take(folder)
except Taken:
    print("taken")
else:
    print("mine")
    while not (go / "over").exists():
        time.sleep(0.01)
    own.release()
"""


@pytest.mark.parametrize("stale", [False, True], ids=["free", "stale"])
def test_of_many_at_once_one_has_it(tmp_path, stale):
    run, go = tmp_path / "run", tmp_path / "go"
    go.mkdir()
    if stale:
        claim_as(ELSEWHERE, run, age=OLD)
    count = 8
    command = [sys.executable, "-c", RACE, str(run), str(go)]
    processes = [start([*command, str(number)], stdout=subprocess.PIPE) for number in range(count)]
    wait_until(lambda: len(list(go.glob("ready.*"))) == count, processes[0])
    (go / "go").touch()
    while sum(process.poll() is not None for process in processes) < count - 1:
        time.sleep(0.01)
    (go / "over").touch()
    said = sorted(process.communicate()[0].strip() for process in processes)
    assert said == ["mine", *["taken"] * (count - 1)]


def test_in_turn_never_two_have_it(tmp_path):
    """Threads that claim and release as quickly as they can, some of whose claims go stale at once."""
    inside, most, rounds = [], [], []

    def work():
        for _ in range(60):
            try:
                own = take(tmp_path)
            except Taken:
                continue
            inside.append(1)
            most.append(len(inside))
            rounds.append(1)
            time.sleep(0.0005)
            inside.pop()
            own.release()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(rounds) > 10
    assert list(tmp_path.iterdir()) == []


def test_it_is_kept_alive_and_its_loss_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(claim, "BEAT", 0.02)
    with locked(tmp_path / "run") as own:
        os.utime(own.path, (time.time() - OLD,) * 2)
        until = time.monotonic() + 60
        while not holder(own.path.parent)[1] or time.time() - own.path.stat().st_mtime > 5:
            assert time.monotonic() < until
            time.sleep(0.01)
        folder.check(own)
        # It slept, and another one took it for gone.
        claim_as(ELSEWHERE, own.path.parent, number=1)
        own.path.unlink()
        while not own.is_lost:
            assert time.monotonic() < until
            time.sleep(0.01)
        with pytest.raises(RunError, match="another process took this run over"):
            folder.check(own)
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".claim.1"]


def test_who_comes_too_late_to_take_over_leaves_it(tmp_path, monkeypatch):
    """It saw claim 0 stale; until it had made claim 1, another one had taken over, was done, and had gone."""
    claim_as(ELSEWHERE, tmp_path, age=OLD)
    link, seen = os.link, []

    def slow(made: Path, path: Path) -> None:
        if not seen:
            seen.append(path.name)
            monkeypatch.setattr(os, "link", link)
            take(tmp_path).release()
        link(made, path)

    monkeypatch.setattr(os, "link", slow)
    own = take(tmp_path)
    assert seen == [".claim.1"]
    assert [path.name for path in tmp_path.iterdir()] == [".claim.0"]  # begun anew, after nobody
    own.release()


def test_an_answer_that_is_lost_is_no_refusal(tmp_path, monkeypatch):
    """NFS sends a call again whose answer was lost, and is told that the link is there: it is its own."""
    link = os.link

    def twice(made: Path, path: Path) -> None:
        link(made, path)
        link(made, path)

    monkeypatch.setattr(os, "link", twice)
    take(tmp_path).release()


def test_where_nothing_can_be_made_it_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadCallError, match="cannot be written"), locked(tmp_path / "file" / "run"):
        pass
