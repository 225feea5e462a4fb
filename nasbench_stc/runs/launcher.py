"""Several runs at a time, in processes of their own: on this machine, or as jobs of a Slurm cluster, both by submitit.

What a process is to do is pickled into a folder below `--out` that all machines see, and so is what came of it. How far
it is stands in the run's own folder (`status.py`), for this process as for anybody else; it opens its own benchmark.

On this machine as many processes as asked for are at work, and the next starts where one ends. Ctrl-C goes to all
processes of a terminal's group; workers do not hear it: this process does, and ends them. SIGTERM, which is how it ends
them, they do hear, and heed once. If this process is killed they notice, and end. Under Slurm all runs are one array of
jobs. What Slurm ends for its time or for others' it starts anew, and the run continues from its checkpoint.
"""

from __future__ import annotations

import os
import pickle
import shlex
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from nasbench_stc import claim
from nasbench_stc.benchmark import Benchmark
from nasbench_stc.errors import BadCallError, RunError, StcBenchError, describe
from nasbench_stc.records.record import Record
from nasbench_stc.runs import status
from nasbench_stc.runs.planned import Planned

if TYPE_CHECKING:
    from nasbench_stc.runs.launch import Plan

P = TypeVar("P", bound=Planned)
R = TypeVar("R")

LAUNCHERS = ("local", "slurm")
FOLDER = ".jobs"
"""Below `--out`: what submitit keeps of jobs, pickles and logs. It goes when all went well."""

_LOOK_AT_QUEUE = 5.0  # seconds
_PATIENCE = 5.0  # seconds that a worker has to leave its folder in order, before it is killed
_MOMENT = 0.5  # seconds between two looks of a worker at who started it
_YEARS = 60 * 24 * 3650  # minutes: of this machine no job is ended for its time
_TIME = 60 * 24  # minutes of a Slurm job where nothing else is asked for
_TIMEOUTS = 1000  # how often a job may start again after its time was over


@dataclass(frozen=True)
class Way:
    """How runs are to be launched."""

    jobs: int = 1
    """How many at a time, at most."""
    launcher: str = "local"
    """One of `LAUNCHERS`."""
    slurm: Mapping[str, Any] = field(default_factory=dict)
    """Options of the jobs, as submitit's SlurmExecutor names them: `partition`, `time` (minutes), `gpus_per_node`."""
    wait: bool | None = None
    """Whether to stay until all are done; None: not with Slurm's jobs."""

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise BadCallError(f"jobs={self.jobs}: it has to be at least 1")
        if self.launcher not in LAUNCHERS:
            raise BadCallError(f"unknown launcher {self.launcher!r}: choose from {', '.join(LAUNCHERS)}")
        if self.slurm and self.launcher != "slurm":
            raise BadCallError("options of Slurm (--slurm) go with --launcher slurm")
        if self.wait is False and self.launcher != "slurm":
            raise BadCallError("--no-wait goes with --launcher slurm: processes of this machine end with the command")

    @property
    def is_here(self) -> bool:
        """Whether one process does it all: this one."""
        return self.launcher == "local" and self.jobs == 1

    @property
    def leaves(self) -> bool:
        """Whether results are not waited for."""
        return self.launcher == "slurm" and not self.wait


@dataclass(frozen=True, eq=False)
class Task:
    """What one process is to do."""

    name: str
    """For messages."""
    work: Callable[..., Any]
    """Called without arguments. It can be pickled; so can what it returns."""
    folder: Path | None = None
    """Of the run, where there is one: its status is there."""
    epochs: int = 0
    hear: Callable[[Callable[[int, int, int, int], None]], dict[str, Any]] = lambda on_step: {}
    """What `work` is called with in this process so that it tells `on_step` (as of `OnStep`) how far it is."""


def by_step(on_step: Callable[[int, int, int, int], None]) -> dict[str, Any]:
    """As `Task.hear`, of what takes an `on_step`."""
    return {"on_step": on_step}


def by_tick(on_step: Callable[[int, int, int, int], None]) -> dict[str, Any]:
    """As `Task.hear`, of what tells a `tick` how many cells are done, of how many."""
    return {"tick": lambda done, cells: on_step(0, 1, done - 1, cells)}


class Watch:
    """Told of tasks, always in the caller's own thread. This one is not interested."""

    def begin(self, task: Task, job: str = "") -> None:
        """It was started, or what it left behind is looked at; or Slurm has it, as that job."""

    def step(self, task: Task, epoch: int, epochs: int, step: int, steps: int) -> None:
        """A step of its run was done; of one in another process, once a second at most."""

    def end(self, task: Task) -> None:
        """It ended well."""

    def failed(self, task: Task, error: Exception) -> None:
        """It failed in another process, and the others go on. In this one it raises its error instead."""


def carry_out(
    tasks: Sequence[Task],
    way: Way,
    folder: Path,
    watch: Watch | None = None,
    device: str = "cpu",
    done: int = 0,
) -> list[Any]:
    """What each task returned. In processes of their own, one that fails keeps none of the others.

    Those of this machine share this one's number of threads evenly.

    Args:
        tasks: what to do.
        way: how.
        folder: for what submitit keeps; under Slurm one that all machines see.
        watch: is told how far they are.
        device: on which they compute; processes on `cuda` spread over the cards of this machine.
        done: how many more tasks the same command has, done before.

    Returns:
        One entry a task; none at all of Slurm's jobs that are not waited for.

    Raises:
        BadCallError: submitit or Slurm refuses the call; or, as DataError and RunError: a task failed; which, where not
            all did.
    """
    watch = watch or Watch()
    # By all, not by those left: the same command continues at the same number of threads, so bit for bit.
    way = replace(way, jobs=min(way.jobs, len(tasks) + done))
    if way.is_here:
        return [_in_this_process(task, watch) for task in tasks]
    is_new = not folder.parent.exists()
    folder.mkdir(parents=True, exist_ok=True)
    kept = Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=folder)).absolute()
    tidy = True
    place = _Cluster(kept, way) if way.launcher == "slurm" else _Here(kept, way, device)
    try:
        outcomes: dict[Task, Any] = {}
        try:
            waiting = deque(tasks)
            told = {task: status.read(task.folder) for task in tasks if task.folder}
            while len(outcomes) < len(tasks):
                place.start(waiting, watch)
                tidy = way.launcher == "local"  # jobs read it when they start
                if way.leaves:
                    return []
                time.sleep(place.look)
                for task, job in list(place.running.items()):
                    at = status.read(task.folder) if task.folder else None
                    if at is not None and at != told[task] and at.state == "running" and at.steps:
                        told[task] = at
                        watch.step(task, at.epoch - 1, at.epochs, at.step - 1, at.steps)
                    if place.ended(job):
                        del place.running[task]
                        outcomes[task] = outcome = _outcome(job)
                        if isinstance(outcome, Exception):
                            watch.failed(task, outcome)
                        else:
                            watch.end(task)
        finally:
            place.stop()
        failed = [(task.name, one) for task, one in outcomes.items() if isinstance(one, Exception)]
        tidy = all(isinstance(one, StcBenchError) and not isinstance(one, _Gone) for _, one in failed)
        if failed:
            raise _as_one(failed, done + len(tasks)) from failed[0][1]
        return [outcomes[task] for task in tasks]
    finally:
        if tidy:
            shutil.rmtree(kept, ignore_errors=True)
        with suppress(OSError):  # what is empty goes, as after a single run that came to nothing
            folder.rmdir()
            if is_new:
                folder.parent.rmdir()


def _in_this_process(task: Task, watch: Watch) -> Any:
    watch.begin(task)
    found = task.work(**task.hear(partial(watch.step, task)))
    watch.end(task)
    return found


class _Here:
    """Processes of this machine, so many at a time."""

    look = 0.1
    """Seconds between two looks at them."""

    def __init__(self, folder: Path, way: Way, device: str) -> None:
        import submitit

        torch = sys.modules.get("torch")
        self._threads = None if torch is None else max(1, torch.get_num_threads() // way.jobs)

        self.running: dict[Task, Any] = {}
        self._slots: dict[Task, int] = {}
        self._way, self._cards = way, _cards(device)
        self._own = claim.Owner.here()
        self._executor = submitit.LocalExecutor(folder)
        self._executor.update_parameters(timeout_min=_YEARS)

    def start(self, waiting: deque[Task], watch: Watch) -> None:
        """As many as there is room for."""
        while waiting and len(self.running) < self._way.jobs:
            task = waiting.popleft()
            taken = {self._slots[other] for other in self.running}
            self._slots[task] = slot = min(set(range(self._way.jobs)) - taken)
            cards = self._cards(slot)
            its = ["-u", "CUDA_VISIBLE_DEVICES"] if cards is None else [f"CUDA_VISIBLE_DEVICES={cards}"]
            # submitit itself would hide all cards. This is in place before anything is imported there.
            self._executor.python = shlex.join(["env", *its, sys.executable])
            job = _Job(task.work, self._threads, (self._own.pid, self._own.started))
            with _signals_held(), _handed(task.name):
                self.running[task] = self._executor.submit(job)
            watch.begin(task)

    def ended(self, job: Any) -> bool:
        """Whether its process has."""
        return bool(job.done())

    def stop(self) -> None:
        """End those that run: a job's number is that of the process between, which tells its worker."""
        jobs = list(self.running.values())
        for number in (signal.SIGTERM, signal.SIGKILL):
            for job in jobs:
                if not job.done():
                    with suppress(ProcessLookupError):
                        os.kill(int(job.job_id), number)
            until = time.monotonic() + _PATIENCE
            while not all(job.done() for job in jobs) and time.monotonic() < until:
                time.sleep(0.02)


class _Cluster:
    """One array of Slurm's jobs, so many at a time. They go on when this process ends."""

    look = 1.0
    """Seconds, as of `_Here`: of each job a file is read, over the network if need be."""

    def __init__(self, folder: Path, way: Way) -> None:
        self.running: dict[Task, Any] = {}
        self._folder, self._way = folder, way
        self._asked = time.monotonic()
        self._queue: set[str] | None = None

    def start(self, waiting: deque[Task], watch: Watch) -> None:
        """All at once.

        Raises:
            BadCallError: an option is unknown, or Slurm is not here or refuses it.
        """
        if not waiting:
            return
        import submitit
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        try:
            executor = submitit.SlurmExecutor(self._folder, max_num_timeout=_TIMEOUTS)
        except RuntimeError:
            raise BadCallError(
                "--launcher slurm: there is no srun here; call it on a machine of a Slurm cluster"
            ) from None
        usual = {"job_name": "stc-bench", "time": _TIME, "array_parallelism": self._way.jobs}
        try:
            executor.update_parameters(**{**usual, **self._way.slurm})
        except ValueError as error:
            said, *more = str(error).splitlines()
            known = [line.split()[1] for line in more if line.startswith("  - ")]
            raise BadCallError(f"--slurm: {said}" + f"; choose from {', '.join(known)}" * bool(known)) from None
        try:
            with _handed(waiting[0].name):
                jobs = executor.submit_array([_Job(task.work) for task in waiting])
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            said = " ".join(str(error).split())
            many = f". {len(waiting):,} may be more than the cluster's MaxArraySize: give fewer seeds or methods"
            raise BadCallError(
                f"--launcher slurm: it refused the jobs ({said})" + many * ("array" in said.lower())
            ) from None
        self.running = dict(zip(waiting, jobs, strict=True))
        waiting.clear()
        for task, job in self.running.items():
            if task.folder is not None:
                status.say_waiting(task.folder, job.job_id)
            watch.begin(task, job.job_id)

    def ended(self, job: Any) -> bool:
        """Whether it has a result, or Slurm has it no more."""
        if job.paths.result_pickle.exists():
            return True
        if time.monotonic() - self._asked > _LOOK_AT_QUEUE:
            self._queue, self._asked = status.queued(), time.monotonic()
        if self._queue is None or job.job_id in self._queue:
            return False
        time.sleep(1)  # for what it wrote last to arrive here
        return True

    def stop(self) -> None:
        """They are Slurm's."""


class _Gone(RunError):
    """A process ended without a word."""


class _Answer(NamedTuple):
    outcome: Any
    warnings: list[tuple[str, type[Warning], str, int]]


@dataclass
class _Job:
    """What is pickled for a process, which calls it."""

    work: Callable[[], Any]
    threads: int | None = None
    launcher: tuple[int, int] | None = None
    """Number and start of the process that it is not to outlive; None under Slurm."""

    def __call__(self) -> _Answer:
        told: list[tuple[str, type[Warning], str, int]] = []
        threads = self.threads
        if self.launcher is not None:
            signal.signal(signal.SIGTERM, _leave)
            threading.Thread(target=_follow, args=self.launcher, daemon=True).start()
        elif "OMP_NUM_THREADS" not in os.environ:
            threads = int(os.environ.get("SLURM_CPUS_PER_TASK", "1"))  # torch would take all that the node has
        if threads is not None and "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
        warnings.showwarning = lambda message, category, *where, **_: told.append((str(message), category, *where[:2]))
        try:
            return _Answer(self.work(), told)
        except Exception as error:
            return _Answer(_portable(error), told)

    def checkpoint(self) -> Any:
        """What Slurm is to start anew when it ended this: the same, which goes on where its run's checkpoint is."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _leave(number: int, _: object) -> None:
    """Asked to end, a worker leaves its folder in order; once, where all of a group were asked and it is again."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _follow(pid: int, started: int) -> None:
    """End this process when the one that launched it is gone, or the one between them, which was killed then."""
    between = os.getppid()
    while claim.started(pid) == started and os.getppid() == between:
        time.sleep(_MOMENT)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(128 + signal.SIGTERM)


def _portable(error: Exception) -> Exception:
    """The error with a note of where it was raised; another one in its place where it cannot be pickled."""
    where = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(where)
    return error


_shown: dict[Any, Any] = {}  # a warning is shown once, as if all ran in this process


def _outcome(job: Any) -> Any:
    """What a process that has ended returned, or why it did not."""
    if not job.paths.result_pickle.exists():
        return _Gone(
            "the process of the run ended without a word; if memory ran out, lower --jobs. The same command continues "
            f"where it stood; what it wrote is in {job.paths.stderr}"
        )
    try:
        answer: _Answer = job.result()
    except Exception as error:  # it could not even begin: what it raised is the last line that it wrote
        lines = [line.strip() for line in str(error).splitlines() if line.strip(" -")]
        why = next((line for line in reversed(lines) if ": " in line and not line.startswith("-")), str(error))
        return _Gone(f"the process of the run could not begin ({why}). Its log: {job.paths.stderr}")
    for text, category, file, number in answer.warnings:
        warnings.warn_explicit(text, category, file, number, registry=_shown)
    return answer.outcome


def visible_cards(slot: int, visible: str | None, count: int) -> str | None:
    """`$CUDA_VISIBLE_DEVICES` of the process in that place: one card each, in turn.

    Args:
        slot: which of the processes at a time, from 0.
        visible: the variable of the process that launches them; None: not set.
        count: how many cards that one sees. Of a single one, nothing is to be decided.
    """
    if count < 2:
        return visible
    names = visible.split(",")[:count] if visible else [str(card) for card in range(count)]
    return names[slot % len(names)].strip()


def _cards(device: str) -> Callable[[int], str | None]:
    count = sys.modules["torch"].cuda.device_count() if device == "cuda" else 0
    return partial(visible_cards, visible=os.environ.get("CUDA_VISIBLE_DEVICES"), count=count)


@contextmanager
def _handed(name: str) -> Iterator[None]:
    """Raises RunError where what the block pickles cannot be."""
    try:
        yield
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise RunError(
            f"{name}: cannot be handed to another process ({error}); run it in this one, --jobs 1"
        ) from error


@contextmanager
def _signals_held() -> Iterator[None]:
    """Ctrl-C and SIGTERM are heeded when the block is left; Ctrl-C never by a process that is started in it."""
    held: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()  # no other is interrupted
    ends = (signal.SIGINT, signal.SIGTERM) if in_main else ()
    usual = {number: signal.signal(number, lambda number, _: held.append(number)) for number in ends}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # this is what a process inherits
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in usual.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


def run_many(
    plans: Sequence[Plan],
    benchmark: Benchmark,
    out: Path | None,
    data_dir: str | Path | None = None,
    resume: bool = True,
    way: Way | None = None,
    watch: Watch | None = None,
) -> list[Record]:
    """Carry out searches, one after another in this process, or several at a time in processes of their own.

    Args:
        plans, benchmark, out, data_dir, resume: as in `launch.run`.
        way, watch: as in `carry_out`; None: one after another, and nobody is told.

    Returns:
        The records, as of `run_all`.

    Raises:
        BadCallError, DataError, RunError: a run failed; which, where not all did. Records of the others are kept.
    """
    from nasbench_stc.runs import launch

    work = partial(launch.run, benchmark=benchmark, data_dir=data_dir)
    return run_all(plans, work, launch.is_done, out, resume, way, watch)


def run_all(
    plans: Sequence[P],
    work: Callable[..., R],
    is_done: Callable[[P, Path | None], bool],
    out: Path | None,
    resume: bool = True,
    way: Way | None = None,
    watch: Watch | None = None,
) -> list[R]:
    """Carry out plans of one kind, as `run_many`.

    Args:
        work: called with a plan and, by name, `out`, `resume`, `side_by_side` and in this process `on_step`, all as of
            `launch.run`. It can be pickled.
        is_done: whether the record of a plan is below `out`; then `work` returns it.

    Returns:
        The records, in the order of the plans; of Slurm's jobs that are not waited for those that were there before.
    """
    way = way or Way()
    way = replace(way, jobs=min(way.jobs, len(plans)))
    if out is None:
        if way.launcher == "slurm":
            raise BadCallError("jobs of a cluster write into a folder that all its machines see: give out")
        with tempfile.TemporaryDirectory() as lent:
            return run_all(plans, work, is_done, Path(lent), resume, way, watch)
    results = out.absolute()
    own = partial(work, out=results, resume=resume, side_by_side=way.jobs if way.launcher == "local" else 1)
    # Of a cluster's runs some may be at work since the last call of the same command.
    busy = status.at_work(results / todo.folder_name for todo in plans) if way.leaves else {}
    found: dict[int, R] = {}
    left: dict[int, Task] = {}
    for number, todo in enumerate(plans):
        folder = results / todo.folder_name
        if resume and is_done(todo, out):
            found[number] = own(todo)
        elif folder not in busy:
            left[number] = Task(todo.short_name, partial(own, todo), folder, todo.epochs, by_step)
    tasks = list(left.values())
    outcomes = carry_out(tasks, way, results / FOLDER, watch, plans[0].device, len(found)) if left else []
    found |= dict(zip(left, outcomes, strict=False))
    return [found[number] for number in sorted(found)]


def _as_one(failed: Sequence[tuple[str, Exception]], runs: int) -> StcBenchError:
    """One error for all that failed; where every one of the runs did in the same way, as if it had been one run."""
    names: dict[str, list[str]] = {}
    for name, error in failed:
        names.setdefault(describe(error), []).append(name)
    kinds = {type(error) if isinstance(error, StcBenchError) else RunError for _, error in failed}
    kind = kinds.pop() if len(kinds) == 1 else RunError
    if len(failed) == runs and len(names) == 1:
        return kind(*names)
    told = (f"{', '.join(of)}: {said}" for said, of in names.items())
    rest = f" ({runs - len(failed)} of {runs} runs are done, their records kept)" if len(failed) < runs else ""
    return kind("; ".join(told) + rest)
