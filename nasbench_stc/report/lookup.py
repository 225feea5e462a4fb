"""Tables of what a benchmark knows of cells: what they score, the best of them, and what else can be asked for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.benchmark import Benchmark, Metric, column, extremes, find_metric
from nasbench_stc.benchmark.base import SPLITS
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.report.table import Column, Ranked, Row, Table, Value, accuracy_column
from nasbench_stc.space import DATASETS, Cell


class Training(NamedTuple):
    """Which training of a cell is meant; as of `Benchmark.accuracy`."""

    epochs: int | None = None
    seed: int | None = None
    at_epoch: int | None = None


_FULL = Training()


class End(NamedTuple):
    """The cells at one end of a column or a metric."""

    cells: list[Cell]
    """From that end inwards."""
    told: str
    """Which cells these are, in a sentence."""
    column: tuple[str, str] | None = None
    """(data set, split); None: it is by a metric."""
    metrics: tuple[str, ...] = ()
    """What is to be shown for it: its metric, unless every cell is shown with it."""


def find_end(
    bench: Benchmark,
    number: int,
    best: bool,
    by: str,
    dataset: str = "cifar10",
    training: Training = _FULL,
    data_dir: Path | None = None,
) -> End:
    """The best or worst cells by a column or a metric.

    Args:
        dataset: of a metric.

    Raises:
        BadCallError, DataError: there is no such column or metric here; the message says what there is; or the space is
            too large to look at every cell.
    """
    bench.space.every()  # refuses a space that is too large
    every = np.arange(bench.space.num_cells)
    which = {column(*pair): pair for pair in itertools.product(DATASETS, SPLITS)}.get(by)
    if which is not None:
        values, high = bench.accuracy(every, *which, *training), True
    else:
        try:
            metric = find_metric(by, bench, data_dir, dataset)
        except BadCallError as error:
            held = ", ".join(dict.fromkeys(column(key.dataset, key.split) for key in bench.holds()))
            raise BadCallError(f"--by {by}: {error}; columns of {bench.name}: {held}") from None
        values, high = metric.values(every), metric.better == "high"
    found = extremes(values, number, high == best)
    end, good, first = "best" if best else "worst", "high" if high else "low", "highest" if high == best else "lowest"
    told = f"The {len(found.cells):,} {end} of all cells by {by}, where {good} is good: {first} first"
    told += f"; {found.equal:,} more are equal to the last" * bool(found.equal)
    told += f"; of {found.left_out:,} cells there is no finite number" * bool(found.left_out)
    metrics = () if which is not None or by in ("params", "mflops") else (by,)
    return End([Cell.from_index(index, bench.space.name) for index in found.cells], f"{told}.", which, metrics)


def build_cells(
    bench: Benchmark,
    cells: Sequence[Cell],
    dataset: str | None = None,
    split: str | None = None,
    training: Training = _FULL,
    metrics: Sequence[Metric] = (),
    end: End | None = None,
) -> Table:
    """What cells score, a row each: percent right, rank among all, parameters and FLOPs, metrics.

    Args:
        dataset, split: None: all three data sets, `valid` and `test`, as far as the benchmark holds them.
        end: how the cells were found, if by a column or a metric.

    Raises:
        BadCallError, DataError: the benchmark holds none of it; the message says what it holds.
    """
    cost_of = dataset or DATASETS[0]
    scores = _scores(bench, cells, dataset, split, training)
    if end is not None and end.column is not None:
        scores.setdefault(end.column, bench.accuracy(cells, *end.column, *training))
    # Ranks are among the means at the end; of an official file, which would be read for minutes, they are left out.
    ranked = bench.in_memory and training.seed is None and training.at_epoch is None
    values: dict[str, Sequence[Value]] = {
        "index": [cell.index for cell in cells],
        "digits": [cell.digits for cell in cells],
        "cell": list(map(str, cells)),
    }
    for which, percents in scores.items():
        values[column(*which)] = percents.tolist()
        if ranked:
            ranks = bench.rank(cells, *which, training.epochs).tolist()
            values[column(*which)] = [Ranked(*pair) for pair in zip(percents.tolist(), ranks, strict=True)]
    cost = bench.cost(cells, cost_of)
    values["params_m"], values["mflops"] = cost["params"].round(6).tolist(), cost["mflops"].round(5).tolist()
    details: dict[str, object] = {"cost_of": cost_of, "benchmark": bench.name, "benchmark_sha256": bench.sha256}
    details |= training._asdict()
    for metric in metrics:
        numbers = (float(f"{number:.6g}") for number in metric.values(cells))
        values[metric.name] = [number if math.isfinite(number) else None for number in numbers]
        details |= {f"{metric.name}-unit": metric.unit, f"{metric.name}-source": metric.source}
    align = "left" if ranked else "right"  # a rank may be longer than others
    columns = (
        Column("index", "cell"),
        Column("digits", "digits", below=True),
        Column("cell", "official string", drop=3, align="left", below=True),
        *(accuracy_column(*which, int(which[1] == "valid" and split is None), align) for which in scores),
        Column("params_m", "params\nM", drop=2, form=".3f"),
        Column("mflops", "FLOPs\nM", drop=2),
        # The name is broken as a group is, for it has no spaces.
        *(Column(metric.name, metric.unit, metric.name.replace("-", "-\n"), form="g") for metric in metrics),
    )
    lines = zip(*values.values(), strict=True)
    rows = tuple(Row("", dict(zip(values, line, strict=True)), details=details) for line in lines)
    what = "Percent right" + (f" after {training.at_epoch} epochs" if training.at_epoch else "")
    what += f" of the training with seed {training.seed}" if training.seed is not None else ""
    what += f"; #1 is the best of {bench.space.num_cells:,}" if ranked else ""
    caption = [end.told] if end is not None else []
    caption.append(f"{what}; parameters and FLOPs for {cost_of}." if scores else f"Parameters and FLOPs for {cost_of}.")
    for metric in metrics:
        of = f", {metric.dataset}" if metric.dataset else ""
        caption.append(f"{metric.name}: {metric.about}{of}; {metric.better} is good. {metric.source}")
    if any(value is None for metric in metrics for value in values[metric.name]):
        caption.append("–: not measured, or no finite number.")
    caption += [f"{bench.name}: {bench.about}", *[bench.elsewhere] * bool(bench.elsewhere)]
    return Table(None, "What cells score", columns, rows, tuple(caption))


def build_metrics(metrics: Iterable[Metric], dataset: str, missing: Iterable[str] = ()) -> Table:
    """What there is of a cell besides its accuracy, by source.

    Args:
        metrics: as of `find_metrics`.
        missing: a sentence for each file that would have more.
    """
    columns = (
        Column("name", "metric"),
        Column("better", "good", align="left"),
        Column("unit", "unit", align="left"),
        Column("about", "what", align="wrapped"),
    )
    rows = []
    for one in metrics:
        values = {column.key: getattr(one, column.key) for column in columns}
        rows.append(Row(one.source, values, details={"dataset": one.dataset, "source": one.source}))
    caption = (*missing, f"high, low: which is good. For {dataset}; --dataset asks for another.")
    return Table(None, "Metrics of a cell besides its accuracy", columns, tuple(rows), caption)


def _scores(
    bench: Benchmark, cells: Sequence[Cell], dataset: str | None, split: str | None, training: Training
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Percent right by (data set, split), as far as the benchmark holds what is asked for; it fails if none.

    Of a space that has no benchmark there is none, unless some are asked for.
    """
    if not bench.holds() and split is None and training == _FULL:
        return {}
    errors: dict[tuple[str, str], BadCallError | DataError] = {}
    scores = {}
    for which in itertools.product([dataset] if dataset else DATASETS, [split] if split else ("valid", "test")):
        try:
            scores[which] = bench.accuracy(cells, *which, *training)
        except (BadCallError, DataError) as error:
            if isinstance(error, DataError) and training.at_epoch is None:
                raise  # else it was run, and this column has no curve
            errors[which] = error
    if not scores:
        held = [key[:2] for key in bench.holds()]
        raise min(errors.items(), key=lambda item: item[0] not in held)[1]  # the one that is nearest to what is there
    return scores
