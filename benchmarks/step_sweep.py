"""How a step grows: with the batch, and with the number of candidate operations, sampled and mixed.

    python benchmarks/step_sweep.py --out benchmarks/results/step_sweep.json

The path is nor_conv_3x3 on every edge, the largest there is, so that nothing depends on what was drawn. `sampled` runs
that path alone, `mixed` every candidate; `alone` is a plain training step of that cell's own network.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import click
import torch
from measuring import SIZES, Ours, peak_memory, seconds, show, write
from rich.progress import track

from nasbench_stc.engine.profile import training_step
from nasbench_stc.models import CellNetwork
from nasbench_stc.runs import environment
from nasbench_stc.space import EDGES, OPS, Cell

BATCHES = (16, 32, 64, 128)
CONV = OPS.index("nor_conv_3x3")
CANDIDATES = {1: (3,), 2: (2, 3), 3: (2, 3, 4), 4: (1, 2, 3, 4), 5: (0, 1, 2, 3, 4)}
COLUMNS = ("seconds sampled", "seconds mixed", "seconds alone", "MiB sampled", "MiB mixed", "MiB alone")


def measure(batch: int, candidates: tuple[int, ...], device: str, rounds: int) -> dict[str, float]:
    """Median seconds, and MiB, of a weight step and an alpha step (`alone`: of a training step)."""
    size = SIZES["target"]._replace(cells_per_stage=1, batch=batch)
    ours = Ours(size, device)
    network = CellNetwork(Cell((CONV,) * len(EDGES)), size.channels, size.cells_per_stage)
    network = network.to(device, memory_format=torch.channels_last)
    alone = training_step(network, ours.batch, ours.search.protocol)

    def sampled() -> None:
        ours.method.active = ((CONV,),) * len(EDGES)
        ours.both()

    def mixed() -> None:
        ours.method.active = (candidates,) * len(EDGES)
        ours.both()

    steps = {"sampled": sampled, "mixed": mixed, "alone": alone}
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            took = seconds(step, device)
            if number:
                spent[name].append(took)
    found = {f"seconds {name}": statistics.median(of) for name, of in spent.items()}
    return found | {f"MiB {name}": peak_memory(step, device) for name, step in steps.items()}


@click.command(help=(__doc__ or "").split("\n\n")[0])
@click.option("--device", default="auto", show_default=True)
@click.option("--threads", type=int, default=1, show_default=True, help="Of torch, on the CPU.")
@click.option("--rounds", type=click.IntRange(min=2), default=7, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there, as JSON.")
def main(device: str, threads: int, rounds: int, out: Path | None) -> None:
    """Measure, print, write."""
    device = environment.choose_device(device)
    torch.set_num_threads(threads)
    rows: list[dict[str, Any]] = []
    cases = [(batch, 5) for batch in BATCHES] + [(64, ops) for ops in CANDIDATES if ops < 5]
    for batch, ops in track(cases, "sweep"):
        rows.append({"batch": batch, "operations": ops, **measure(batch, CANDIDATES[ops], device, rounds)})
    rows.sort(key=lambda row: (row["batch"] != 64, row["operations"], row["batch"]))
    show(
        f"C=16, N=1, 32x32 ({environment.device_name(device)}, {threads} thread(s))",
        ["batch", "operations", *(name.replace(" ", "\n") for name in COLUMNS)],
        [[str(row["batch"]), str(row["operations"]), *(f"{row[name]:.3g}" for name in COLUMNS)] for row in rows],
    )
    write(out, device, {"rows": rows, "rounds": rounds})


if __name__ == "__main__":
    main()
