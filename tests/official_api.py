"""What the official APIs say, asked as their documentation does: the yardstick of our adapters and tables."""

from __future__ import annotations

import bz2
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from nasbench_stc.benchmark.base import Key
from nasbench_stc.benchmark.official import CALLS, COSTS, in_words


def answer(api: Any, index: int, key: Key, quantity: str, at_epoch: int | None) -> float | None:
    """One number; None where the API has none."""
    training, name, _ = CALLS[key.dataset, key.split]
    if quantity in COSTS:
        if key.seed is not None or at_epoch is not None:
            return None
        return api.get_cost_info(index, training, hp=in_words(key.epochs))[COSTS[quantity]]
    is_random = False if key.seed is None else key.seed
    iepoch = None if at_epoch is None else at_epoch - 1
    try:
        info = api.get_more_info(index, training, iepoch=iepoch, hp=in_words(key.epochs), is_random=is_random)
    except (AssertionError, KeyError, ValueError):
        return None
    if quantity == "eval-seconds" and name == "train":  # it calls the seconds of training so
        return None
    return info.get(
        {"train-seconds": "train-all-time", "eval-seconds": f"{name}-per-time"}.get(quantity, f"{name}-{quantity}")
    )


def read_folder(folder: Path) -> tuple[list[str], dict[int, Any]]:
    """The list of all cells, and the content of the cells that are there."""
    paths = sorted(folder.glob("[0-9]*.pickle.pbz2"))
    cells = {int(path.name[:6]): pickle.loads(bz2.decompress(path.read_bytes())) for path in paths}
    return pickle.loads(bz2.decompress((folder / "meta.pickle.pbz2").read_bytes()))["meta_archs"], cells


def as_pickle(folder: Path, path: Path) -> Path:
    """A NATS-Bench folder in the form of NATS-Bench's one pickle."""
    archs, cells = read_folder(folder)
    content = {"meta_archs": archs, "arch2infos": cells, "evaluated_indexes": set(cells)}
    path.write_bytes(bz2.compress(pickle.dumps(content, protocol=4), 1))
    return path


def as_pth(folder: Path, path: Path, of_old_torch: bool = False) -> Path:
    """The same in the form of NAS-Bench-201's one file."""
    archs, cells = read_folder(folder)
    infos = {index: {"less": cell["12"], "full": cell["200"]} for index, cell in cells.items()}
    content = {"meta_archs": archs, "arch2infos": infos, "evaluated_indexes": sorted(cells)}
    torch.save(content, path, _use_new_zipfile_serialization=not of_old_torch)
    return path


def as_numpy_1(path: Path) -> None:
    """Change a file of torch.save into what it was under numpy 1, as the official one is: it has other names."""
    new, old = b"numpy._core.multiarray", b"numpy.core.multiarray"
    if not zipfile.is_zipfile(path):
        content = path.read_bytes()
        assert content.count(new) == 1
        path.write_bytes(content.replace(new, old))
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert sum(content.count(new) for content in members.values()) == 1
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content.replace(new, old))
