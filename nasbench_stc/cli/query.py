"""`stc-bench query` and `metrics`: what is known of a cell. Nothing here imports torch."""

from __future__ import annotations

from pathlib import Path

import click

from nasbench_stc.cli import options


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
@options.table_format
@options.encoding
@options.space
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
    space: str,
    benchmark: str,
    data_dir: Path | None,
) -> None:
    """What cells score: percent right, rank among all (of tss 15,625), parameters and FLOPs, and any metric by name.

    CELL of tss is an official string (also in AutoDL-Projects' Structure(…)), an index 0-15624, or six digits 0-4
    (operations in the order none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3). Six characters 0-4 are
    always digits: the cell of the official file 000012 is 12. CELL of sss is 8:24:40:16:64 or an index 0-32767.
    """
    from nasbench_stc.benchmark import column, find_metric, open_benchmark
    from nasbench_stc.report.lookup import Training, build_cells, find_end
    from nasbench_stc.report.writers import render

    if bool(cells) + (best is not None) + (worst is not None) != 1:
        raise click.UsageError("give cells, or --best N, or --worst N")
    if by is not None and cells:
        raise click.UsageError("--by is of --best and --worst")
    parsed = options.parse_cells(cells, encoding, space)
    bench = open_benchmark(benchmark, data_dir, space)
    training, cost_of = Training(epochs, seed, at_epoch), dataset or "cifar10"
    end = None
    if not cells:
        by = by or column(cost_of, split or "test")
        end = find_end(bench, best or worst or 0, worst is None, by, cost_of, training, data_dir)
        parsed, names = end.cells, (*names, *end.metrics)
    metrics = [find_metric(name, bench, data_dir, cost_of) for name in dict.fromkeys(names)]
    table = build_cells(bench, parsed, dataset, split, training, metrics, end)
    click.echo(render(table, form).rstrip("\n"))


@click.command()
@click.option("--dataset", default="cifar10", show_default=True, help="cifar10, cifar100 or ImageNet16-120.")
@options.table_format
@options.space
@options.benchmark
@options.data_dir
def metrics(dataset: str, form: str, space: str, benchmark: str, data_dir: Path | None) -> None:
    """What is known of each cell besides its accuracy, for `query --metric` and `report --figure pareto`."""
    from nasbench_stc import files
    from nasbench_stc.benchmark import find_metrics, open_benchmark
    from nasbench_stc.benchmark.metrics import how_to_get, missing_files
    from nasbench_stc.report.lookup import build_metrics
    from nasbench_stc.report.writers import render

    bench = open_benchmark(benchmark, data_dir, space)
    found = find_metrics(bench, data_dir, dataset).values()
    absent = missing_files(files.data_dir(data_dir), bench.space)
    missing = [f"{name}: not found: {how_to_get(name)}." for name in absent]
    click.echo(render(build_metrics(found, dataset, missing), form).rstrip("\n"))
