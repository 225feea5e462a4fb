"""The cluster that the tests start is one."""

from __future__ import annotations

from pathlib import Path

import two_nodes
from two_nodes import NODES, TwoNodes


def test_both_nodes_carry_out_jobs(cluster: TwoNodes, tmp_path: Path) -> None:
    for node in NODES:
        cluster.run(
            "sbatch", "--nodelist", node, "--output", tmp_path / node, "--wrap", "hostname; echo $SLURMD_NODENAME"
        )
    cluster.until(lambda: not cluster.jobs())
    host = cluster.run("hostname")
    assert [(tmp_path / node).read_text() for node in NODES] == [f"{host}{node}\n" for node in NODES]


def test_what_is_missing_is_said(monkeypatch) -> None:
    monkeypatch.setattr(two_nodes, "SYSTEM", "")
    monkeypatch.setenv("PATH", "")
    assert two_nodes.missing() == "needs a Slurm to start: Debian's packages munge and slurm-wlm"
    monkeypatch.setattr(two_nodes, "PACKAGES", {})
    monkeypatch.setattr(two_nodes.os, "geteuid", lambda: 1000)
    assert two_nodes.missing() == "starts a Slurm, for which it has to be root"
