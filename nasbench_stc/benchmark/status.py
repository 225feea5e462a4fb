"""Which benchmarks are there, and in which state: one function a kind, each giving `Item`s, found or not."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from nasbench_stc import files
from nasbench_stc.benchmark import analog, columns, metrics, official, table
from nasbench_stc.errors import DataError
from nasbench_stc.inventory import Item
from nasbench_stc.space import NUM_CELLS

_OFFICIALS = {  # (name, version) of each file
    official.FOLDER_NAME: ("NATS-Bench folder", "v1.0"),
    official.PICKLE_NAME: ("NATS-Bench pickle", "v1.0"),
    official.PTH_NAME: ("NAS-Bench-201", "v1.1"),
}


def status(data_dir: Path) -> list[Item]:
    """The benchmarks that the data folder may hold, and the one that comes with pip."""
    return [_table(data_dir), *_officials(data_dir), _analog(), *_metrics(data_dir)]


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


def _officials(data_dir: Path) -> list[Item]:
    items = []
    for file_name, (name, version) in _OFFICIALS.items():
        item = Item(name, f"{official.HOW_TO_GET}, as {file_name}", files.find(data_dir, [file_name]), version)
        if item.path is not None and item.path.is_dir():
            cells = official.count_cells(item.path)
            if cells < NUM_CELLS:
                item = replace(item, state=f"incomplete: {cells:,} of {NUM_CELLS:,} cells", usable=False)
            else:
                item = replace(item, state="all cells there, not checked")
        elif item.path is not None:
            item = replace(item, state="not checked")
        items.append(item)
    return items


def _analog() -> Item:
    item = Item("analog", analog.HOW_TO_GET, analog.find_file())
    if item.path is None:
        return item
    if files.digest(item.path) == analog.DATA_SHA256:
        return replace(item, version=analog.VERSION, state="sha256 as pinned")
    return replace(item, state=f"another file than {analog.VERSION}'s")


def _metrics(data_dir: Path) -> list[Item]:
    """Tables of scores and latencies of all cells: found or not, by their names."""
    return [
        Item(name.removesuffix(".csv.gz"), metrics.how_to_get(name), files.find(data_dir, [name]), state="not checked")
        for name in metrics.FILES
    ]
