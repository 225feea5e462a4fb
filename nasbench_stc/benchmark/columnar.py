"""The table that `stc-bench data import` makes: a folder of plain numpy arrays, a column a file, and `table.json`.

Arrays are mapped into memory when they are asked for: opening reads one small file, and a column of all cells is at
hand at once. Last epochs are float64, as the source has them; curves float32, shape (cells, epochs).

A column's file is named by what it is in the official API's words (training, epochs, seed, images, quantity):
`cifar10-valid.200.777.x-valid.accuracy.npy`, `cifar10-valid.200.mean.train-seconds.npy`; a curve's ends in
`.curve.npy`. In our words, what belongs to a training stands for several splits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from nasbench_stc import files, stored
from nasbench_stc.benchmark.base import Key
from nasbench_stc.benchmark.official import CALLS
from nasbench_stc.benchmark.table import Column, LazyArrays, TableBenchmark
from nasbench_stc.errors import DataError
from nasbench_stc.space import TSS, Space, find_space
from nasbench_stc.stored import Time

ENDING = ".table"
FILE_NAME = "table.json"
HOW_TO_MAKE = "`stc-bench data import` makes it from an official file"
_ANEW = f"remove the table, and {HOW_TO_MAKE} anew"
_CURVE = ".curve"


class MadeFrom(TypedDict):
    """What a table was made from."""

    file: str
    sha256: str
    of: str
    identity: Any


@dataclass(frozen=True)
class Description:
    """What `table.json` says. All values are plain (JSON) ones."""

    name: str
    """Of the benchmark, without its version."""
    version: str
    source: MadeFrom
    """The official `file`, the `sha256` of its content, what it is `of`, and the `identity` that a resumed or repeated
    import goes by: another one for another content."""
    cells: Annotated[int, Meta(ge=1)]
    """How many there are: all of the space, or those of a folder that was cut."""
    verified: dict[str, Any]
    """`cells` read back through the official API in the end, how many `numbers`, and by which `api`."""
    columns: dict[str, str]
    """File name to sha256."""
    made: Time
    versions: dict[str, str]
    space: str = TSS.name
    schema: int = 1

    def __post_init__(self) -> None:
        if self.cells > self.of.num_cells:
            raise ValueError(f"{self.cells:,} cells of {self.of.num_cells:,}")

    @property
    def of(self) -> Space:
        """The space whose cells it has."""
        return find_space(self.space)

    @property
    def is_whole(self) -> bool:
        """Whether it has all of them."""
        return self.cells == self.of.num_cells

    @property
    def title(self) -> str:
        """The benchmark's name with its version, like `NATS-Bench v1.0`."""
        return f"{self.name} {self.version}".rstrip()

    def write(self, folder: Path) -> None:
        """Write `table.json` into `folder`, whole or not at all."""
        stored.write(folder / FILE_NAME, self)


def column_name(training: str, epochs: str, seed: int | None, quantity: str, images: str = "") -> str:
    """The name of a column's file, without its ending."""
    parts = (training, epochs, "mean" if seed is None else str(seed), *([images] if images else []), quantity)
    return ".".join(parts)


def curve_name(column: str) -> str:
    """The name of a column's curve."""
    return column + _CURVE


def find(data_dir: Path) -> list[Path]:
    """The tables in the data folder: NATS-Bench's first, then newer before older."""
    found = {path.name: path for parent in (data_dir / "nb201", data_dir) for path in parent.glob(f"*{ENDING}")}
    names = sorted(sorted(found, reverse=True), key=lambda name: not name.startswith("NATS"))
    return [found[name] for name in names if is_table(found[name])]


def is_table(folder: Path) -> bool:
    """Whether the folder is a table of ours, as far as its name for its description tells."""
    return (folder / FILE_NAME).is_file()


def describe(folder: Path) -> Description:
    """What the table's own description says.

    Raises:
        DataError: it is damaged, or of another version.
    """
    return stored.read(Description, "table", _ANEW, folder / FILE_NAME)


def first_fault(folder: Path, about: Description, check: bool) -> str:
    """What is wrong with the table's columns; empty where nothing is.

    Args:
        check: read and sum them all; else only whether they are there, with all their cells.
    """
    for name, sha256 in about.columns.items():
        path = folder / name
        try:
            _read(path, about.of.num_cells)
            if check and files.digest(path) != sha256:
                return f"{name}: damaged, its sha256 is not the recorded one"
        except DataError:
            return f"{name}: {'damaged' if path.exists() else 'missing'}"
    return ""


def open_table(folder: Path) -> TableBenchmark:
    """The benchmark in the table at `folder`; columns are read when they are asked for.

    Raises:
        DataError: its description is damaged. What is wrong with a column shows when it is asked for.
    """
    about = describe(folder)
    number = about.of.num_cells
    columns: dict[Column, Path] = {}
    curves: dict[Column, Path] = {}
    for name in about.columns:
        for column in _meanings(folder, name.removesuffix(".npy").removesuffix(_CURVE)):
            (curves if _is_curve(name) else columns)[column] = folder / name
    cut = "" if about.is_whole else f", {about.cells:,} of {number:,} cells"
    read = partial(_read, cells=number)
    return TableBenchmark(
        name=about.title,
        about=f"imported from {about.source['file']}{cut}",
        path=folder,
        sha256=about.source["sha256"],  # wherever and whenever it was imported, the numbers are the same
        columns=LazyArrays(columns, read),
        curves=LazyArrays(curves, read),
        in_memory=about.is_whole,
        space=about.of,
    )


def _is_curve(file_name: str) -> bool:
    return file_name.endswith(f"{_CURVE}.npy")


def _meanings(folder: Path, column: str) -> Iterator[Column]:
    """What a column is in our words; of one that belongs to a training, for each of its splits."""
    try:
        training, epochs, seed, *images, quantity = column.split(".")
        what = int(epochs), None if seed == "mean" else int(seed)
    except ValueError:
        raise DataError(f"{folder / FILE_NAME}: damaged (a column {column!r}); {_ANEW}") from None
    for (dataset, split), call in CALLS.items():
        if call.training == training and images in ([], [call.images]):
            yield Key(dataset, split, *what), quantity


def _read(path: Path, cells: int) -> NDArray[Any]:
    """A column or a curve of all cells, of which there are so many, mapped into memory.

    Raises:
        DataError: it is damaged.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: damaged or unreadable ({error}); {_ANEW}") from None
    dimensions, dtype = (2, np.float32) if _is_curve(path.name) else (1, np.float64)
    if array.ndim != dimensions or len(array) != cells or array.dtype != dtype:
        raise DataError(f"{path}: damaged, it holds {array.dtype} of shape {array.shape}; {_ANEW}")
    return array.view(np.ndarray)
