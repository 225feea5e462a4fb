"""What the machine lacks, in one folder that git ignores: wheels, image parts, the table, checkpoints."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click
import numpy as np

from nasbench_stc import files
from nasbench_stc.benchmark import table
from nasbench_stc.data import readers
from nasbench_stc.engine import checkpoint
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.records import record

from . import parcels
from .mosaics import ImageSet, write_parts

MIB = 2**20
COPY_MIB = 64
"""What one copy to the machine carries, the working tree among it."""
PYTHON = "3.12"
"""Of the machine; `PLATFORMS` are those whose wheels it takes."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
THERE = (
    *("torch", "numpy", "scipy", "pandas", "matplotlib", "click", "rich", "jinja2", "tabulate", "pillow", "filelock"),
    *("scikit-learn", "pytest", "hypothesis"),
)
"""What the machine is expected to have, with all that these bring."""
WHEELS = (
    *("msgspec", "pooch", "platformdirs", "nats_bench", "nas-bench-201", "analog-nasbench", "submitit", "cloudpickle"),
)
"""What the package and its tests need besides. In the versions of constraints.txt."""

_ROOT = Path(__file__).parents[2]


@click.command(help=__doc__)
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), default=Path(".gpu"), show_default=True)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where CIFAR-10 and the table are, as in stc-bench.")
@click.option("--limit-mib", type=click.FloatRange(min=0), default=44, show_default=True, help="Of an image part.")
@click.option("--wheels/--no-wheels", default=True, show_default=True, help="Fetch wheels by pip.")
@click.option("--images/--no-images", default=True, show_default=True, help="Encode the images (a minute).")
@click.option(
    "--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="With checkpoints."
)
def main(to: Path, data_dir: Path | None, limit_mib: float, wheels: bool, images: bool, results: Path) -> None:
    """Write the folder anew, part by part, and say what each copy carries."""
    found = files.data_dir(data_dir)
    to.mkdir(parents=True, exist_ok=True)
    if wheels:
        fetch_wheels(_emptied(to / "wheels"))
    if images:
        _pack_images(found, _emptied(to / "images"), int(limit_mib * MIB))
    own = files.find(found, [table.FILE_NAME])
    if own is None:
        click.echo(
            f"no {table.FILE_NAME} in {found}: cells are looked up later, by the same search on a machine with it"
        )
    else:
        shutil.copyfile(own, to / table.FILE_NAME)
    _pack_checkpoints(results, _emptied(to / "state"))
    for line in copies(to, _tree_bytes()):
        click.echo(line)


def fetch_wheels(folder: Path) -> None:
    """The wheels that the machine lacks.

    Raises:
        DataError: pip did not get one.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", f"--python-version={PYTHON}", "--implementation=cp", f"--dest={folder}"]
    command += [f"--platform={name}" for name in PLATFORMS] + [f"--constraint={_ROOT / 'constraints.txt'}", *WHEELS]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise DataError(
            f"pip did not fetch the wheels ({said[-1] if said else 'it says nothing'}). Is its index in reach?"
        )


def _pack_images(data_dir: Path, to: Path, limit: int) -> None:
    sets = readers.read("cifar10", data_dir)
    pixels = np.concatenate([sets.train.pixels, sets.test.pixels])
    labels = np.concatenate([sets.train.labels, sets.test.labels])
    write_parts(ImageSet(pixels, labels, len(sets.train)), to, limit)


def _pack_checkpoints(results: Path, to: Path) -> None:
    """Those of runs that are not done: on a fresh machine they continue."""
    begun = sorted(path.parent for path in results.glob(f"*/{checkpoint.FILE_NAME}"))
    begun = [folder for folder in begun if not (folder / record.FILE_NAME).exists()]
    left_out = parcels.bundle(parcels.in_order(begun), to, "state", parcels.Limits(8, 16 * MIB, 8 * 16 * MIB))
    for path in left_out:
        click.echo(f"left out: {path} is larger than a file may be")


def copies(folder: Path, tree: int) -> list[str]:
    """What copies are to carry: wheels and the table with the first image part, checkpoints where there is room."""
    parts = sorted((folder / "images").glob("part*"), key=lambda part: int(part.name.removeprefix("part")))
    first = [path for path in (folder / "wheels", folder / table.FILE_NAME) if path.exists()]
    carried = [[*first, *parts[:1]], *([part] for part in parts[1:])]
    for state in sorted((folder / "state").glob("*.tar")):
        roomy = (names for names in carried if tree + sum(map(_bytes, [*names, state])) <= COPY_MIB * MIB)
        names = next(roomy, None)
        if names is None:
            carried.append(names := [])
        names.append(state)
    lines = [f"{len(carried)} copies of at most {COPY_MIB} MiB, each with the working tree of {tree / MIB:.1f} MiB:"]
    for number, names in enumerate(carried, start=1):
        total = (tree + sum(map(_bytes, names))) / MIB
        listed = ", ".join(f"{name} ({_bytes(name) / MIB:.1f})" for name in names)
        fits = "" if total <= COPY_MIB else f": TOO LARGE by {total - COPY_MIB:.1f}; lower --limit-mib"
        lines.append(f"  {number}. {listed}: {total:.1f} MiB{fits}")
    return lines


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def _tree_bytes() -> int:
    """Of the files that git does not ignore; 0 outside a checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    return sum(_bytes(_ROOT / name) for name in listed.split("\0") if name and (_ROOT / name).is_file())


def _emptied(folder: Path) -> Path:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise BadCallError(f"{folder} is no folder; choose another --to")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
