"""The official files through their own APIs: NATS-Bench's folder and pickle (nats_bench), NAS-Bench-201's .pth.

The APIs would unpickle whatever a file holds. Here the files are read as plain data first (the admit-list
unpickler; `torch.load` with `weights_only`), and the API is given that. A cell is read when it is asked for
and dropped again, so memory stays bounded; a whole column takes minutes, and progress is shown.
"""

from __future__ import annotations

import bz2
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import files, unpickle
from nasbench_stc.benchmark.base import Benchmark, Key
from nasbench_stc.errors import DataError
from nasbench_stc.space import NUM_CELLS

FOLDER_NAME = "NATS-tss-v1_0-3ffb9-simple"
PICKLE_NAME = "NATS-tss-v1_0-3ffb9.pickle.pbz2"
PTH_NAME = "NAS-Bench-201-v1_1-096897.pth"
NAMES = (FOLDER_NAME, PICKLE_NAME, PTH_NAME)
HOW_TO_GET = "the READMEs of NATS-Bench and NAS-Bench-201 (D-X-Y on GitHub) link it; put it below --data-dir"

# (data set, split) to the API's data set and key: CIFAR-10 is two trainings, see `base`.
_CALLS = {
    ("cifar10", "valid"): ("cifar10-valid", "valid-accuracy"),
    ("cifar10", "test"): ("cifar10", "test-accuracy"),
    ("cifar100", "valid"): ("cifar100", "valid-accuracy"),
    ("cifar100", "test"): ("cifar100", "test-accuracy"),
    ("ImageNet16-120", "valid"): ("ImageNet16-120", "valid-accuracy"),
    ("ImageNet16-120", "test"): ("ImageNet16-120", "test-accuracy"),
}
_SEEDS = {12: (111, 777), 200: (777, 888, 999)}
_KEYS = tuple(
    Key(*which, epochs, seed) for which in _CALLS for epochs, seeds in _SEEDS.items() for seed in (None, *seeds)
)
_ADMITTED = unpickle.NUMPY | {"collections.OrderedDict": OrderedDict}
_SCALARS = ("f4", "f8", "i4", "i8")
_SHOW_PROGRESS_FROM = 100  # cells: a cold one takes some 30 ms


class OfficialBenchmark(Benchmark):
    """A `Benchmark` over one of the official APIs.

    Args:
        name, about, path, sha256: as in `Benchmark`.
        api: has `get_more_info`, and results of cells by index in `arch2infos_dict`.
        read_cell: brings a cell's results, where they are read one by one; None: all are in `api`.
    """

    in_memory = False

    def __init__(
        self, name: str, about: str, path: Path, sha256: str, api: Any, read_cell: Callable[[int], Any] | None = None
    ) -> None:
        self.name, self.about, self.path, self.sha256 = name, about, path, sha256
        self._api, self._read_cell = api, read_cell
        self._columns: dict[Key, NDArray[np.float64]] = {}

    def holds(self) -> Sequence[Key]:
        """Everything that can be asked for; not every cell was run with every seed."""
        return _KEYS

    def lookup(self, index: NDArray[np.int64], key: Key) -> NDArray[np.float64]:
        """Percent right, the API's own answer; see `Benchmark.lookup`."""
        _, name = _CALLS[key.dataset, key.split]
        return np.array([self._info(cell, key)[name] for cell in self._shown(index)], dtype=np.float64)

    def lookup_seconds(self, index: NDArray[np.int64], key: Key) -> NDArray[np.float64]:
        """Seconds of that training, as the file has them; see `Benchmark.lookup_seconds`."""
        return np.array([self._info(cell, key)["train-all-time"] for cell in self._shown(index)], dtype=np.float64)

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

        return track(list(map(int, index)), f"reading {self.name}", console=Console(stderr=True))  # type: ignore[return-value]

    def _info(self, index: int, key: Key) -> dict[str, Any]:
        """What the API says of one cell; `int(index)` matters, as it answers -1 to a numpy integer."""
        results = self._api.arch2infos_dict
        if self._read_cell is not None:
            results[index] = self._read_cell(index)
        try:
            if index not in results:
                raise DataError(f"{self.path} does not have cell {index}")
            dataset, name = _CALLS[key.dataset, key.split]
            seeds = results[index][str(key.epochs)].get_dataset_seeds(dataset)
            if key.seed is not None and key.seed not in seeds:
                raise DataError(f"{self.path} has no run of {key} for cell {index}: it was run with seeds {seeds}")
            is_random = False if key.seed is None else key.seed
            info: dict[str, Any] = self._api.get_more_info(index, dataset, hp=str(key.epochs), is_random=is_random)
            if name not in info:
                raise DataError(f"{self.path} does not hold {key} for cell {index}")
            return info
        finally:
            if self._read_cell is not None:
                results.pop(index, None)


def is_whole_folder(folder: Path) -> bool:
    """Whether a NATS-Bench folder has all cells."""
    return count_cells(folder) == NUM_CELLS


def count_cells(folder: Path) -> int:
    """How many cells a NATS-Bench folder has."""
    return len(list(folder.glob("[0-9]*.pickle.pbz2")))


def open_nats_folder(folder: Path) -> OfficialBenchmark:
    """NATS-Bench's folder of simple files, one a cell (the API's fast mode).

    Raises:
        DataError: it is no such folder, or a file is damaged or asks for more than plain data.
    """
    import nats_bench
    from nats_bench.api_utils import ArchResults

    meta = folder / "meta.pickle.pbz2"
    if not meta.is_file():
        raise DataError(f"{folder} is no folder of NATS-Bench: it has no {meta.name}")
    archs = _read_pbz2(meta)["meta_archs"]
    every = range(NUM_CELLS)  # any may come to be read
    api = nats_bench.create({"meta_archs": archs, "arch2infos": {}, "evaluated_indexes": every}, "tss", verbose=False)

    def read_cell(index: int) -> dict[str, Any]:
        path = folder / f"{index:06d}.pickle.pbz2"
        if not path.is_file():
            raise DataError(f"{folder} does not have cell {index} ({path.name} is missing)")
        return {hp: ArchResults.create_from_state_dict(state) for hp, state in _read_pbz2(path).items()}

    # A checksum of 1 GB in 15,625 files would take minutes: names, sizes and the list of cells stand for it.
    listing = "".join(f"{path.name} {path.stat().st_size}\n" for path in sorted(folder.glob("*.pbz2")))
    digest = hashlib.sha256(listing.encode() + meta.read_bytes()).hexdigest()
    return OfficialBenchmark(
        "NATS-Bench", f"NATS-Bench through nats_bench ({folder.name})", folder, digest, api, read_cell
    )


def open_nats_pickle(path: Path) -> OfficialBenchmark:
    """NATS-Bench's single pickle (about 1 GB, and several times that in memory).

    Raises:
        DataError: it is damaged or asks for more than plain data.
    """
    import nats_bench

    content = _read_pbz2(path)
    api = nats_bench.create(content, "tss", fast_mode=False, verbose=False)
    return OfficialBenchmark(
        "NATS-Bench", f"NATS-Bench through nats_bench ({path.name})", path, files.digest(path), api
    )


def open_nas_bench_201(path: Path) -> OfficialBenchmark:
    """NAS-Bench-201's .pth (4.7 GB, and about 28 GB in memory).

    Raises:
        DataError: it is damaged, or holds more than tensors and plain data.
    """
    import torch
    from nas_201_api import NASBench201API

    # Besides tensors and plain containers, the results have numpy scalars.
    admitted: list[Any] = [np._core.multiarray.scalar, np.dtype, *(type(np.dtype(kind)) for kind in _SCALARS)]
    try:
        with torch.serialization.safe_globals(admitted):
            content = torch.load(path, map_location="cpu", weights_only=True)
        api = NASBench201API(content, verbose=False)
    except Exception as error:  # of many kinds
        raise DataError(f"{path}: not NAS-Bench-201's file, or damaged ({str(error).splitlines()[0]})") from None
    about = f"NAS-Bench-201 through nas-bench-201 ({path.name})"
    return OfficialBenchmark("NAS-Bench-201", about, path, files.digest(path), api)


def _read_pbz2(path: Path) -> Any:
    with bz2.open(path) as file:
        return unpickle.load(file, path, _ADMITTED)
