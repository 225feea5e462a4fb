"""What alpha is told: gradients of the validation loss by operations' weights, on the supernet of a finished run.

    python benchmarks/edge_gradients.py RUN... --out benchmarks/results/edge_gradients.json

Three kinds of mixtures, drawn anew for each batch of 64 validation images: one operation an edge, each equally likely
and counting fully (`path`: what STC-NAS asks); two of an edge, with weights from the flat Dirichlet distribution of
these (`pair`: Duel); all five, likewise (`all`: DrNAS). An operation's advantage is minus the gradient by its weight;
where several run on an edge, minus its distance from their weighted mean, for weights that sum to one can only be
exchanged. Its mean over draws, a table of 6 by 5, is split into the mean of each edge and the rest, which compares an
edge's operations. The rest is set against the benchmark: by how much the validation accuracy on CIFAR-10 after 12
epochs, the mean over all cells that have the operation on the edge, is above the mean of the edge's five. `none` has no
gradient in a path and is left out of all.

Beside them, what losses say: ratings of 600 random cells on 512 validation images, their Kendall tau-b with the
benchmark, their main effects (operation by edge, least squares) in place of the gradients' means, and the cell that an
evolution over the ratings ends in (`methods/evolution.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import torch.nn.functional as F
from measuring import left_by
from numpy.typing import NDArray
from rich.progress import track
from scipy.stats import kendalltau, spearmanr

from nasbench_stc import open_benchmark
from nasbench_stc.data.images import DeviceImages
from nasbench_stc.engine.evaluation import rate
from nasbench_stc.methods.base import Rating
from nasbench_stc.methods.evolution import EvolutionSettings, evolved
from nasbench_stc.models import Mixture, Supernet
from nasbench_stc.records.ranking import choose_cells
from nasbench_stc.runs import environment
from nasbench_stc.space import EDGES, NONE, NUM_CELLS, OPS, Cell, all_cells

KINDS = {"path": 1, "pair": 2, "all": len(OPS)}
"""How many operations of an edge run."""


def draw(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Which operations run, bool, and their weights, which sum to one on each edge; both of shape (6, 5)."""
    chosen = torch.rand(len(EDGES), len(OPS), generator=generator).topk(count, dim=1).indices
    theta = torch._sample_dirichlet(torch.ones(len(EDGES), count), generator)
    runs = torch.zeros(len(EDGES), len(OPS), dtype=torch.bool).scatter(1, chosen, True)
    return runs, torch.zeros(len(EDGES), len(OPS)).scatter(1, chosen, theta)


def advantages(supernet: Supernet, images: DeviceImages, count: int, batches: int) -> NDArray[np.float64]:
    """Of each draw; shape (batches, 6, 5), NaN where an operation did not run."""
    generator, found = torch.Generator().manual_seed(0), []
    supernet.train().requires_grad_(False)
    for _ in range(batches):
        runs, weights = draw(count, generator)
        index = torch.randperm(len(images), generator=generator)[:64]
        batch, labels = images.plain(index)
        loss = F.cross_entropy(supernet(batch, Mixture(runs, weights.requires_grad_())), labels)
        (gradient,) = torch.autograd.grad(loss, [weights]) if loss.requires_grad else (torch.zeros_like(weights),)
        if count > 1:
            gradient = gradient - (weights.detach() * gradient).sum(dim=1, keepdim=True)
        found.append(torch.where(runs, -gradient, torch.nan).double().numpy())
    return np.array(found)


def preference(accuracy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean accuracy of the cells that have an operation on an edge, less the edge's mean; shape (6, 4), no `none`."""
    ops = np.array([cell.ops for cell in all_cells()])
    order = np.array([cell.index for cell in all_cells()])
    table = np.array(
        [[accuracy[order[ops[:, edge] == op]].mean() for op in range(len(OPS))] for edge in range(len(EDGES))]
    )
    return centred(np.delete(table, NONE, axis=1))


def main_effects(cells: list[Cell], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each operation on each edge, least squares, each edge's mean taken away; shape (6, 4), no `none`."""
    ops = np.array([cell.ops for cell in cells])
    design = np.concatenate([np.eye(len(OPS))[ops[:, edge]] for edge in range(len(EDGES))], axis=1)
    found, *_ = np.linalg.lstsq(design, values, rcond=None)
    return centred(np.delete(found.reshape(len(EDGES), len(OPS)), NONE, axis=1))


def ratings(supernet: Supernet, images: DeviceImages, accuracy: NDArray[np.float64]) -> dict[str, Any]:
    """What the supernet's ratings of 600 random cells on 512 images say, against the benchmark's `accuracy`."""
    chosen = choose_cells(600)
    cells = [Cell.from_index(index) for index in chosen.tolist()]
    values = rate(supernet, cells, images, 512, 512).accuracy
    effects, wanted = main_effects(cells, values), preference(accuracy)
    return {
        "main_effects": effects.round(3).tolist(),
        "tau_b_with_benchmark": round(float(kendalltau(values, accuracy[chosen]).statistic), 3),
        "rank_correlation_with_benchmark": round(float(spearmanr(effects.ravel(), wanted.ravel()).statistic), 3),
        "edges_whose_best_is_right": int((effects.argmax(axis=1) == wanted.argmax(axis=1)).sum()),
    }


def evolution(supernet: Supernet, images: DeviceImages) -> str:
    """The cell that an evolution over the supernet's ratings ends in, as digits."""

    def rated(candidates: Sequence[Any], n_images: int = 0) -> Rating:
        return rate(supernet, candidates, images, 512, n_images)

    return evolved(rated, EvolutionSettings(), np.random.default_rng(0)).digits


def centred(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Less the mean of each row."""
    return np.asarray(table - table.mean(axis=1, keepdims=True))


def summary(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> dict[str, Any]:
    """Means, what of their variance is between edges, and how the rest agrees with the benchmark."""
    found = np.delete(found, NONE, axis=2)
    mean = np.nanmean(found, axis=0)
    error = np.nanstd(found, axis=0, ddof=1) / np.sqrt((~np.isnan(found)).sum(axis=0))
    within = centred(mean)
    return {
        "mean": mean.round(6).tolist(),
        "standard_error": error.round(6).tolist(),
        "share_between_edges": round(float(mean.mean(axis=1).var() / mean.var()), 3),
        "rank_correlation_with_benchmark": round(float(spearmanr(within.ravel(), wanted.ravel()).statistic), 3),
        "edges_whose_best_is_right": int((within.argmax(axis=1) == wanted.argmax(axis=1)).sum()),
    }


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--batches", default=600, show_default=True, help="Draws of each kind.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where images and nb201 are.")
@click.option("--out", type=click.Path(path_type=Path), help="A JSON file for the result.")
def main(runs: tuple[Path, ...], batches: int, data_dir: Path | None, out: Path | None) -> None:
    """Measure on each of RUNS, folders of finished searches on CIFAR-10."""
    torch.set_num_threads(1)
    benchmark = open_benchmark("nb201", data_dir)
    accuracy = benchmark.accuracy(range(NUM_CELLS), "cifar10", "valid", epochs=12)
    wanted = preference(accuracy)
    results = []
    for folder in runs:
        run, _, supernet, images = left_by(folder, data_dir)
        about = {"method": run.method, "seed": run.seed, "changes": run.changes, "batches": batches}
        found = {**ratings(supernet, images, accuracy), "evolution": evolution(supernet, images)}
        results.append({**about, "kind": "ratings", **found})
        click.echo(f"{run.method} {run.changes} ratings: {found}")
        for kind, count in track(KINDS.items(), f"{run.method} seed {run.seed}"):
            found = summary(advantages(supernet, images, count, batches), wanted)
            results.append({**about, "kind": kind, **found})
            told = {name: value for name, value in found.items() if not isinstance(value, list)}
            click.echo(f"{run.method} {run.changes} {kind}: {told}")
    if out:
        whole = {
            "versions": environment.versions(),
            "git_revision": environment.git_revision(),
            "wanted": wanted.round(4).tolist(),
            "results": results,
        }
        out.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
