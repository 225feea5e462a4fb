"""`stc-bench search`: runs over seeds with a progress bar, then the cells found and what they score."""

from __future__ import annotations

import json
import shlex
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasbench_stc.cli import options
from nasbench_stc.errors import BadCallError, DamagedFileWarning
from nasbench_stc.seeds import parse, told

if TYPE_CHECKING:
    from rich.console import Console

    from nasbench_stc.benchmark import Benchmark
    from nasbench_stc.methods import Method
    from nasbench_stc.records import Record, SimulatedRun
    from nasbench_stc.runs.launch import Plan
    from nasbench_stc.runs.launcher import Way
    from nasbench_stc.runs.simulate import SimulatedPlan


@click.command()
@click.option(
    "--method",
    default="stc",
    show_default=True,
    help="What to search with: names (stc,rea), path/to/file.py:Name, optuna:TPESampler, all methods of a kind "
    "(one-shot, black-box, training-free), or all; `stc-bench methods` lists them.",
)
@click.option(
    "--dataset", default="cifar10", show_default=True, help="cifar10, cifar100, ImageNet16-120, digits or imagenet."
)
@click.option(
    "--seeds",
    default="3",
    show_default=True,
    help="How many (3 is the seeds 0, 1, 2), or which: 777,888 or 100-104 or 0,5,100-104. A number alone is how many: "
    "the seed 100 alone is 100, with a comma.",
)
@options.seeds_at_a_time
@click.option(
    "--protocol",
    default="auto",
    show_default=True,
    help="paper, cpu, digits, smoke, nats-bench or nas-bench-201; auto is paper on a GPU, else cpu, and for black-box "
    "methods nats-bench.",
)
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting (`stc-bench methods NAME` lists)."
)
@options.space
@options.out
@options.benchmark
@options.data_dir
@options.device
@options.resume
def search(
    method: str,
    dataset: str,
    seeds: str,
    way: Way,
    protocol: str,
    changes: tuple[str, ...],
    space: str,
    out: Path,
    benchmark: str,
    data_dir: Path | None,
    device: str,
    resume: bool,
) -> None:
    """Search for a cell, once a seed, and look each one up in a benchmark.

    Ctrl-C or SIGTERM (`kill PID`) stops it: what is done is kept, and the same command continues. As a background job
    of a script it does not hear Ctrl-C, as the shell has it: SIGTERM stops it there.
    """
    from rich.console import Console

    from nasbench_stc.benchmark import open_benchmark
    from nasbench_stc.cli.bars import Bars
    from nasbench_stc.data import DATASETS
    from nasbench_stc.methods import KINDS, find, installed, of_kind, ours
    from nasbench_stc.runs import simulate
    from nasbench_stc.space import check_dataset

    kinds = {kind: of_kind(kind) for kind in KINDS}
    names = options.method_names("--method", method, {"all": [*ours(), *installed()], **kinds})
    chosen = parse(seeds)
    settings = options.parse_changes(changes)
    found = [find(name) for name in names]
    check_dataset(dataset, DATASETS)
    console = Console(soft_wrap=True, highlight=False)
    opened = open_benchmark(benchmark, data_dir, space)
    if len(names) > 1 and not {part.strip() for part in method.split(",")} <= set(names):  # a group was named
        found = _that_can(found, protocol, dataset, opened, console)
    trained = [one for one in found if one.kind == "one-shot"]
    others = [one for one in found if one.kind != "one-shot"]
    # All plans before the first run: what is wrong with one shows before hours pass.
    many = [simulate.plan(one, opened, dataset, protocol, settings, device) for one in others]
    if way.jobs > 1 and not trained and len(many) == 1:
        raise BadCallError(
            f"--jobs {way.jobs}: there is nothing to divide; the runs of {many[0].method.name} share a file and one "
            "process. Methods of simulated runs are divided, and the seeds of one-shot ones"
        )
    records: list[Record] = []
    submitted: list[str] = []
    if trained:
        from nasbench_stc.runs import launch, launcher

        how = (protocol, settings, device, way.launcher == "local", space)
        plans = [launch.plan(one, dataset, seed, *how) for one in trained for seed in chosen]
        announce(console, plans, chosen, way, out, opened, resume)
        with Bars(console) as bars:
            records += launcher.run_many(plans, opened, out, data_dir, resume, way, bars)
        submitted += bars.jobs
    if many and not way.is_here:
        submitted += _simulate_elsewhere(console, many, opened, chosen, out, data_dir, resume, way)
    for runs in many if not (way.leaves and submitted) else ():
        if way.is_here:
            records += _simulate(console, runs, opened, chosen, out, data_dir, resume)
        else:  # what other processes did is there, and only read here
            records += simulate.run_many(runs, opened, chosen, out, data_dir).records(chosen)
    if not say_submitted(console, submitted if way.leaves else (), out) and records:
        show(console, records, options.report_command("--table 6", space, out))


def say_submitted(console: Console, jobs: Sequence[str], out: Path) -> bool:
    """Which jobs Slurm has now, that are not waited for, and how to see what becomes of them; whether there are any."""
    if jobs:
        console.print(f"submitted {len(jobs)} job{'s' * (len(jobs) > 1)}: {', '.join(jobs)}", markup=False)
        look = f"stc-bench status {shlex.quote(str(out))}"
        console.print(f"`{look}` says how far they are; the same command shows what they found.", markup=False)
    return bool(jobs)


def _that_can(found: list[Method], protocol: str, dataset: str, opened: Benchmark, console: Console) -> list[Method]:
    """Those methods that know the protocol, the data set and the space; which do not, and why, is said."""
    from nasbench_stc.runs.search import protocols
    from nasbench_stc.space import DATASETS

    able = []
    for one in found:
        if one.kind == "black-box" and dataset not in DATASETS:
            console.print(f"left out: {one.name}: no benchmark has trainings on {dataset}", markup=False)
        elif one.kind == "black-box" and not opened.holds():
            console.print(f"left out: {one.name}: {opened.about}", markup=False)
        elif one.kind == "one-shot" and not opened.space.shares_weights:
            console.print(f"left out: {one.name}: there is no supernet of {opened.space.title}", markup=False)
        elif getattr(one.cls, "scored", False) and not opened.space.has_scores:
            console.print(f"left out: {one.name}: scores know no networks of {opened.space.title}", markup=False)
        elif protocol not in ("auto", *protocols(one.kind)):
            console.print(f"left out: {one.name}: {one.kind} methods have no protocol {protocol}", markup=False)
        else:
            able.append(one)
    if not able:
        raise BadCallError("no method is left")
    return able


def announce(
    console: Console, plans: list[Plan], seeds: list[int], way: Way, out: Path, opened: Benchmark, resume: bool
) -> None:
    """Say what is to be run, on what and about how long it takes; and which of it is there already."""
    from nasbench_stc.engine.protocol import PROTOCOLS
    from nasbench_stc.runs import launch, status
    from nasbench_stc.space import find_space

    first = plans[0]
    preset = PROTOCOLS[first.protocol]
    names = ", ".join(dict.fromkeys(todo.method.name for todo in plans))
    datasets = ", ".join(dict.fromkeys(todo.dataset for todo in plans))
    console.print(f"[bold]{names}[/bold] on {datasets}, protocol [bold]{first.protocol}[/bold]: {preset.about}")
    jobs = min(way.jobs, len(plans))
    at_a_time = f" ({jobs} at a time)" if jobs > 1 else ""
    console.print(
        f"about {preset.takes}; {told(seeds)}{at_a_time}; device {first.device}; records in {out}/", markup=False
    )
    differing = find_space(first.space).differing(first.protocol, first.dataset)
    if differing:
        said = ", ".join(f"{name}={value}" for name, value in differing.items())
        console.print(f"here with {said}, which takes another time", markup=False)
    console.print(f"benchmark [bold]{opened.name}[/bold]: {opened.about}")
    left = []
    busy = status.at_work(out / todo.folder_name for todo in plans) if way.leaves else {}
    for todo in plans:
        if resume and launch.is_done(todo, out):
            console.print(f"{todo.short_name}: done before, its record is kept (--no-resume runs it again)")
        elif seen := busy.get(out / todo.folder_name):
            console.print(f"{todo.short_name}: {seen.state} already, as job {seen.status.job or 'of this machine'}")
        else:
            left.append(todo)
    console.print(_to_do(left, jobs, out) if left else "nothing is left to run", markup=False)


def _to_do(left: list[Plan], jobs: int, out: Path) -> str:
    """How many runs are about to start, and about how long they take by the records below `out`, if there are such."""
    runs = f"{len(left)} run{'s' * (len(left) > 1)} to do"
    usual = _usual_seconds(out)
    kinds = [
        (todo.method.name, todo.dataset, todo.protocol, _text(todo.changes), todo.device == "cpu") for todo in left
    ]
    known = [usual[kind] for kind in kinds if kind in usual]
    if not known:
        return runs
    total = sum(known) / min(jobs, len(left))
    length = (
        f"{total:.0f} s" if total < 120 else f"{total / 60:.0f} minutes" if total < 7200 else f"{total / 3600:.1f} h"
    )
    rest = len(left) - len(known)
    return f"{runs}: about {length} by records of such runs in {out}/" + f", and {rest} of which there is none" * (
        rest > 0
    )


def _text(changes: dict[str, Any]) -> str:
    """As `load_runs` has them."""
    return json.dumps(changes, sort_keys=True, ensure_ascii=False)


def _usual_seconds(out: Path) -> dict[tuple[object, ...], float]:
    """The median of the runs below `out`, by method, data set, protocol, changes, and whether on a CPU."""
    from nasbench_stc import load_runs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedFileWarning)  # for a report to tell
        runs = load_runs(out)
    if runs.empty:
        return {}
    kind = [runs[name] for name in ("method", "search_dataset", "protocol", "changes")]
    by_kind = runs["seconds"].groupby([*kind, runs["device"].str.startswith("CPU")], observed=True)
    return {tuple(of): float(seconds) for of, seconds in by_kind.median().items()}


def _simulate(
    console: Console,
    todo: SimulatedPlan,
    opened: Benchmark,
    seeds: list[int],
    out: Path,
    data_dir: Path | None,
    resume: bool,
) -> list[SimulatedRun]:
    """Carry out the runs of one method, with a bar."""
    from nasbench_stc.cli.bars import runs_bar
    from nasbench_stc.runs import simulate

    name, runs = todo.method.name, f"{len(seeds)} run{'s' * (len(seeds) > 1)}"
    about = simulate.PROTOCOLS[todo.method.kind][todo.protocol]
    console.print(f"[bold]{name}[/bold] on {todo.dataset}, protocol [bold]{todo.protocol}[/bold]: {about}")
    told = f"told: {todo.oracle.about}" if todo.oracle else f"scores on device {todo.device}"
    where = f"record in {out / todo.folder_name}/"
    console.print(f"{runs} {_budget(todo)}; {told}; benchmark {opened.name}; {where}", markup=False)
    with runs_bar(console, name, len(seeds)) as on_run:
        return simulate.run_many(todo, opened, seeds, out, data_dir, resume, on_run).records(seeds)


def _simulate_elsewhere(
    console: Console,
    many: Sequence[SimulatedPlan],
    opened: Benchmark,
    seeds: list[int],
    out: Path,
    data_dir: Path | None,
    resume: bool,
    way: Way,
) -> list[str]:
    """Carry out simulated runs in other processes, a method each; the jobs of Slurm that are not waited for."""
    from nasbench_stc.cli.bars import Bars
    from nasbench_stc.runs import launcher, simulate

    results = out.absolute()
    tasks = [
        launcher.Task(
            todo.method.name,
            partial(simulate.run_many, todo, opened, seeds, results, data_dir, resume),
            results / todo.folder_name,
        )
        for todo in many
    ]
    with Bars(console) as bars:
        device = next((todo.device for todo in many if todo.device), "cpu")
        launcher.carry_out(tasks, way, results / launcher.FOLDER, bars, device)
    return bars.jobs


def _budget(todo: SimulatedPlan) -> str:
    """What a run may spend, in words."""
    if todo.oracle is None:
        return f"of {todo.parts['method'].candidates} cells"
    limits = [f"{todo.simulation.budget:,.0f} simulated s"] if todo.simulation.budget else []
    limits += [f"{todo.simulation.evaluations:,} trainings"] if todo.simulation.evaluations else []
    return f"of {' or '.join(limits)}"


_MOST_ROWS = 10  # of one method; more runs than that are one row


def show(console: Console, records: Sequence[Record], then: str) -> None:
    """The cells found and what they score; `then` is the command that puts them beside the paper's."""
    from nasbench_stc.benchmark import COLUMNS
    from nasbench_stc.records import SimulatedRun
    from nasbench_stc.report.statistics import mean, std
    from nasbench_stc.report.table import Column, Row, Spread, Table, Value, accuracy_column
    from nasbench_stc.report.writers import render
    from nasbench_stc.space import Cell

    scored = list(records[0].scores)
    columns = [Column("run", "run"), *(accuracy_column(*COLUMNS[name]) for name in scored)]
    if any(not isinstance(record, SimulatedRun) for record in records):  # what is simulated was said before
        columns.append(Column("seconds", "search s", form=".0f"))
    columns += [Column("index", "cell", below=True), Column("cell", "official string", below=True)]
    several = len({record.search_dataset for record in records}) > 1
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(_named(record) + f" on {record.search_dataset}" * several, []).append(record)
    rows: list[dict[str, Value]] = []
    for method, runs in groups.items():
        if len(runs) > _MOST_ROWS:
            scores = {name: [run.scores[name] for run in runs] for name in scored}
            spreads = {name: Spread(mean(values), std(values)) for name, values in scores.items()}
            rows.append({"run": f"{method} n={len(runs)}", **spreads})
            continue
        for run in runs:
            seconds = None if isinstance(run, SimulatedRun) else run.total_seconds
            index = Cell.parse(run.cell, space=run.space).index
            row = {"run": f"{method} seed {run.seed}", **run.scores, "seconds": seconds, "index": index}
            rows.append({**row, "cell": run.cell})
    caption = (f"Percent right. `{then}` puts them beside the paper's.",)
    found = Table(None, "Cells found", tuple(columns), tuple(Row("", row) for row in rows), caption)
    console.print(render(found), end="", markup=False)


def _named(record: Record) -> str:
    """The method and what of its settings was changed."""
    return " ".join([record.method, *(f"{name}={value}" for name, value in record.changes.items())])
