"""Files of runs in tar archives that are small enough to be sent, and out of them again, checked one by one.

An archive holds plain files RUN/NAME and nothing else, RUN a run's folder and NAME one of `NAMES`. What is read back is
looked at as what it is: nothing is unpickled, nothing is written outside of RUN.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nasbench_stc import files
from nasbench_stc.errors import DataError
from nasbench_stc.records import ranking, record

CHECKPOINT, SUPERNET = "checkpoint.pt", "supernet.pt"
NAMES = re.compile(r"record\.json|ranking-[0-9a-f]{8}\.json|checkpoint\.pt|supernet\.pt")
RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_HEAD, _END = 3072, 10240  # bytes of a member's headers and padding, and of an archive's end, at most
_LARGEST = 2**28  # bytes of a member: a checkpoint of the target network has a tenth of that


class Limits(NamedTuple):
    """Of what can be sent."""

    files: int
    bytes: int
    """Of a file."""
    total: int
    """Of all files, in bytes."""


def in_order(folders: Iterable[Path]) -> list[Path]:
    """The files of runs by value: records and rankings, checkpoints of runs that are not done, supernets of others."""
    folders = list(folders)
    records = [path for folder in folders for path in sorted(folder.glob("*.json")) if NAMES.fullmatch(path.name)]
    begun = [folder / CHECKPOINT for folder in folders if not (folder / record.FILE_NAME).exists()]
    done = [folder / SUPERNET for folder in folders if (folder / record.FILE_NAME).exists()]
    return [path for path in (*records, *begun, *done) if path.is_file()]


def bundle(paths: Sequence[Path], out: Path, name: str, limits: Limits) -> list[Path]:
    """Write archives `out`/NAME-1.tar, …, in place of those that are there; returns the files that did not fit.

    Each file goes whole into the first archive that has room. One that vanishes meanwhile (a checkpoint, when its run
    ends) is left out.
    """
    out.mkdir(parents=True, exist_ok=True)
    bins: list[list[tuple[Path, bytes]]] = []
    room: list[int] = []
    left_out, total = [], limits.total
    for path in paths:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        need = len(content) + _HEAD
        fitting = [number for number, free in enumerate(room) if need <= free and need <= total]
        if not fitting and len(bins) < limits.files and need + _END <= min(limits.bytes, total):
            bins.append([])
            room.append(limits.bytes - _END)
            total -= _END
            fitting = [len(bins) - 1]
        if not fitting:
            left_out.append(path)
            continue
        bins[fitting[0]].append((path, content))
        room[fitting[0]] -= need
        total -= need
    for number, members in enumerate(bins, start=1):
        with files.replacing(out / f"{name}-{number}.tar") as file, tarfile.open(fileobj=file, mode="w") as tar:
            for path, content in members:
                info = tarfile.TarInfo(f"{path.parent.name}/{path.name}")
                info.size = len(content)
                with suppress(FileNotFoundError):
                    info.mtime = path.stat().st_mtime
                tar.addfile(info, io.BytesIO(content))
    for path in out.glob(f"{name}-*.tar"):
        if not path.stem.removeprefix(f"{name}-").isdigit() or int(path.stem.removeprefix(f"{name}-")) > len(bins):
            path.unlink()
    return left_out


def unpack(archives: Sequence[Path], results: Path) -> list[str]:
    """Put runs into `results`; says what became of each file. All archives are checked before anything is written.

    A record that is there stays, and a run that has one takes no checkpoint. Of two checkpoints the newer one stays.

    Raises:
        DataError: an archive is damaged, or holds what no archive of runs does.
    """
    members = [member for archive in archives for member in _members(archive)]
    done = {run for run, name, _, _ in members if name == record.FILE_NAME}
    said = []
    for run, name, content, time in members:
        path = results / run / name
        if path.parent.is_symlink() or path.is_symlink():
            raise DataError(f"{path}: is a link, or in one; nothing is written through it")
        if name == CHECKPOINT and (run in done or (path.parent / record.FILE_NAME).exists()):
            said.append(f"{path}: not needed, the run is done")
        elif name == CHECKPOINT and path.exists() and path.stat().st_mtime > time:
            said.append(f"{path}: the one there is newer, it stays")
        elif name != CHECKPOINT and path.exists():
            same = path.read_bytes() == content
            said.append(f"{path}: there already" + ("" if same else ", another one; it stays"))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_atomic(path, content)
            os.utime(path, (time, time))
            if name == record.FILE_NAME:
                (path.parent / CHECKPOINT).unlink(missing_ok=True)
            said.append(f"{path}: written")
    return said


def _members(archive: Path) -> Iterator[tuple[str, str, bytes, float]]:
    """Run, name, content and time of change of each file."""
    try:
        with tarfile.open(archive, "r:") as tar:
            for info in tar:
                run, name = _checked(archive, info)
                content = _content(archive, tar, info)
                _look_at(archive, run, name, content)
                yield run, name, content, info.mtime
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{archive}: cannot be read, or is damaged ({error}); nothing was written") from error


def _checked(archive: Path, info: tarfile.TarInfo) -> tuple[str, str]:
    run, slash, name = info.name.partition("/")
    if not info.isreg() or not slash or not RUN.fullmatch(run) or not NAMES.fullmatch(name):
        raise DataError(f"{archive}: {info.name!r} is no file of a run; nothing was written")
    if info.size > _LARGEST:
        raise DataError(f"{archive}: {info.name} says that it has {info.size:,} bytes; nothing was written")
    return run, name


def _content(archive: Path, tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(info)
    content = file.read() if file is not None else b""
    if len(content) != info.size:
        raise DataError(f"{archive}: {info.name} is cut short; nothing was written")
    return content


def _look_at(archive: Path, run: str, name: str, content: bytes) -> None:
    """That a record or a ranking is one, and that a record is in the folder that is its own."""
    if name != record.FILE_NAME and not name.startswith("ranking-"):
        return
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / name
        path.write_bytes(content)
        try:
            if name != record.FILE_NAME:
                ranking.read(path)
                return
            found = record.read(path)
        except DataError as error:
            said = str(error).removeprefix(f"{path}: ")
            raise DataError(f"{archive}: {run}/{name}: {said}; nothing was written") from None
    if not run.startswith(f"{found.method}-{found.search_dataset}-{found.protocol}-seed{found.seed}-"):
        raise DataError(f"{archive}: {run}/{name} is the record of another run; nothing was written")
