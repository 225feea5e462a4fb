"""`stc-bench search`: runs over seeds with a progress bar, then the cells found and what they score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasbench_stc.cli import options
from nasbench_stc.errors import BadCallError, describe
from nasbench_stc.runs.watch import Watcher

if TYPE_CHECKING:
    from nasbench_stc.runs import Record
    from nasbench_stc.runs.launch import Plan


@click.command()
@click.option(
    "--method",
    default="stc",
    show_default=True,
    help="What to search with, one or several (stc,gdas), or all; `stc-bench methods` lists them.",
)
@click.option("--dataset", default="cifar10", show_default=True, help="cifar10, cifar100, ImageNet16-120 or digits.")
@click.option("--seeds", default="3", show_default=True, help="How many (3 is 0, 1, 2), or which (777,888,999).")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many seeds at a time, in processes that share the threads. A seed gives the same bits again at the "
    "same number of threads only, so with the same --jobs.",
)
@click.option(
    "--protocol",
    default="auto",
    show_default=True,
    help="paper, cpu, digits or smoke; auto is paper on a GPU, else cpu.",
)
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting (`stc-bench methods NAME` lists)."
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="Folder of records."
)
@options.benchmark
@options.data_dir
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, or auto.")
@click.option(
    "--resume/--no-resume", default=True, show_default=True, help="Continue an interrupted run; skip a finished one."
)
def search(
    method: str,
    dataset: str,
    seeds: str,
    jobs: int,
    protocol: str,
    changes: tuple[str, ...],
    out: Path,
    benchmark: str,
    data_dir: Path | None,
    device: str,
    resume: bool,
) -> None:
    """Search for a cell, once a seed, and look each one up in a benchmark."""
    names = options.method_names("--method", method)
    chosen = parse_seeds(seeds)
    settings = parse_changes(changes)
    from rich.console import Console

    from nasbench_stc.benchmark import open_benchmark
    from nasbench_stc.engine.protocol import PROTOCOLS
    from nasbench_stc.runs import launch

    plans = [launch.plan(name, dataset, seed, protocol, settings, device) for name in names for seed in chosen]
    opened = open_benchmark(benchmark, data_dir)
    preset = PROTOCOLS[plans[0].protocol]
    console = Console(soft_wrap=True, highlight=False)
    title = f"[bold]{', '.join(names)}[/bold] on {dataset}, protocol [bold]{plans[0].protocol}[/bold]"
    console.print(f"{title}: {preset.about}")
    at_a_time = f" ({min(jobs, len(plans))} at a time)" if min(jobs, len(plans)) > 1 else ""
    console.print(
        f"about {preset.takes}; seeds {', '.join(map(str, chosen))}{at_a_time}; device {plans[0].device}; "
        f"records in {out}/"
    )
    console.print(f"benchmark [bold]{opened.name}[/bold]: {opened.about}")
    for todo in plans:
        if resume and launch.is_done(todo, out):
            console.print(f"{todo.short_name}: done before, its record is kept (--no-resume runs it again)")
    with _Bars(console) as bars:
        records = launch.run_many(plans, opened, out, data_dir, resume, jobs, bars)
    _show(console, records)


def parse_seeds(text: str) -> list[int]:
    """`"3"` is seeds 0, 1, 2; `"777,888"` is those two, `"777,"` the one."""
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 0 or numbers == [0] or len(set(numbers)) < len(numbers):
        raise BadCallError(f"--seeds {text!r}: give how many (3), or which, each once (777,888,999)")
    return numbers if "," in text else list(range(numbers[0]))


def parse_changes(pairs: tuple[str, ...]) -> dict[str, Any]:
    """`KEY=VALUE` pairs as a dict."""
    for pair in pairs:
        if "=" not in pair:
            raise BadCallError(f"--set {pair!r}: expected KEY=VALUE")
    return dict(pair.split("=", 1) for pair in pairs)  # type: ignore[misc]


class _Bars(Watcher):
    """A progress bar a seed on a terminal; elsewhere a line at every tenth of a run."""

    def __init__(self, console: Any) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}  {task.fields[at]}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._console = console
        self._live = console.is_terminal
        self._progress = Progress(*columns, console=console, disable=not self._live)
        self._tasks: dict[str, Any] = {}
        self._tenths: dict[str, int] = {}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, todo: Plan) -> None:
        """A bar for the run."""
        shown = [task for task in self._progress.tasks if task.visible]
        finished = [task.id for task in shown if task.finished]
        if finished and len(shown) + 1 >= self._console.height:  # what does not fit the terminal is not seen to move
            self._progress.update(finished[0], visible=False)
        at = f"epoch 0/{todo.engine.epochs}"
        self._tasks[todo.short_name] = self._progress.add_task(todo.short_name, total=None, at=at)
        self._tenths[todo.short_name] = 0

    def step(self, todo: Plan, epoch: int, epochs: int, step: int, steps: int) -> None:
        """The bar moves."""
        done, total = epoch * steps + step + 1, epochs * steps
        at = f"epoch {epoch + 1}/{epochs}"
        self._progress.update(self._tasks[todo.short_name], total=total, completed=done, at=at)
        tenths = 10 * done // total
        if not self._live and tenths > self._tenths[todo.short_name]:
            self._tenths[todo.short_name] = tenths
            self._console.print(f"{todo.short_name}: {at}, {10 * tenths}%")

    def end(self, todo: Plan) -> None:
        """The bar's run is done, if only because its record was there."""
        task, epochs = self._tasks[todo.short_name], todo.engine.epochs
        total = self._progress.tasks[task].total or 1
        self._progress.update(task, total=total, completed=total, at=f"epoch {epochs}/{epochs}")

    def failed(self, todo: Plan, error: Exception) -> None:
        """The bar stops; why is said above."""
        task = self._tasks[todo.short_name]
        self._progress.update(task, total=self._progress.tasks[task].total or 1, at="failed")
        self._progress.stop_task(task)
        self._console.print(f"{todo.short_name}: failed: {describe(error)}", markup=False)


def _show(console: Any, records: list[Record]) -> None:
    from nasbench_stc.benchmark import COLUMNS
    from nasbench_stc.space import Cell

    columns = list(records[0].scores)
    table = options.accuracy_table(("method\nseed", "cell"), [COLUMNS[name] for name in columns], ("s",))
    for record in records:
        numbers = (f"{record.scores[name]:.2f}" for name in columns)
        table.add_row(
            f"{record.method} {record.seed}",
            str(Cell.parse(record.cell).index),
            *numbers,
            f"{record.total_seconds:.0f}",
        )
    console.print(table)
    for record in records:
        console.print(f"{record.method} seed {record.seed}: {record.cell}", markup=False)
    console.print("`stc-bench report --table 6` puts them beside the paper's.", markup=False)
