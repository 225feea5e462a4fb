"""The numbers that a paper printed, as data: each with where it stands, and with a note where it cannot be right."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.errors import DataError
from nasbench_stc.space import DATASETS, Cell

EACH = "each"
"""The search data set of rows whose every column was searched on its own data set."""


@dataclass(frozen=True)
class PublishedScore:
    """One printed cell of a table, in percent."""

    mean: float
    std: float | None
    """With ddof=0, the field's convention; None where none is printed."""
    source: str
    note: str = ""
    """Why the printed number is in doubt; empty where nothing speaks against it."""
    lookup: tuple[str, ...] = ()
    """Cells (six digits) whose mean and deviation in the table nb201 are the printed ones."""


@dataclass(frozen=True)
class PublishedRow:
    """One printed row."""

    block: str
    """The part of the table it stands in; empty for the optimum."""
    method: str
    seconds: float | None
    """Of one search."""
    search_dataset: str | None
    """Where the cell was searched; `each`: anew for every column; None: no search."""
    scores: Mapping[str, PublishedScore]
    """By column of the report, all six."""


@dataclass(frozen=True)
class Published:
    """One printed table."""

    reference: str
    runs: int
    """Independent searches behind each mean."""
    rows: tuple[PublishedRow, ...]


@cache
def load(number: int = 6) -> Published:
    """The printed table `number` of the STC-NAS paper.

    Raises:
        DataError: the file that comes with the package is missing or damaged.
    """
    name = f"table{number}.json"
    try:
        content = json.loads((resources.files(__package__) / "published" / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"published numbers {name}: cannot be read ({error}); install the package again") from None
    return parse(content, name)


def parse(content: Any, name: str) -> Published:
    """The printed table in `content`, as read from JSON; `name` is for messages.

    Raises:
        DataError: something is missing, unknown, or no percentage.
    """
    where = name
    try:
        rows = []
        for row in content["rows"]:
            where = f"{name}, row {row['method']} of block {row['block'] or '(none)'}"
            scores = {key: _score(cell) for key, cell in row["cells"].items()}
            _check(scores, row["seconds"], row["search_dataset"])
            rows.append(PublishedRow(row["block"], row["method"], row["seconds"], row["search_dataset"], scores))
        where = name
        if len({(row.block, row.method) for row in rows}) != len(rows):
            raise ValueError("a method stands twice in a block")
        return Published(content["reference"], content["runs"], tuple(rows))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"published numbers {where}: damaged ({error})") from None


def _score(cell: Mapping[str, Any]) -> PublishedScore:
    return PublishedScore(**{**cell, "lookup": tuple(cell.get("lookup", ()))})


def _check(scores: Mapping[str, PublishedScore], seconds: float | None, search_dataset: str | None) -> None:
    if search_dataset not in (None, EACH, *DATASETS):
        raise ValueError(f"search data set {search_dataset!r}")
    if list(scores) != list(COLUMNS):
        raise ValueError(f"columns {', '.join(scores)}; they have to be {', '.join(COLUMNS)}")
    for key, score in scores.items():
        if not 0 <= score.mean <= 100 or (score.std is not None and not 0 <= score.std <= 50):
            raise ValueError(f"{key}: {score.mean} ± {score.std} is no percentage")
        if not score.source:
            raise ValueError(f"{key}: has no source")
        for digits in score.lookup:
            Cell.parse(digits)
    if seconds is not None and seconds <= 0:
        raise ValueError(f"{seconds} seconds")
