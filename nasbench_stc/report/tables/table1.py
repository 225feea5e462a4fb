"""Table 1 of the paper: what a supernet loses where its super-cell becomes a cell.

Before: validation accuracy with all operations on every edge, as alpha weighs them at the end of the search. After:
with the resulting cell, under the same weights. Both on all images of alpha's half.
"""

from __future__ import annotations

from collections.abc import Sequence

from nasbench_stc.report.groups import Group, grouped
from nasbench_stc.report.inputs import Inputs, Missing
from nasbench_stc.report.published import PublishedRows, load_rows
from nasbench_stc.report.table import Column, Row, Spread, Table

_COLUMNS = (
    Column("method", "method"),
    Column("before", "super-cell", group="validation", spread=True),
    Column("after", "cell", group="validation", spread=True),
    Column("change", "change", spread=True),
    Column("n", "n"),
    Column("search_dataset", "searched\non", drop=2),
    Column("protocol", "protocol", drop=1),
)
_BEFORE = "super_cell_accuracy"


def build(inputs: Inputs) -> Table:
    """The printed row, and a row for each group of searches that has both accuracies."""
    published = load_rows("table1")
    groups = [group for group in grouped(inputs.searches) if all(_BEFORE in r.supernet for r in group.records)]
    rows = [*_printed(published), *(_row(group) for group in groups)]
    missing: tuple[Missing, ...] = ()
    if not any(group.first.method == "darts" for group in groups):
        older = any(record.method == "darts" for record in inputs.searches)  # of a version that did not look
        call = f"search --method darts,stc{inputs.like_ours} --seeds 3{' --no-resume' * older}"
        missing = (Missing("searches of DARTS that say what their super-cell scored", inputs.command(call)),)
    title = "What discretization costs: accuracy of the supernet, in percent"
    return Table(1, title, _COLUMNS, tuple(rows), _caption(groups, published), missing)


def _printed(published: PublishedRows) -> list[Row]:
    return [
        Row(
            "STC-NAS paper",
            {
                "method": row["method"],
                "before": Spread(row["before"], source=row["source"]),
                "after": Spread(row["after"], source=row["source"]),
                "change": Spread(row["after"] - row["before"], source=row["source"], signed=True),
            },
            (row["note"],),
        )
        for row in published.rows
    ]


def _row(group: Group) -> Row:
    before, after = ([record.supernet[key] for record in group.records] for key in (_BEFORE, "accuracy"))
    change = Spread.over([late - early for early, late in zip(before, after, strict=True)])
    first = group.first
    return Row(
        "Ours",
        {
            "method": group.name,
            "before": Spread.over(before),
            "after": Spread.over(after),
            "change": Spread(change.mean, None, change.interval, signed=True),
            "n": group.runs,
            "search_dataset": group.searched_on,
            "protocol": first.protocol,
        },
        details={
            "source": f"{len(group.records)} record(s)",
            "seeds": [record.seed for record in group.records],
            "changes": first.changes,
            "device": first.device,
            "git_revisions": sorted({record.git_revision for record in group.records}),
        },
    )


def _caption(groups: Sequence[Group], published: PublishedRows) -> tuple[str, ...]:
    lines = [f"Paper: as printed in {published.reference}: {published.about}."]
    if groups:
        lines.append(
            "Ours: mean ± standard deviation (ddof=0) over n searches of the supernet's accuracy on the validation "
            "images, before and after; below, after 95 %: half the width of the 95 % t-interval (ddof=1), of the "
            "change of that of the differences run by run. DARTS: softmax(alpha) weighs all operations, which is what "
            "was trained. STC-NAS: ReLU(alpha) weighs all of them (Eq. 3), while its search trained one sampled "
            "operation an edge. Batch norm takes statistics of the batch, before and after."
        )
    return tuple(lines)
