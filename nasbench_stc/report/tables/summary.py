"""What was found, in short: each method's cells by test accuracy, beside what needs no search and the paper's row."""

from __future__ import annotations

from nasbench_stc.report.groups import Group, by_section, grouped, leading
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.published import load
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.table import AND_INTERVAL, MEAN_OF_SEARCHES, Column, Row, Spread, Table, accuracy_column
from nasbench_stc.report.yardsticks import best_cells, yardsticks
from nasbench_stc.space import DATASETS

_COLUMNS = (
    Column("method", "method"),
    Column("n", "n"),
    # CIFAR-100 orders methods much as CIFAR-10 does.
    *(accuracy_column(name, "test", int(name == "cifar100")) for name in DATASETS),
    Column("cost", "a search takes", drop=2),
)


def build(inputs: Inputs) -> Table:
    """A row for each method (two where it ran on two devices), those of one protocol together."""
    groups = leading(grouped(inputs.searches))
    rows = [_row(group, label) for group, label in by_section(groups)]
    for benchmark in inputs.benchmarks:
        rows += [one.row for one in (*yardsticks(benchmark), best_cells(benchmark))]
    for printed in load().rows if load().space == inputs.space.name else ():
        if printed.method == "STC-NAS":
            scores = {key: Spread(score.mean, score.std, source=score.source) for key, score in printed.scores.items()}
            paper = {"method": "STC-NAS", "n": printed.runs, "cost": f"{printed.seconds:,.0f} s"}
            rows.append(Row("As printed in the paper: the target network, 50 epochs, a GPU", {**paper, **scores}))
    largest = ", ".join(dict.fromkeys(inputs.space.ops[op] for op in inputs.space.largest))
    capacity = f" Largest cell: {largest} throughout; who ends there has found capacity."
    caption = (
        f"{MEAN_OF_SEARCHES}{AND_INTERVAL}.{capacity * bool(inputs.benchmarks)}",
        *dict.fromkeys(group.benchmark_line for group in groups),
    )
    more = (
        "Of each method its own settings, by the protocol nearest to the paper's of which there are several searches; "
        "`stc-bench report --table 6` has every row, `--all` every table and figure.",
    )
    missing = () if groups else (inputs.lacking("records of searches", inputs.a_search),)
    return Table(None, "What was found: test accuracy in percent", _COLUMNS, tuple(rows), caption, missing, more)


def _row(group: Group, label: str) -> Row:
    runs = group.runs
    cost = (
        f"{runs['evaluations'].mean():,.0f} trainings"
        if group.kind == "black-box"
        else f"{runs['seconds'].mean():,.0f} s{group.side_by_side}"
    )
    scores = {key: Spread.over(values) for key, values in group.scores().items() if key.endswith("-test")}
    details = {**group.details, "digits": runs["digits"].unique().tolist()[:30]}
    section = group.section.removeprefix("Ours, ")
    section = section[0].upper() + section[1:]  # names in it keep their letters
    return Row(section, {"method": label, "n": group.n, **scores, "cost": cost}, details=details)


TABLES = {"summary": Maker("what was found", build)}
