"""The record of a run: everything that a table or a figure needs, and everything that says where it came from.

One run is one folder with one `record.json`, written whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from nasbench_stc import files
from nasbench_stc.engine.protocol import EARLIER
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.space import Cell

T = TypeVar("T")

SCHEMA = 1
FILE_NAME = "record.json"


@dataclass(frozen=True)
class Record:
    """One finished search. All values are plain (JSON) ones."""

    method: str
    search_dataset: str
    seed: int
    protocol: str
    settings: dict[str, dict[str, Any]]
    """Every setting by part: `protocol` (supernet, data, weights) and `method`."""
    changes: dict[str, Any]
    """Those of them that differ from the protocol's and the method's own, by name."""
    cell: str
    """The official string of the cell found."""
    trajectory: list[dict[str, Any]]
    """One entry an epoch: epoch, cell, train_loss, valid_loss, seconds, and what the method adds."""
    supernet: dict[str, float]
    """The cell under the supernet's weights on all validation images: `loss` (nats), `accuracy` (percent); where it is
    what is left of a super-cell, `super_cell_loss` and `super_cell_accuracy` of that, too."""
    scores: dict[str, float]
    """Percent by column (`cifar10-valid` … `ImageNet16-120-test`), as far as the benchmark holds them."""
    benchmark: dict[str, str]
    """`name`, `file` and `sha256` of what gave the scores."""
    seconds: dict[str, float]
    """Spent on `weights`, `alpha` and `evaluation`; their sum is the search's cost."""
    peak_memory: dict[str, Any]
    """`mib`, and what was measured: `of`."""
    split: dict[str, Any]
    """The images for weights and for alpha: how they were split, their numbers, a checksum."""
    versions: dict[str, str]
    device: str
    threads: int
    git_revision: str
    finished: str
    """UTC, ISO 8601."""
    title: str = ""
    """The method's in tables and figures, for those that are not ours; empty in older records: it is shown by name."""
    order: int | None = None
    """Its place among the rows, likewise; None: after all that have one."""
    schema: int = SCHEMA

    @property
    def total_seconds(self) -> float:
        """Seconds of the search, evaluation included."""
        return sum(self.seconds.values())

    @property
    def looked_up_in(self) -> tuple[str, str]:
        """Name and checksum of what gave the scores: what tells benchmarks apart."""
        return self.benchmark["name"], self.benchmark["sha256"]

    def write(self, folder: Path) -> Path:
        """Write `record.json` into `folder`, whole or not at all."""
        path = folder / FILE_NAME
        files.write_atomic(path, (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode())
        return path


def read(path: Path) -> Record:
    """The record in the file at `path`.

    Raises:
        DataError: it cannot be read, is damaged, or has another schema.
    """
    fields = fields_of(path, Record, "record of a run", SCHEMA, "run the search again")
    record = Record(**{**fields, "settings": _completed(fields["settings"])})
    try:
        Cell.parse(record.cell)
    except BadCallError as error:
        raise DataError(f"{path}: damaged: {error}") from None
    return record


def _completed(settings: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings with those that are newer than the record, as they were before: they still tell runs apart."""
    if not isinstance(settings, dict) or not isinstance(settings.get("protocol"), dict) or not settings["protocol"]:
        return settings
    return {**settings, "protocol": {**EARLIER, **settings["protocol"]}}


def fields_of(path: Path, of: type, what: str, schema: int, remedy: str) -> dict[str, Any]:
    """What the JSON file at `path` says of each field of the dataclass `of`; those with a default it may leave out.

    Args:
        path: of the file.
        of: the dataclass.
        what: it is, in few words.
        schema: that this version reads.
        remedy: what to do where the file has another one.

    Raises:
        DataError: it cannot be read, is damaged, or has another schema.
    """
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise DataError(f"{path}: damaged, no JSON ({error}); {remedy}") from None
    if not isinstance(content, dict) or "schema" not in content:
        raise DataError(f"{path}: no {what} (it has no schema)")
    if content["schema"] != schema:
        raise DataError(f"{path}: is a {what} of schema {content['schema']}, this version reads {schema}; {remedy}")
    needed = {item.name for item in fields(of) if item.default is MISSING}
    missing, unknown = needed - content.keys(), content.keys() - {item.name for item in fields(of)}
    if missing or unknown:
        raise DataError(
            f"{path}: damaged (missing: {sorted(missing) or 'nothing'}; unknown: {sorted(unknown) or 'nothing'}); "
            f"{remedy}"
        )
    return content


def read_below(folders: Iterable[Path], pattern: str, read: Callable[[Path], T]) -> tuple[list[T], list[str]]:
    """What `read` makes of each file below `folders` whose name is as `pattern`, sorted by path,
    and one sentence for each file that could not be read."""
    found, problems = [], []
    paths = {path.resolve(): path for folder in folders for path in Path(folder).rglob(pattern)}
    for path in sorted(paths.values()):
        try:
            found.append(read(path))
        except DataError as error:
            problems.append(str(error))
    return found, problems
