"""`stc-bench score`: cells scored without training, and how well that agrees with a benchmark."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasbench_stc.cli import options
from nasbench_stc.errors import BadCallError, choose

if TYPE_CHECKING:
    from nasbench_stc.runs.launcher import Way


@click.command()
@click.argument("cells", nargs=-1, metavar="[CELL...]")
@click.option(
    "--cells",
    "sample",
    help="Instead of CELL: how many (the same sample as `rank`), classes (one of each), or all; compared with the "
    "benchmark.",
)
@click.option(
    "--score",
    "names",
    default="all",
    show_default=True,
    help="params, flops, naswot, synflow, jacob_cov, snip, grad_norm: some of them (naswot,synflow), or all.",
)
@click.option(
    "--dataset", default="cifar10", show_default=True, help="cifar10, cifar100, ImageNet16-120, digits or imagenet."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of weights and mini-batch.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="channels, cells_per_stage, batch_size, images, resolution, init.",
)
@options.table_format
@options.notes
@options.encoding
@options.benchmark
@options.data_dir
@options.device
@options.launching("Into how many parts the cells are divided, in processes that share this machine's threads.")
def score(
    cells: tuple[str, ...],
    sample: str | None,
    names: str,
    dataset: str,
    seed: int,
    changes: tuple[str, ...],
    form: str,
    notes: bool,
    encoding: str | None,
    benchmark: str,
    data_dir: Path | None,
    device: str,
    way: Way,
) -> None:
    """What an untrained network and one mini-batch say of cells; with --cells, how well that ranks them.

    CELL is an official string (also in AutoDL-Projects' Structure(…)), an index 0-15624, or six digits 0-4 (operations
    in the order none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3). Six characters 0-4 are always digits:
    the cell of the official file 000012 is 12. Parameters and FLOPs need no images.
    """
    import time
    from dataclasses import asdict

    import numpy as np
    from rich.console import Console

    from nasbench_stc.benchmark import open_benchmark
    from nasbench_stc.cli.bars import Bars
    from nasbench_stc.models.scores import SCORES
    from nasbench_stc.records.ranking import choose_cells
    from nasbench_stc.report import Scores, make_agreement_table, make_score_table, render
    from nasbench_stc.runs import environment, launcher
    from nasbench_stc.runs.score import make_scorer, score_cells
    from nasbench_stc.space import Cell

    if bool(cells) == (sample is not None):
        raise click.UsageError("give either cells, or --cells for a sample of them")
    asked = options.method_names("--score", names, {"all": SCORES}, "naswot,synflow")
    for name in asked:
        if name not in SCORES:
            raise choose("score", name, ("all", *SCORES))
    chosen = options.parse_cells(cells, encoding) or [Cell.from_index(i) for i in choose_cells(sample or "")]
    opened = None if sample is None else open_benchmark(benchmark, data_dir)
    scorer = make_scorer(dataset, seed, None, data_dir, device, options.parse_changes(changes))
    if way.leaves:
        raise BadCallError(
            "--launcher slurm: scores are shown and not kept, so that they have to be waited for: --wait"
        )

    parts = np.array_split(np.arange(len(chosen)), min(way.jobs, len(chosen)))
    tasks = [
        launcher.Task(
            f"{len(part):,} cells",
            partial(score_cells, scorer, asked, [chosen[i] for i in part]),
            hear=launcher.by_tick,
        )
        for part in parts
    ]
    begin = time.perf_counter()
    with Bars(Console(stderr=True), lines=False) as bars:
        found_in = launcher.carry_out(tasks, way, Path(launcher.FOLDER).absolute(), bars, str(scorer.device))
    values = {name: np.concatenate([part[name] for part in found_in]) for name in asked}
    found = Scores(
        cells=chosen,
        values=values,
        about={name: SCORES[name].about for name in asked},
        dataset=dataset,
        seed=seed,
        settings=asdict(scorer.scoring) if any(SCORES[name].of_network for name in asked) else {},
        seconds=time.perf_counter() - begin,
        device=environment.device_name(str(scorer.device)),
    )
    table = make_score_table(found) if opened is None else make_agreement_table(found, opened)
    click.echo(render(table, form, notes=notes).rstrip("\n"))
