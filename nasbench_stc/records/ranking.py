"""The record of a ranking: what a finished run's supernet says of many cells. Nothing here imports torch.

It lies in the run's folder, beside the supernet, and is written whole or not at all. It holds no number of a
benchmark: those are looked up when it is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import stored
from nasbench_stc.benchmark.base import as_indices
from nasbench_stc.errors import BadCallError
from nasbench_stc.space import TSS, Cell, Space, all_cells, find_space
from nasbench_stc.stored import Count, NotNegative, Percent, Plain, Positive, Time

PATTERN = "ranking-*.json"
CELLS_SEED = 201
"""Draws the cells of a sample: always the same ones, set aside for this."""

CellChoice = str | int | Sequence[Cell]
"""How many cells (a sample), `classes`, `all`, or the cells themselves."""


@dataclass(frozen=True)
class Ranking:
    """Cells under a supernet's weights. All values are plain (JSON) ones; lists have one entry a cell."""

    method: str
    search_dataset: str
    seed: Count
    protocol: str
    changes: dict[str, Plain | list[Plain]]
    """Settings of the run that differ from the protocol's and the method's own, by name."""
    supernet_sha256: str
    cells: list[Count]
    """Official indices."""
    images: Positive
    """How many of the run's validation images: the first ones."""
    loss: list[NotNegative]
    """Mean cross-entropy, nats."""
    accuracy: list[Percent]
    """Percent right."""
    seconds: NotNegative
    """Of rating all cells."""
    device: str
    threads: Positive
    versions: dict[str, str]
    git_revision: str
    finished: Time
    space: str = TSS.name
    schema: int = 1

    @property
    def file_name(self) -> str:
        """The same for the same cells and images of the same supernet."""
        return file_name(self.cells, self.images, self.supernet_sha256)

    def write(self, folder: Path) -> Path:
        """Write it into `folder`, whole or not at all, a line a field."""
        return stored.write(folder / self.file_name, self, lines=True)


def file_name(cells: Sequence[int], images: int, supernet_sha256: str) -> str:
    """Of the ranking of those cells (official indices) on so many images by that supernet."""
    return f"ranking-{stored.key(list(cells), images, supernet_sha256)}.json"


def _checked(found: Ranking) -> Ranking:
    if not len(found.cells) == len(found.loss) == len(found.accuracy):
        raise ValueError("not one loss and one accuracy for each cell")
    if any(cell >= find_space(found.space).num_cells for cell in found.cells):
        raise ValueError("an index of no cell")
    return found


read = partial(stored.read, Ranking, "ranking", "rank again with --no-resume", check=_checked)
"""The ranking in the file at a path; raises as `stored.read`."""


def choose_cells(which: CellChoice, space: Space = TSS) -> NDArray[np.int64]:
    """Official indices, int64.

    Args:
        which: a number draws so many, always the same; `classes` takes of each isomorphism class the cell with the
            smallest index; `all` takes all; cells are taken as they are.
        space: of the cells.

    Raises:
        BadCallError: it is none of these, or no cell at all.
    """
    if which == "all":
        space.every()  # refuses a space that is too large
        return np.arange(space.num_cells)
    if which == "classes":
        first: dict[str, int] = {}
        for index, cell in enumerate(all_cells(space.name)):
            first.setdefault(cell.isomorphism_class, index)
        return np.array(list(first.values()))
    if not isinstance(which, (str, int)):
        chosen = as_indices(which, space)
        if not chosen.size:
            raise BadCallError("no cells to rank were given")
        return chosen
    try:
        count = int(which)
    except ValueError:
        count = 0
    if not 1 <= count <= space.num_cells:
        raise BadCallError(f"--cells {which}: give how many (1 to {space.num_cells}), classes, or all")
    return np.sort(np.random.default_rng(CELLS_SEED).choice(space.num_cells, count, replace=False))
