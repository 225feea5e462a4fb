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
    """Where the cell was searched; `each`: anew for every column; None: no search, or not printed."""
    scores: Mapping[str, PublishedScore]
    """By column of the report: all six, or of a table with gaps those that are printed."""
    runs: int | None
    """Independent searches behind each mean; None: no search, or not printed."""
    note: str = ""
    """What the means are, where they are not plainly those of several searches."""


@dataclass(frozen=True)
class Published:
    """One printed table."""

    reference: str
    runs: int | None
    """Independent searches behind each mean; None where every row has its own number and its own source."""
    rows: tuple[PublishedRow, ...]


@dataclass(frozen=True)
class PublishedFigure:
    """One printed number that is no score."""

    value: float
    source: str
    note: str = ""
    """Why the printed number is in doubt; empty where nothing speaks against it."""


@dataclass(frozen=True)
class PublishedCost:
    """One printed row of what a search costs."""

    cells: int | None
    """L, of the supernet; None where the row is of no network in particular."""
    method: str
    batch_size: int | None
    memory_gb: PublishedFigure | None
    gpu_days: PublishedFigure | None
    memory_complexity: str
    time_complexity: str
    source: str


@dataclass(frozen=True)
class PublishedCosts:
    """One printed table of what searches cost."""

    reference: str
    about: str
    """In what space and on what device."""
    rows: tuple[PublishedCost, ...]


@dataclass(frozen=True)
class PublishedRows:
    """A printed table or figure that has few numbers, as they stand there."""

    reference: str
    about: str
    """What the numbers are of."""
    rows: tuple[Mapping[str, Any], ...]
    """Each with its `source`, and a `note` where it is in doubt."""


@cache
def load_rows(name: str) -> PublishedRows:
    """The printed rows of `table1`, `table7`, `table8` or `figure5` of the STC-NAS paper.

    Raises:
        DataError: the file that comes with the package is missing or damaged.
    """
    file = f"{name}.json"
    return parse_rows(_content(file), file)


def parse_rows(content: Any, name: str) -> PublishedRows:
    """The printed rows in `content`, as read from JSON; `name` is for messages.

    Raises:
        DataError: something is missing, or no percentage.
    """
    try:
        rows = tuple(content["rows"])
        for row in rows:
            if not row["source"] or not rows[0].keys() <= row.keys():
                raise ValueError(f"row {row} lacks its source or another column")
            for key in _PERCENT & row.keys():
                if not 0 <= row[key] <= 100:
                    raise ValueError(f"{row['source']}: {key} {row[key]} is no percentage")
        return PublishedRows(content["reference"], content["about"], rows)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DataError(f"published numbers {name}: damaged ({error})") from None


_PERCENT = {"mean", "std", "best", "before", "after"}


@cache
def load(number: int = 6) -> Published:
    """The printed table `number` of the STC-NAS paper, one of scores.

    Raises:
        DataError: the file that comes with the package is missing or damaged.
    """
    name = f"table{number}.json"
    return parse(_content(name), name)


@cache
def load_without_supernet() -> Published:
    """Rows that the STC-NAS paper's Table 6 leaves out: black-box and training-free methods on NAS-Bench-201.

    Raises:
        DataError: the file that comes with the package is missing or damaged.
    """
    name = "without_supernet.json"
    return parse(_content(name), name)


@cache
def load_since() -> Published:
    """Rows of weight-sharing methods on NAS-Bench-201 that were printed after those of the STC-NAS paper's Table 6.

    Each has its own source and number of searches, and only the columns that the source prints.

    Raises:
        DataError: the file that comes with the package is missing or damaged.
    """
    name = "since.json"
    return parse(_content(name), name, gaps=True)


@cache
def load_costs(number: int = 3) -> PublishedCosts:
    """The printed table `number` of the STC-NAS paper, one of costs.

    Raises:
        DataError: the file that comes with the package is missing or damaged.
    """
    name = f"table{number}.json"
    return parse_costs(_content(name), name)


def _content(name: str) -> Any:
    try:
        return json.loads((resources.files(__package__) / "published" / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"published numbers {name}: cannot be read ({error}); install the package again") from None


def parse_costs(content: Any, name: str) -> PublishedCosts:
    """The printed table in `content`, as read from JSON; `name` is for messages.

    Raises:
        DataError: something is missing, unknown, or no cost.
    """
    where = name
    try:
        rows = []
        for row in content["rows"]:
            where = f"{name}, row {row['method']} of L={row['cells']}"
            figures = {key: _figure(row[key]) for key in ("memory_gb", "gpu_days")}
            rows.append(PublishedCost(**{**row, **figures}))
            if not row["source"]:
                raise ValueError("has no source")
        return PublishedCosts(content["reference"], content["about"], tuple(rows))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"published numbers {where}: damaged ({error})") from None


def _figure(content: Mapping[str, Any] | None) -> PublishedFigure | None:
    if content is None:
        return None
    figure = PublishedFigure(**content)
    if figure.value <= 0 or not figure.source:
        raise ValueError(f"{figure.value} is not above zero, or has no source")
    return figure


def parse(content: Any, name: str, gaps: bool = False) -> Published:
    """The printed table in `content`, as read from JSON; `name` is for messages.

    Args:
        content: what the file has.
        name: the file's.
        gaps: whether rows may lack columns; then each says its own number of searches, and, where a column lacks its
            deviation, in a note what the number is.

    Raises:
        DataError: something is missing, unknown, or no percentage.
    """
    where = name
    try:
        rows = []
        for row in content["rows"]:
            where = f"{name}, row {row['method']} of block {row['block'] or '(none)'}"
            scores = {key: _score(cell) for key, cell in row["cells"].items()}
            searched = row["search_dataset"]
            _check(scores, row["seconds"], searched, gaps)
            if gaps:
                runs, note = row["runs"], row["note"]
                _check_gaps(scores, runs, note)
            else:
                runs, note = content["runs"] if searched is not None else None, ""
            rows.append(PublishedRow(row["block"], row["method"], row["seconds"], searched, scores, runs, note))
        where = name
        if gaps is not (content["runs"] is None):
            raise ValueError(f"{content['runs']} searches behind each mean")
        if len({(row.block, row.method) for row in rows}) != len(rows):
            raise ValueError("a method stands twice in a block")
        return Published(content["reference"], content["runs"], tuple(rows))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"published numbers {where}: damaged ({error})") from None


def _score(cell: Mapping[str, Any]) -> PublishedScore:
    return PublishedScore(**{**cell, "lookup": tuple(cell.get("lookup", ()))})


def _check_gaps(scores: Mapping[str, PublishedScore], runs: int | None, note: str) -> None:
    if runs is not None and (not isinstance(runs, int) or runs < 1):
        raise ValueError(f"{runs} searches")
    if not note and any(score.std is None for score in scores.values()):
        raise ValueError("has a mean without a deviation, and no note of what it is")


def _check(scores: Mapping[str, PublishedScore], seconds: float | None, search_dataset: str | None, gaps: bool) -> None:
    if search_dataset not in (None, EACH, *DATASETS):
        raise ValueError(f"search data set {search_dataset!r}")
    expected = [key for key in COLUMNS if key in scores] if gaps else list(COLUMNS)
    if not scores or list(scores) != expected:
        allowed = "some of " if gaps else ""
        raise ValueError(f"columns {', '.join(scores)}; they have to be {allowed}{', '.join(COLUMNS)}")
    for key, score in scores.items():
        if not 0 <= score.mean <= 100 or (score.std is not None and not 0 <= score.std <= 50):
            raise ValueError(f"{key}: {score.mean} ± {score.std} is no percentage")
        if not score.source:
            raise ValueError(f"{key}: has no source")
        for digits in score.lookup:
            Cell.parse(digits)
    if seconds is not None and seconds <= 0:
        raise ValueError(f"{seconds} seconds")
