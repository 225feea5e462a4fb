"""`stc-bench search`: runs over seeds with a progress bar, then the cells found and what they score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasbench_stc.cli import options
from nasbench_stc.errors import BadCallError

if TYPE_CHECKING:
    from nasbench_stc.runs import Record


@click.command()
@click.option("--method", default="stc", show_default=True, help="What to search with; `stc-bench methods` lists them.")
@click.option("--dataset", default="cifar10", show_default=True, help="cifar10, cifar100, ImageNet16-120 or digits.")
@click.option("--seeds", default="3", show_default=True, help="How many (3 is 0, 1, 2), or which (777,888,999).")
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
    protocol: str,
    changes: tuple[str, ...],
    out: Path,
    benchmark: str,
    data_dir: Path | None,
    device: str,
    resume: bool,
) -> None:
    """Search for a cell, once a seed, and look each one up in a benchmark."""
    chosen = parse_seeds(seeds)
    settings = parse_changes(changes)
    from rich.console import Console

    from nasbench_stc.benchmark import open_benchmark
    from nasbench_stc.engine.protocol import PROTOCOLS
    from nasbench_stc.runs import launch
    from nasbench_stc.runs.record import FILE_NAME

    plans = [launch.plan(method, dataset, seed, protocol, settings, device) for seed in chosen]
    opened = open_benchmark(benchmark, data_dir)
    preset = PROTOCOLS[plans[0].protocol]
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"[bold]{method}[/bold] on {dataset}, protocol [bold]{plans[0].protocol}[/bold]: {preset.about}")
    console.print(
        f"about {preset.takes}; seeds {', '.join(map(str, chosen))}; device {plans[0].device}; records in {out}/"
    )
    console.print(f"benchmark [bold]{opened.name}[/bold]: {opened.about}")
    records = []
    with _Bars(console) as bars:
        for todo in plans:
            if resume and (out / todo.folder_name / FILE_NAME).exists():
                console.print(f"seed {todo.seed}: done before, its record is kept (--no-resume runs it again)")
            records.append(launch.run(todo, opened, out, data_dir, resume, bars.add(todo.seed, todo.engine.epochs)))
            bars.finish()
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


class _Bars:
    """A progress bar a seed on a terminal; elsewhere a line at every tenth of a run."""

    def __init__(self, console: Any) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn("seed {task.fields[seed]}  epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._console = console
        self._live = console.is_terminal
        self._progress = Progress(*columns, console=console, disable=not self._live)
        self._task: Any = None

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def add(self, seed: int, epochs: int) -> Any:
        """A bar for a seed; returns what the run calls after each step."""
        self._task = self._progress.add_task("", total=None, seed=seed, epoch=0, epochs=epochs)
        tenths = 0

        def on_step(epoch: int, epochs: int, step: int, steps: int) -> None:
            nonlocal tenths
            done, total = epoch * steps + step + 1, epochs * steps
            self._progress.update(self._task, total=total, completed=done, epoch=epoch + 1)
            if not self._live and 10 * done // total > tenths:
                tenths = 10 * done // total
                self._console.print(f"seed {seed}: epoch {epoch + 1}/{epochs}, {10 * tenths}%")

        return on_step

    def finish(self) -> None:
        """The bar's run is done, if only because its record was there."""
        task = self._progress.tasks[-1] if self._progress.tasks else None
        if task is not None:
            self._progress.update(
                task.id, total=task.total or 1, completed=task.total or 1, epoch=task.fields["epochs"]
            )


def _show(console: Any, records: list[Record]) -> None:
    from nasbench_stc.benchmark import COLUMNS
    from nasbench_stc.space import Cell

    columns = list(records[0].scores)
    table = options.accuracy_table(("seed", "cell"), [COLUMNS[name] for name in columns], ("search\ns",))
    for record in records:
        numbers = (f"{record.scores[name]:.2f}" for name in columns)
        table.add_row(str(record.seed), str(Cell.parse(record.cell).index), *numbers, f"{record.total_seconds:.0f}")
    console.print(table)
    for record in records:
        console.print(f"seed {record.seed}: {record.cell}", markup=False)
    console.print("`stc-bench report --table 6` puts them beside the paper's.", markup=False)
