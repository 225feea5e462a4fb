"""`stc-bench query`, `metrics`, `report` and `methods`: commands that look things up and never import torch."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nasbench_stc.cli import options
from nasbench_stc.errors import DataError

if TYPE_CHECKING:
    from nasbench_stc.benchmark import Metric


@click.command()
@click.argument("cells", nargs=-1, required=True, metavar="CELL...")
@click.option("--dataset", help="Only this data set's columns.  [default: all that the benchmark holds]")
@click.option(
    "--epochs", type=int, help="Training budget.  [default: the benchmark's full one, 200 epochs in NATS-Bench]"
)
@click.option(
    "--metric", "names", multiple=True, metavar="NAME", help="Also show this; repeatable (`stc-bench metrics` lists)."
)
@click.option("--format", "form", type=click.Choice(["text", "csv", "json"]), default="text", show_default=True)
@options.benchmark
@options.data_dir
def query(
    cells: tuple[str, ...],
    dataset: str | None,
    epochs: int | None,
    names: tuple[str, ...],
    form: str,
    benchmark: str,
    data_dir: Path | None,
) -> None:
    """What cells score: percent right, rank among all 15,625, parameters and FLOPs, and any metric by name.

    CELL is an official string, an index 0-15624, or six digits 0-4 (operations in the order none, skip_connect,
    nor_conv_1x1, nor_conv_3x3, avg_pool_3x3).
    """
    from nasbench_stc.benchmark import COLUMNS, find_metric, open_benchmark
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
    asked = [find_metric(name, bench, data_dir, cost_of) for name in dict.fromkeys(names)]
    values = {metric.name: metric.values(parsed) for metric in asked}
    rows: list[dict[str, Any]] = [
        {
            "index": cell.index,
            "digits": cell.digits,
            "cell": str(cell),
            "accuracy": {name: round(float(accuracy[name][i]), 4) for name in columns},
            "rank": {name: int(rank[name][i]) for name in rank},
            "params_m": round(float(cost["params"][i]), 6),
            "mflops": round(float(cost["mflops"][i]), 5),
            "metrics": {name: _plain(of_cells[i]) for name, of_cells in values.items()},
        }
        for i, cell in enumerate(parsed)
    ]
    if form == "json":
        source = {"name": bench.name, "about": bench.about, "file": bench.path.name, "sha256": bench.sha256}
        about = [metric.described() for metric in asked]
        content = {"benchmark": source, "epochs": epochs, "cost_of": cost_of, "metrics": about, "cells": rows}
        click.echo(json.dumps(content, indent=1))
    elif form == "csv":
        click.echo(_csv(rows, list(columns), asked), nl=False)
    else:
        _show(rows, list(columns), f"{bench.name}: {bench.about}\n{bench.elsewhere}".rstrip(), cost_of)
        if asked:
            _show_metrics(rows, asked)


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


@click.command()
@click.option("--table", type=int, help="The paper's table, by its number.  [default: 6]")
@click.option("--figure", help="Instead of a table, a figure: pareto (accuracy against --metric).")
@click.option("--metric", metavar="NAME", help="Of the figure; `stc-bench metrics` lists what there is.")
@click.option("--dataset", default="cifar10", show_default=True, help="Of the figure's accuracy and metric.")
@click.option("--split", default="test", show_default=True, help="Of the figure's accuracy: test or valid.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    multiple=True,
    default=(Path("results"),),
    show_default=True,
    help="Folder of records; may be given several times.",
)
@click.option(
    "--format",
    "form",
    help="text, markdown, latex, csv or json; of a figure's numbers csv or json.  [default: text; for a figure a "
    "picture]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file, a picture by its ending: .pdf, .svg or .png.  [default: the terminal]",
)
@options.benchmark
@options.data_dir
def report(
    table: int | None,
    figure: str | None,
    metric: str | None,
    dataset: str,
    split: str,
    results: tuple[Path, ...],
    form: str | None,
    out: Path | None,
    benchmark: str,
    data_dir: Path | None,
) -> None:
    """A table of the paper, with what was measured here below the published rows; or a figure."""
    from nasbench_stc.report import make_table, render
    from nasbench_stc.runs import read_all

    if figure is not None and table is not None:
        raise click.UsageError("--table and --figure exclude each other")
    if metric is not None and figure is None:
        raise click.UsageError("--metric is of a figure: give --figure pareto, too")
    if figure is not None and form is None and out is None:
        raise click.UsageError(f"--out is missing: a file for the figure, like {figure}.pdf; or --format csv or json")
    records, problems = read_all(results)
    for problem in problems:
        click.echo(f"left out: {problem}", err=True)
    if figure is None:
        _deliver(render(make_table(6 if table is None else table, records), form or "text"), out)
        return
    from nasbench_stc.benchmark import find_metric, open_benchmark
    from nasbench_stc.report import Inputs, chart, make_figure, style

    opened = open_benchmark(benchmark, data_dir)
    named = None if metric is None else find_metric(metric, opened, data_dir, dataset)
    made = make_figure(figure, Inputs(records, opened, dataset, split, named))
    if form is not None:
        _deliver(chart.render(made, form), out)
    elif out is not None:
        _write(out, style.save(made.draw(), out))
        click.echo(f"{out}: {made.caption}")


def _deliver(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text.rstrip("\n"))
    else:
        _write(out, (text.rstrip("\n") + "\n").encode())


def _write(out: Path, content: bytes) -> None:
    from nasbench_stc import files

    try:
        files.write_atomic(out, content)
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
