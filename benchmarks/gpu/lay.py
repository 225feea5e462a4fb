"""Collect the parts that have arrived, outside the working tree; when all are there, CIFAR-10 as it is published."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click
import numpy as np

from nasbench_stc import files
from nasbench_stc.benchmark import table
from nasbench_stc.data import readers
from nasbench_stc.errors import DataError

from . import parcels
from .mosaics import MANIFEST, ImageSet, read_manifest, read_parts

FOLDER = "cifar-10-batches-bin"


def data_folder() -> Path:
    """Where data is laid if nothing else is said: below the temporary folder, which outlasts a copy."""
    return Path(tempfile.gettempdir()) / "nasbench_stc-data"


@click.command(help=__doc__)
@click.option("--from", "folder", type=click.Path(path_type=Path), default=Path(".gpu"), show_default=True)
@click.option("--to", type=click.Path(path_type=Path), help="A data folder.  [default: below the temporary folder]")
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
def main(folder: Path, to: Path | None, results: Path) -> None:
    """What came by one copy."""
    to = to or data_folder()
    to.mkdir(parents=True, exist_ok=True)
    if (folder / table.FILE_NAME).is_file():
        shutil.copyfile(folder / table.FILE_NAME, to / table.FILE_NAME)
        click.echo(f"{to / table.FILE_NAME}: there")
    state = sorted((folder / "state").glob("*.tar"))
    for line in parcels.unpack(state, results) if state else ():
        click.echo(line)
    click.echo(collect(folder / "images", to))


def collect(arrived: Path, to: Path) -> str:
    """Keep the parts below `arrived`, and write the published files once all are there; says how far it is.

    Raises:
        DataError: a part is damaged, or the parts do not belong together.
    """
    if readers.find_folder("cifar10", to) is not None:
        return f"{to / FOLDER}: there"
    kept = to / "parts"
    for part in sorted(path.parent for path in arrived.glob(f"part*/{MANIFEST}")):
        read_manifest(part)
        shutil.rmtree(kept / part.name, ignore_errors=True)
        shutil.copytree(part, kept / part.name)
    folders = sorted(path.parent for path in kept.glob(f"part*/{MANIFEST}"))
    if not folders:
        raise DataError(f"no part of CIFAR-10 in {arrived} or {kept}; `python -m benchmarks.gpu pack` makes them")
    images = read_parts(folders)
    if images is None:
        there = ", ".join(path.name.removeprefix("part") for path in folders)
        return f"{to}: of {read_manifest(folders[0])['parts']} parts there are {there}"
    write_published(images, to / FOLDER)
    readers.read("cifar10", to)  # checks the md5 sums, and keeps the decoded images for the searches
    return f"{to / FOLDER}: written and checked"


def write_published(images: ImageSet, folder: Path) -> None:
    """CIFAR-10's binary files: a label byte and 3,072 bytes of pixels an image; five for training, then the test."""
    folder.mkdir(parents=True, exist_ok=True)
    flat = images.pixels.reshape(len(images.pixels), -1)
    records = np.concatenate([images.labels.astype(np.uint8)[:, None], flat], axis=1)
    *train, test = readers.CIFAR10_MD5
    parts = [*np.array_split(records[: images.train], len(train)), records[images.train :]]
    for name, part in zip((*train, test), parts, strict=True):
        files.write_atomic(folder / name, part.tobytes())
