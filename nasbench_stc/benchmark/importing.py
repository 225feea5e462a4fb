"""`stc-bench data import`: an official file into our columnar table, in one pass, a cell at a time.

A pass takes minutes. What is done is kept beside the table until all is there: a killed import, started again, goes
on. A cell's numbers come out of the official API's own objects, and in the end a sample of cells is looked up in the
API again, number by number. Pickles are read by the admit-list unpickler, as plain data.
"""

from __future__ import annotations

import bz2
import hashlib
import importlib.metadata
import io
import itertools
import math
import os
import shutil
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

import nasbench_stc
from nasbench_stc import files, streaming, unpickle
from nasbench_stc.benchmark import columnar, official
from nasbench_stc.benchmark.base import QUANTITIES, Benchmark, Key
from nasbench_stc.benchmark.columnar import Description, column_name, curve_name
from nasbench_stc.benchmark.official import ADMITTED, CALLS, OfficialBenchmark
from nasbench_stc.benchmark.table import TableBenchmark
from nasbench_stc.errors import BadCallError, DataError, RunError
from nasbench_stc.space import NUM_CELLS, all_cells

OnCell = Callable[[int, int], None]
"""Called after each cell with (how many are done, of how many)."""
Numbers = dict[str, Any]
"""A cell's, by column: floats, and curves as arrays of float32."""

_FLUSH = 500  # cells: a kill loses the work of no more
_SAMPLE = 12  # cells that are looked up in the API in the end
_PROGRESS, _IDENTITY = "progress.npy", "identity.txt"
_STATE = np.dtype([("done", "?"), ("sha256", "S64")])  # of each cell; the checksum of its file, where it has one
_CURVES = ("accuracy", "loss")
_BUFFER = 1 << 20
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # in files of torch.save before torch 1.6


class Imported(NamedTuple):
    """What an import has come to."""

    path: Path
    about: Description
    is_new: bool
    """False: the table was there already."""


def import_official(path: Path, data_dir: Path, on_cell: OnCell = lambda done, total: None) -> Imported:
    """Make the table of an official file or folder, in `data_dir`; at once, if it is there.

    Args:
        path: NATS-Bench's folder or .pickle.pbz2, or NAS-Bench-201's .pth.
        data_dir: made if need be.
        on_cell: called after each cell; those that an earlier, killed import had done count.

    Raises:
        BadCallError: `path` is none of these.
        DataError: it is damaged, asks for more than plain data, or the table of another content is there.
        RunError: another process is importing it, the folder cannot be written, or the table is not as the API says.
    """
    source = _source(path)
    target = data_dir / f"{source.title}{columnar.ENDING}"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = data_dir / f".{target.name}.lock"
        with FileLock(lock, timeout=0):
            if target.exists():
                return Imported(target, _there(target, source.identity), is_new=False)
            about = _make(source, target, on_cell)
        with suppress(OSError):  # another import may be waiting for it
            lock.unlink()
    except Timeout:
        raise RunError(f"{target}: another process is importing it; wait for it") from None
    except OSError as error:
        raise RunError(f"{error.filename or data_dir}: {error.strerror or error}; what was done is kept") from error
    return Imported(target, about, is_new=True)


def _there(target: Path, identity: str) -> Description:
    about = columnar.describe(target)
    if about.source["identity"] != identity:
        raise DataError(
            f"{target} is the table of another content ({about.source['file']}, {about.cells:,} cells). It was left as "
            "it is; to import this one, move it away or name another folder by --data-dir"
        )
    return about


def _make(source: _Source, target: Path, on_cell: OnCell) -> Description:
    partial = target.with_name(f".{target.name}.partial")
    state = _resume(partial, source.identity)
    _copy(source, partial, state, on_cell)
    if source.archs != [str(cell) for cell in all_cells()]:
        raise DataError(f"{source.path}: its list of cells is not the official one")
    about = Description(
        name=source.name,
        version=official.version(source.path),
        source={"file": source.path.name, "identity": source.identity, **source.checksum(state)},
        cells=int(state["done"].sum()),
        verified={},
        columns={path.name: files.digest(path) for path in sorted(partial.glob("*.npy")) if path.name != _PROGRESS},
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={
            "nasbench_stc": nasbench_stc.__version__,
            source.package: importlib.metadata.version(source.package),
            "numpy": np.__version__,
        },
    )
    about.write(partial)
    about = replace(about, verified=_verify(columnar.open_table(partial), source))
    about.write(partial)
    for name in (_PROGRESS, _IDENTITY):
        (partial / name).unlink()
    os.replace(partial, target)
    return about


def _resume(partial: Path, identity: str) -> NDArray[Any]:
    """Which cells are done in the folder `partial`, which is emptied if it was made from another content."""
    with suppress(OSError, ValueError):
        if (partial / _IDENTITY).read_text() == identity:
            state: NDArray[Any] = np.load(partial / _PROGRESS, allow_pickle=False)
            return state
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    files.write_atomic(partial / _IDENTITY, identity.encode())
    return np.zeros(NUM_CELLS, _STATE)


def _copy(source: _Source, partial: Path, state: NDArray[Any], on_cell: OnCell) -> None:
    writer = _Writer(partial, state)
    total = source.count()
    on_cell(int(state["done"].sum()), total)
    for index, cell, sha256 in source.cells(state["done"]):
        try:
            _check_cell(cell, index, source)
            numbers = _numbers(source.results(cell))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, AssertionError) as error:
            raise DataError(
                f"{source.path}: cell {index} is not as {source.name} has it ({type(error).__name__}: {error})"
            ) from error
        writer.add(index, numbers, sha256)
        on_cell(int(state["done"].sum()) + writer.waiting, total)
    writer.flush()


def _check_cell(cell: Any, index: int, source: _Source) -> None:
    names = {content["arch_str"] for content in cell.values()}
    if names != {source.order[index]}:
        raise ValueError(f"it is {', '.join(map(str, names))}")


def _numbers(results: Mapping[str, Any]) -> Numbers:
    """All of a cell, from the API's objects by number of epochs; a quantity that the API does not know is left out."""
    found: Numbers = {}
    for epochs, result in results.items():
        for training in result.get_dataset_names():
            if training not in _TRAININGS:
                raise ValueError(f"an unknown data set {training!r}")
            costs = result.get_compute_costs(training)
            for quantity, name in official.COSTS.items():
                found[column_name(training, epochs, None, quantity)] = costs[name]
            for seed in (None, *result.get_dataset_seeds(training)):
                is_random = False if seed is None else seed  # so the API names the mean, and a seed
                for images in _IMAGES[training]:
                    with suppress(KeyError, ValueError):  # it was not evaluated on these
                        last = result.get_metrics(training, images, is_random=is_random)
                        _add_last(found, last, training, epochs, seed, images)
                if seed is not None:
                    _add_curves(found, result.all_results[training, seed], training, epochs, seed)
    return {name: value for name, value in found.items() if value is not None}


_TRAININGS = {call.training for call in CALLS.values()}
_IMAGES = {training: [call.images for call in CALLS.values() if call.training == training] for training in _TRAININGS}


def _add_last(
    found: Numbers, last: Mapping[str, Any], training: str, epochs: str, seed: int | None, images: str
) -> None:
    """What the API says after the last epoch."""
    for quantity in ("accuracy", "loss"):
        found[column_name(training, epochs, seed, quantity, images)] = last[quantity]
    if images == "train":
        found[column_name(training, epochs, seed, "train-seconds")] = last["all_time"]
    elif last["all_time"] is not None:
        found[column_name(training, epochs, seed, "eval-seconds", images)] = last["all_time"] / (last["iepoch"] + 1)


def _add_curves(found: Numbers, run: Any, training: str, epochs: str, seed: int) -> None:
    """A run after each epoch, on the images on which it was tried before the last one."""
    every = range(int(epochs))
    for quantity, of_train, of_evaluation in (
        ("accuracy", run.train_acc1es, run.eval_acc1es),
        ("loss", run.train_losses, run.eval_losses),
    ):
        for images in _IMAGES[training]:
            values = (
                [of_train.get(epoch) for epoch in every]
                if images == "train"
                else [of_evaluation.get(f"{images}@{epoch}") for epoch in every]
            )
            if any(value is not None for value in values[:-1]):
                name = curve_name(column_name(training, epochs, seed, quantity, images))
                found[name] = np.array(values, dtype=np.float32)  # None becomes NaN


class _Writer:
    """Columns of the table being made. Cells are written some hundred at a time, a column after the other."""

    def __init__(self, folder: Path, state: NDArray[Any]) -> None:
        self._folder, self._state = folder, state
        self._cells: dict[int, tuple[Numbers, str]] = {}

    @property
    def waiting(self) -> int:
        """How many cells are not written yet."""
        return len(self._cells)

    def add(self, index: int, numbers: Numbers, sha256: str) -> None:
        """Take a cell in."""
        self._cells[index] = numbers, sha256
        if len(self._cells) >= _FLUSH:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting; a cell counts as done when all of it is on disk."""
        columns: dict[str, tuple[list[int], list[Any]]] = {}
        for index, (numbers, _) in self._cells.items():
            for name, value in numbers.items():
                rows, values = columns.setdefault(name, ([], []))
                rows.append(index)
                values.append(value)
        for name, (rows, values) in columns.items():
            path = self._folder / f"{name}.npy"
            if not path.exists():
                self._begin(path, values[0])
            array = np.load(path, mmap_mode="r+", allow_pickle=False)
            array[rows] = values
            array.flush()
        for index, (_, sha256) in self._cells.items():
            self._state[index] = True, sha256
        self._cells.clear()
        content = io.BytesIO()
        np.save(content, self._state)
        files.write_atomic(self._folder / _PROGRESS, content.getvalue())

    def _begin(self, path: Path, value: Any) -> None:
        """A column in which nothing was run yet, on disk whole or not at all."""
        shape = (NUM_CELLS, *np.shape(value))
        content = io.BytesIO()
        np.save(content, np.full(shape, np.nan, np.float32 if np.ndim(value) else np.float64))
        files.write_atomic(path, content.getvalue())


def _verify(table: TableBenchmark, source: _Source) -> dict[str, Any]:
    """Look some cells up in table and API, everything that either may hold.

    Raises:
        RunError: they differ.
    """
    cells, api = source.sample(_SAMPLE)
    official_one = OfficialBenchmark(source.name, "", source.path, "", api)
    keys = sorted({*table.holds(), *official_one.holds()}, key=str)
    compared = 0
    for index, key, quantity in itertools.product(cells, keys, QUANTITIES):
        per_epoch = (1, (key.epochs or 2) // 2) if quantity in _CURVES else ()
        for at_epoch in (None, *per_epoch):
            ours, theirs = (_answer(bench, index, key, quantity, at_epoch) for bench in (table, official_one))
            close = np.isclose(ours, theirs, rtol=1e-6, atol=0) if at_epoch else ours == theirs
            if not (close or np.isnan([ours, theirs]).all()):
                when = f" after {at_epoch} epochs" if at_epoch else ""
                raise RunError(
                    f"{source.path}: of cell {index}, {source.package} has the {quantity} {theirs} of {key}{when}, the "
                    f"table made of it {ours}. This should not be: please report it"
                )
            compared += not np.isnan(ours)
    return {"cells": cells, "numbers": compared, "api": source.package}


def _answer(bench: Benchmark, index: int, key: Key, quantity: str, at_epoch: int | None) -> float:
    """NaN for what is not there."""
    try:
        return float(bench.lookup(np.array([index]), key, quantity, at_epoch)[0])
    except (BadCallError, DataError):
        return math.nan


class _Source(ABC):
    """An official file or folder, and how the API behind it sees a cell."""

    name: str
    package: str
    """Of the API."""
    title: str
    """Of the table made of it."""
    identity: str
    """Another one for another content."""
    archs: Sequence[str]
    """Its list of all cells; of a single file when `cells` has been through."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.order = [str(cell) for cell in all_cells()]

    @abstractmethod
    def count(self) -> int:
        """How many cells there are, or may be."""

    @abstractmethod
    def cells(self, done: NDArray[np.bool_]) -> Iterator[tuple[int, Any, str]]:
        """(index, plain data, sha256 of its file) of the cells that are not done."""

    @abstractmethod
    def results(self, cell: Any) -> Mapping[str, Any]:
        """The API's objects of a cell, by number of epochs, from its plain data."""

    @abstractmethod
    def sample(self, size: int) -> tuple[list[int], Any]:
        """Some cells, drawn, and the API over them alone; when `cells` has been through."""

    @abstractmethod
    def checksum(self, state: NDArray[Any]) -> dict[str, str]:
        """The content's sha256, and of what it is."""


class _NatsFolder(_Source):
    name, package = "NATS-Bench", "nats_bench"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.title = path.name.removesuffix("-simple")
        self.archs = official.read_meta(path)["meta_archs"]
        self.identity = official.listing_sha256(path)
        self._indices = [index for index in range(NUM_CELLS) if official.cell_file(path, index).is_file()]

    def count(self) -> int:
        return len(self._indices)

    def cells(self, done: NDArray[np.bool_]) -> Iterator[tuple[int, Any, str]]:
        for index in self._indices:
            if not done[index]:
                path = official.cell_file(self.path, index)
                content = path.read_bytes()
                with bz2.open(io.BytesIO(content)) as file:
                    yield index, unpickle.load(file, path, ADMITTED), hashlib.sha256(content).hexdigest()

    def results(self, cell: Any) -> Mapping[str, Any]:
        return official.nats_results(cell)

    def sample(self, size: int) -> tuple[list[int], Any]:
        chosen = sorted(map(int, np.random.default_rng(0).permutation(self._indices)[:size]))
        cells = {index: official.read_pbz2(official.cell_file(self.path, index)) for index in chosen}
        return chosen, official.nats_api(self.archs, cells)

    def checksum(self, state: NDArray[Any]) -> dict[str, str]:
        lines = {official.cell_file(self.path, index).name: state["sha256"][index].decode() for index in self._indices}
        meta = official.meta_file(self.path)
        lines[meta.name] = files.digest(meta)
        listing = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(lines.items()))
        return {
            "sha256": hashlib.sha256(listing.encode()).hexdigest(),
            "of": "what `sha256sum *.pickle.pbz2` prints in the C locale",
        }


class _SingleFile(_Source):
    """A pickle of all cells. It is read from its beginning each time, as it can only be read in a row."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.identity = files.digest(path)
        self._sample: dict[int, Any] = {}

    @abstractmethod
    def opened(self) -> AbstractContextManager[IO[bytes]]:
        """The file where the pickle begins."""

    @abstractmethod
    def api(self, cells: dict[int, Any]) -> Any:
        """The API over these cells."""

    def count(self) -> int:
        return NUM_CELLS

    def cells(self, done: NDArray[np.bool_]) -> Iterator[tuple[int, Any, str]]:
        draw = np.random.default_rng(0)
        with self.opened() as file:
            for number, (index, cell) in enumerate(streaming.entries(file, self.path, ADMITTED, "arch2infos")):
                if index is None:
                    self.archs = cell["meta_archs"]
                    return
                if not 0 <= index < NUM_CELLS:
                    raise DataError(f"{self.path}: there is no cell {index}")
                # A reservoir: each cell is as likely to be in it as any other.
                if len(self._sample) < _SAMPLE:
                    self._sample[index] = cell
                elif (place := int(draw.integers(number + 1))) < _SAMPLE:
                    del self._sample[list(self._sample)[place]]
                    self._sample[index] = cell
                if not done[index]:
                    yield index, cell, ""

    def sample(self, size: int) -> tuple[list[int], Any]:
        chosen = sorted(self._sample)
        return chosen, self.api(self._sample)

    def checksum(self, state: NDArray[Any]) -> dict[str, str]:
        return {"sha256": self.identity, "of": "the file"}


class _NatsPickle(_SingleFile):
    name, package = "NATS-Bench", "nats_bench"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.title = path.name.removesuffix(".pickle.pbz2")

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        with bz2.open(self.path) as file, io.BufferedReader(file, _BUFFER) as buffered:  # type: ignore[type-var]
            yield buffered

    def results(self, cell: Any) -> Mapping[str, Any]:
        return official.nats_results(cell)

    def api(self, cells: dict[int, Any]) -> Any:
        return official.nats_api(self.archs, cells)


class _NasBench201(_SingleFile):
    name, package = "NAS-Bench-201", "nas-bench-201"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.title = path.name.removesuffix(".pth")

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


def _source(path: Path) -> _Source:
    if not path.exists():
        raise BadCallError(f"{path}: there is no such file or folder")
    if path.is_dir():
        return _NatsFolder(path)
    for ending, kind in ((".pickle.pbz2", _NatsPickle), (".pth", _NasBench201)):
        if path.name.endswith(ending):
            return kind(path)
    raise BadCallError(
        f"{path} is no official file: NATS-Bench's folder or .pickle.pbz2, or NAS-Bench-201's .pth; "
        f"{official.HOW_TO_GET}"
    )
