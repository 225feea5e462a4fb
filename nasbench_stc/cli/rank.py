"""`stc-bench rank`: cells rated by the supernets of finished runs, and how well that agrees with a benchmark."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasbench_stc.cli import options

if TYPE_CHECKING:
    from nasbench_stc.runs.launcher import Way


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
@options.space
@options.benchmark
@options.data_dir
@options.device
@options.launching("How many runs at a time, in processes that share this machine's threads.")
@click.option("--resume/--no-resume", default=True, show_default=True, help="Take a ranking that is there already.")
def rank(
    runs: tuple[Path, ...],
    cells: str,
    images: int,
    form: str,
    notes: bool,
    space: str,
    benchmark: str,
    data_dir: Path | None,
    device: str,
    way: Way,
    resume: bool,
) -> None:
    """How well supernets rank cells: Kendall's tau-b with a benchmark, of all cells (isomorphic ones merged,
    too) and of the best tenth; and how much of the best is in what supernets put first.

    RUN is the folder of a finished search, or a folder of several: those in that space are ranked. What a supernet
    says of the cells is kept there; `stc-bench report --table supernets` has the means over seeds, method by method.
    """
    from rich.console import Console

    from nasbench_stc.benchmark import open_benchmark
    from nasbench_stc.cli.bars import Bars
    from nasbench_stc.records import record
    from nasbench_stc.report import Inputs, make_table, render
    from nasbench_stc.report.tables.ranking import compared_with
    from nasbench_stc.runs import launcher
    from nasbench_stc.runs.environment import choose_device
    from nasbench_stc.runs.rank import find_runs, rank_cells

    opened = open_benchmark(benchmark, data_dir, space)
    folders = find_runs(runs, space)
    for folder in folders:
        compared_with(record.read(folder / record.FILE_NAME).search_dataset, opened)  # before the work, not after it
    how = (cells, images, data_dir, choose_device(device, way.launcher == "local"))
    works = [partial(rank_cells, folder.absolute(), *how, resume=resume) for folder in folders]
    tasks = [
        launcher.Task(folder.name, work, hear=launcher.by_tick) for folder, work in zip(folders, works, strict=True)
    ]
    with Bars(Console(stderr=True), lines=False) as bars:
        rankings = launcher.carry_out(tasks, way, folders[0].absolute().parent / launcher.FOLDER, bars, device=how[-1])
    if way.leaves:
        click.echo(f"submitted {len(bars.jobs)} jobs: {', '.join(bars.jobs)}; the same command shows what they found")
        return
    click.echo(render(make_table("ranking", Inputs(asked=opened, rankings=rankings)), form, notes=notes).rstrip("\n"))
