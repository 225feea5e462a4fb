"""Published columns: a gzipped CSV with one row a cell in the official order and the cell's string in `arch`.

Only the columns that are asked for are turned into numbers. The files hold no quoted fields.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.errors import DataError
from nasbench_stc.space import NUM_CELLS

# Of the 15,625 official strings in index order, one a line: quicker than to write them all out.
_ORDER_SHA256 = "83abc799e45cf34e9d2163654668ab998b9a54d01c39e72ca1f71f2cdf356d84"
_BROKEN = (OSError, EOFError, zlib.error, UnicodeDecodeError)


def read_header(path: Path, how_to_get: str) -> list[str]:
    """The names of the columns in the file at `path`; the rest of it is not read.

    Raises:
        DataError: the file is damaged.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            return file.readline().rstrip("\r\n").split(",")
    except _BROKEN as error:
        raise DataError(f"{path}: damaged or unreadable ({error}); {how_to_get}") from None


def unpacked(path: Path, how_to_get: str) -> bytes:
    """The file at `path` as CSV.

    Raises:
        DataError: it cannot be read or unpacked.
    """
    try:
        return gzip.decompress(path.read_bytes())
    except _BROKEN as error:
        raise DataError(f"{path}: damaged or unreadable ({error}); {how_to_get}") from None


class Columns:
    """The whole file at `path`.

    Args:
        path: the file.
        how_to_get: what to do about a file that is not as it should be, for error messages.
        needed: columns without which the file is of no use.

    Raises:
        DataError: the file is damaged or short, lacks a column, or is in another order; it names what is wrong.
    """

    def __init__(self, path: Path, how_to_get: str, needed: tuple[str, ...] = ()) -> None:
        self.path = path
        try:
            content = unpacked(path, how_to_get)
            head, *self._rows = content.decode().splitlines()
        except ValueError as error:  # it is empty, or no text
            raise DataError(f"{path}: damaged or unreadable ({error}); {how_to_get}") from None
        self.content_sha256 = hashlib.sha256(content).hexdigest()
        self.header = head.split(",")
        lacking = [name for name in ("arch", *needed) if name not in self.header]
        if lacking:
            raise DataError(
                f"{path}: no column {', '.join(lacking)}; it is not the table that this version reads. {how_to_get}"
            )
        if len(self._rows) != NUM_CELLS or any(row.count(",") != len(self.header) - 1 for row in self._rows):
            raise DataError(
                f"{path}: {len(self._rows)} rows, or rows of uneven length, where {NUM_CELLS} belong; {how_to_get}"
            )
        if hashlib.sha256("\n".join(self._texts("arch")).encode()).hexdigest() != _ORDER_SHA256:
            raise DataError(f"{path}: its cells are not in the official order; {how_to_get}")

    def numbers(
        self, name: str, low: float = -np.inf, high: float = np.inf, missing: float = np.nan
    ) -> NDArray[np.float64]:
        """A column, shape (15,625,); NaN where it is empty or has the number that stands for `missing`.

        Raises:
            DataError: it holds what is no number, or a number outside `low` to `high`.
        """
        try:
            values = np.array([text or "nan" for text in self._texts(name)], dtype=np.float64)
        except ValueError as error:
            raise DataError(f"{self.path}: column {name} holds what is no number ({error})") from None
        values[values == missing] = np.nan
        if (values < low).any() or (values > high).any():
            raise DataError(f"{self.path}: column {name} holds values outside {low:g}-{high:g}")
        return values

    def _texts(self, name: str) -> list[str]:
        place = self.header.index(name)
        return [row.split(",", place + 1)[place] for row in self._rows]
