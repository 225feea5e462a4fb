"""What rating a cell by the supernet costs: many cells together, as `stc-bench rank` does it, and one by one.

    python benchmarks/ranking_cost.py --out benchmarks/results/ranking_cost.json

One by one is the supernet's own forward pass under each cell in turn, on a batch that is there already. Both sides look
at the same sample of cells, in turn, on one batch of random images; the weights are random, on which nothing here
depends. All cells take minutes, so that they are rated together once, and a sample of them one by one before and after.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import torch.nn.functional as F
from measuring import SIZES, Ours, Size, seconds, show, write
from rich.progress import track

from nasbench_stc.engine.evaluation import rate, scores
from nasbench_stc.models import Mixture
from nasbench_stc.models.plan import plan
from nasbench_stc.records.ranking import choose_cells
from nasbench_stc.runs import environment
from nasbench_stc.space import Cell

PRECISION = "float32"


class Rated:
    """A supernet, a batch of images, and both ways to rate cells on it."""

    def __init__(self, size: Size, device: str) -> None:
        search = Ours(size, device, PRECISION).search
        self.supernet, self.images, self.device = search.supernet.eval(), search.valid, device
        self.batch = size.batch

    def together(self, cells: list[Cell]) -> float:
        """Seconds a cell."""
        return seconds(lambda: rate(self.supernet, cells, self.images, self.batch, self.batch), self.device) / len(
            cells
        )

    def one_by_one(self, cells: list[Cell]) -> float:
        """Seconds a cell."""
        ((images, labels),) = self.images.batches(self.batch, self.batch)

        @torch.inference_mode()
        def each() -> None:
            for cell in cells:
                logits = scores(self.supernet, images, Mixture.path(cell), PRECISION)
                F.cross_entropy(logits, labels, reduction="sum").item()
                (logits.argmax(dim=1) == labels).sum().item()

        return seconds(each, self.device) / len(cells)


def measure(rated: Rated, cells: list[Cell], rounds: int, sample: int) -> dict[str, Any]:
    """Median milliseconds a cell of both ways; one by one, `sample` of the cells before and after each round."""
    some = [cells[i] for i in np.random.default_rng(0).choice(len(cells), min(sample, len(cells)), replace=False)]
    spent: dict[str, list[float]] = {"together": [], "one by one": [rated.one_by_one(some)]}
    for _ in track(range(rounds), f"{len(cells)} cells"):
        spent["together"].append(rated.together(cells))
        spent["one by one"].append(rated.one_by_one(some))
    found = {f"ms {name}": round(1e3 * statistics.median(of), 2) for name, of in spent.items()}
    paths = {plan(Mixture.path(cell).active, rated.supernet.zeros_vanish) for cell in cells}
    return {
        "cells": len(cells),
        "different paths": len(paths),
        "rounds": rounds,
        "sample one by one": len(some),
        **found,
        "ratio": round(found["ms together"] / found["ms one by one"], 3),
        "ms of each": {name: [round(1e3 * value, 2) for value in of] for name, of in spent.items()},
    }


@click.command(help=(__doc__ or "").split("\n\n")[0])
@click.option("--device", default="auto", show_default=True)
@click.option("--threads", type=int, default=1, show_default=True, help="Of torch, on the CPU.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Of the sample of cells.")
@click.option("--cells", type=click.IntRange(min=1), default=500, show_default=True, help="In the sample.")
@click.option("--all/--no-all", "whole", default=True, show_default=True, help="Rate all cells, too.")
@click.option("--batch", type=click.IntRange(min=2), default=512, show_default=True, help="Images.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there, as JSON.")
def main(device: str, threads: int, rounds: int, cells: int, whole: bool, batch: int, out: Path | None) -> None:
    """Measure, print, write."""
    torch.set_num_threads(threads)
    device = environment.choose_device(device)
    size = SIZES["cpu"]._replace(batch=batch)
    rated = Rated(size, device)
    asked = [(choose_cells(cells), rounds), *([(choose_cells("all"), 1)] if whole else [])]
    found = [measure(rated, [Cell.from_index(i) for i in which], times, 100) for which, times in asked]
    header = ("cells", "different paths", "ms together", "ms one by one", "ratio")
    show(f"A cell on {batch} images, {size}", header, [[f"{row[name]:,}" for name in header] for row in found])
    write(out, device, {"size": str(size), "precision": PRECISION, "images": batch, "figures": found})


if __name__ == "__main__":
    main()
