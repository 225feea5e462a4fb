"""Compiles what a search by `paper` compiles, in processes side by side, so that searches find it done.

torch.compile takes some 25 s for a stage and a kind of step, one after another in a search: weights and alpha, three
sizes. Here each has a process; what they make is in torch's own cache (`$TORCHINDUCTOR_CACHE_DIR`), on this machine.
"""

from __future__ import annotations

import multiprocessing
import time

import click
import torch
from measuring import Size

from nasbench_stc.models import static
from nasbench_stc.models.static import StaticCell

from .steps import TARGET, Way, build

STAGES = 3


def _one(method: str, stage: int, kind: str) -> None:
    size = Size(TARGET.channels, 2, TARGET.side, TARGET.batch)  # the first cell of a stage may differ from the others
    search = build(method, Way("static", "bfloat16", graphs=False, compiled=True), size, "cuda", 1)
    compiled, channels = search.form.static.run_cell, TARGET.channels * 2**stage

    def run_cell(x: torch.Tensor, cell: StaticCell) -> torch.Tensor:
        return compiled(x, cell) if x.shape[1] == channels else static.run_cell(x, cell)

    search.form.static.run_cell = run_cell
    search.method.begin_epoch(0, 1)
    search.supernet.train()
    index = torch.arange(size.batch, device="cuda")
    search.weight_step(index) if kind == "weights" else search.alpha_step(index)
    torch.cuda.synchronize()


@click.command(help=__doc__)
@click.argument("methods", nargs=-1, required=True)
@click.pass_obj
def main(begin: float | None, methods: tuple[str, ...]) -> None:
    """One process a stage and kind of step; DARTS stands for every method that mixes all operations."""
    begin = time.monotonic() if begin is None else begin
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_one, args=(method, stage, kind))
        for method in methods
        for stage in range(STAGES)
        for kind in ("weights", "alpha")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    failed = sum(process.exitcode != 0 for process in processes)
    click.echo(f"{len(processes) - failed} of {len(processes)} compiled in {time.monotonic() - begin:.0f} s")
    raise SystemExit(min(failed, 1))
