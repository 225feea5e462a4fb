"""`stc-bench ablate`: the searches that one of the paper's ablation tables or figures compares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasbench_stc.cli import options
from nasbench_stc.cli.search import announce, say_submitted, show
from nasbench_stc.seeds import parse

if TYPE_CHECKING:
    from nasbench_stc.runs.launcher import Way


@click.command()
@click.argument("name", required=False)
@click.option("--dataset", help="What to search on.  [default: the paper's: cifar10, for consistency cifar100]")
@click.option(
    "--seeds",
    help="How many (3 is the seeds 0, 1, 2), or which: 777,888 or 100-104; one alone is 100, with a comma.  "
    "[default: 3, for depth 8, for study 100-104]",
)
@options.seeds_at_a_time
@click.option(
    "--protocol",
    default="auto",
    show_default=True,
    help="As of a search: auto is paper on a GPU, else cpu, and digits.",
)
@options.out
@options.space
@options.benchmark
@options.data_dir
@options.device
@options.resume
def ablate(
    name: str | None,
    dataset: str | None,
    seeds: str | None,
    way: Way,
    protocol: str,
    out: Path,
    space: str,
    benchmark: str,
    data_dir: Path | None,
    device: str,
    resume: bool,
) -> None:
    """Run what one of the paper's ablations, or the study, compares; without NAME, list them.

    Runs that are in --out already are not run again, those without changes from earlier searches among them.
    """
    from nasbench_stc.records.ablation import ABLATIONS, find_ablation
    from nasbench_stc.runs.ablation import plans

    if name is None:
        width = max(map(len, ABLATIONS))
        for key, one in ABLATIONS.items():
            click.echo(f"{key:<{width}}  {one.stands_for}: {one.about}")
        return
    from rich.console import Console

    from nasbench_stc.benchmark import open_benchmark
    from nasbench_stc.cli.bars import Bars

    ablation = find_ablation(name)
    chosen = list(ablation.seeds) if seeds is None else parse(seeds)
    opened = open_benchmark(benchmark, data_dir, space)
    from nasbench_stc.runs import launcher

    todo = plans(name, dataset or "", chosen, protocol, device, way.launcher == "local", space)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"[bold]{name}[/bold] ({ablation.stands_for}): {ablation.about}")
    announce(console, todo, chosen, way, out, opened, resume)
    with Bars(console) as bars:
        records = launcher.run_many(todo, opened, out, data_dir, resume, way, bars)
    if say_submitted(console, bars.jobs if way.leaves else (), out) or not records:
        return
    kind, number = ablation.stands_for.lower().split()
    where = f" --out {kind}{number}.pdf" if kind == "figure" else ""
    show(console, records, options.report_command(f"--{kind} {number}{where}", space, out))
