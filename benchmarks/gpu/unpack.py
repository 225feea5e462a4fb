"""Put what came back from `queue` into results/: records, rankings, and checkpoints, which git ignores."""

from __future__ import annotations

from pathlib import Path

import click

from . import parcels


@click.command(help=__doc__)
@click.argument("archives", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
def main(archives: tuple[Path, ...], results: Path) -> None:
    """Archives that `queue` or `pack` wrote."""
    for line in parcels.unpack(archives, results):
        click.echo(line)
