"""`stc-bench query` and `metrics`: what is known of a cell. Nothing here imports torch."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from nasbench_stc.cli import options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nasbench_stc.benchmark import Benchmark, Extremes, Metric
    from nasbench_stc.space import Cell


@click.command()
@click.argument("cells", nargs=-1, metavar="[CELL...]")
@click.option("--best", type=click.IntRange(min=1), metavar="N", help="Instead of CELL: the N best of all by --by.")
@click.option("--worst", type=click.IntRange(min=1), metavar="N", help="Instead of CELL: the N worst of all by --by.")
@click.option(
    "--by",
    metavar="NAME",
    help="Of --best and --worst: a column (cifar100-test, cifar10-valid), where high is good, or a metric, which has "
    "its own direction: of params the smallest are best.  [default: cifar10-test, or as --dataset and --split say]",
)
@click.option("--dataset", help="Only this data set's columns.  [default: all that the benchmark holds]")
@click.option("--split", help="valid, test, train, valtest, half-test or half-train.  [default: valid and test]")
@click.option(
    "--epochs", type=int, help="Training budget.  [default: the benchmark's full one, 200 epochs in NATS-Bench]"
)
@click.option("--at-epoch", type=int, help="After so many epochs of that training.  [default: at its end]")
@click.option("--seed", type=int, help="Of the training, like 777.  [default: the mean over the benchmark's seeds]")
@click.option(
    "--metric", "names", multiple=True, metavar="NAME", help="Also show this; repeatable (`stc-bench metrics` lists)."
)
@click.option("--format", "form", type=click.Choice(["text", "csv", "json"]), default="text", show_default=True)
@options.encoding
@options.benchmark
@options.data_dir
def query(
    cells: tuple[str, ...],
    best: int | None,
    worst: int | None,
    by: str | None,
    dataset: str | None,
    split: str | None,
    epochs: int | None,
    at_epoch: int | None,
    seed: int | None,
    names: tuple[str, ...],
    form: str,
    encoding: str | None,
    benchmark: str,
    data_dir: Path | None,
) -> None:
    """What cells score: percent right, rank among all 15,625, parameters and FLOPs, and any metric by name.

    CELL is an official string (also in AutoDL-Projects' Structure(…)), an index 0-15624, or six digits 0-4 (operations
    in the order none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3). Six characters 0-4 are always digits:
    the cell of the official file 000012 is 12.
    """
    from nasbench_stc.benchmark import column, find_metric, open_benchmark
    from nasbench_stc.space import Cell, check_dataset

    if bool(cells) + (best is not None) + (worst is not None) != 1:
        raise click.UsageError("give cells, or --best N, or --worst N")
    if by is not None and cells:
        raise click.UsageError("--by is of --best and --worst")
    parsed = options.parse_cells(cells, encoding)
    if dataset is not None:
        check_dataset(dataset)
    bench = open_benchmark(benchmark, data_dir)
    cost_of = dataset or "cifar10"
    order = None
    if not cells:
        by = by or column(cost_of, split or "test")
        order = _order(bench, best or worst or 0, worst is None, by, cost_of, epochs, seed, at_epoch, data_dir)
        parsed = [Cell.from_index(index) for index in order.found.cells]
        names = (*names, *order.metrics)
    columns, accuracy = _accuracies(bench, parsed, dataset, split, epochs, seed, at_epoch)
    if order is not None and order.column is not None and by not in columns:
        columns[order.by] = order.column
        accuracy[order.by] = bench.accuracy(parsed, *order.column, epochs, seed, at_epoch)
    # Ranks are among the means at the end; of an official file, which would be read for minutes, they are left out.
    ranked = columns if bench.in_memory and seed is None and at_epoch is None else {}
    rank = {name: bench.rank(parsed, *which, epochs) for name, which in ranked.items()}
    cost = bench.cost(parsed, cost_of)
    asked = [find_metric(name, bench, data_dir, cost_of) for name in dict.fromkeys(names)]
    values = {metric.name: metric.values(parsed) for metric in asked}
    rows: list[dict[str, Any]] = [
        {
            "index": cell.index,
            "digits": cell.digits,
            "cell": str(cell),
            "accuracy": {name: float(accuracy[name][i]) for name in columns},
            "rank": {name: int(rank[name][i]) for name in rank},
            "params_m": round(float(cost["params"][i]), 6),
            "mflops": round(float(cost["mflops"][i]), 5),
            "metrics": {name: _plain(of_cells[i]) for name, of_cells in values.items()},
        }
        for i, cell in enumerate(parsed)
    ]
    if form == "json":
        content = {
            "benchmark": {"name": bench.name, "about": bench.about, "file": bench.path.name, "sha256": bench.sha256},
            "epochs": epochs,
            "at_epoch": at_epoch,
            "seed": seed,
            "cost_of": cost_of,
            "order": None if order is None else order.described(),
            "metrics": [metric.described() for metric in asked],
            "cells": rows,
        }
        click.echo(json.dumps(content, indent=1))
    elif form == "csv":
        click.echo(_csv(rows, list(columns), asked), nl=False)
    else:
        what = "Percent right" + (f" after {at_epoch} epochs" if at_epoch else "")
        what += f" of the training with seed {seed}" if seed is not None else ""
        what += "; rank 1 is the best of 15,625" if rank else ""
        source = f"{bench.name}: {bench.about}\n{bench.elsewhere}".rstrip()
        first = "" if order is None else f"{order.told}\n"
        _show(rows, columns, f"{first}{what}; parameters and FLOPs for {cost_of}.\n{source}")
        if asked:
            _show_metrics(rows, asked)


class _Order(NamedTuple):
    """The cells at one end of a column or a metric."""

    found: Extremes
    by: str
    column: tuple[str, str] | None
    """(data set, split); None: it is by a metric."""
    best: bool
    highest: bool
    """Whether the highest values are at that end."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is to be shown for it: its metric, unless every cell is shown with it."""
        return () if self.column is not None or self.by in ("params", "mflops") else (self.by,)

    @property
    def told(self) -> str:
        """Which cells these are, in a sentence."""
        found, end = self.found, "best" if self.best else "worst"
        good = "high" if self.highest == self.best else "low"
        first = "highest" if self.highest else "lowest"
        more = f"; {found.equal:,} more are equal to the last" * bool(found.equal)
        more += f"; of {found.left_out:,} cells there is no finite number" * bool(found.left_out)
        return f"The {len(found.cells):,} {end} of all cells by {self.by}, where {good} is good: {first} first{more}."

    def described(self) -> dict[str, Any]:
        """The same in plain values."""
        found = self.found
        first = "highest" if self.highest else "lowest"
        return {"by": self.by, "best": self.best, "first": first, "equal": found.equal, "left_out": found.left_out}


def _order(
    bench: Benchmark,
    number: int,
    best: bool,
    by: str,
    dataset: str,
    epochs: int | None,
    seed: int | None,
    at_epoch: int | None,
    data_dir: Path | None,
) -> _Order:
    """The best or worst cells by a column or a metric.

    Args:
        dataset: of a metric.

    Raises:
        BadCallError, DataError: there is no such column or metric here; the message says what there is.
    """
    import numpy as np

    from nasbench_stc.benchmark import column, extremes, find_metric
    from nasbench_stc.benchmark.base import SPLITS
    from nasbench_stc.errors import BadCallError
    from nasbench_stc.space import DATASETS, NUM_CELLS

    every = np.arange(NUM_CELLS)
    which = {column(*pair): pair for pair in itertools.product(DATASETS, SPLITS)}.get(by)
    if which is not None:
        values, high = bench.accuracy(every, *which, epochs, seed, at_epoch), True
    else:
        try:
            metric = find_metric(by, bench, data_dir, dataset)
        except BadCallError as error:
            held = ", ".join(dict.fromkeys(column(key.dataset, key.split) for key in bench.holds()))
            raise BadCallError(f"--by {by}: {error}; columns of {bench.name}: {held}") from None
        values, high = metric.values(every), metric.better == "high"
    highest = high == best
    return _Order(extremes(values, number, highest), by, which, best, highest)


def _accuracies(
    bench: Benchmark,
    cells: list[Cell],
    dataset: str | None,
    split: str | None,
    epochs: int | None,
    seed: int | None,
    at_epoch: int | None,
) -> tuple[dict[str, tuple[str, str]], dict[str, NDArray[np.float64]]]:
    """(data set, split) and accuracies by column's name, as far as the benchmark holds what is asked for.

    Raises:
        BadCallError, DataError: it holds none of it; the message says what it holds.
    """
    from nasbench_stc.benchmark import column
    from nasbench_stc.errors import BadCallError, DataError
    from nasbench_stc.space import DATASETS

    errors: dict[tuple[str, str], BadCallError | DataError] = {}
    columns, accuracy = {}, {}
    for which in itertools.product([dataset] if dataset else DATASETS, [split] if split else ("valid", "test")):
        try:
            accuracy[column(*which)] = bench.accuracy(cells, *which, epochs, seed, at_epoch)
            columns[column(*which)] = which
        except BadCallError as error:
            errors[which] = error
        except DataError as error:
            if at_epoch is None:  # else it was run, and this column has no curve
                raise
            errors[which] = error
    if not accuracy:
        held = [key[:2] for key in bench.holds()]
        raise min(errors.items(), key=lambda item: item[0] not in held)[1]  # the one that is nearest to what is there
    return columns, accuracy


def _plain(value: float) -> float | None:
    """Six digits; None for what JSON has no number for."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _csv(rows: list[dict[str, Any]], columns: list[str], metrics: list[Metric]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["index", "digits", "cell", "params_m", "mflops"]
    ranked = list(rows[0]["rank"])
    of_metrics = (f"{metric.name}{part}" for metric in metrics for part in ("", "-unit", "-source"))
    writer.writerow([*head, *columns, *(f"{name}-rank" for name in ranked), *of_metrics])
    for row in rows:
        numbers = [*row["accuracy"].values(), *row["rank"].values()]
        for metric in metrics:
            numbers += [row["metrics"][metric.name], metric.unit, metric.source]
        writer.writerow([*(row[name] for name in head), *numbers])
    return text.getvalue()


def _show(rows: list[dict[str, Any]], columns: dict[str, tuple[str, str]], caption: str) -> None:
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False)
    table = options.accuracy_table(("cell",), columns.values(), ("params\nM", "FLOPs\nM"))
    for row in rows:
        accuracies = (f"{row['accuracy'][name]:.2f}" for name in columns)
        table.add_row(str(row["index"]), *accuracies, f"{row['params_m']:.3f}", f"{row['mflops']:.2f}")
        if row["rank"]:
            table.add_row("rank", *map(str, row["rank"].values()), "", "", style="dim", end_section=True)
    console.print(table)
    for row in rows:
        console.print(f"{row['index']} = {row['digits']} = {row['cell']}", markup=False)
    console.print(caption, style="dim", markup=False)


def _show_metrics(rows: list[dict[str, Any]], metrics: list[Metric]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True, highlight=False)
    table = Table("cell", "metric", "value", "unit", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.columns[2].justify = "right"
    for row in rows:
        for metric in metrics:
            value = row["metrics"][metric.name]
            shown = "–" if value is None else f"{value:g}"
            table.add_row(str(row["index"]), metric.name, shown, metric.unit, end_section=metric == metrics[-1])
    console.print(table)
    for metric in metrics:
        of = f", {metric.dataset}" if metric.dataset else ""
        console.print(
            f"{metric.name}: {metric.about}{of}; {metric.better} is good. {metric.source}", style="dim", markup=False
        )
    if any(value is None for row in rows for value in row["metrics"].values()):
        console.print("–: not measured, or no finite number.", style="dim")


@click.command()
@click.option("--dataset", default="cifar10", show_default=True, help="cifar10, cifar100 or ImageNet16-120.")
@options.benchmark
@options.data_dir
def metrics(dataset: str, benchmark: str, data_dir: Path | None) -> None:
    """What is known of each cell besides its accuracy, for `query --metric` and `report --figure pareto`."""
    from nasbench_stc import files
    from nasbench_stc.benchmark import find_metrics, open_benchmark
    from nasbench_stc.benchmark.metrics import how_to_get, missing_files

    found = list(find_metrics(open_benchmark(benchmark, data_dir), data_dir, dataset).values())
    wide, unit = (max(len(getattr(metric, part)) for metric in found) for part in ("name", "unit"))
    for source, group in itertools.groupby(found, key=lambda metric: metric.source):
        click.echo(f"{source}:")
        for metric in group:
            click.echo(f"  {metric.name:<{wide}}  {metric.better:<4}  {metric.unit:<{unit}}  {metric.about}")
    for name in missing_files(files.data_dir(data_dir)):
        click.echo(f"{name}: not found: {how_to_get(name)}")
    click.echo(f"high, low: which is good. For {dataset}; --dataset asks for another.")
