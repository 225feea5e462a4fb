"""`stc-bench profile`: what searches cost in memory and time, measured point by point with a progress bar."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasbench_stc.cli import options
from nasbench_stc.errors import BadCallError
from nasbench_stc.records.profile import REPEATS

if TYPE_CHECKING:
    from nasbench_stc.records.profile import Profile
    from nasbench_stc.report.table import Table


@click.command()
@click.option("--methods", default="all", show_default=True, help="all, or names (stc,gdas,darts).")
@click.option("--batch-sizes", default="64", show_default=True, help="Images a step: one, or several (16,32,64).")
@click.option(
    "--cells-per-stage", help="Depths: N is L = 3 N + 2 cells.  [default: 5,1; of darts 6,2, which are the paper's]"
)
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting of the protocol (channels=36)."
)
@options.space
@options.device
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="Folder of records."
)
@click.option(
    "--repeats",
    type=click.IntRange(min=2),
    default=REPEATS,
    show_default=True,
    help="Measured steps of each kind where they draw paths; where all are alike, a few.",
)
def profile(
    methods: str,
    batch_sizes: str,
    cells_per_stage: str | None,
    changes: tuple[str, ...],
    space: str,
    device: str,
    out: Path,
    repeats: int,
) -> None:
    """Measure what a method's steps cost at the sizes of the protocol paper, for `stc-bench report --table 3`.

    Points that were measured before are kept: after an interruption the same command continues. Let nothing else run
    meanwhile; OMP_NUM_THREADS sets the threads.
    """
    from nasbench_stc.methods import of_kind
    from nasbench_stc.space import find_space

    of = find_space(space)
    names = options.method_names("--methods", methods, {"all": of_kind("one-shot")})
    batches, settings = _numbers("--batch-sizes", batch_sizes), options.parse_changes(changes)
    for name, option in (("batch_size", "--batch-sizes"), ("cells_per_stage", "--cells-per-stage")):
        if name in settings:
            raise BadCallError(f"--set {name}={settings[name]}: here it is given by {option}")
    depths = of.depths if cells_per_stage is None else _numbers("--cells-per-stage", cells_per_stage)
    # The profiler that counts memory on a CPU would speak to stderr twice a step.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from nasbench_stc.report.writers import render
    from nasbench_stc.runs.sweep import sweep

    console = Console(soft_wrap=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def on_point(what: str, done: int, of: int) -> None:
            progress.update(task, description=what, completed=done, total=of)
            if not console.is_terminal and done < of:
                console.print(f"{done + 1}/{of}: {what}")

        found, path = sweep(names, batches, depths, out, device, repeats, on_point, settings, space)
    click.echo(render(_table(found)), nl=False)
    report = options.report_command("--table 3", space, out)
    console.print(f"{path}: {len(found.points)} points. `{report}` puts them beside the paper's.", markup=False)


def _table(found: Profile) -> Table:
    """A row a point."""
    from nasbench_stc.report.table import Column, Row, Table, Value

    columns = (
        Column("method", "method"),
        Column("cells", "L"),
        Column("batch_size", "batch\nsize"),
        Column("peak_mib", "peak\nMiB", form=".0f"),
        Column("weights", "weight\nstep s", form=".3f"),
        Column("alpha", "alpha\nstep s", form=".3f"),
        Column("hours", "search h,\nextrapolated"),
    )
    rows = []
    for point in found.points:
        alpha = point.costs.get("alpha", point.costs.get("closing"))
        values: dict[str, Value] = {
            "method": point.method,
            "cells": point.cells,
            "batch_size": point.batch_size,
            "peak_mib": point.peak_mib,
            "weights": point.costs["weights"].typical_seconds,
            "alpha": alpha.typical_seconds if alpha else None,
            "hours": point.search_seconds / 3600 if point.search_seconds else None,
        }
        rows.append(Row("", values))
    return Table(None, "What steps cost", columns, tuple(rows), (f"{found.device}, {found.threads} thread(s)",))


def _numbers(option: str, text: str) -> list[int]:
    """`"5,1"` is [5, 1]."""
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1 or len(set(numbers)) < len(numbers):
        raise BadCallError(f"{option} {text!r}: give whole numbers above zero, each once, with commas between")
    return numbers
