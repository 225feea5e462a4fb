"""Searches as jobs of a real Slurm: one cancelled, one preempted, the node of one killed in the midst of an epoch."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from records import untimed
from two_nodes import TwoNodes

from nasbench_stc import search
from nasbench_stc.records import Record, read_all
from nasbench_stc.runs import launch, status

METHOD = f"{Path(__file__).with_name('held.py')}:Held"
EPOCHS = 4
SEARCH = {"method": METHOD, "dataset": "digits", "protocol": "smoke", "device": "cpu", "benchmark": "analog"}


class Searches:
    """`stc-bench search`, and what can be seen of its runs.

    Args:
        cluster: that carries them out.
        folder: for records, and for what holds the method.
        seeds: how many.
    """

    def __init__(self, cluster: TwoNodes, folder: Path, seeds: int, *more: object) -> None:
        self.cluster, self.out, self.held = cluster, folder / "results", folder / "held"
        self.held.mkdir()
        options = [word for name, value in SEARCH.items() for word in (f"--{name}", value)]
        self._command = ["search", *options, "--set", f"epochs={EPOCHS}", "--seeds", f"{seeds}", "--out", self.out]
        self._command += ["--launcher", "slurm", "--jobs", seeds, *more]
        plan = {name: value for name, value in SEARCH.items() if name != "benchmark"}
        self._folders = [
            launch.plan(**plan, seed=seed, changes={"epochs": EPOCHS}).folder_name for seed in range(seeds)
        ]

    def hold(self, epoch: int | None) -> None:
        """From now on in that epoch; None: no longer."""
        (self.held / "limit").unlink(missing_ok=True)
        if epoch is not None:
            (self.held / "limit").write_text(f"{epoch}")

    def stc_bench(self, *arguments: object) -> str:
        """What a command of a user says."""
        return self.cluster.run(sys.executable, "-m", "nasbench_stc", *arguments)

    def submit(self, *more: object) -> str:
        """What the command says."""
        return self.stc_bench(*self._command, *more)

    def until_held(self, job: str, epoch: int, start: int = 0) -> None:
        """Until the job is in the midst of the epoch, after so many new starts."""
        self.cluster.until((self.held / f"{job}.{start}.{epoch}.1").exists)

    def attempts(self) -> dict[str, list[int]]:
        """Epochs that each job was in, by its number, a dot, and after how many new starts."""
        found: dict[str, list[int]] = {}
        for path in sorted(self.held.glob("*.*.*.0")):
            attempt, epoch, _ = path.name.rsplit(".", 2)
            found.setdefault(attempt, []).append(int(epoch))
        return found

    def until_states(self, *expected: str) -> None:
        """Until their folders show these, by rising seed."""

        def states() -> list[str]:
            seen = {one.folder.name: one.state for one in status.find([self.out])}
            return [seen[name] for name in self._folders]

        self.cluster.until(lambda: states() == list(expected), about=states)


def number(said: str) -> str:
    """Of the array or the job, as the command says it."""
    found = re.search(r"submitted \d+ jobs?: (\d+)", said)
    assert found, said
    return found[1]


def state(cluster: TwoNodes, job: str) -> str:
    """Of a job, as Slurm says."""
    return cluster.jobs().get(job, ("GONE", ""))[0]


@pytest.fixture
def searches(cluster: TwoNodes, tmp_path: Path, monkeypatch):
    """Makes `Searches`; none of their jobs stays."""

    def make(seeds: int, *more: object) -> Searches:
        made = Searches(cluster, tmp_path, seeds, *more)
        monkeypatch.setenv("HELD", str(made.held))
        return made

    yield make
    cluster.restore()


def local(seeds: int) -> list[Record]:
    """The records of runs in this process, without what a clock says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HELD")
        return [untimed(search(**SEARCH, seed=seed, epochs=EPOCHS)) for seed in range(seeds)]


def test_cancelled_preempted_and_their_node_lost_searches_end_in_the_records_of_a_local_run(cluster, searches):
    runs = searches(3)
    runs.hold(2)
    array = number(runs.submit())
    lost, cancelled, preempted = (f"{array}_{task}" for task in range(3))
    runs.until_held(lost, 2)
    runs.until_held(cancelled, 2)
    runs.until_states("running", "running", "waiting")  # a node each; the third has none yet
    nodes = {job: node for job, (_, node) in cluster.jobs().items()}

    cluster.run("scancel", cancelled)
    runs.until_held(preempted, 2)  # on the node that has become free
    runs.until_states("running", "lost", "running")
    cluster.kill_node(nodes[lost])  # which Slurm does not notice at once, but which can be seen here
    runs.until_states("waiting", "lost", "running")
    urgent = cluster.run(
        *("sbatch", "--parsable", "--partition", "urgent", "--nodelist", nodes[cancelled]),
        *("--output", os.devnull, "--wrap", "sleep 1000"),
    ).strip()
    cluster.until(lambda: state(cluster, urgent) == "RUNNING")
    cluster.until(lambda: [state(cluster, job) for job in (lost, preempted)] == ["PENDING"] * 2)
    runs.until_states("waiting", "lost", "waiting")
    shown = runs.stc_bench("status", runs.out, "--format", "csv")
    assert [shown.count(word) for word in (",waiting,", ",lost,", lost, cancelled, preempted)] == [2, 1, 1, 1, 1], shown

    runs.hold(None)
    again = number(runs.submit())  # of the two others the command sees that Slurm has them
    cluster.run("scancel", urgent)
    cluster.start_node(nodes[lost])
    cluster.until(lambda: not cluster.jobs())
    runs.until_states("done", "done", "done")
    first = {f"{job}.0": [0, 1, 2] for job in (lost, cancelled, preempted)}
    assert runs.attempts() == first | {f"{job}": [2, 3] for job in (f"{lost}.1", f"{preempted}.1", f"{again}.0")}
    records, problems = read_all([runs.out])
    assert not problems
    assert [untimed(done) for done in records] == local(3)


def test_out_of_time_a_search_is_started_again_and_continues(cluster, searches):
    runs = searches(1, "--slurm", "time=9", "--slurm", "signal_delay_s=240")
    runs.hold(2)
    job = number(runs.submit())
    runs.until_held(job, 2)
    cluster.run("scontrol", "update", f"JobId={job}", "TimeLimit=4")  # so that Slurm warns it now, not in five minutes
    cluster.until(lambda: state(cluster, job) != "RUNNING")
    runs.until_states("waiting")
    runs.hold(None)
    cluster.until(lambda: not cluster.jobs())
    runs.until_states("done")
    assert runs.attempts() == {f"{job}.0": [0, 1, 2], f"{job}.1": [2, 3]}
    records, problems = read_all([runs.out])
    assert not problems
    assert [untimed(done) for done in records] == local(1)
