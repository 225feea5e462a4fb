"""Tables 7 and 8 of the paper: what STC-NAS loses without its parts, as printed and as measured here.

The paper's cells are of another search space and were trained for 600 epochs: accuracies are not to be compared with
ours, only what a change does to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.report import statistics
from nasbench_stc.report.tables.differences import NOT_TOLD_APART, marked
from nasbench_stc.report.groups import distinct_cells
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.published import PublishedRows, load_rows
from nasbench_stc.report.table import Column, Row, Spread, Table
from nasbench_stc.report.studies import Study, about, missing, studies
from nasbench_stc.runs import Record
from nasbench_stc.runs.ablation import Arm

_PAPER, _OURS = "paper", "ours"


def build_lambda(inputs: Inputs) -> Table:
    """Table 7: the coefficient of the JS loss."""
    return _build(inputs, "lambda", 7, "The coefficient of the JS loss: what cells found score, in percent", "lambda")


def build_consistency(inputs: Inputs) -> Table:
    """Table 8: without one of the four consistencies."""
    return _build(inputs, "consistency", 8, "Without one of the consistencies: what cells found score", "consistency")


def _build(inputs: Inputs, name: str, number: int, title: str, first: str) -> Table:
    published, found = load_rows(f"table{number}"), studies(inputs, name)
    columns = (
        Column("arm", first),
        Column("published", "accuracy", group=_PAPER, spread=True),
        Column("published_change", "change", group=_PAPER, spread=True, drop=1),
        Column("accuracy", "accuracy", group=_OURS, spread=True),
        Column("change", "change", group=_OURS, spread=True),
        Column("n", "n"),
        Column("distinct_cells", "distinct\ncells", drop=2),
    )
    rows = [row for study in found for row in _rows(study, published)] or _printed(published)
    return Table(number, title, columns, tuple(rows), _caption(found, published), missing(inputs, name, found))


def _printed(published: PublishedRows) -> list[Row]:
    """The paper's rows alone."""
    return [Row("as printed", {"arm": row["arm"], **_published(row["arm"], published)}) for row in published.rows]


def _rows(study: Study, published: PublishedRows) -> list[Row]:
    """A row for each arm, and for what is printed of an arm that there cannot be on this data set."""
    section = f"{study.title}: {study.score}"
    rows = [
        Row(
            section,
            {"arm": arm.label, **_published(arm.label, published), **_measured(study, arm, records)},
            details=_details(study, arm, records),
        )
        for arm, records in study.arms
    ]
    own = {arm.label for arm, _ in study.arms}
    others = [row["arm"] for row in published.rows if row["arm"] not in own]
    return rows + [Row(section, {"arm": label, **_published(label, published)}) for label in others]


def _published(label: str, published: PublishedRows) -> dict[str, Spread]:
    """What is printed of an arm, and how far it is from the paper's own choice, which is the best one printed."""
    row = next(row for row in published.rows if row["arm"] == label)
    best = max(published.rows, key=lambda row: float(row["mean"]))
    shown = {"published": Spread(row["mean"], row["std"], source=row["source"])}
    if row is not best:
        change = Spread(row["mean"] - best["mean"], source=f"{row['source']} minus {best['source']}", signed=True)
        shown["published_change"] = change
    return shown


def _measured(study: Study, arm: Arm, records: Sequence[Record]) -> dict[str, Any]:
    values = study.scores(records)
    if not values:
        return {"n": len(records)}
    shown = {"accuracy": Spread.over(values), "n": len(values), "distinct_cells": distinct_cells(records)}
    if not arm.is_usual and (change := change_of(study, records)) is not None:
        shown["change"] = change
    return shown


def change_of(study: Study, records: Sequence[Record]) -> Spread | None:
    """How far an arm is from the usual one over common seeds; None where they have none."""
    own, usual = (
        {r.seed: r.scores[study.score] for r in of if study.score in r.scores} for of in (records, study.usual)
    )
    if not own.keys() & usual.keys():
        return None
    found = statistics.paired_difference(own, usual)
    interval = statistics.known(found.half_width)
    return marked(Spread(found.mean, None, interval, f"over {found.n} common seeds"), COLUMNS[study.score][0])


def _details(study: Study, arm: Arm, records: Sequence[Record]) -> Mapping[str, object]:
    return {
        "changes": dict(arm.changes),
        "searched_on": arm.dataset or study.setting.dataset,
        "protocol": study.setting.protocol,
        "compared_by": study.score,
        "benchmark": study.setting.benchmark[0],
        "benchmark_sha256": study.setting.benchmark[1],
        "device": study.setting.device,
        "seeds": [record.seed for record in records],
        "cells": [record.cell for record in records],
        "git_revisions": sorted({record.git_revision for record in records}),
    }


def _caption(found: Sequence[Study], published: PublishedRows) -> tuple[str, ...]:
    lines = [
        f"Paper: as printed in {published.reference}: {published.about}; mean ± standard deviation (ddof=0), and the "
        "difference of the means from the best row. Accuracies are of another space, and not to be compared with ours.",
    ]
    if not found:
        return tuple(lines)
    lines += [
        "Ours: mean ± standard deviation (ddof=0) over n searches; below, after 95 %: half the width of the 95 % "
        "t-interval of the mean (ddof=1). Change: the mean difference from the row without a change over common seeds, "
        "and half the width of its interval.",
        NOT_TOLD_APART,
    ]
    lines += [about(study, study.score) for study in found]
    return tuple(lines)
