"""The record of a run: everything that a table or a figure needs, and everything that says where it came from.

What its fields may be is said once, by their annotations and by `check`.

One run is one folder with one `record.json`, written whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypedDict, TypeVar

import msgspec
from msgspec import Meta

from nasbench_stc import settings, stored
from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.engine.protocol import EARLIER, Protocol
from nasbench_stc.errors import DataError
from nasbench_stc.space import EDGES, OPS, Cell
from nasbench_stc.stored import Count, NotNegative, Percent, Plain, Positive, Time

T = TypeVar("T")

SCHEMA = 1
FILE_NAME = "record.json"


@dataclass(frozen=True)
class Record:
    """One finished search. All values are plain (JSON) ones."""

    method: str
    search_dataset: str
    seed: Count
    protocol: str
    settings: dict[str, dict[str, Plain | list[Plain]]]
    """Every setting by part: `protocol` (supernet, data, weights) and `method`."""
    changes: dict[str, Plain | list[Plain]]
    """Those of them that differ from the protocol's and the method's own, by name."""
    cell: str
    """The official string of the cell found."""
    trajectory: list[dict[str, Any]]
    """One entry an epoch: epoch, cell, train_loss, valid_loss, seconds, and what the method adds."""
    supernet: dict[str, float]
    """The cell under the supernet's weights on all validation images: `loss` (nats), `accuracy` (percent); where it is
    what is left of a super-cell, `super_cell_loss` and `super_cell_accuracy` of that, too."""
    scores: dict[str, Percent]
    """Percent by column (`cifar10-valid` … `ImageNet16-120-test`), as far as the benchmark holds them."""
    benchmark: dict[str, str]
    """`name`, `file` and `sha256` of what gave the scores."""
    seconds: dict[str, NotNegative]
    """Spent on `weights`, `alpha` and `evaluation`; their sum is the search's cost."""
    peak_memory: dict[str, Any]
    """`mib`, and what was measured: `of`."""
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
    schema: int = SCHEMA

    @property
    def total_seconds(self) -> float:
        """Seconds of the search, evaluation included."""
        return sum(self.seconds.values())

    def write(self, folder: Path) -> Path:
        """Write `record.json` into `folder`, whole or not at all."""
        return stored.write(folder / FILE_NAME, self)


_OfEdge = Annotated[list[float], Meta(min_length=len(OPS), max_length=len(OPS))]
Alpha = Annotated[list[_OfEdge], Meta(min_length=len(EDGES), max_length=len(EDGES))]


class Entry(TypedDict, total=False):
    """What a trajectory's entry may say, and in which range; a method adds names of its own."""

    epoch: Count
    evaluation: Count
    cell: str | None
    train_loss: float | None
    valid_loss: float | None
    seconds: NotNegative
    alpha: Alpha
    """A row for each edge, a column for each operation."""


class Supernet(TypedDict, total=False):
    """`Record.supernet`, with ranges."""

    loss: NotNegative
    accuracy: Percent
    super_cell_loss: NotNegative
    super_cell_accuracy: Percent


class Looked(TypedDict):
    """`Record.benchmark`: what has to be there."""

    name: str
    file: str
    sha256: str


class Memory(TypedDict, total=False):
    """`Record.peak_memory`."""

    mib: NotNegative | None
    of: str


def read(path: Path) -> Record:
    """The record in the file at `path`.

    Raises:
        DataError: it cannot be read, is damaged, or has another schema.
    """
    found = stored.read(path, Record, "record of a run", SCHEMA, "run the search again", check)
    return replace(found, settings=_completed(found.settings))


def check(record: Record) -> None:
    """What the annotations cannot say.

    Raises:
        ValueError, BadCallError, msgspec.ValidationError: it is not so.
    """
    for value, kind in (
        (record.trajectory, list[Entry]),
        (record.supernet, Supernet),
        (record.benchmark, Looked),
        (record.peak_memory, Memory),
    ):
        msgspec.convert(value, kind)
    for cell in {record.cell, *(entry["cell"] for entry in record.trajectory if entry.get("cell") is not None)}:
        Cell.parse(cell)
    check_columns(record.scores)
    check_settings(record.settings, Protocol())


def check_columns(scores: Collection[str]) -> None:
    """Raises ValueError where a name is no column of the reports."""
    if unknown := sorted(set(scores) - COLUMNS.keys()):
        raise ValueError(f"scores of no column: {', '.join(unknown)}")


def check_settings(parts: Mapping[str, Mapping[str, Any]], usual: Any) -> None:
    """Whether there are settings of protocol and method, and the former are in their ranges, as `check_values` says."""
    if "protocol" not in parts or "method" not in parts:
        raise ValueError("settings lack the protocol's or the method's")
    check_values(parts["protocol"], usual)


def check_values(values: Mapping[str, Any], usual: Any) -> None:
    """Whether settings, as far as this version knows them, are in the ranges of `usual`.

    Raises:
        ValueError, BadCallError, msgspec.ValidationError: they are not.
    """
    known = {name: value for name, value in values.items() if name in settings.names(usual)}
    msgspec.convert(known, type(usual))
    settings.changed(usual, known)


def _completed(parts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings with those that are newer than the record, as they were before: they still tell runs apart."""
    return {**parts, "protocol": {**EARLIER, **parts["protocol"]}} if parts["protocol"] else parts


def read_below(folders: Iterable[Path], pattern: str, read: Callable[[Path], T]) -> tuple[dict[Path, T], list[str]]:
    """What `read` makes of each file below `folders` whose name is as `pattern`, in the order of their paths,
    and one sentence for each file that could not be read."""
    found, problems = {}, []
    paths = {path.resolve(): path for folder in folders for path in Path(folder).rglob(pattern)}
    for path in sorted(paths.values()):
        try:
            found[path] = read(path)
        except DataError as error:
            problems.append(str(error))
    return found, problems
