"""A small model of a table: rows of raw values, and what a reader is told with them. `writers` writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.benchmark import column
from nasbench_stc.report import statistics

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from nasbench_stc.report.inputs import Missing

COLUMN_GROUPS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "ImageNet16-120": "ImageNet\n16-120"}
"""What columns of accuracies have above them, by data set."""
KINDS = {"one-shot": "weight-sharing", "black-box": "black-box", "training-free": "training-free"}
"""Of methods, in the order of their rows, and what they are called there."""
INDISTINCT = "≈"
"""Marks a difference that cannot be told from none."""
MEANS = "mean±standard deviation (ddof=0) over n searches (±half the width of the mean's 95 % t-interval)"
"""Of captions: what `Spread.over` is shown as; so are the next two."""
MEAN_OF_SEARCHES = "Mean ± standard deviation (ddof=0) over n searches"
AND_INTERVAL = " (±half of the mean's 95 % t-interval, ddof=1)"


class Several:
    """A number and what belongs to it."""

    @property
    def parts(self) -> dict[str, Any]:
        """All its numbers, in columns of a frame, by what is added to the key of the table's column."""
        raise NotImplementedError

    def shown(self, form: str) -> str:
        """As a reader sees it; `form` as of `Column`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Spread(Several):
    """A mean over runs and how far they lie apart: `92.38±0.07 (±0.17)`, or as a difference `≈-0.33 (±0.95)`."""

    mean: float
    std: float | None = None
    """With ddof=0; None where there is none (a single run, an optimum)."""
    interval: float | None = None
    """Half the width of the 95 % interval of the mean."""
    source: str = ""
    note: str = ""
    """Why the number is in doubt."""
    signed: bool = False
    """Whether it is a difference, shown with its sign and without the deviation of what it is a difference of."""
    indistinct: bool = False
    """Whether it is a difference that cannot be told from none; marked."""

    @classmethod
    def over(cls, values: Sequence[float] | Series | NDArray[np.float64], source: str = "") -> Spread:
        """Of runs, one value each; a single one says nothing of how far runs lie apart."""
        values = np.asarray(values, dtype=np.float64).tolist()
        if len(values) == 1:
            return cls(values[0], source=source)
        return cls(statistics.mean(values), statistics.std(values), statistics.t_half_width(values), source)

    @classmethod
    def of(cls, found: statistics.Difference) -> Spread:
        """A difference."""
        return cls(found.mean, statistics.known(found.std), statistics.known(found.half_width), signed=True)

    @property
    def parts(self) -> dict[str, Any]:
        return {"mean": self.mean, "std": self.std, "interval95": self.interval, "indistinct": self.indistinct}

    def shown(self, form: str) -> str:
        half = "" if self.interval is None else f" (±{self.interval:.2f})"
        if self.signed:
            return f"{INDISTINCT * self.indistinct}{self.mean:+.2f}{half}"
        return f"{self.mean:.2f}{'' if self.std is None else f'±{self.std:.2f}'}{half}"


@dataclass(frozen=True)
class Estimate(Several):
    """A number with a 95 % interval that need not have it in its middle: `0.62 (0.25–0.92)`."""

    value: float
    low: float | None = None
    """None, like `high`, where there is no interval."""
    high: float | None = None

    @property
    def parts(self) -> dict[str, Any]:
        return asdict(self)

    def shown(self, form: str) -> str:
        return f"{self.value:{form}}" + ("" if self.low is None else f" ({self.low:{form}}–{self.high:{form}})")


@dataclass(frozen=True)
class Ranked(Several):
    """A number and its rank among many, 1 for the best: `94.36 #3`."""

    value: float
    rank: int

    @property
    def parts(self) -> dict[str, Any]:
        return {"": self.value, "rank": self.rank}

    def shown(self, form: str) -> str:
        return f"{self.value:{form}} #{self.rank}"


Value = str | int | float | Several | None


@dataclass(frozen=True)
class Column:
    """One column. A wide table loses, where room is short, the columns with the highest `drop` first."""

    key: str
    title: str
    """Text breaks it at a newline, which is a space elsewhere."""
    group: str = ""
    """What its neighbours have in common with it, written above the title. Text breaks it at a newline."""
    drop: int = 0
    """0: never left out, as of columns that tell rows apart."""
    form: str = ".2f"
    """How floats are written, but for CSV and JSON, as of `format`."""
    align: str = "right"
    """Or `left`; or `wrapped`: on the left, and text breaks what is too wide. The first column is on the left."""
    below: bool = False
    """Whether text has it below the table, a line a row: what is to be copied, and too long for a column."""

    @property
    def head(self) -> str:
        """Group and title, line by line."""
        return f"{self.group}\n{self.title}" if self.group else self.title

    @property
    def in_line(self) -> tuple[str, str]:
        """Group and title, each in one line."""
        return self.group.replace("\n", ""), self.title.replace("\n", " ")

    @property
    def heading(self) -> str:
        """Both in one line."""
        return " ".join(self.in_line).strip()


def accuracy_column(dataset: str, split: str, drop: int = 0, align: str = "right") -> Column:
    """Of percent right."""
    return Column(column(dataset, split), split, COLUMN_GROUPS.get(dataset, dataset), drop, align=align)


@dataclass(frozen=True)
class Row:
    """One row; `values` by column key, nothing where the key is absent."""

    section: str
    values: Mapping[str, Value]
    notes: tuple[str, ...] = ()
    """Marked at the row and written below the table."""
    details: Mapping[str, object] = field(default_factory=dict)
    """Plain values that only the frame, CSV and JSON have; of a key that is a column's, too, the column counts."""


@dataclass(frozen=True)
class Table:
    """A table. The first column names the row; rows of one section stand together."""

    number: int | None
    """The paper's; None of a table that it does not have."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    caption: tuple[str, ...]
    """One sentence or two each, written below: what nobody should read the numbers without."""
    missing: tuple[Missing, ...] = ()
    """What it would show besides, written last."""
    more: tuple[str, ...] = ()
    """Sentences like the caption's that a reader may do without: a terminal shows them, and the rows' notes, if asked,
    a page folded."""
    folded: frozenset[str] = frozenset()
    """Sections of which a terminal shows but the number of rows, unless asked."""

    @property
    def name(self) -> str:
        """Its title, after the paper's number if it has one."""
        return self.title if self.number is None else f"Table {self.number}. {self.title}"

    @cached_property
    def frame(self) -> DataFrame:
        """All that it says, a row each: `section`, the columns by key, details, `notes`.

        Columns of means are the key with `_mean`, `_std` (ddof=0), `_interval95` (half its width) and `_indistinct` (a
        difference that cannot be told from none) behind it; of estimates `_value`, `_low` and `_high`; of ranked
        numbers the key itself and `_rank`. Numbers are numbers, in the units of the title; what there is none of is
        NaN or None.
        """
        from pandas import DataFrame

        columns: dict[str, list[object]] = {"section": [row.section for row in self.rows]}
        for key in (one.key for one in self.columns):
            values = [row.values.get(key) for row in self.rows]
            several = [value.parts if isinstance(value, Several) else {} for value in values]
            for part in dict.fromkeys(part for parts in several for part in parts):
                columns[f"{key}_{part}".rstrip("_")] = [parts.get(part) for parts in several]
            if not any(several):
                columns[key] = list(values)
        for key in dict.fromkeys(key for row in self.rows for key in row.details if key not in columns):
            columns[key] = [row.details.get(key) for row in self.rows]
        frame = DataFrame({**columns, "notes": [row.notes for row in self.rows]})
        # Whole numbers stay whole where one is missing.
        gaps = [name for name in columns if frame[name].dtype == float]
        whole = [name for name in gaps if all(isinstance(value, (int, NoneType)) for value in columns[name])]
        return frame.astype(dict.fromkeys(whole, "Int64"))

    def marks(self) -> dict[str, str]:
        """A letter for each different note, in the order of the rows."""
        notes = dict.fromkeys(note for row in self.rows for note in row.notes)
        return {note: _letters(number) for number, note in enumerate(notes)}

    def sections(self) -> Iterator[tuple[str, list[Row]]]:
        """Sections and their rows, in order."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.section, []).append(row)
        yield from found.items()


def _letters(number: int) -> str:
    """a … z, aa, ab …"""
    before, last = divmod(number, 26)
    return (_letters(before - 1) if before else "") + chr(ord("a") + last)
