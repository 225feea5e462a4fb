"""Table 1 of the paper: what a supernet loses where its super-cell becomes a cell.

Before: validation accuracy with all operations on every edge, as alpha weighs them at the end of the search. After:
with the resulting cell, under the same weights. Both on all images of alpha's half.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nasbench_stc.report.groups import Group, grouped
from nasbench_stc.report.inputs import Inputs, Missing
from nasbench_stc.report.published import load_rows
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.statistics import Numbers
from nasbench_stc.report.table import MEANS, Column, Row, Spread, Table, Value

_TITLE = "What discretization costs: accuracy of the supernet, in percent"
_COLUMNS = (
    Column("method", "method"),
    Column("before", "super-cell", group="validation"),
    Column("after", "cell", group="validation"),
    Column("change", "change"),
    Column("n", "n"),
    Column("search_dataset", "searched\non", drop=2),
    Column("protocol", "protocol", drop=1),
)


def build(inputs: Inputs) -> Table:
    """The printed row, and a row for each group of searches; those alone count that have both accuracies."""
    published, searches = load_rows("table1"), inputs.searches
    told = searches[searches["super_cell_accuracy"].notna()]
    groups = [group for group in grouped(told) if not _is_decided(group)]
    rows = []
    for row in published.rows:
        values = _values(row["method"], np.array([row["before"]]), np.array([row["after"]]))
        rows.append(Row("STC-NAS paper", values, (row["note"],), {"source": row["source"]}))
    rows += map(_row, groups)
    missing: tuple[Missing, ...] = ()
    if not any(group["method"] == "darts" for group in groups):
        older = bool((searches["method"] == "darts").any())  # of a version that did not look
        call = f"search --method darts,stc{inputs.like_ours} --seeds 3{' --no-resume' * older}"
        missing = (inputs.lacking("searches of DARTS that say what their super-cell scored", call),)
    caption = [f"Paper: {published.about}; not to be compared with ours."]
    more = [f"Paper: as printed in {published.reference}."]
    if groups:
        caption.append(
            f"Ours: {MEANS}. Super-cell: all operations on every edge; cell: the one found, under the same weights."
        )
        partly = {(group["method"], group["protocol"]) for group in groups}
        lacking = searches[searches["super_cell_accuracy"].isna()]
        if left_out := sum((run.method, run.protocol) in partly for run in lacking.itertuples()):
            more.append(f"Left out: {left_out} search(es) whose records do not have the super-cell's accuracy.")
        more.append(
            "Change: of the differences run by run. DARTS: softmax(alpha) weighs all operations, which is what was "
            "trained. STC-NAS: ReLU(alpha) weighs all of them (Eq. 3), while its search trained one sampled operation "
            "an edge. Batch norm takes statistics of the batch, before and after."
        )
    return Table(1, _TITLE, _COLUMNS, tuple(rows), tuple(caption), missing, tuple(more))


def _is_decided(group: Group) -> bool:
    """Whether the super-cell is the cell in each run, in which edges are decided before the end: DARTS-PT."""
    before, after = _both(group)
    return bool((before == after).all())


def _both(group: Group) -> tuple[Numbers, Numbers]:
    """The accuracies of the super-cell and of the cell, run by run."""
    return group.runs["super_cell_accuracy"].to_numpy(), group.runs["supernet_accuracy"].to_numpy()


def _row(group: Group) -> Row:
    own = {"n": group.n, "search_dataset": group.searched_on, "protocol": group["protocol"]}
    details = {**group.details, "source": f"{len(group.runs)} record(s)"}  # nothing of it was looked up
    return Row("Ours", {**_values(group.name, *_both(group)), **own}, details=details)


def _values(method: str, before: Numbers, after: Numbers) -> dict[str, Value]:
    """Of one number a run."""
    change = replace(Spread.over(after - before), std=None, signed=True)
    return {"method": method, "before": Spread.over(before), "after": Spread.over(after), "change": change}


TABLES = {"1": Maker("what discretization costs", build, supernet=True)}
