"""Does a protocol's supernet rank cells at all? Kendall tau-b of its scores against the benchmark's accuracies.

    python benchmarks/ranking_signal.py --protocol cpu --out benchmarks/results/ranking_signal-cpu.json

A method can only be as good as the supernet it asks. This trains the supernet of a protocol on uniformly drawn
cells for all of the protocol's epochs, scores a fixed sample of cells with it on validation images, and compares
with the benchmark's CIFAR-10 validation accuracy, beside what counting parameters gives. The cells are set
aside for this: `numpy.random.default_rng(201)` draws them. Protocols are chosen by this figure, methods are not.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from scipy.stats import kendalltau

from nasbench_stc import files, open_benchmark
from nasbench_stc.cli import options
from nasbench_stc.cli.search import parse_changes
from nasbench_stc.engine.loop import evaluate
from nasbench_stc.runs import environment, launch
from nasbench_stc.space import Cell, params

CELLS_SEED = 201


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--dataset", default="cifar10", help="The data set to search on.")
@click.option("--protocol", default="cpu", help="Whose supernet.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting of the protocol.")
@click.option("--seed", default=0, help="Of the supernet.")
@click.option("--cells", "n_cells", default=250, help="How many cells to rank.")
@click.option("--images", "n_images", default=4096, help="How many validation images score a cell.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the figures to this JSON file.")
@options.data_dir
def main(
    dataset: str,
    protocol: str,
    changes: tuple[str, ...],
    seed: int,
    n_cells: int,
    n_images: int,
    out: Path | None,
    data_dir: Path | None,
) -> None:
    """Train a protocol's supernet on uniform samples and print how it ranks cells."""
    asked = parse_changes(changes) | {"uniform": 1.0}
    todo = launch.plan("stc", dataset, seed, protocol, asked)
    benchmark = open_benchmark("nb201", data_dir)
    start = time.perf_counter()
    search, _ = launch.train(todo, None, data_dir, lambda *_: None)
    train_seconds = time.perf_counter() - start

    index = np.random.default_rng(CELLS_SEED).choice(15_625, n_cells, replace=False)
    cells = [Cell.from_index(i) for i in index]
    start = time.perf_counter()
    found = [
        evaluate(search.supernet, cell, search.valid, todo.engine.eval_batch, n_images)
        for cell in track(cells, "ranking", console=Console(stderr=True))
    ]
    rank_seconds = time.perf_counter() - start

    scores = {
        "accuracy": [result["accuracy"] for result in found],
        "-loss": [-result["loss"] for result in found],
        "parameters": params(cells),
    }
    truth = benchmark.accuracy(cells, "cifar10", "valid")
    top = truth >= np.quantile(truth, 0.9)
    figures = {
        "tau_b": {name: round(float(kendalltau(values, truth).statistic), 3) for name, values in scores.items()},
        "tau_b_top_tenth": {
            name: round(float(kendalltau(np.asarray(values)[top], truth[top]).statistic), 3)
            for name, values in scores.items()
        },
        "n": n_cells,
        "n_top_tenth": int(top.sum()),
        "against": f"cifar10 valid of benchmark {benchmark.name} (sha256 {benchmark.sha256[:12]})",
        "train_seconds": round(train_seconds, 1),
        "seconds_a_cell": round(rank_seconds / n_cells, 3),
        "images": min(n_images, len(search.valid)),
        "settings": {"protocol": protocol, "dataset": dataset, "seed": seed, **todo.settings["protocol"]},
        "device": environment.device_name(todo.device),
        "versions": environment.versions(),
        "git_revision": environment.git_revision(),
    }
    text = json.dumps(figures, indent=1)
    click.echo(text)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(out, (text + "\n").encode())


if __name__ == "__main__":
    main()
