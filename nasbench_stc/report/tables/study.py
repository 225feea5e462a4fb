"""The study's arms by its criterion: validation accuracy on CIFAR-10 after 12 epochs of the cells that they found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.records.ablation import Arm
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.studies import Study, about, missing, required
from nasbench_stc.report.table import MEANS, Column, Row, Spread, Table, Value
from nasbench_stc.report.tables.ablations import difference

if TYPE_CHECKING:
    from pandas import DataFrame, Series

_TITLE = "The study: CIFAR-10 validation accuracy after 12 epochs of the cells found, in percent"
_COLUMNS = (
    Column("arm", "arm"),
    Column("criterion", "accuracy"),
    Column("change", "change"),
    Column("n", "n"),
    Column("decided", "last change\nof a leader", form=".1f", drop=2),
    Column("cells", "cells"),
    Column("seconds", "s a search", form=",.0f", drop=1),
)


def build(inputs: Inputs) -> Table:
    """A row for each arm that ran, in the order in which they were registered; tuning seeds alone.

    Raises:
        MissingRecords: there is no study.
        DataError: no benchmark at hand has the criterion of one.
    """
    found, rows, left_out = [], [], []
    for study in required(inputs, "study"):
        try:
            rows += _rows(study, inputs)
            found.append(study)
        except (BadCallError, DataError) as error:
            left_out.append(f"{study.title}: {error}")
    if not rows:
        raise DataError("; ".join(left_out))
    caption = (f"{MEANS.capitalize()}, tuning seeds (100 to 104) alone. Change: from the default, over common seeds.",)
    more = (
        "Last change of a leader: the epoch (of 20 by protocol cpu) before which the largest alpha of an edge was last "
        "that of another operation, the mean over edges and searches. Cells by digits, seed by seed.",
        *(about(study, "validation accuracy after 12 epochs") for study in found),
        *(f"Left out: {why}." for why in left_out),
    )
    return Table(None, _TITLE, _COLUMNS, tuple(rows), caption, missing(inputs, "study", found), more)


def _rows(study: Study, inputs: Inputs) -> list[Row]:
    benchmark = inputs.benchmark_of(study.setting.benchmark, study.setting.sha256)
    if benchmark is None:
        raise DataError(
            f"the study's criterion is looked up in {study.setting.benchmark}, which is not at hand: "
            "`stc-bench data status` says how to get it"
        )
    rated = []
    for arm, runs in study.arms:
        accuracy = benchmark.accuracy(runs["cell_index"].to_numpy(), "cifar10", "valid", epochs=12)
        rated.append((arm, runs.set_index("seed", drop=False).assign(criterion=accuracy)))
    usual = next(runs["criterion"] for arm, runs in rated if arm.is_usual)
    return [_row(study, arm, runs, usual, inputs.trajectories) for arm, runs in rated if len(runs)]


def _row(study: Study, arm: Arm, runs: DataFrame, usual: Series, trajectories: DataFrame) -> Row:
    """Of an arm's runs, indexed by seed, with their `criterion`."""
    values: dict[str, Value] = {
        "arm": arm.label,
        "criterion": Spread.over(runs["criterion"]),
        "change": None if arm.is_usual else difference(runs["criterion"], usual),
        "n": len(runs),
        "decided": _decided(runs, trajectories),
        "cells": ", ".join(runs["digits"]),
        "seconds": float(runs["seconds"].mean()),
    }
    return Row(study.title, values, details=study.details(arm, runs))


def _decided(runs: DataFrame, trajectories: DataFrame) -> float | None:
    """The epoch, from 1, after which an edge's leader does not change any more, the mean over edges and searches.

    None where a search has no leaders before its end.
    """
    last = []
    for path in runs["path"]:  # of such runs there is one in a file
        epochs = trajectories.loc[trajectories["path"] == path, "digits"]
        if epochs.empty or (epochs == "").any():
            return None
        leaders = np.array([list(digits) for digits in epochs])
        changed = leaders[1:] != leaders[:-1]
        last.append((changed * np.arange(2, len(leaders) + 1)[:, None]).max(axis=0, initial=1))
    return float(np.mean(last))


TABLES = {"study": Maker("arms of the study, by its criterion", build, supernet=True)}
