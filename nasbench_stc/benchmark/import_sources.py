"""What `importing` reads: NATS-Bench's folder, its single pickle, and NAS-Bench-201's .pth, a cell at a time."""

from __future__ import annotations

import bz2
import hashlib
import io
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import files, streaming, unpickle
from nasbench_stc.benchmark import official
from nasbench_stc.benchmark.official import ADMITTED
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.space import all_cells

STATE = np.dtype([("done", "?"), ("sha256", "S64")])
"""Of each cell, while a table is made; the checksum is that of its file, where it has one."""
_SAMPLE = 12  # cells that are looked up in the API in the end
_BUFFER = 1 << 20
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # in files of torch.save before torch 1.6


def open_source(path: Path) -> Source:
    """The official file or folder at `path`.

    Raises:
        BadCallError: it is none, or not there.
        DataError: it is no folder of NATS-Bench, or its list of cells is damaged.
    """
    if not path.exists():
        raise BadCallError(f"{path}: there is no such file or folder")
    if path.is_dir():
        return _NatsFolder(path)
    for kind in (_NatsPickle, _NasBench201):
        if path.name.endswith(kind.ending):
            return kind(path)
    raise BadCallError(
        f"{path} is no official file: NATS-Bench's folder or .pickle.pbz2, or NAS-Bench-201's .pth; "
        f"{official.HOW_TO_GET}"
    )


class Source(ABC):
    """An official file or folder, and how the API behind it sees a cell."""

    name = "NATS-Bench"
    package = "nats_bench"
    """Of the API."""
    ending: str
    """Of its name; the name of its table is what stands before."""
    identity: str
    """Another one for another content."""
    archs: Sequence[str]
    """Its list of all cells; of a single file when `cells` has been through."""

    def __init__(self, path: Path) -> None:
        self.path, self.space, self.title = path, official.space_of(path), path.name.removesuffix(self.ending)
        self.order = [str(cell) for cell in all_cells(self.space.name)]

    @abstractmethod
    def count(self) -> int:
        """How many cells there are, or may be."""

    @abstractmethod
    def cells(self, done: NDArray[np.bool_]) -> Iterator[tuple[int, Any, str]]:
        """(index, plain data, sha256 of its file) of the cells that are not done."""

    def results(self, cell: Any) -> Mapping[str, Any]:
        """The API's objects of a cell, by number of epochs, from its plain data."""
        return official.nats_results(cell)

    def api(self, cells: dict[int, Any]) -> Any:
        """The API over these cells."""
        return official.nats_api(self.archs, cells, self.space)

    @abstractmethod
    def sample(self) -> tuple[list[int], Any]:
        """Some cells, drawn at random, and the API over them alone; when `cells` has been through."""

    @abstractmethod
    def checksum(self, state: NDArray[Any]) -> dict[str, str]:
        """The content's sha256, and of what it is."""


class _NatsFolder(Source):
    ending = "-simple"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.archs = official.read_meta(path)["meta_archs"]
        self.identity = official.listing_sha256(path)
        self._indices = [index for index in range(self.space.num_cells) if official.cell_file(path, index).is_file()]
        if not self._indices:
            raise DataError(f"{path}: has no cells")

    def count(self) -> int:
        return len(self._indices)

    def cells(self, done: NDArray[np.bool_]) -> Iterator[tuple[int, Any, str]]:
        for index in self._indices:
            if not done[index]:
                path = official.cell_file(self.path, index)
                content = path.read_bytes()
                with bz2.open(io.BytesIO(content)) as file:
                    yield index, unpickle.load(file, path, ADMITTED), hashlib.sha256(content).hexdigest()

    def sample(self) -> tuple[list[int], Any]:
        chosen = sorted(map(int, np.random.default_rng(0).permutation(self._indices)[:_SAMPLE]))
        cells = {index: official.read_pbz2(official.cell_file(self.path, index)) for index in chosen}
        return chosen, self.api(cells)

    def checksum(self, state: NDArray[Any]) -> dict[str, str]:
        lines = {official.cell_file(self.path, index).name: state["sha256"][index].decode() for index in self._indices}
        meta = official.meta_file(self.path)
        lines[meta.name] = files.digest(meta)
        listing = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(lines.items()))
        return {
            "sha256": hashlib.sha256(listing.encode()).hexdigest(),
            "of": "what `sha256sum *.pickle.pbz2` prints in the C locale",
        }


class _SingleFile(Source):
    """A pickle of all cells. It is read from its beginning each time, as it can only be read in a row."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.identity = files.digest(path)
        self._sample: dict[int, Any] = {}

    @abstractmethod
    def opened(self) -> AbstractContextManager[IO[bytes]]:
        """The file where the pickle begins."""

    def count(self) -> int:
        return self.space.num_cells

    def cells(self, done: NDArray[np.bool_]) -> Iterator[tuple[int, Any, str]]:
        draw = np.random.default_rng(0)
        with self.opened() as file:
            for number, (index, cell) in enumerate(streaming.entries(file, self.path, ADMITTED, "arch2infos")):
                if index is None:
                    self.archs = cell["meta_archs"]
                    return
                if not 0 <= index < self.space.num_cells:
                    raise DataError(f"{self.path}: there is no cell {index}")
                # A reservoir: each cell is as likely to be in it as any other.
                if len(self._sample) < _SAMPLE:
                    self._sample[index] = cell
                elif (place := int(draw.integers(number + 1))) < _SAMPLE:
                    del self._sample[list(self._sample)[place]]
                    self._sample[index] = cell
                if not done[index]:
                    yield index, cell, ""

    def sample(self) -> tuple[list[int], Any]:
        chosen = sorted(self._sample)
        return chosen, self.api(self._sample)

    def checksum(self, state: NDArray[Any]) -> dict[str, str]:
        return {"sha256": self.identity, "of": "the file"}


class _NatsPickle(_SingleFile):
    ending = ".pickle.pbz2"

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        with bz2.open(self.path) as file, io.BufferedReader(file, _BUFFER) as buffered:  # type: ignore[type-var]
            yield buffered


class _NasBench201(_SingleFile):
    name, package, ending = "NAS-Bench-201", "nas-bench-201", ".pth"

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        if zipfile.is_zipfile(self.path):  # as torch.save writes it since torch 1.6
            with zipfile.ZipFile(self.path) as archive:
                name = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
                if name is None:
                    raise DataError(f"{self.path}: no file of torch.save")
                with archive.open(name) as file, io.BufferedReader(file, _BUFFER) as buffered:  # type: ignore[type-var]
                    yield buffered
        else:
            with self.path.open("rb") as whole:
                if unpickle.load(whole, self.path, {}) != _TORCH_MAGIC:
                    raise DataError(f"{self.path}: no file of torch.save")
                for _ in ("version", "system"):
                    unpickle.load(whole, self.path, {})
                yield whole

    def results(self, cell: Any) -> Mapping[str, Any]:
        return official.nas_bench_201_results(cell)

    def api(self, cells: dict[int, Any]) -> Any:
        return official.nas_bench_201_api(self.archs, cells)
