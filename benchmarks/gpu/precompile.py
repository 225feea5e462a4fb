"""Compiles what a search by `paper` compiles, in processes side by side, so that searches find it done.

torch.compile takes some 25 s for a stage and a kind of step, one after another in a search: weights and alpha, three
sizes. Here each has a process; what they make is in torch's own cache (`$TORCHINDUCTOR_CACHE_DIR`), on this machine.
Of a process that searches, `read` takes it from there before the searches begin, which then need not do it themselves.
"""

from __future__ import annotations

import multiprocessing
import time

import click
import torch
from measuring import Size

from nasbench_stc.engine.forms import StaticForm
from nasbench_stc.engine.loop import Search
from nasbench_stc.errors import choose
from nasbench_stc.models import static
from nasbench_stc.models.static import StaticCell

from .steps import TARGET, Way, build

STAGES = 3


KINDS = ("weights", "alpha")


def read(method: str, device: str = "cuda") -> None:
    """Take every kind of step of the method once, so that this process has what is compiled for it, for all threads."""
    search = _build(method, device)
    for kind in (*KINDS, "closing"):
        _take(search, kind)


def _build(method: str, device: str) -> Search:
    size = Size(TARGET.channels, 2, TARGET.side, TARGET.batch)  # the first cell of a stage may differ from the others
    search = build(method, Way("static", "bfloat16", graphs=False, compiled=True), size, device, 1)
    search.method.begin_epoch(0, 1)
    search.supernet.train()
    return search


def _take(search: Search, kind: str) -> None:
    index = torch.arange(TARGET.batch, device=search.device)
    if kind == "weights":
        search.weight_step(index)
    elif kind == "alpha" and search.method.learns:
        search.alpha_step(index)
    elif kind == "closing" and search.method.closing_steps:
        search.closing_step(index)


def _one(method: str, stage: int, kind: str) -> None:
    search = _build(method, "cuda")
    assert isinstance(search.form, StaticForm)
    compiled, channels = search.form.static.run_cell, TARGET.channels * 2**stage

    def run_cell(x: torch.Tensor, cell: StaticCell) -> torch.Tensor:
        return compiled(x, cell) if x.shape[1] == channels else static.run_cell(x, cell)

    search.form.static.run_cell = run_cell
    _take(search, kind)
    torch.cuda.synchronize()


@click.command(help=__doc__)
@click.argument("methods", nargs=-1, required=True)
@click.pass_obj
def main(begin: float | None, methods: tuple[str, ...]) -> None:
    """One process a stage and kind of step.

    METHOD:weights or METHOD:alpha is that kind alone. DARTS stands for every method that mixes all operations, GDAS
    for those that draw paths; STC-NAS's alpha steps are of their own kind.
    """
    begin = time.monotonic() if begin is None else begin
    asked = [name.partition(":") for name in methods]
    for _, _, kind in asked:
        if kind and kind not in KINDS:
            raise choose("kind of step", kind, KINDS)
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_one, args=(method, stage, kind))
        for method, _, one in asked
        for stage in range(STAGES)
        for kind in ([one] if one else KINDS)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    failed = sum(process.exitcode != 0 for process in processes)
    click.echo(f"{len(processes) - failed} of {len(processes)} compiled in {time.monotonic() - begin:.0f} s")
    raise SystemExit(min(failed, 1))
