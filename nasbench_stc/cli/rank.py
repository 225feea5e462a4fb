"""`stc-bench rank`: cells rated by the supernets of finished runs, and how well that agrees with a benchmark."""

from __future__ import annotations

from pathlib import Path

import click

from nasbench_stc.cli import options


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--cells",
    default="500",
    show_default=True,
    help="How many (the same sample always), classes (one of each), or all.",
)
@click.option(
    "--images",
    type=click.IntRange(min=0),
    default=1024,
    show_default=True,
    help="How many validation images rate a cell; 0: all.",
)
@options.table_format
@options.notes
@options.benchmark
@options.data_dir
@options.device
@click.option("--resume/--no-resume", default=True, show_default=True, help="Take a ranking that is there already.")
def rank(
    runs: tuple[Path, ...],
    cells: str,
    images: int,
    form: str,
    notes: bool,
    benchmark: str,
    data_dir: Path | None,
    device: str,
    resume: bool,
) -> None:
    """How well supernets rank cells: Kendall's tau-b with a benchmark, of all cells (isomorphic ones merged,
    too) and of the best tenth.

    RUN is the folder of a finished search, or a folder of several. What a supernet says of the cells is kept there.
    """
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from nasbench_stc.benchmark import open_benchmark
    from nasbench_stc.report import Inputs, make_table, render
    from nasbench_stc.runs.rank import find_runs, rank_cells

    folders = find_runs(runs)
    opened = open_benchmark(benchmark, data_dir)
    rankings = []
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        for folder in folders:
            bar = bars.add_task(folder.name, total=None)

            def tick(done: int, total: int, bar: TaskID = bar) -> None:
                bars.update(bar, completed=done, total=total)

            rankings.append(rank_cells(folder, cells, images, data_dir, device, resume=resume, tick=tick))
            bars.update(bar, completed=1, total=1)
    click.echo(render(make_table("ranking", Inputs(asked=opened, rankings=rankings)), form, notes=notes).rstrip("\n"))
