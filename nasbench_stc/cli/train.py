"""`stc-bench train`: a cell's network trained alone, over seeds, with a progress bar; then what it reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasbench_stc.cli import options
from nasbench_stc.seeds import parse, told

if TYPE_CHECKING:
    from rich.console import Console

    from nasbench_stc.records.training import TrainingRecord
    from nasbench_stc.runs.launcher import Way
    from nasbench_stc.runs.train import TrainingPlan


def _list_settings(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if not asked:
        return
    from nasbench_stc import settings
    from nasbench_stc.engine.recipe import RECIPES

    click.echo("every protocol (values: paper):")
    for key, value, why in settings.described(RECIPES["paper"].settings):
        click.echo(f"  {key}={value}\n      {why}")
    for name, recipe in RECIPES.items():
        differing = settings.differing({"": RECIPES["paper"].settings}, {"": recipe.settings})
        click.echo(f"protocol {name}: {recipe.about}; about {recipe.takes}")
        click.echo("".join(f"  {key}={value}" for key, value in differing.items()) or "  as above")
    context.exit()


@click.command()
@click.argument("genotypes", nargs=-1, required=True, metavar="GENOTYPE...")
@options.space
@click.option(
    "--dataset", default="cifar10", show_default=True, help="cifar10, cifar100, ImageNet16-120, digits or imagenet."
)
@click.option(
    "--seeds",
    default="1",
    show_default=True,
    help="How many (3 is the seeds 0, 1, 2), or which: 777,888 or 100-104; the seed 100 alone is 100, with a comma.",
)
@options.launching(
    "How many seeds at a time. Those of this machine share its threads: a seed gives the same bits again at the same "
    "number of threads only, so with the same --jobs."
)
@click.option(
    "--protocol",
    default="auto",
    show_default=True,
    help="paper, imagenet, nats-bench, cpu, digits or smoke; auto is the data set's own, if it has one, else on a GPU "
    "what the space's cells were published with, else cpu.",
)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting (--settings lists them).")
@click.option(
    "--settings",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_settings,
    help="List the settings, the reason for each, and the protocols.",
)
@options.out
@options.data_dir
@options.device
@options.resume
def train(
    genotypes: tuple[str, ...],
    space: str,
    dataset: str,
    seeds: str,
    way: Way,
    protocol: str,
    changes: tuple[str, ...],
    out: Path,
    data_dir: Path | None,
    device: str,
    resume: bool,
) -> None:
    """Train the network of each cell alone, once a seed, and test it after each epoch; the last one counts.

    GENOTYPE is a cell as its space writes it; or the folder of a finished search, whose cell is trained; or random: any
    cell of the space, another for each seed. Of Genotype(…) and of a search the space is known. Nothing is looked up: a
    benchmark's numbers are made like this.

    Ctrl-C or SIGTERM (`kill PID`) stops it: what is done is kept, and the same command continues.
    """
    from rich.console import Console

    from nasbench_stc.cli.bars import Bars
    from nasbench_stc.cli.search import say_submitted
    from nasbench_stc.runs import train as trainings

    settings, chosen = options.parse_changes(changes), parse(seeds)
    by_folder: dict[str, TrainingPlan] = {}  # two searches may have found one cell
    for genotype in genotypes:
        one = None
        for seed in chosen:
            cell, origin = trainings.find_cell(genotype, space, seed)
            if one is None:  # what is wrong with one is with all
                one = trainings.plan(cell, dataset, seed, protocol, settings, device, way.launcher == "local", origin)
                if origin is None and (caution := cell.of.caution(genotype)):
                    click.echo(f"Note: {caution}", err=True)
            plan = replace(one, cell=cell, seed=seed, found_by=origin)
            first = by_folder.setdefault(plan.folder_name, plan)
            if first.found_by != plan.found_by:
                whose = first.short_name.removeprefix("training ")
                click.echo(f"Note: {plan.short_name}: the cell is that {whose}; it is trained once", err=True)
    plans = list(by_folder.values())
    console = Console(soft_wrap=True, highlight=False)
    _announce(console, plans, way, out, resume)
    with Bars(console) as bars:
        records = trainings.run_many(plans, out, data_dir, resume, way, bars)
    if not say_submitted(console, bars.jobs if way.leaves else (), out) and records:
        _show(console, records)


def _announce(console: Console, plans: Sequence[TrainingPlan], way: Way, out: Path, resume: bool) -> None:
    """Say what is to be trained, on what and about how long it takes; and which of it is there already."""
    from nasbench_stc.engine.recipe import RECIPES
    from nasbench_stc.runs.train import is_done

    first = plans[0]
    recipe = RECIPES[first.protocol]
    console.print(f"[bold]{first.cell.of.title}[/bold] on {first.dataset}, ", end="")
    console.print(f"protocol [bold]{first.protocol}[/bold]: {recipe.about}")
    for cell, origin in {str(todo.cell): todo.found_by for todo in plans}.items():
        found = "" if origin is None else " (found by {method}, seed {seed})".format(**origin)
        console.print(f"cell {cell}{found}", markup=False)
    jobs = min(way.jobs, len(plans))
    at_a_time = f" ({jobs} at a time)" if jobs > 1 else ""
    seeds = told({todo.seed for todo in plans})
    console.print(f"about {recipe.takes}; {seeds}{at_a_time}; device {first.device}; records in {out}/", markup=False)
    for todo in plans:
        if resume and is_done(todo, out):
            console.print(f"{todo.short_name}: done before, its record is kept (--no-resume runs it again)")


def _show(console: Console, records: Sequence[TrainingRecord]) -> None:
    """What the networks reached."""
    from nasbench_stc.report.statistics import mean, std
    from nasbench_stc.report.table import Column, Row, Spread, Table, Value
    from nasbench_stc.report.writers import render

    first = records[0]
    columns = (
        Column("run", "run"),
        Column("test", f"{first.dataset} test", form=".2f"),
        Column("train", "training", form=".2f"),
        Column("seconds", "seconds", form=",.0f"),
    )
    rows: list[dict[str, Value]] = [
        {
            "run": f"{_named(record)} seed {record.seed}".strip(),
            "test": record.test_accuracy,
            "train": record.trajectory[-1]["train_accuracy"],
            "seconds": record.total_seconds,
        }
        for record in records
    ]
    alone = len({record.cell for record in records}) == 1
    by_method: dict[str, list[float]] = {}
    for record in records:
        found_by = "given" if record.found_by is None else record.found_by["method"]
        by_method.setdefault(found_by, []).append(record.test_accuracy)
    for method, reached in by_method.items():
        if len(reached) > 1:
            run = f"{method} n={len(reached)}" if len(by_method) > 1 else f"n={len(reached)}"
            rows.append({"run": run, "test": Spread(mean(reached), std(reached))})
    caption = (
        f"Percent right after {len(first.trajectory)} epochs, of training as it went."
        + f" The network has {first.params:,} parameters and {first.mflops:,.2f} M multiply-adds." * alone,
    )
    found = Table(None, "Trained alone", columns, tuple(Row("", row) for row in rows), caption)
    console.print(render(found), end="", markup=False)


def _named(record: TrainingRecord) -> str:
    """What found the cell, and with which seed; nothing of one that was given."""
    return "" if record.found_by is None else "{method} {seed},".format(**record.found_by)
