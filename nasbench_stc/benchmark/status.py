"""Which benchmarks are there, and in which state: one function a kind, each giving `Item`s, found or not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nasbench_stc import files
from nasbench_stc.benchmark import analog, columnar, columns, metrics, official, table
from nasbench_stc.errors import DataError
from nasbench_stc.inventory import Item

_OFFICIALS = {
    official.FOLDER_NAME: "NATS-Bench folder",
    official.PICKLE_NAME: "NATS-Bench pickle",
    official.PTH_NAME: "NAS-Bench-201",
    official.OLDER_PTH_NAME: "NAS-Bench-201",
    official.SIZE_FOLDER_NAME: "NATS sizes folder",
    official.SIZE_PICKLE_NAME: "NATS sizes pickle",
}


def status(data_dir: Path, check: bool = False) -> list[Item]:
    """The benchmarks that the data folder may hold, and the one that comes with pip.

    Args:
        data_dir: the data folder.
        check: read all of large files, too, to compare checksums: seconds a gigabyte.
    """
    return [
        *_imported(data_dir, check),
        _table(data_dir),
        *_officials(data_dir, check),
        _analog(),
        *_metrics(data_dir),
    ]


def _imported(data_dir: Path, check: bool) -> Iterator[Item]:
    found = columnar.find(data_dir)
    if not found:
        yield Item("imported table", columnar.HOW_TO_MAKE)
    for path in found:
        item = Item("imported table", columnar.HOW_TO_MAKE, path)
        try:
            about = columnar.describe(path)
        except DataError:
            yield replace(item, state="damaged, or of another form", usable=False)
            continue
        item = replace(item, version=about.title)
        wrong = columnar.first_fault(path, about, check)
        if wrong:
            yield replace(item, state=wrong, usable=False)
        else:
            state = "sha256 as recorded" if check else "sizes as recorded"
            yield replace(item, state=state + ("" if about.is_whole else f", {about.cells:,} cells"))


def _table(data_dir: Path) -> Item:
    item = Item("nb201", table.HOW_TO_GET, files.find(data_dir, [table.FILE_NAME]))
    if item.path is None:
        return item
    try:
        content = columns.unpacked(item.path, table.HOW_TO_GET)
        if hashlib.sha256(content).hexdigest() == table.CONTENT_SHA256:
            return replace(item, version="NATS v1.0", state="sha256 as pinned")
        table.read_table(item.path)
    except DataError:
        return replace(item, state="damaged, or of another form", usable=False)
    return replace(item, state="another table than the pinned one")


def _officials(data_dir: Path, check: bool) -> Iterator[Item]:
    for file_name, name in _OFFICIALS.items():
        how_to_get = f"{official.HOW_TO_GET}, as {file_name}"
        version = official.version(Path(file_name))
        item = Item(name, how_to_get, files.find(data_dir, [file_name]), version)
        if item.path is None:
            if file_name != official.OLDER_PTH_NAME:  # nobody should go and get that one
                yield item
        elif item.path.is_dir():
            cells, number = official.count_cells(item.path), official.space_of(item.path).num_cells
            if cells < number:
                yield replace(item, state=f"incomplete: {cells:,} of {number:,} cells", usable=False)
            else:
                yield replace(item, state="all cells there; `data import` checks them")
        elif check:
            # The names hold some digits of the md5: its last ones, or its first.
            digits, md5 = file_name.split(".")[0].rsplit("-", 1)[1], files.digest(item.path, "md5")
            fits = md5.startswith(digits) or md5.endswith(digits)
            state = f"md5 {'fits' if fits else 'does not fit'} the {digits} in its name"
            yield replace(item, state=state, usable=fits)
        else:
            yield replace(item, state="not checked (--check)")


def _analog() -> Item:
    item = Item("analog", analog.HOW_TO_GET, analog.find_file())
    if item.path is None:
        return item
    if files.digest(item.path) == analog.DATA_SHA256:
        return replace(item, version=analog.VERSION, state="sha256 as pinned")
    return replace(item, state=f"another file than {analog.VERSION}'s")


def _metrics(data_dir: Path) -> Iterator[Item]:
    """Tables of scores and latencies of all cells."""
    for name in metrics.FILES:
        item = Item(name.removesuffix(".csv.gz"), metrics.how_to_get(name), files.find(data_dir, [name]))
        if item.path is None:
            yield item
            continue
        try:
            content = columns.unpacked(item.path, item.how_to_get)
        except DataError:
            yield replace(item, state="damaged", usable=False)
            continue
        known = hashlib.sha256(content).hexdigest() == metrics.CONTENT_SHA256[name]
        yield replace(item, state="sha256 as pinned" if known else "another table than the known one")
