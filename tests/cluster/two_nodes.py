"""A real Slurm on one machine: munged, slurmctld and two slurmd, which are two nodes to it, in a folder of their own.

Nodes are told apart by their ports (Debian's slurmd is built for several on one machine). There is no accounting and
no cgroup. A job in the partition `urgent` preempts those of the default one, which are requeued, as they are when
their node is gone. Whatever was started ends with it: jobs that a killed slurmd left behind, too.
"""

from __future__ import annotations

import contextlib
import ctypes
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

PACKAGES = {"munged": "munge", "slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "sbatch": "slurm-wlm"}
"""Programs by the Debian package that has them."""
SYSTEM = "/usr/sbin:/sbin"
"""Where daemons are, and not on everybody's path."""
NODES = ("node1", "node2")
GUARD = 600
"""Seconds after which whoever waits gives up. It takes a small part of them."""

_CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# The second is how long a requeued job waits, too.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
MessageTimeout=5
SlurmdTimeout=3
KillWait=1
UnkillableStepTimeout=10
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus} RealMemory=16000
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cpus} RealMemory=16000
PartitionName=usual Nodes=ALL Default=YES PriorityTier=1 GraceTime={grace}
PartitionName=urgent Nodes=ALL PriorityTier=2 PreemptMode=OFF
"""


def missing() -> str:
    """Why there can be none here; empty where there can."""
    packages = sorted({package for program, package in PACKAGES.items() if not _program(program)})
    if packages:
        return f"needs a Slurm to start: Debian's packages {' and '.join(packages)}"
    if os.geteuid() != 0:
        return "starts a Slurm, for which it has to be root"
    return ""


class TwoNodes:
    """The cluster, started by `with`.

    Args:
        folder: of this cluster alone; a short path, as the name of a socket is in it.
        cpus: that each node says it has.
        grace: seconds that a preempted job has from SIGTERM to its end.
    """

    def __init__(self, folder: Path, cpus: int = 1, grace: int = 0) -> None:
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        """What a command has to have in its environment to find this cluster."""
        text = _CONFIGURATION.format(
            folder=folder,
            host=socket.gethostname(),
            user=getpass.getuser(),
            ports=_free_ports(3),
            cpus=cpus,
            grace=grace,
        )
        (folder / "slurm.conf").write_text(text)
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> TwoNodes:
        try:
            self._start_all()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_all(self) -> None:
        (self.folder / "state").mkdir()
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        munge = {name: self.folder / f"munge.{name}" for name in ("socket", "log", "pid", "seed")}
        options = [f"--{name}{'' if name == 'socket' else '-file'}={path}" for name, path in munge.items()]
        self._start("munged", "--foreground", "--force", f"--key-file={key}", *options)
        self.until(munge["socket"].exists)
        self._start("slurmctld", "-D", "-i")
        for node in NODES:
            self.start_node(node)
        self.until(lambda: set(self.node_states().values()) == {"idle"})

    def _start(self, program: str, *arguments: str, name: str = "") -> None:
        name = name or program
        environment = {**os.environ, **self.environment, "NODE": f"{self.folder}/{name}"}
        with (self.folder / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                [_program(program), *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def start_node(self, node: str) -> None:
        """The node's slurmd, at first or again."""
        self._start("slurmd", "-D", "-N", node, name=node)

    def kill_node(self, node: str) -> None:
        """As if its machine had lost power: slurmd and everything that runs there are killed."""
        self._daemons.pop(node).kill()
        _kill({"NODE": f"{self.folder}/{node}"})
        _kill({**self.environment, "SLURMD_NODENAME": node})

    def stop(self) -> None:
        """End everything, in the order in which nobody notices."""
        for name in [*NODES, "slurmctld", "munged"]:
            if daemon := self._daemons.pop(name, None):
                daemon.kill()
                daemon.wait()
        _kill(self.environment)

    def run(self, *command: object, check: bool = True) -> str:
        """What a command says; it finds this cluster."""
        done = subprocess.run(
            [str(word) for word in command],
            env={**os.environ, **self.environment},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=GUARD,
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}"
        return done.stdout

    def node_states(self) -> dict[str, str]:
        """By their names, as `sinfo` says."""
        lines = self.run("sinfo", "--noheader", "-N", "-o", "%N %t", check=False).splitlines()
        return dict(words for words in map(str.split, lines) if len(words) == 2 and words[0] in NODES)

    def jobs(self) -> dict[str, tuple[str, str]]:
        """State and node of those that wait or run, by number or number_task, as `squeue` says."""
        lines = self.run("squeue", "--noheader", "--array", "-o", "%i|%T|%N").splitlines()
        return {number: (state, node) for number, state, node in (line.strip().split("|") for line in lines)}

    def restore(self) -> None:
        """Until there is no job, and no node is missing."""
        for node in set(NODES) - self._daemons.keys():
            self.start_node(node)
        if numbers := {number.partition("_")[0] for number in self.jobs()}:
            self.run("scancel", "--signal=KILL", "--full", *numbers, check=False)
            self.run("scancel", *numbers, check=False)
        self.until(lambda: not self.jobs() and set(self.node_states().values()) == {"idle"})

    def until(self, condition: Callable[[], object], about: Callable[[], object] = lambda: "") -> None:
        """Wait for it; where it does not come what the daemons wrote is told, and what `about` says."""
        ends = time.monotonic() + GUARD
        while not condition():
            for name, daemon in self._daemons.items():
                assert daemon.poll() is None, f"{name} ended with status {daemon.returncode}\n{self.logs()}"
            assert time.monotonic() < ends, f"it hangs: {about()}, {self.jobs()}, {self.node_states()}\n{self.logs()}"
            time.sleep(0.1)

    def logs(self) -> str:
        """The ends of what the daemons wrote."""
        paths = sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")])
        return "\n".join(f"{path.name}:\n{path.read_text(errors='replace')[-3000:]}" for path in paths)


def _program(name: str) -> str:
    """Its path; empty where it is missing."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM}") or ""


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _end_with_parent() -> None:
    """A daemon does not outlive tests that were killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _with_environment(wanted: Mapping[str, str]) -> Iterator[int]:
    """Processes that have all of it in their environment, but for this one."""
    lines = {f"{name}={value}".encode() for name, value in wanted.items()}
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if int(path.parent.name) != os.getpid() and lines <= set(path.read_bytes().split(b"\0")):
                yield int(path.parent.name)


def _kill(wanted: Mapping[str, str]) -> None:
    """Until none is left: what is killed may just have started another."""
    ends = time.monotonic() + 10
    while (found := list(_with_environment(wanted))) and time.monotonic() < ends:
        for number in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.05)
