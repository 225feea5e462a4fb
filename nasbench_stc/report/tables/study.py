"""The study's arms by its criterion: validation accuracy on CIFAR-10 after 12 epochs of the cells that they found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nasbench_stc.benchmark import Benchmark
from nasbench_stc.errors import DataError
from nasbench_stc.report import statistics
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.table import Column, Row, Spread, Table
from nasbench_stc.report.studies import Study, about, missing, required
from nasbench_stc.runs import Record
from nasbench_stc.runs.ablation import TUNING_SEEDS, Arm
from nasbench_stc.space import Cell

CRITERION = ("cifar10", "valid")
EPOCHS = 12
_COLUMNS = (
    Column("arm", "arm"),
    Column("criterion", "accuracy", spread=True),
    Column("change", "change", spread=True),
    Column("n", "n"),
    Column("decided", "last change\nof a leader", form=".1f", drop=2),
    Column("cells", "cells"),
    Column("seconds", "s a search", form=",.0f", drop=1),
)


def build(inputs: Inputs) -> Table:
    """A row for each arm that ran, in the order in which they were registered; tuning seeds alone."""
    found = required(inputs, "study")
    rows = [row for study in found for row in _rows(study, _benchmark(study, inputs))]
    title = "The study: CIFAR-10 validation accuracy after 12 epochs of the cells found, in percent"
    return Table(None, title, _COLUMNS, tuple(rows), _caption(found), missing(inputs, "study", found))


def _benchmark(study: Study, inputs: Inputs) -> Benchmark:
    opened = inputs.benchmark_of(study.records[0])
    if opened is None:
        raise DataError(
            f"the study's criterion is looked up in {study.setting.benchmark[0]}, which is not at hand: "
            "`stc-bench data status` says how to get it"
        )
    return opened


def _rows(study: Study, benchmark: Benchmark) -> list[Row]:
    usual = _criterion(_tuned(study.usual), benchmark)
    return [
        Row(
            study.title,
            {"arm": arm.label, **_values(arm, tuned, _criterion(tuned, benchmark), usual)},
            details=_details(arm, tuned),
        )
        for arm, records in study.arms
        if (tuned := _tuned(records))
    ]


def _tuned(records: Sequence[Record]) -> list[Record]:
    """Those of tuning seeds."""
    return [record for record in records if record.seed in TUNING_SEEDS]


def _criterion(records: Sequence[Record], benchmark: Benchmark) -> dict[int, float]:
    """Percent by seed."""
    cells = [Cell.parse(record.cell) for record in records]
    accuracy = benchmark.accuracy(cells, *CRITERION, epochs=EPOCHS).tolist() if cells else []
    return {record.seed: value for record, value in zip(records, accuracy, strict=True)}


def _values(arm: Arm, records: Sequence[Record], own: dict[int, float], usual: dict[int, float]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "criterion": Spread.over(list(own.values())),
        "n": len(own),
        "decided": _decided(records),
        "cells": ", ".join(Cell.parse(record.cell).digits for record in records),
        "seconds": statistics.mean([sum(record.seconds.values()) for record in records]),
    }
    if not arm.is_usual and own.keys() & usual.keys():
        change = statistics.paired_difference(own, usual)
        shown["change"] = Spread(
            change.mean, None, statistics.known(change.half_width), f"over {change.n} common seeds", signed=True
        )
    return shown


def _decided(records: Sequence[Record]) -> float | None:
    """The epoch, from 1, after which an edge's leader does not change any more, the mean over edges and searches.

    None where a search has no leaders before its end.
    """
    last: list[int] = []
    for record in records:
        cells = [entry["cell"] for entry in record.trajectory]
        if None in cells or not cells:
            return None
        for ops in zip(*(Cell.parse(cell).ops for cell in cells), strict=True):
            last.append(max((epoch for epoch in range(1, len(ops)) if ops[epoch] != ops[epoch - 1]), default=0) + 1)
    return statistics.mean(last)


def _details(arm: Arm, records: Sequence[Record]) -> dict[str, object]:
    return {
        "method": arm.method,
        "changes": dict(arm.changes),
        "seeds": [record.seed for record in records],
        "git_revisions": sorted({record.git_revision for record in records}),
    }


def _caption(found: Sequence[Study]) -> tuple[str, ...]:
    return (
        "Mean ± standard deviation (ddof=0) over n searches with tuning seeds (100 to 104); below, after 95 %: half "
        "the width of the 95 % t-interval of the mean (ddof=1). Change: the mean difference from the default over "
        "common seeds. Last change of a leader: the epoch (of 20 by protocol cpu) before which the largest alpha of an "
        "edge was last that of another operation, the mean over edges and searches. Cells by digits, seed by seed.",
        *(about(study, "validation accuracy after 12 epochs") for study in found),
    )
