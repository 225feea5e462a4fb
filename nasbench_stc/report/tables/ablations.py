"""Tables 7 and 8 of the paper: what STC-NAS loses without its parts, as printed and as measured here.

The paper's cells are of another search space and were trained for 600 epochs: accuracies are not to be compared with
ours, only what a change does to them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.records.ablation import Arm
from nasbench_stc.report import statistics
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.published import PublishedRows, load_rows
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.studies import Study, about, missing, studies
from nasbench_stc.report.table import MEANS, Column, Row, Spread, Table, Value
from nasbench_stc.report.tables.differences import NOT_TOLD_APART, marked

if TYPE_CHECKING:
    from pandas import DataFrame, Series

_OF = {7: ("lambda", "the coefficient of the JS loss"), 8: ("consistency", "without one of the consistencies")}
"""By the table's number: the ablation that it is of, and what it is."""


def build(inputs: Inputs, number: int) -> Table:
    """Each arm of the ablation as printed and as found."""
    name, what = _OF[number]
    published, found = load_rows(f"table{number}"), studies(inputs, name)
    columns = (
        Column("arm", name),
        Column("published", "accuracy", group="paper", drop=2),
        Column("published_change", "change", group="paper", drop=1),
        Column("accuracy", "accuracy", group="ours"),
        Column("change", "change", group="ours"),
        Column("n", "n"),
        Column("distinct_cells", "distinct\ncells", drop=2),
    )
    printed = _printed(published)
    rows = [] if found else list(printed.values())
    for study in found:  # and what is printed of an arm that there cannot be on its data set
        ours = {arm.label: _row(study, arm, runs, printed[arm.label]) for arm, runs in study.arms}
        others = [row for label, row in printed.items() if label not in ours]
        rows += [replace(row, section=f"{study.title}: {study.score}") for row in (*ours.values(), *others)]
    caption = [f"Paper: {published.about}. Not to be compared with ours, but for what a change does."]
    more = [
        f"Paper: as printed in {published.reference}; mean ± standard deviation, and the difference from the best row."
    ]
    if found:
        caption.append(f"Ours: {MEANS}. Change: from the row that has none, over common seeds; ≈: not told from 0.")
        more += [NOT_TOLD_APART, *(about(study, study.score) for study in found)]
    title = f"{what[0].upper()}{what[1:]}: what cells found score, in percent"
    lack = missing(inputs, name, found)
    return Table(number, title, columns, tuple(rows), tuple(caption), lack, tuple(more))


def _printed(published: PublishedRows) -> dict[str, Row]:
    """What is printed of each arm, and how far it is from the paper's own choice, which is the best one printed."""
    best = max(published.rows, key=lambda row: float(row["mean"]))
    rows = {}
    for row in published.rows:
        values: dict[str, Value] = {"arm": row["arm"], "published": Spread(row["mean"], row["std"])}
        if row is not best:
            values["published_change"] = Spread(row["mean"] - best["mean"], signed=True)
        rows[row["arm"]] = Row("as printed", values, details={"published_source": row["source"]})
    return rows


def _row(study: Study, arm: Arm, runs: DataFrame, printed: Row) -> Row:
    scores = study.scores(runs)
    values: dict[str, Value] = {**printed.values, "n": len(scores) or len(runs)}
    if len(scores):
        values["accuracy"] = Spread.over(scores)
        values["distinct_cells"] = runs["isomorphism_class"].nunique()
    if (change := change_of(study, arm, runs)) is not None:
        values["change"] = change
    details = {**printed.details, **study.details(arm, runs), "compared_by": study.score}
    return replace(printed, values=values, details=details)


def change_of(study: Study, arm: Arm, runs: DataFrame) -> Spread | None:
    """How far an arm is from the usual one over common seeds; None of that one, and where they have none."""
    change = None if arm.is_usual else difference(study.scores(runs), study.scores(study.usual))
    return None if change is None else marked(change, COLUMNS[study.score][0])


def difference(own: Series, usual: Series) -> Spread | None:
    """The mean difference over common seeds, of numbers by seed; None where no seed is common."""
    if not own.index.isin(usual.index).any():
        return None
    return replace(Spread.of(statistics.paired_difference(own.to_dict(), usual.to_dict())), std=None)


TABLES = {str(number): Maker(what, partial(build, number=number), supernet=True) for number, (_, what) in _OF.items()}
