"""The official files through their own APIs: NATS-Bench's folder and pickle (nats_bench), NAS-Bench-201's .pth.

The APIs would unpickle whatever a file holds. Here the files are read as plain data first (the admit-list
unpickler; `torch.load` with `weights_only`), and the API is given that. A cell of the folder is read when it is
asked for and dropped for the next one, so memory stays bounded; a whole column takes minutes, and progress is shown.
"""

from __future__ import annotations

import bz2
import hashlib
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import files, unpickle
from nasbench_stc.benchmark.base import Benchmark, Key, check_epoch, lacks
from nasbench_stc.errors import DataError, OfficialPickleWarning
from nasbench_stc.seeds import told
from nasbench_stc.space import TSS, Space, find_space

FOLDER_NAME = "NATS-tss-v1_0-3ffb9-simple"
PICKLE_NAME = "NATS-tss-v1_0-3ffb9.pickle.pbz2"
PTH_NAME = "NAS-Bench-201-v1_1-096897.pth"
OLDER_PTH_NAME = "NAS-Bench-201-v1_0-e61699.pth"
SIZE_FOLDER_NAME = "NATS-sss-v1_0-50262-simple"
SIZE_PICKLE_NAME = "NATS-sss-v1_0-50262.pickle.pbz2"
NAMES = (FOLDER_NAME, PICKLE_NAME, PTH_NAME, OLDER_PTH_NAME, SIZE_FOLDER_NAME, SIZE_PICKLE_NAME)
"""Of each space (`space_of`): quick before slow, NATS-Bench before NAS-Bench-201, newer before older."""
HOW_TO_GET = "the READMEs of NATS-Bench and NAS-Bench-201 (D-X-Y on GitHub) link it; put it below --data-dir"


class Call(NamedTuple):
    """How the official APIs name a split of a data set."""

    training: str
    """Their data set, which is a training: CIFAR-10 is two of them, see `base`."""
    name: str
    """What their keys begin with, like `valid` in `valid-accuracy`."""
    images: str
    """The set of images in the file."""


CALLS = {
    ("cifar10", "valid"): Call("cifar10-valid", "valid", "x-valid"),
    ("cifar10", "test"): Call("cifar10", "test", "ori-test"),
    ("cifar10", "train"): Call("cifar10", "train", "train"),
    ("cifar10", "half-test"): Call("cifar10-valid", "test", "ori-test"),
    ("cifar10", "half-train"): Call("cifar10-valid", "train", "train"),
} | {
    (dataset, split): Call(dataset, split, images)
    for dataset in ("cifar100", "ImageNet16-120")
    for split, images in (("valid", "x-valid"), ("test", "x-test"), ("train", "train"), ("valtest", "ori-test"))
}
COSTS = {"latency": "latency", "params": "params", "mflops": "flops"}
"""Quantities of the network, in the API's words; it gives means over seeds alone."""
SEEDS = {
    "tss": {12: (111, 777), 200: (777, 888, 999)},
    "sss": {1: (777,), 12: (777, 888, 999), 90: (777,)},
}
"""By space and number of epochs, of the trainings in its files."""
ADMITTED = unpickle.NUMPY | {"collections.OrderedDict": OrderedDict, "builtins.set": set, "__builtin__.set": set}
"""The classes that the official pickles refer to."""
_SCALARS = ("f4", "f8", "i4", "i8")
_SHOW_PROGRESS_FROM = 100  # cells: a cold one takes some 30 ms


class OfficialBenchmark(Benchmark):
    """A `Benchmark` over one of the official APIs.

    Args:
        name, about, path, sha256, space: as in `Benchmark`.
        api: has `get_more_info`, and results of cells by index in `arch2infos_dict`.
        read_cell: brings a cell's results, where they are read one by one; None: all are in `api`.
    """

    in_memory = False

    def __init__(
        self,
        name: str,
        about: str,
        path: Path,
        sha256: str,
        api: Any,
        read_cell: Callable[[int], Any] | None = None,
        space: Space = TSS,
    ) -> None:
        self.name, self.about, self.path, self.sha256, self.space = name, about, path, sha256, space
        self._api, self._read_cell = api, read_cell
        self._columns: dict[Key, NDArray[np.float64]] = {}

    def holds(self) -> Sequence[Key]:
        """Everything that can be asked for; not every cell was run with every seed."""
        trainings = SEEDS[self.space.name].items()
        return [Key(*which, epochs, seed) for which in CALLS for epochs, seeds in trainings for seed in (None, *seeds)]

    def lookup(
        self, index: NDArray[np.int64], key: Key, quantity: str = "accuracy", at_epoch: int | None = None
    ) -> NDArray[np.float64]:
        """The API's own answers; see `Benchmark.lookup`."""
        answer = self._answer(key, quantity, at_epoch)
        values = np.empty(len(index))
        for number, cell in enumerate(self._shown(index)):
            self._bring(cell, key)
            values[number] = answer(cell)
        return values

    def lookup_curve(self, index: NDArray[np.int64], key: Key, quantity: str = "accuracy") -> NDArray[np.float64]:
        """The API's own answers; see `Benchmark.lookup_curve`."""
        epochs = range(1, (key.epochs or 0) + 1)
        answers = [self._answer(key, quantity, epoch) for epoch in epochs]
        values = np.empty((len(index), len(answers)))
        for number, cell in enumerate(self._shown(index)):
            self._bring(cell, key)
            values[number] = [answer(cell) for answer in answers]
        return values

    def whole(self, key: Key) -> NDArray[np.float64]:
        """`lookup` for all cells, read once."""
        if key not in self._columns:
            self._columns[key] = super().whole(key)
        return self._columns[key]

    def _shown(self, index: NDArray[np.int64]) -> Sequence[int]:
        if self._read_cell is None or len(index) < _SHOW_PROGRESS_FROM:
            return list(map(int, index))
        from rich.console import Console
        from rich.progress import track

        console = Console(stderr=True)
        shown = track(
            list(map(int, index)),
            f"reading {self.name}",
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        return shown  # type: ignore[return-value]

    def _bring(self, index: int, key: Key) -> None:
        """See that the API has the cell's results; where they are read one by one, no other's."""
        results = self._api.arch2infos_dict
        if self._read_cell is not None and index not in results:
            results.clear()
            results[index] = self._read_cell(index)
        if index not in results:
            raise DataError(f"{self.path} does not have cell {index}")
        result, training = results[index].get(in_words(key.epochs)), CALLS[key.dataset, key.split].training
        seeds = result.dataset_seed.get(training, ()) if result is not None else ()
        if not seeds:
            raise DataError(f"{self.path} has no run of {key} for cell {index}")
        if key.seed is not None and key.seed not in seeds:
            raise DataError(f"{self.path} has no run of {key} for cell {index}: it was run with {told(seeds)}")

    def _answer(self, key: Key, quantity: str, at_epoch: int | None) -> Callable[[int], Any]:
        """What the API says of a cell that is in it; None where the file has nothing.

        Its index has to be an `int`, as the API answers -1 to a numpy integer.
        """
        training, name, _ = CALLS[key.dataset, key.split]
        when = "" if at_epoch is None else check_epoch(key, at_epoch)
        hp = in_words(key.epochs)
        if quantity in COSTS and key.seed is None and at_epoch is None:
            return lambda index: self._cost(index, key, COSTS[quantity])
        names = {"accuracy": f"{name}-accuracy", "loss": f"{name}-loss", "train-seconds": "train-all-time"}
        if name != "train":
            names["eval-seconds"] = f"{name}-per-time"
        if quantity not in names:
            costs = () if key.seed is not None or at_epoch is not None else tuple(COSTS)
            raise lacks(self, key, quantity, [(key, what) for what in (*names, *costs)], when)
        is_random = False if key.seed is None else key.seed  # so it names the mean, and a seed
        iepoch = None if at_epoch is None else at_epoch - 1

        def ask(index: int) -> Any:
            try:
                info = self._api.get_more_info(index, training, iepoch=iepoch, hp=hp, is_random=is_random)
                return info[names[quantity]]
            except (KeyError, ValueError):
                raise self._lacks_epoch(index, key, quantity, when) from None

        return ask

    def _cost(self, index: int, key: Key, name: str) -> Any:
        try:
            return self._api.get_cost_info(index, CALLS[key.dataset, key.split].training, hp=in_words(key.epochs))[name]
        except ValueError:  # its runs differ, and the API knows only how to choose the one with seed 888
            raise DataError(f"{self.path}: the runs of {key} differ in {name} for cell {index}") from None

    def _lacks_epoch(self, index: int, key: Key, quantity: str, when: str) -> DataError:
        results = self._api.arch2infos_dict[index][in_words(key.epochs)]
        there = [
            split
            for (dataset, split), (training, _, images) in CALLS.items()
            if dataset == key.dataset and (images == "train" or _has_curve(results, training, images))
        ]
        hint = f". Before the last epoch it has only {key.dataset}'s {', '.join(there)}" if when else ""
        return DataError(f"{self.path} does not hold the {quantity} of {key}{when} for cell {index}{hint}")


def in_words(epochs: int | None) -> str:
    """A number of epochs as the APIs have it: `01`, `12`, `200`."""
    return f"{epochs:02d}"


def _has_curve(results: Any, training: str, images: str) -> bool:
    runs = [run for (dataset, _), run in results.all_results.items() if dataset == training]
    return all(f"{images}@0" in run.eval_acc1es for run in runs)


def version(path: Path) -> str:
    """`v1.0` of `NATS-tss-v1_0-3ffb9…`: the official files say it in their names alone; empty where they do not."""
    found = re.search(r"-v(\d+)_(\d+)-", path.name)
    return f"v{found[1]}.{found[2]}" if found else ""


def full_name(name: str, path: Path) -> str:
    """A benchmark's name with its version, like `NATS-Bench v1.0`."""
    return f"{name} {version(path)}".rstrip()


def space_of(path: Path) -> Space:
    """The space of an official file or folder: NATS-Bench's names say it, NAS-Bench-201 has one."""
    return find_space("sss" if path.name.startswith("NATS-sss") else "tss")


def names_of(space: Space) -> list[str]:
    """Those of `NAMES` that have its cells."""
    return [name for name in NAMES if space_of(Path(name)).name == space.name]


def is_whole_folder(folder: Path) -> bool:
    """Whether a NATS-Bench folder has all cells."""
    return count_cells(folder) == space_of(folder).num_cells


def count_cells(folder: Path) -> int:
    """How many cells a NATS-Bench folder has."""
    return len(list(folder.glob("[0-9]*.pickle.pbz2")))


def open_nats_folder(folder: Path) -> OfficialBenchmark:
    """NATS-Bench's folder of simple files, one a cell (the API's fast mode).

    Raises:
        DataError: it is no such folder, or a file is damaged or asks for more than plain data.
    """
    archs = read_meta(folder)["meta_archs"]
    _warn("nats_bench", folder)

    def read_cell(index: int) -> dict[str, Any]:
        path = cell_file(folder, index)
        if not path.is_file():
            raise DataError(f"{folder} does not have cell {index} ({path.name} is missing)")
        return nats_results(read_pbz2(path))

    space, name, about = space_of(folder), full_name("NATS-Bench", folder), f"through nats_bench ({folder.name})"
    api = nats_api(archs, {}, space)
    return OfficialBenchmark(name, about, folder, listing_sha256(folder), api, read_cell, space)


def open_nats_pickle(path: Path) -> OfficialBenchmark:
    """NATS-Bench's single pickle (about 1 GB, and tens of GB in memory).

    Raises:
        DataError: it is damaged or asks for more than plain data.
    """
    _warn("nats_bench", path)
    space = space_of(path)
    with _busy(path):
        content, sha256 = read_pbz2(path), files.digest(path)
        try:
            api = nats_api(content["meta_archs"], content["arch2infos"], space)
        except (AttributeError, KeyError, TypeError) as error:
            raise DataError(f"{path}: not NATS-Bench's pickle ({type(error).__name__}: {error})") from None
    about = f"through nats_bench ({path.name})"
    return OfficialBenchmark(full_name("NATS-Bench", path), about, path, sha256, api, space=space)


def open_nas_bench_201(path: Path) -> OfficialBenchmark:
    """NAS-Bench-201's .pth (4.7 GB, and about 28 GB in memory).

    Raises:
        DataError: it is damaged, or holds more than tensors and plain data.
    """
    import torch

    _warn("nas-bench-201", path)
    # Besides tensors and plain containers, the results have numpy scalars; the file names them as numpy 1 did.
    scalar = np._core.multiarray.scalar
    admitted: list[Any] = [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype]
    admitted += [type(np.dtype(kind)) for kind in _SCALARS]
    with _busy(path):
        try:
            with torch.serialization.safe_globals(admitted):
                content = torch.load(path, map_location="cpu", weights_only=True)
            api = nas_bench_201_api(content["meta_archs"], content["arch2infos"])
        except Exception as error:  # of many kinds
            asks = re.search(r"GLOBAL ([\w.]+)", str(error))
            reason = f"it asks for {asks[1]}; nothing was run" if asks else str(error).splitlines()[0]
            raise DataError(f"{path}: not NAS-Bench-201's file, or damaged ({reason})") from None
        sha256 = files.digest(path)
    about = f"through nas-bench-201 ({path.name})"
    return OfficialBenchmark(full_name("NAS-Bench-201", path), about, path, sha256, api)


def nats_api(archs: Sequence[str], cells: dict[int, Any], space: Space) -> Any:
    """nats_bench's API over the results of `cells`, which are moved: two copies would not fit into memory."""
    import nats_bench

    content = {"meta_archs": archs, "arch2infos": {}, "evaluated_indexes": range(space.num_cells)}  # any may be read
    api = nats_bench.create(content, space.name, verbose=False)
    return _filled(api, cells, nats_results)


def nas_bench_201_api(archs: Sequence[str], cells: dict[int, Any]) -> Any:
    """nas-bench-201's API over the results of `cells`, which are moved; torch is imported."""
    from nas_201_api import NASBench201API

    api = NASBench201API({"meta_archs": archs, "arch2infos": {}, "evaluated_indexes": []}, verbose=False)
    return _filled(api, cells, nas_bench_201_results)


def _filled(api: Any, cells: dict[int, Any], results: Callable[[Any], dict[str, Any]]) -> Any:
    for index in sorted(cells):
        api.arch2infos_dict[index] = results(cells.pop(index))
    return api


def nats_results(cell: Mapping[str, Any]) -> dict[str, Any]:
    """A cell as nats_bench has it: its objects by number of epochs, from a file's plain data."""
    from nats_bench.api_utils import ArchResults

    return {hp: ArchResults.create_from_state_dict(state) for hp, state in cell.items()}


def nas_bench_201_results(cell: Mapping[str, Any]) -> dict[str, Any]:
    """The same as nas-bench-201 has it; torch is imported."""
    from nas_201_api.api_utils import ArchResults

    return {hp: ArchResults.create_from_state_dict(cell[name]) for hp, name in (("12", "less"), ("200", "full"))}


def read_meta(folder: Path) -> dict[str, Any]:
    """The list of all cells in NATS-Bench's folder.

    Raises:
        DataError: it is no such folder, or the list is damaged or asks for more than plain data.
    """
    path = meta_file(folder)
    if not path.is_file():
        raise DataError(f"{folder} is no folder of NATS-Bench: it has no {path.name}")
    meta, space = read_pbz2(path), space_of(folder)
    if not isinstance(meta, dict) or len(meta.get("meta_archs", ())) != space.num_cells:
        raise DataError(
            f"{path}: not NATS-Bench's list of the {space.num_cells:,} cells of {space.title} (the folder of its size "
            "space is named NATS-sss-…)"
        )
    return meta


def meta_file(folder: Path) -> Path:
    """The list of all cells, in NATS-Bench's folder."""
    return folder / "meta.pickle.pbz2"


def cell_file(folder: Path, index: int) -> Path:
    """Of one cell, in NATS-Bench's folder."""
    return folder / f"{index:06d}.pickle.pbz2"


def listing_sha256(folder: Path) -> str:
    """Stands for a checksum of NATS-Bench's folder, 1 GB in a file a cell: of names, sizes and the list of cells."""
    listing = "".join(f"{path.name} {path.stat().st_size}\n" for path in sorted(folder.glob("*.pbz2")))
    return hashlib.sha256(listing.encode() + meta_file(folder).read_bytes()).hexdigest()


def read_pbz2(path: Path) -> Any:
    """The plain data pickled in an official file.

    Raises:
        DataError: it is damaged, or asks for more than plain data.
    """
    with bz2.open(path) as file:
        return unpickle.load(file, path, ADMITTED)


def _busy(path: Path) -> AbstractContextManager[Any]:
    """Shows that a single file is being read, which its readers tell no progress of."""
    from rich.console import Console

    return Console(stderr=True).status(f"reading all of {path.name}: the whole file takes minutes, and tens of GB")


def _warn(api: str, path: Path) -> None:
    warnings.warn(
        f"{path.name}: the API behind it, {api}, unpickles its files, which can run what strangers put there. They are "
        "read as plain data first, and refused if they ask for more. `stc-bench data import` makes a quick table of it",
        OfficialPickleWarning,
        stacklevel=4,
    )
