"""How far our training-free scores agree with published ones of the same cells, and how far those agree themselves.

    python benchmarks/score_agreement.py --data-dir DIR --out benchmarks/results/score_agreement.json

needs CIFAR-10 and nb201_zerocost.csv.gz (docs/benchmarks.md has its sources). Each score is computed with two seeds:
how far these agree is as far as two single draws of weights and images can be expected to.
"""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from measuring import show, write
from numpy.typing import NDArray
from scipy.stats import spearmanr

from nasbench_stc.benchmark import find_metric, open_benchmark
from nasbench_stc.benchmark.metrics import FILES, TRAINING_FREE
from nasbench_stc.records.ranking import choose_cells
from nasbench_stc.report import statistics
from nasbench_stc.runs import environment
from nasbench_stc.runs.score import make_scorer, score_cells
from nasbench_stc.space import Cell

Values = NDArray[np.float64]

PUBLISHED = {
    "naswot": {
        "naswot": "kaiming; the mean of three draws of weights; images cropped and flipped at random",
        "monet-naswot": "on another scale; the code that computed it was not found",
        "zcsuite-nwot": "images cropped and flipped at random, others for each cell",
    },
    "synflow": {
        "synflow": "kaiming; the mean of three draws of weights, not of their logarithms",
        "logsynflow": "another definition: weights times the logarithms of gradients",
    },
    "jacob_cov": {"zcsuite-jacov": "images cropped and flipped at random, others for each cell"},
    "snip": {"zcsuite-snip": "images cropped and flipped at random, others for each cell"},
    "grad_norm": {"zcsuite-grad-norm": "images cropped and flipped at random, others for each cell"},
}
"""Our scores to the metrics of the same kind, as `stc-bench metrics` names them, and in what these differ from ours
with init=torch: by the code of FreeREA and of NASLib.
"""
TOGETHER = (
    ("torch", ("naswot",)),
    ("torch", ("synflow",)),
    ("torch", ("jacob_cov",)),
    ("torch", ("snip", "grad_norm")),
    ("kaiming", ("naswot",)),
    ("kaiming", ("synflow",)),
)
"""Initial weights, and the scores that are computed and timed together; kaiming where published columns have it."""


class Task(NamedTuple):
    """Scores to be computed in one go."""

    init: str
    seed: int
    names: tuple[str, ...]
    cells: tuple[int, ...]
    dataset: str
    data_dir: Path | None
    device: str


def carry_out(task: Task) -> tuple[dict[str, Values], float]:
    """The scores by name, and the seconds that all took."""
    torch.set_num_threads(1)
    scorer = make_scorer(task.dataset, task.seed, None, task.data_dir, task.device, {"init": task.init})
    assert scorer.batch
    begin = time.perf_counter()
    found = score_cells(scorer, task.names, [Cell.from_index(index) for index in task.cells])
    return dict(found), time.perf_counter() - begin


def compare(one: Values, other: Values) -> dict[str, Any]:
    """Rank correlations over the cells that have both; -inf is the lowest rank."""
    both = ~(np.isnan(one) | np.isnan(other))
    x, y = one[both], other[both]
    return {
        "spearman": round(float(spearmanr(x, y).statistic), 3),
        "tau_b": round(statistics.kendall(x, y).tau, 3),
        "n": int(both.sum()),
    }


@click.command(help=(__doc__ or "").split("\n\n")[0])
@click.option("--cells", default="500", show_default=True, help="How many (the same sample always), or all.")
@click.option("--seeds", default="0,1", show_default=True, help="Two.")
@click.option("--dataset", default="cifar10", show_default=True)
@click.option("--data-dir", type=click.Path(path_type=Path))
@click.option("--device", default="auto", show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes, a thread each.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there, as JSON.")
def main(cells: str, seeds: str, dataset: str, data_dir: Path | None, device: str, jobs: int, out: Path | None) -> None:
    """Score, compare, print, write."""
    index = choose_cells(cells)
    bench = open_benchmark("auto", data_dir)
    device = environment.choose_device(device)
    tasks = [
        Task(init, int(seed), names, tuple(index.tolist()), dataset, data_dir, device)
        for seed in seeds.split(",")
        for init, names in TOGETHER
    ]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        done = list(pool.map(carry_out, tasks))
    ours = {
        (name, task.init, task.seed): values
        for task, (found, _) in zip(tasks, done, strict=True)
        for name, values in found.items()
    }
    theirs = {
        name: find_metric(name, bench, data_dir, dataset).values(index)
        for name in itertools.chain.from_iterable(PUBLISHED.values())
    }
    truth = bench.accuracy(index, dataset, "valid")
    first, second = (int(seed) for seed in seeds.split(","))
    rows: list[dict[str, Any]] = []
    for name, init, seed in ours:
        if seed == first:
            mine = ours[name, init, first]
            label = f"{name}, init={init}"
            for column in PUBLISHED[name]:
                rows.append({"score": label, "beside": column, **compare(mine, theirs[column])})
                mean = (mine + ours[name, init, second]) / 2
                rows.append({"score": f"{label}, mean of seeds", "beside": column, **compare(mean, theirs[column])})
            rows.append({"score": label, "beside": f"itself, seed {second}", **compare(mine, ours[name, init, second])})
            rows.append({"score": label, "beside": "accuracy, valid", **compare(mine, truth)})
    for columns in PUBLISHED.values():
        for one, other in itertools.combinations(columns, 2):
            rows.append({"score": one, "beside": other, **compare(theirs[one], theirs[other])})
        for column in columns:
            rows.append({"score": column, "beside": "accuracy, valid", **compare(theirs[column], truth)})
    spent = [
        {"init": task.init, "seed": task.seed, "scores": task.names, "ms_a_cell": round(1e3 * seconds / len(index))}
        for task, (_, seconds) in zip(tasks, done, strict=True)
    ]
    header = ("score", "beside", "spearman", "tau_b", "n")
    show(f"{len(index)} cells, {dataset}", header, [[str(row[key]) for key in header] for row in rows])
    whose = {column.name: column.whose for column in FILES[TRAINING_FREE].values() if column.dataset == dataset}
    figures = {
        "dataset": dataset,
        "cells": len(index),
        "benchmark": {"name": bench.name, "sha256": bench.sha256},
        "published": {
            name: {"whose": whose[name], "differs": differs}
            for columns in PUBLISHED.values()
            for name, differs in columns.items()
        },
        "figures": rows,
        "seconds": spent,
    }
    write(out, device, figures)


if __name__ == "__main__":
    main()
