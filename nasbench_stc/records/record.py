"""The record of a run: everything that a table or a figure needs, and everything that says where it came from.

What its fields may be is said once, by their annotations and by `_checked`.

One run is one folder with one `record.json`, written whole or not at all.
"""

from __future__ import annotations

import errno
import fnmatch
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NotRequired, TypedDict, TypeVar

import msgspec

from nasbench_stc import settings, stored
from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.errors import DataError
from nasbench_stc.space import TSS, Cell, find_space
from nasbench_stc.stored import Count, NotNegative, Percent, Plain, Positive, Time

T = TypeVar("T")

FILE_NAME = "record.json"

Settings = dict[str, Plain | list[Plain]]
"""By name."""


class Entry(TypedDict, total=False):
    """What a trajectory's entry may say, and in which range; a method adds names of its own."""

    epoch: Count
    evaluation: Count
    cell: str | None
    train_loss: float | None
    valid_loss: float | None
    seconds: NotNegative
    alpha: list[list[float]]
    """A row for each edge, a column for each operation."""


class Supernet(TypedDict, total=False):
    """What the supernet's weights say of a cell on all validation images."""

    loss: NotNegative
    """Nats."""
    accuracy: Percent
    super_cell_loss: NotNegative
    """Of the super-cell that the cell is what is left of."""
    super_cell_accuracy: Percent


class Looked(TypedDict):
    """The benchmark that cells were looked up in."""

    name: str
    about: NotRequired[str]
    file: str
    sha256: str


class Made(TypedDict):
    """What made a record, and when."""

    versions: dict[str, str]
    device: str
    git_revision: str
    finished: Time


class Memory(TypedDict, total=False):
    """At the peak."""

    mib: NotNegative | None
    of: str
    """What was measured."""


@dataclass(frozen=True)
class Record:
    """One finished search. All values are plain (JSON) ones."""

    method: str
    search_dataset: str
    seed: Count
    protocol: str
    settings: dict[str, Settings]
    """Every setting by part: `protocol` (supernet, data, weights) and `method`."""
    changes: Settings
    """Those of them that differ from the protocol's and the method's own."""
    cell: str
    """The official string of the cell found."""
    trajectory: list[dict[str, Any]]
    """One `Entry` an epoch: epoch, cell, train_loss, valid_loss, seconds, and what the method adds."""
    supernet: Supernet
    scores: dict[str, Percent]
    """Percent by column (`cifar10-valid` … `ImageNet16-120-test`), as far as the benchmark holds them."""
    benchmark: Looked
    seconds: dict[str, NotNegative]
    """Spent on `weights`, `alpha` and `evaluation`; their sum is the search's cost."""
    peak_memory: Memory
    split: dict[str, Any]
    """The images for weights and for alpha: how they were split, their numbers, a checksum."""
    versions: dict[str, str]
    device: str
    threads: Positive
    git_revision: str
    finished: Time
    title: str = ""
    """The method's in tables and figures, for those that are not ours; empty in older records: it is shown by name."""
    order: int | None = None
    """Its place among the rows, likewise; None: after all that have one."""
    side_by_side: Positive = 1
    """How many searches shared the machine's processor or card while it ran, itself among them; of a continued one the
    most. If it is more than one, its seconds (and by threads its peak memory) are not those of a run alone."""
    space: str = TSS.name
    """That was searched, by name."""
    schema: int = 1

    @property
    def total_seconds(self) -> float:
        """Seconds of the search, evaluation included."""
        return sum(self.seconds.values())

    def write(self, folder: Path) -> Path:
        """Write `record.json` into `folder`, whole or not at all."""
        return stored.write(folder / FILE_NAME, self)


_EARLIER = settings.earlier(Protocol())


def _checked(record: Record) -> Record:
    """With the settings that are newer than the record as they were before: they still tell runs apart."""
    shape = find_space(record.space).shape
    for entry in msgspec.convert(record.trajectory, list[Entry]):
        check_alpha(entry.get("alpha"), shape)
    for cell in {record.cell, *(entry["cell"] for entry in record.trajectory if entry.get("cell") is not None)}:
        Cell.parse(cell, space=record.space)
    check_columns(record.scores)
    protocol = check_settings(record.settings, Protocol())
    return replace(record, settings={**record.settings, "protocol": {**_EARLIER, **protocol} if protocol else {}})


read = partial(stored.read, Record, "record of a run", "run the search again with --no-resume", check=_checked)
"""The record in the file at a path; raises as `stored.read`."""


def check_alpha(alpha: list[list[float]] | None, shape: tuple[int, int]) -> None:
    """Raises ValueError where it has not a row an edge and a column an operation."""
    if alpha is not None and (len(alpha) != shape[0] or any(len(row) != shape[1] for row in alpha)):
        raise ValueError(f"alpha has not the shape {shape}")


def check_columns(scores: Collection[str]) -> None:
    """Raises ValueError where a name is no column of the reports."""
    if unknown := sorted(set(scores) - COLUMNS.keys()):
        raise ValueError(f"scores of no column: {', '.join(unknown)}")


def check_settings(parts: Mapping[str, Settings], usual: Any) -> Settings:
    """The protocol's settings, which are there as the method's are, and in their ranges, as `check_values` says."""
    if "protocol" not in parts or "method" not in parts:
        raise ValueError("settings lack the protocol's or the method's")
    check_values(parts["protocol"], usual)
    return parts["protocol"]


def check_values(values: Mapping[str, Any], usual: Any) -> None:
    """Whether settings, as far as this version knows them, are in the ranges of `usual`.

    Raises:
        ValueError, BadCallError, msgspec.ValidationError: they are not.
    """
    known = {name: value for name, value in values.items() if name in settings.names(usual)}
    msgspec.convert(known, type(usual))
    settings.changed(usual, known)


def read_below(folders: Iterable[Path], pattern: str, read: Callable[[Path], T]) -> tuple[dict[Path, T], list[str]]:
    """What `read` makes of each file below `folders` whose name is as `pattern`, in the order of their paths,
    and one sentence for each file or folder that could not be read."""
    found: dict[Path, T] = {}
    problems: list[str] = []

    def refused(error: OSError) -> None:
        if error.errno != errno.ENOENT:  # where nothing was ever kept, or a folder has just gone
            problems.append(f"{error.filename}: cannot be read ({error.strerror})")

    paths = {
        path.resolve(): path
        for folder in folders
        for parent, _, names in os.walk(folder, onerror=refused)
        for path in (Path(parent, name) for name in fnmatch.filter(names, pattern))
    }
    for path in sorted(paths.values()):
        try:
            found[path] = read(path)
        except DataError as error:
            problems.append(str(error))
    return found, problems
