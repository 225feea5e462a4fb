"""`stc-bench data import`: an official file into our columnar table, in one pass, a cell at a time.

A pass takes minutes. What is done is kept beside the table until all is there: a killed import, started again, goes
on. A cell's numbers come out of the official API's own objects, and in the end a sample of cells is looked up in the
API again, number by number. Pickles are read by the admit-list unpickler, as plain data.
"""

from __future__ import annotations

import importlib.metadata
import io
import itertools
import math
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

import nasbench_stc
from nasbench_stc import files
from nasbench_stc.benchmark import columnar, official
from nasbench_stc.benchmark.base import QUANTITIES, Benchmark, Key
from nasbench_stc.benchmark.columnar import Description, column_name, curve_name
from nasbench_stc.benchmark.import_sources import STATE, Source, open_source
from nasbench_stc.benchmark.official import CALLS, OfficialBenchmark
from nasbench_stc.errors import BadCallError, DataError, RunError

OnCell = Callable[[int, int], None]
"""Called after each cell with (how many are done, of how many)."""
Numbers = dict[str, Any]
"""A cell's, by column: floats, and curves as arrays of float32."""

_FLUSH = 500  # cells: a kill loses the work of no more
_PROGRESS, _IDENTITY = "progress.npy", "identity.txt"
_CURVES = ("accuracy", "loss")


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
    source = open_source(path)
    target = data_dir / f"{source.title}{columnar.ENDING}"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = data_dir / f".{target.name}.lock"
        with FileLock(lock, timeout=0):
            is_new = not target.exists()
            about = _make(source, target, on_cell) if is_new else _there(target, source.identity)
        with suppress(OSError):  # another import may have it by now
            lock.unlink()
    except Timeout:
        raise RunError(f"{target}: another process is importing it; wait for it") from None
    except OSError as error:
        raise RunError(f"{error.filename or data_dir}: {error.strerror or error}; what was done is kept") from error
    return Imported(target, about, is_new)


def _there(target: Path, identity: str) -> Description:
    """What the table says that is there already.

    Raises:
        DataError: it is damaged, or of another content.
    """
    about = columnar.describe(target)
    if about.source["identity"] != identity:
        raise DataError(
            f"{target} is the table of another content ({about.source['file']}, {about.cells:,} cells). It was left as "
            "it is; to import this one, move it away or name another folder by --data-dir"
        )
    return about


def _make(source: Source, target: Path, on_cell: OnCell) -> Description:
    partial = target.with_name(f".{target.name}.partial")
    state = _resume(partial, source)
    _copy(source, partial, state, on_cell)
    if source.archs != source.order:
        raise DataError(f"{source.path}: its list of cells is not the official one")
    checksum = source.checksum(state)
    about = Description(
        name=source.name,
        version=official.version(source.path),
        source={
            "file": source.path.name,
            "identity": source.identity,
            "sha256": checksum["sha256"],
            "of": checksum["of"],
        },
        cells=int(state["done"].sum()),
        verified={},
        columns={path.name: files.digest(path) for path in sorted(partial.glob("*.npy")) if path.name != _PROGRESS},
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={
            "nasbench_stc": nasbench_stc.__version__,
            source.package: importlib.metadata.version(source.package),
            "numpy": np.__version__,
        },
        space=source.space.name,
    )
    about.write(partial)
    about = replace(about, verified=_verify(partial, source))
    about.write(partial)
    for name in (_PROGRESS, _IDENTITY):
        (partial / name).unlink()
    os.replace(partial, target)
    return about


def _resume(partial: Path, source: Source) -> NDArray[Any]:
    """Which cells are done in the folder `partial`, which is emptied if it was made from another content."""
    with suppress(OSError, ValueError):
        if (partial / _IDENTITY).read_text() == source.identity:
            state: NDArray[Any] = np.load(partial / _PROGRESS, allow_pickle=False)
            return state
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    files.write_atomic(partial / _IDENTITY, source.identity.encode())
    return np.zeros(source.space.num_cells, STATE)


def _copy(source: Source, partial: Path, state: NDArray[Any], on_cell: OnCell) -> None:
    writer = _Writer(partial, state)
    trained = set(map(official.in_words, official.SEEDS[source.space.name]))
    total = source.count()
    on_cell(int(state["done"].sum()), total)
    for index, cell, sha256 in source.cells(state["done"]):
        try:
            _check_cell(cell, index, source)
            numbers = _numbers(source.results(cell), trained)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, AssertionError) as error:
            raise DataError(
                f"{source.path}: cell {index} is not as {source.name} has it ({type(error).__name__}: {error})"
            ) from error
        writer.add(index, numbers, sha256)
        on_cell(int(state["done"].sum()) + writer.waiting, total)
    writer.flush()


def _check_cell(cell: Any, index: int, source: Source) -> None:
    names = {content["arch_str"] for content in cell.values()}
    if names != {source.order[index]}:
        raise ValueError(f"it is {', '.join(map(str, names))}")


def _numbers(results: Mapping[str, Any], trained: Collection[str]) -> Numbers:
    """All of a cell, from the API's objects by number of epochs; a quantity that the API does not know is left out.

    Args:
        results: by number of epochs, as the API has it.
        trained: the numbers of epochs that there may be.

    Raises:
        ValueError and others: it is not as it should be. Columns are named by it: no name may lead elsewhere.
    """
    found: Numbers = {}
    for epochs, result in results.items():
        for training in result.get_dataset_names():
            seeds = result.get_dataset_seeds(training)
            if epochs not in trained or training not in _TRAININGS or not all(type(seed) is int for seed in seeds):
                raise ValueError(f"an unknown training: {training!r} for {epochs!r} epochs with seeds {seeds}")
            with suppress(ValueError):  # the API refuses costs that differ between runs, unless seed 888 is among them
                costs = result.get_compute_costs(training)
                for quantity, name in official.COSTS.items():
                    found[column_name(training, epochs, None, quantity)] = costs[name]
            for seed in (None, *seeds):
                is_random = False if seed is None else seed  # so the API names the mean, and a seed
                for images in _IMAGES[training]:
                    with suppress(KeyError, ValueError):  # it was not evaluated on these
                        last = result.get_metrics(training, images, is_random=is_random)
                        _add_last(found, last, training, epochs, seed, images)
                if seed is not None:
                    _add_curves(found, result.all_results[training, seed], training, epochs, seed)
    return {name: _checked(name, value) for name, value in found.items() if value is not None}


def _checked(name: str, value: Any) -> Any:
    value = value if isinstance(value, np.ndarray) else float(value)
    if ".accuracy" in name and (np.less(value, 0) | np.greater(value, 100)).any():
        raise ValueError(f"{name} is {value}, no percentage")
    return value


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
            if any(value is not None for value in values[:-1] or values):
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
        shape = (len(self._state), *np.shape(value))
        with files.replacing(path) as file:  # it goes to disk as it is: up to 12.5 MB, no copy beside it
            np.save(file, np.full(shape, np.nan, np.float32 if np.ndim(value) else np.float64))


def _verify(folder: Path, source: Source) -> dict[str, Any]:
    """Look some cells up in the table in `folder` and in the API, everything that either may hold.

    Raises:
        RunError: they differ.
    """
    cells, api = source.sample()
    official_one = OfficialBenchmark(source.name, "", source.path, "", api, space=source.space)
    keys = sorted({*columnar.open_table(folder).holds(), *official_one.holds()}, key=str)
    compared = 0
    for key in keys:
        table = columnar.open_table(folder)  # anew: it keeps all columns mapped that it was asked for
        for index, quantity in itertools.product(cells, QUANTITIES):
            per_epoch = (1, (key.epochs or 2) // 2) if quantity in _CURVES else ()
            for at_epoch in (None, *per_epoch):
                ours, theirs = (_answer(bench, index, key, quantity, at_epoch) for bench in (table, official_one))
                close = np.isclose(ours, theirs, rtol=1e-6, atol=0) if at_epoch else ours == theirs
                if not (close or np.isnan([ours, theirs]).all()):
                    when = f" after {at_epoch} epochs" if at_epoch else ""
                    raise RunError(
                        f"{source.path}: of cell {index}, {source.package} has the {quantity} {theirs} of {key}{when}, "
                        f"the table made of it {ours}. This should not be: please report it"
                    )
                compared += not np.isnan(ours)
    return {"cells": cells, "numbers": compared, "api": source.package}


def _answer(bench: Benchmark, index: int, key: Key, quantity: str, at_epoch: int | None) -> float:
    """NaN for what is not there."""
    try:
        return float(bench.lookup(np.array([index]), key, quantity, at_epoch)[0])
    except (BadCallError, DataError):
        return math.nan
