"""The numbers that a paper printed, as data: each with where it stands, and with a note where it cannot be right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal, Required, TypedDict, TypeVar

import msgspec
from msgspec import Meta, Struct

from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.errors import DataError
from nasbench_stc.space import DATASETS, TSS
from nasbench_stc.stored import Percent, Positive

T = TypeVar("T")
Source = Annotated[str, Meta(min_length=1)]
AboveZero = Positive | Annotated[float, Meta(gt=0)]  # a whole number stays one, as printed

EACH = "each"
"""The search data set of rows whose every column was searched on its own data set."""

_FILES = resources.files(__package__) / "published"


class PublishedScore(Struct, frozen=True, forbid_unknown_fields=True):
    """One printed cell of a table, in percent."""

    mean: Percent
    std: Annotated[float, Meta(ge=0, le=50)] | None
    """With ddof=0, the field's convention; None where none is printed."""
    source: Source
    note: str = ""
    """Why the printed number is in doubt; empty where nothing speaks against it."""
    lookup: tuple[Annotated[str, Meta(pattern=r"^[0-4]{6}$")], ...] = ()
    """Cells (six digits) whose mean and deviation in the table nb201 are the printed ones."""


class PublishedRow(Struct, frozen=True, forbid_unknown_fields=True):
    """One printed row."""

    block: str
    """The part of the table it stands in; empty for the optimum."""
    method: str
    seconds: AboveZero | None
    """Of one search."""
    search_dataset: Annotated[str, Meta(pattern=f"^({'|'.join([EACH, *DATASETS])})$")] | None
    """Where the cell was searched; `each`: anew for every column; None: no search, or not printed."""
    scores: Mapping[str, PublishedScore] = msgspec.field(name="cells")
    """By column of the report: all six, or of a row with its own `runs` those that are printed."""
    runs: Positive | None = 0
    """Independent searches behind each mean; None: no search, or not printed. Only in a file without `runs` of all."""
    note: str = ""
    """What the means are, where they are not plainly those of several searches."""

    def __post_init__(self) -> None:
        gaps = self.runs != 0
        if not self.scores or list(self.scores) != [key for key in COLUMNS if key in self.scores or not gaps]:
            allowed = "some of " * gaps + ", ".join(COLUMNS)
            raise ValueError(f"columns {', '.join(self.scores)}; they have to be {allowed}")
        if gaps and not self.note and any(score.std is None for score in self.scores.values()):
            raise ValueError("has a mean without a deviation, and no note of what it is")


class Published(Struct, frozen=True, forbid_unknown_fields=True):
    """One printed table."""

    reference: str
    runs: Positive | None
    """Independent searches behind each mean; None where every row has its own number and its own source."""
    rows: Annotated[tuple[PublishedRow, ...], Meta(min_length=1)]
    space: str = TSS.name
    """Of its cells, by name."""

    def __post_init__(self) -> None:
        if len({(row.block, row.method) for row in self.rows}) != len(self.rows):
            raise ValueError("a method stands twice in a block")
        for row in self.rows:
            if (row.runs == 0) is (self.runs is None):
                raise ValueError(f"the number of searches behind {row.method} is missing, or said twice")
            if self.runs is not None:
                msgspec.structs.force_setattr(row, "runs", self.runs if row.search_dataset is not None else None)


class PublishedFigure(Struct, frozen=True, forbid_unknown_fields=True):
    """One printed number that is no score."""

    value: AboveZero
    source: Source
    note: str = ""
    """Why the printed number is in doubt; empty where nothing speaks against it."""


class PublishedCost(Struct, frozen=True, forbid_unknown_fields=True):
    """One printed row of what a search costs."""

    cells: Positive | None
    """L, of the supernet; None where the row is of no network in particular."""
    method: str
    batch_size: Positive | None
    memory_gb: PublishedFigure | None
    gpu_days: PublishedFigure | None
    memory_complexity: str
    time_complexity: str
    source: Source


class PublishedCosts(Struct, frozen=True, forbid_unknown_fields=True):
    """One printed table of what searches cost."""

    reference: str
    about: str
    """In what space and on what device."""
    rows: Annotated[tuple[PublishedCost, ...], Meta(min_length=1)]


class Printed(TypedDict, total=False):
    """What a row of few numbers may have."""

    method: str
    arm: str
    network: str
    ranks: list[Positive]
    tau: Annotated[float, Meta(ge=-1, le=1)]
    mean: Percent
    std: Percent
    best: Percent
    before: Percent
    after: Percent
    source: Required[Source]
    note: str
    """Where it is in doubt."""


class PublishedRows(Struct, frozen=True, forbid_unknown_fields=True):
    """A printed table or figure that has few numbers, as they stand there."""

    reference: str
    about: str
    """What the numbers are of."""
    rows: Annotated[tuple[Printed, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        for row in self.rows:
            if row.keys() - {"note"} != self.rows[0].keys() - {"note"}:
                raise ValueError(f"row {row['source']} has other columns than the first")


class PublishedNumber(Struct, frozen=True, forbid_unknown_fields=True):
    """A printed mean, or a number alone."""

    mean: AboveZero
    std: Annotated[float, Meta(gt=0)] | None = None
    """None where none is printed."""


class PublishedTraining(Struct, frozen=True, forbid_unknown_fields=True):
    """One printed row of what cells reached that were trained alone."""

    method: str
    numbers: Mapping[str, Mapping[Literal["error", "top5", "params", "mflops"], PublishedNumber]]
    """By data set of the training: test errors (of the first class, of five) in percent, and millions of parameters
    and of multiply-adds."""
    gpu_days: AboveZero
    """Of one search."""
    algorithm: str
    source: Source
    runs: Positive | None = None
    """Independent searches behind each mean; None: not printed."""
    note: str = ""
    """Why a printed number is in doubt, or not to be compared with those of other rows."""


class PublishedTrainings(Struct, frozen=True, forbid_unknown_fields=True):
    """One printed table of what cells reached that were trained alone."""

    reference: str
    about: str
    """How the paper trained."""
    rows: Annotated[tuple[PublishedTraining, ...], Meta(min_length=1)]


@cache
def load(name: str = "table6") -> Published:
    """A printed table of scores.

    Args:
        name: `table6` is that of the STC-NAS paper. `without_supernet`: rows that it leaves out, of black-box and
            training-free methods on NAS-Bench-201. `since`: rows of weight-sharing methods that were printed after it,
            each with its own source and number of searches, and only the columns that the source prints. `size_space`:
            what black-box and weight-sharing methods found in NATS-Bench's size space.
    """
    return read(_FILES / f"{name}.json", Published)


@cache
def load_costs() -> PublishedCosts:
    """The STC-NAS paper's Table 3."""
    return read(_FILES / "table3.json", PublishedCosts)


@cache
def load_trainings(number: int) -> PublishedTrainings:
    """The STC-NAS paper's Table 4 or 5."""
    return read(_FILES / f"table{number}.json", PublishedTrainings)


@cache
def load_rows(name: str) -> PublishedRows:
    """The printed rows of `table1`, `table7`, `table8` or `figure5` of the STC-NAS paper."""
    return read(_FILES / f"{name}.json", PublishedRows)


def read(file: Traversable, of: type[T]) -> T:
    """What is printed in the file, as `of`, whose annotations say what is allowed.

    Raises:
        DataError: it is missing or damaged: something in it is missing, unknown, or out of its range.
    """
    where = file.name
    content: Any = None
    try:
        content = msgspec.json.decode(file.read_bytes())
        return msgspec.convert(content, of)
    except msgspec.ValidationError as error:
        if place := re.search(r"\$\.rows\[(\d+)\]", str(error)):
            row = content["rows"][int(place[1])]
            name = next((row[key] for key in ("method", "source", "arm") if isinstance(row, dict) and key in row), "?")
            where += f", row {int(place[1]) + 1} ({name})"
        raise DataError(f"published numbers {where}: damaged ({error})") from None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"published numbers {where}: cannot be read ({error}); install the package again") from None
