"""Local search over the ratings of finished runs' supernets: where each move leads, and what the table says of it.

    python benchmarks/climb.py RUN... --data-dir DIR --out benchmarks/results/climb.json

RUN is the folder of a finished search on CIFAR-10 that left its supernet. The local search is that of `duel_ls` (4,096
validation images), once from the cell that the run's alpha stood for and once from the largest cell. Of each cell on
the way: the supernet's accuracy, and the benchmark's validation accuracy after 12 epochs, the study's criterion.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import torch
from measuring import left_by, write
from rich.progress import track

from nasbench_stc import open_benchmark
from nasbench_stc.engine.evaluation import rate
from nasbench_stc.methods.base import Rating
from nasbench_stc.methods.duel_ls import DuelLsSettings, climb
from nasbench_stc.space import NUM_CELLS, Cell

LARGEST = Cell.parse("333333")


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where images and nb201 are.")
@click.option("--out", type=click.Path(path_type=Path), help="A JSON file for the result.")
def main(runs: tuple[Path, ...], data_dir: Path | None, out: Path | None) -> None:
    """Climb on the supernet of each of RUNS."""
    torch.set_num_threads(1)
    criterion = open_benchmark("nb201", data_dir).accuracy(range(NUM_CELLS), "cifar10", "valid", epochs=12)
    images, found = DuelLsSettings().select_images, []
    for folder in track(runs, "climbing"):
        run, engine, supernet, on = left_by(folder, data_dir)
        rated: dict[Cell, float] = {}

        def rating(cells: Sequence[Any], n_images: int = 0) -> Rating:
            result = rate(supernet, cells, on, engine.eval_batch, n_images)  # noqa: B023
            rated.update(zip(cells, result.accuracy.tolist(), strict=True))  # noqa: B023
            return result

        last = run.trajectory[-1]["cell"]
        paths = {
            of: [
                {"cell": cell.digits, "supernet": round(rated[cell], 2), "criterion": round(criterion[cell.index], 3)}
                for cell in climb(start, rating, images)
            ]
            for of, start in (("alpha", Cell.parse(last or run.cell)), ("largest", LARGEST))
        }
        about = {"method": run.method, "seed": run.seed, "protocol": run.protocol, "changes": run.changes}
        found.append({**about, **paths})
        for of, path in paths.items():
            steps = " → ".join(f"{step['cell']} ({step['criterion']:.2f})" for step in path)
            click.echo(f"{run.method} {run.changes} seed {run.seed} from {of}: {steps}")
    write(out, "cpu", {"images": images, "runs": found})


if __name__ == "__main__":
    main()
