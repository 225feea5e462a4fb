"""When a supernet's ratings begin to say how good cells are, against when its search decides.

    python benchmarks/signal_by_epoch.py stc --seed 100 --work /tmp/signal --out benchmarks/results/signal_by_epoch.json

A search on CIFAR-10 by protocol `cpu`. After each epoch its supernet rates 600 cells on 512 validation images, as in
`edge_gradients.py`: Kendall's tau-b of the ratings with the benchmark (CIFAR-10 validation accuracy after 12 epochs),
and how their main effects agree with the benchmark's preferences inside edges. Beside it the cell that alpha stands
for, and how many of its edges have the operation that the cell found in the end has there. Continues where it stopped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import torch
from edge_gradients import ratings
from rich.progress import track

from nasbench_stc import Cell, open_benchmark
from nasbench_stc.cli.options import parse_changes
from nasbench_stc.data.images import DeviceImages
from nasbench_stc.engine import checkpoint
from nasbench_stc.engine.loop import build_supernet
from nasbench_stc.runs import environment, launch
from nasbench_stc.space import NUM_CELLS


def searched(todo: launch.Plan, work: Path, data_dir: Path | None) -> launch.Record:
    """The search; `work` then holds the weights after each epoch, `weights-1.pt` and so on."""
    saved = work / todo.folder_name / checkpoint.FILE_NAME

    def keep(epoch: int, epochs: int, step: int, steps: int) -> None:
        if epoch and step == 0:  # the epoch before has ended
            checkpoint.save(work / f"weights-{epoch}.pt", checkpoint.load(saved)["supernet"])

    done = launch.run(todo, open_benchmark("nb201", data_dir), work, data_dir, on_step=keep)
    last = checkpoint.load(saved.with_name(checkpoint.SUPERNET_NAME))
    checkpoint.save(work / f"weights-{todo.epochs}.pt", last)
    return done


@click.command()
@click.argument("method")
@click.option("--seed", default=100, show_default=True)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.option("--work", required=True, type=click.Path(path_type=Path), help="A folder for the search and its weights.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Where images and nb201 are.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A JSON file; results are added.")
def main(method: str, seed: int, changes: tuple[str, ...], work: Path, data_dir: Path | None, out: Path) -> None:
    """Search with METHOD, then rate cells by its supernet as it was after each epoch."""
    torch.set_num_threads(1)
    todo = launch.plan(method, "cifar10", seed, "cpu", parse_changes(changes), device="cpu")
    run = searched(todo, work, data_dir)
    benchmark = open_benchmark("nb201", data_dir)
    accuracy = benchmark.accuracy(range(NUM_CELLS), "cifar10", "valid", epochs=12)
    halves = launch.read_halves("cifar10", todo.engine, seed, data_dir)
    images = DeviceImages(halves.for_alpha, torch.device("cpu"))
    supernet = build_supernet(todo.engine, halves.classes, torch.device("cpu"), 0)
    end = Cell.parse(run.cell)
    epochs = []
    for epoch in track(range(1, todo.epochs + 1), f"{method} seed {seed}"):
        supernet.load_state_dict(checkpoint.load(work / f"weights-{epoch}.pt"))
        entry: dict[str, Any] = {"epoch": epoch, **ratings(supernet, images, accuracy)}
        now = Cell.parse(run.trajectory[epoch - 1]["cell"])
        entry |= {"cell": now.digits, "edges_as_in_the_end": sum(map(int.__eq__, now.ops, end.ops))}
        epochs.append(entry)
    about = {"versions": environment.versions(), "git_revision": environment.git_revision()}
    whole = json.loads(out.read_text(encoding="utf-8")) if out.exists() else []
    whole.append(
        {"method": method, "seed": seed, "protocol": "cpu", "changes": todo.changes, **about, "epochs": epochs}
    )
    out.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
