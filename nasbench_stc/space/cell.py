"""`Cell`, the value that everything else passes around: an operation on each edge of its space."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.space.base import Space
from nasbench_stc.space.registry import find_space


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """A cell of a space. `ops[e]` is the number of the operation on edge `e`.

    Where nothing is said of a space it is NAS-Bench-201's, `tss`.

    >>> Cell.from_index(9930).digits
    '333133'
    """

    ops: tuple[int, ...]
    space: str = "tss"
    """By name; `of` is the space itself."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ops", find_space(self.space).check(self.ops))

    @property
    def of(self) -> Space:
        """The space that it is a cell of."""
        return find_space(self.space)

    def check_in(self, space: Space) -> None:
        """That it is a cell of that space.

        Raises:
            ValueError: it is of another one.
        """
        if self.space != space.name:
            raise ValueError(f"{self} is a cell of {self.of.title}, not of {space.title}")

    @classmethod
    def parse(cls, text: str | int | Iterable[object], encoding: str | None = None, space: str = "tss") -> Cell:
        """A cell as users have it: in `tss` the official string, six digits (`"333133"`) or the index (`9930`).

        Six characters 0-4 are digits, always, so that every cell's digits are read back; any other whole number is an
        index, without zeros before it to make six characters. So `"000012"` is six digits, though the official files
        number their names like this: see `file_number`. A string may stand in AutoDL-Projects' `Structure(4 nodes with
        …)`. How cells of other spaces are written, their files say.

        Args:
            text: the cell.
            encoding: of a list of six operations of `tss` as another tool writes it, one of `ENCODINGS`; None: none of
                these.
            space: by name.

        Raises:
            BadCallError: naming the token that is wrong and what is allowed.
        """
        of = find_space(space)
        if encoding is not None:
            return cls(of.decoded(text, encoding), space)
        if not isinstance(text, str):
            return cls(of.listed(text) if isinstance(text, Iterable) else of.at(text), space)
        return cls(of.parse(text), space)

    @classmethod
    def from_index(cls, index: int, space: str = "tss") -> Cell:
        """The cell at `index` of the space's official order (of `tss` 0 … 15,624)."""
        return cls(find_space(space).at(index), space)

    def __str__(self) -> str:
        return self.of.text(self.ops)

    @property
    def digits(self) -> str:
        """The operations' numbers in edge order; of `tss` six digits 0-4."""
        return self.of.digits(self.ops)

    @property
    def index(self) -> int:
        """The index in the space's official order."""
        return self.of.index(self.ops)

    @property
    def isomorphism_class(self) -> str:
        """A string that two cells share when they compute the same function (of `tss` 6,466 classes)."""
        return self.of.isomorphism_class(self.ops)


def all_cells(space: str = "tss") -> tuple[Cell, ...]:
    """All cells in the space's official order: `all_cells()[i].index == i`. Not of a space of more than a million.

    Raises:
        BadCallError: there are too many.
    """
    return tuple(Cell(ops, space) for ops in find_space(space).every())


def params(cells: Iterable[Cell], dataset: str = "cifar10") -> NDArray[np.int64]:
    """Trainable parameters of each cell's network on `dataset`, shape `(len(cells),)`; all of one space."""
    cells = list(cells)
    return _space_of(cells).params([cell.ops for cell in cells], dataset)


def flops(cells: Iterable[Cell], dataset: str = "cifar10") -> NDArray[np.float64]:
    """Multiply-adds of one forward pass on one image of `dataset`, in millions; of cells of one space."""
    cells = list(cells)
    return _space_of(cells).mflops([cell.ops for cell in cells], dataset)


def _space_of(cells: list[Cell]) -> Space:
    return cells[0].of if cells else find_space("tss")
