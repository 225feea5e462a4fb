"""`stc-bench query`, `report` and `methods`: commands that look things up and never import torch."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import click

from nasbench_stc.cli import options
from nasbench_stc.errors import DataError


@click.command()
@click.argument("cells", nargs=-1, required=True, metavar="CELL...")
@click.option("--dataset", help="Only this data set's columns.  [default: all that the benchmark holds]")
@click.option(
    "--epochs", type=int, help="Training budget.  [default: the benchmark's full one, 200 epochs in NATS-Bench]"
)
@click.option("--format", "form", type=click.Choice(["text", "csv", "json"]), default="text", show_default=True)
@options.benchmark
@options.data_dir
def query(
    cells: tuple[str, ...], dataset: str | None, epochs: int | None, form: str, benchmark: str, data_dir: Path | None
) -> None:
    """What cells score: percent right, rank among all 15,625, parameters and FLOPs.

    CELL is an official string, an index 0-15624, or six digits 0-4 (operations in the order none, skip_connect,
    nor_conv_1x1, nor_conv_3x3, avg_pool_3x3).
    """
    from nasbench_stc.benchmark import COLUMNS, open_benchmark
    from nasbench_stc.errors import choose
    from nasbench_stc.space import DATASETS, Cell

    if dataset is not None and dataset not in DATASETS:
        raise choose("data set", dataset, DATASETS)
    parsed = [Cell.parse(text) for text in cells]
    bench = open_benchmark(benchmark, data_dir)
    held = {(key.dataset, key.split) for key in bench.holds()}
    columns = {name: which for name, which in COLUMNS.items() if which in held and dataset in (None, which[0])}
    if not columns:
        raise DataError(f"benchmark {bench.name} holds nothing on {dataset}. {bench.elsewhere}")
    accuracy = {name: bench.accuracy(parsed, *which, epochs) for name, which in columns.items()}
    # An official file would be read for minutes to rank a cell: its ranks are left out.
    rank = {name: bench.rank(parsed, *which, epochs) for name, which in columns.items() if bench.in_memory}
    cost_of = dataset or "cifar10"
    cost = bench.cost(parsed, cost_of)
    rows: list[dict[str, Any]] = [
        {
            "index": cell.index,
            "digits": cell.digits,
            "cell": str(cell),
            "accuracy": {name: round(float(accuracy[name][i]), 4) for name in columns},
            "rank": {name: int(rank[name][i]) for name in rank},
            "params_m": round(float(cost["params"][i]), 6),
            "mflops": round(float(cost["mflops"][i]), 5),
        }
        for i, cell in enumerate(parsed)
    ]
    if form == "json":
        source = {"name": bench.name, "about": bench.about, "file": bench.path.name, "sha256": bench.sha256}
        click.echo(json.dumps({"benchmark": source, "epochs": epochs, "cost_of": cost_of, "cells": rows}, indent=1))
    elif form == "csv":
        click.echo(_csv(rows, list(columns)), nl=False)
    else:
        _show(rows, list(columns), f"{bench.name}: {bench.about}\n{bench.elsewhere}".rstrip(), cost_of)


def _csv(rows: list[dict[str, Any]], columns: list[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["index", "digits", "cell", "params_m", "mflops"]
    ranked = list(rows[0]["rank"])
    writer.writerow([*head, *columns, *(f"{name}-rank" for name in ranked)])
    for row in rows:
        numbers = [*row["accuracy"].values(), *row["rank"].values()]
        writer.writerow([*(row[name] for name in head), *numbers])
    return text.getvalue()


def _show(rows: list[dict[str, Any]], columns: list[str], source: str, cost_of: str) -> None:
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False)
    table = options.accuracy_table(("cell",), columns, ("params\nM", "FLOPs\nM"))
    for row in rows:
        accuracies = (f"{row['accuracy'][name]:.2f}" for name in columns)
        table.add_row(str(row["index"]), *accuracies, f"{row['params_m']:.3f}", f"{row['mflops']:.2f}")
        if row["rank"]:
            table.add_row("rank", *map(str, row["rank"].values()), "", "", style="dim", end_section=True)
    console.print(table)
    for row in rows:
        console.print(f"{row['index']} = {row['digits']} = {row['cell']}", markup=False)
    console.print(
        f"Percent right; rank 1 is the best of 15,625; parameters and FLOPs for {cost_of}.\n{source}",
        style="dim",
        markup=False,
    )


@click.command()
@click.option("--table", type=int, default=6, show_default=True, help="The paper's table, by its number.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    multiple=True,
    default=(Path("results"),),
    show_default=True,
    help="Folder of records; may be given several times.",
)
@click.option("--format", "form", default="text", show_default=True, help="text, markdown, latex, csv or json.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.  [default: the terminal]"
)
def report(table: int, results: tuple[Path, ...], form: str, out: Path | None) -> None:
    """A table of the paper, with what was measured here below the published rows."""
    from nasbench_stc import files
    from nasbench_stc.report import make_table, render
    from nasbench_stc.runs import read_all

    records, problems = read_all(results)
    for problem in problems:
        click.echo(f"left out: {problem}", err=True)
    text = render(make_table(table, records), form)
    if out is None:
        click.echo(text.rstrip("\n"))
    else:
        try:
            files.write_atomic(out, (text.rstrip("\n") + "\n").encode())
        except OSError as error:
            raise click.BadParameter(f"{out}: cannot be written ({error.strerror})", param_hint="--out") from None


@click.command()
@click.argument("name", required=False)
def methods(name: str | None) -> None:
    """What can be searched with; with NAME, its settings and the reason for each default."""
    from nasbench_stc.methods import METHODS, load

    if name is None:
        width = max(map(len, METHODS))
        for key, entry in METHODS.items():
            click.echo(f"{key:<{width}}  {entry.about}")
        return
    from nasbench_stc import settings
    from nasbench_stc.engine.protocol import Protocol

    for title, values in ((f"method {name}", load(name).Settings()), ("every protocol (values: paper)", Protocol())):
        click.echo(f"{title}:")
        for key, value, why in settings.described(values):
            click.echo(f"  {key}={value}\n      {why}")
