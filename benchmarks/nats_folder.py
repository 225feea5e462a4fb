"""A folder in the form of NATS-Bench's simple files, with made-up numbers: for timing and tests, where the real one
(1.3 GB) is not at hand.

    python benchmarks/nats_folder.py OUT [--cells 500] [--space sss]
"""

from __future__ import annotations

import argparse
import bz2
import pickle
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_stc.benchmark.official import SEEDS, in_words
from nasbench_stc.space import Cell, all_cells, flops, params

# The four trainings of the official API: our data set for the costs, its number of classes, and the images it is tried
# on: after each epoch, and (with the first) at 12 epochs, too. In the size space all are tried after each epoch.
_TRAININGS = {
    "cifar10-valid": ("cifar10", 10, ("x-valid",), ("ori-test",)),
    "cifar10": ("cifar10", 10, ("ori-test",), ()),
    "cifar100": ("cifar100", 100, ("ori-test",), ("x-valid", "x-test")),
    "ImageNet16-120": ("ImageNet16-120", 120, ("ori-test",), ("x-valid", "x-test")),
}


_CONFIGS = {
    "tss": lambda cell: {"channel": 16, "num_cells": 5},
    "sss": lambda cell: {
        "name": "infer.shape.tiny",
        "channels": str(cell),
        "genotype": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    },
}


def write(folder: Path, indices: Iterable[int], space: str = "tss") -> None:
    """Write the list of all cells, and the files of the cells at `indices`, into `folder`, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    archs = [str(cell) for cell in all_cells(space)]
    meta = {"meta_archs": archs, "total_archs": len(archs), "arch2infos": None, "evaluated_indexes": set()}
    _dump(meta, folder / "meta.pickle.pbz2")
    for index in indices:
        _dump(cell(index, space), folder / f"{index:06d}.pickle.pbz2")


def cell(index: int, space: str = "tss") -> dict[str, Any]:
    """What the file of a cell holds: it follows from the index."""
    draw, this = np.random.default_rng(index), Cell.from_index(index, space)
    content = OrderedDict()
    for epochs in SEEDS[space]:
        runs = {}
        for training in _TRAININGS:
            for seed in _seeds(this, training, epochs):
                runs[training, seed] = _run(draw, this, training, seed, epochs)
        content[in_words(epochs)] = {
            "arch_index": index,
            "arch_str": str(this),
            "all_results": runs,
            "dataset_seed": {name: [seed for other, seed in runs if other == name] for name in _TRAININGS},
            "clear_net_done": True,
        }
    return content


def _seeds(this: Cell, training: str, epochs: int) -> Sequence[int]:
    """Those of the space; in the topology space not every training has all."""
    if this.space != "tss":
        return SEEDS[this.space][epochs]
    if epochs == 12:
        return [111, 777] if training == "cifar10-valid" else [111]
    return {0: [777, 888, 999], 1: [777, 888], 2: [888]}[this.index % 3]


def _run(draw: np.random.Generator, this: Cell, training: str, seed: int, epochs: int) -> dict[str, Any]:
    dataset, classes, always, at_the_end = _TRAININGS[training]
    rarely = range(epochs - 1, epochs) if epochs == 200 else range(epochs)
    sets = dict.fromkeys(always, range(epochs)) | dict.fromkeys(at_the_end, rarely)
    keys = [f"{name}@{epoch}" for name, every in sets.items() for epoch in every]
    timed = [f"{name}@{epoch}" for name in sets for epoch in range(epochs)]
    seconds = float(draw.uniform(1, 9))
    return {
        "name": training,
        "train_acc1es": dict(enumerate(draw.uniform(10, 99, epochs).tolist())),
        "train_acc5es": None,
        "train_losses": dict(enumerate(draw.uniform(0, 3, epochs).tolist())),
        "train_times": dict.fromkeys(range(epochs), seconds),
        "arch_config": {"arch_str": str(this), "class_num": classes, **_CONFIGS[this.space](this)},
        "params": np.float64(params([this], dataset)[0] / 1e6),
        "flop": float(flops([this], dataset)[0]),
        "seed": f"{seed:04d}",
        "epochs": epochs,
        "latency": [np.float64(draw.uniform(0.01, 0.03))],
        "net_state_dict": None,
        "eval_names": list(sets),
        "eval_acc1es": dict(zip(keys, draw.uniform(10, 99, len(keys)).tolist(), strict=True)),
        "eval_times": dict.fromkeys(timed, seconds / 5),
        "eval_losses": dict(zip(keys, draw.uniform(0, 3, len(keys)).tolist(), strict=True)),
    }


def _dump(content: Any, path: Path) -> None:
    path.write_bytes(bz2.compress(pickle.dumps(content, protocol=4), 1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write a folder in the form of NATS-Bench's, with made-up numbers.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--cells", type=int, default=500)
    parser.add_argument("--space", choices=list(SEEDS), default="tss")
    arguments = parser.parse_args()
    write(arguments.out, range(arguments.cells), arguments.space)
