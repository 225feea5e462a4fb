"""Table 6 of the paper: what the cells found score on NAS-Bench-201, the paper's rows and below them ours.

One row of ours is one group of runs: same method, settings, search data set, benchmark and device, one run a seed.
Black-box and training-free methods that were run on several data sets have one row, every column searched on its own
data set, as NATS-Bench prints them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nasbench_stc import seeds
from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.report.groups import Group, by_section, grouped
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.published import EACH, Published, PublishedRow, load
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.table import (
    AND_INTERVAL,
    KINDS,
    MEAN_OF_SEARCHES,
    Column,
    Row,
    Spread,
    Table,
    Value,
    accuracy_column,
)
from nasbench_stc.report.yardsticks import yardsticks
from nasbench_stc.runs import simulate
from nasbench_stc.space import DATASETS, Space


def _columns(space: Space) -> tuple[Column, ...]:
    skips = Column("skips", f"skips\nof {len(space.edges)}", drop=3, form=".1f")
    return (
        Column("method", "method"),
        Column("n", "n"),
        *(accuracy_column(*which, drop=0 if which[1] == "test" else 2) for which in COLUMNS.values()),
        Column("seconds", "search s", drop=1, form=",.0f"),
        *[skips] * (space.skip is not None),
        Column("distinct_cells", "distinct\ncells", drop=4),
    )


_AS_PRINTED = {
    "": "As printed",
    "STC-NAS": "As printed, STC-NAS paper",
    "Published since": "As printed, published since",
}
_AGAIN = "As printed, NAS-Bench-201"
"""Rows that are folded: NATS-Bench printed these methods again, some years later."""
_EARLIER = "nas-bench-201"
"""The protocol of black-box searches that stand beside NAS-Bench-201's printed rows; NATS-Bench's is the newer one."""
_SIMULATED = "search --method black-box --seeds 500"


def build(inputs: Inputs, published: Published | None = None) -> Table:
    """The table of `published` (None: as the paper printed it) and of the groups of runs.

    Of benchmarks at hand it has what they say of cells that nobody searched for.
    """
    groups = grouped(inputs.searches)
    space = inputs.space
    everything = (published or load(), load("without_supernet"), load("since"), load("size_space"))
    printed = [table for table in everything if table.space == space.name]
    calls = {inputs.a_search: "searches of ours"}
    if inputs.asked is None or inputs.asked.holds():
        calls[_SIMULATED] = "simulated runs"
    rows = [_published_row(row, table) for table in printed for row in table.rows]
    rows += [_own_row(group, label, space) for group, label in by_section(groups)]
    rows += [one.row for benchmark in inputs.benchmarks for one in yardsticks(benchmark)]
    return Table(
        6,
        f"Accuracy of the cells found on {space.title}, in percent",
        _columns(space),
        tuple(rows),
        tuple(_caption(groups)),
        () if groups else tuple(inputs.lacking(what, call) for call, what in calls.items()),
        (*_where_printed(printed), *_more(groups, inputs)),
        frozenset({_AGAIN, *(_section(table.rows[0]) for table in printed[1:]), *_aside(groups)}),
    )


def _aside(groups: Sequence[Group]) -> set[str]:
    """Sections of searches on other images than the benchmark's (digits), where there are searches on its own.

    And those of black-box searches by the protocol whose printed rows are folded, too, where there are others.
    """
    main = {g.section for g in groups if g["search_dataset"] in DATASETS and g["protocol"] != _EARLIER}
    return {group.section for group in groups} - main if main else set()


def _section(row: PublishedRow) -> str:
    return _AS_PRINTED.get(row.block, f"As printed, {row.block}")


def _published_row(row: PublishedRow, published: Published) -> Row:
    scores = {key: Spread(score.mean, score.std, None, score.source, score.note) for key, score in row.scores.items()}
    sources = "; ".join(dict.fromkeys(score.source for score in row.scores.values()))
    notes = [score.note for score in row.scores.values() if score.note]
    if published.runs is None:  # one note, for marks take room
        notes = [" ".join(filter(None, [f"Source: {sources}.", row.note, *notes]))]
    return Row(
        _section(row),
        {"method": row.method, "n": row.runs, "seconds": row.seconds and float(row.seconds), **scores},
        tuple(notes),
        {"searched_on": row.search_dataset, "source": sources},
    )


def _own_row(group: Group, label: str, space: Space) -> Row:
    runs, details = group.runs, group.details
    values: dict[str, Value] = {
        "method": label,
        "n": group.n,
        "seconds": None if group.searched_on == EACH else float(runs["seconds"].mean()) or None,
        "distinct_cells": group.distinct_cells,
        **{key: Spread.over(scores, details["source"]) for key, scores in group.scores().items()},
    }
    if space.skip is not None:
        values["skips"] = float(runs["digits"].astype(str).str.count(str(space.skip)).mean())
    return Row(group.section, values, (_note(group),), details)


def _note(group: Group) -> str:
    parts = group.parts.values()
    told = f"told the {group['told']}; " if group.kind == "black-box" else ""
    seconds = [f"{part['seconds'].mean():,.0f}" for part in parts]
    cost = f"{' / '.join(seconds)} s a search on {group['device']}{group.side_by_side}"
    if group["clock"] == "evaluations":
        cost = f"{group.runs['evaluations'].mean():,.0f} trainings a search"
    return (
        f"{group.searched}; n={group.n} "
        f"({'; '.join(dict.fromkeys(seeds.told(part['seed']) for part in parts))}), "
        f"{group.distinct_cells} distinct cell{'s' * (group.distinct_cells > 1)}; {told}"
        f"{group.looked_up('')}; {cost}."
    )


def _caption(groups: Sequence[Group]) -> Iterator[str]:
    """What nobody should read the numbers without."""
    yield f"{MEAN_OF_SEARCHES}{AND_INTERVAL * bool(groups)}."
    small = dict.fromkeys(group["protocol"] for group in groups if group.kind == "one-shot")
    small.pop("paper", None)
    if small:
        yield (f"Protocol {', '.join(small)}: not the paper's search; compare these rows with each other alone.")
    yield from dict.fromkeys(group.benchmark_line for group in groups)


def _where_printed(printed: Sequence[Published]) -> Iterator[str]:
    if len(printed) == 1:
        yield f"As printed: {printed[0].reference}."
    if len(printed) != 3:
        return
    published, without_supernet, since = printed
    yield (
        f"Optimal: the best of all cells, column by column. It and the rows down to {_section(published.rows[-1])} are "
        f"as printed in: {published.reference}; n={published.runs}. {_section(without_supernet.rows[0])} is not in "
        f"that table: {without_supernet.reference}; n={without_supernet.runs}."
    )
    yield (
        f"Nor are the rows of {_section(since.rows[0])}: methods that share weights, each as its source in the notes "
        "prints it. Where n, the data set searched on or a column is not printed there, none is here; nor is it known "
        "with what ddof the deviations are."
    )
    yield (
        f"Rows searched on {EACH}, those of NATS-Bench among them, had a search on each data set, and a column shows "
        "that of its own. All others were searched on one, and the cells looked up on all."
    )


def _more(groups: Sequence[Group], inputs: Inputs) -> Iterator[str]:
    if groups:
        yield from dict.fromkeys(map(_protocol_line, groups))
        yield (
            "Distinct cells: isomorphic ones count as one. Skips: edges of a cell found that are skip_connect, the "
            "mean over n. All settings of a row are in the formats csv and json."
        )
    if any(group.kind == "black-box" for group in groups):
        yield (
            "Black-box: seconds are simulated, those of the benchmark's own trainings; test accuracies were not looked "
            "at in the search, but where the note says so."
        )
    at_hand = {(benchmark.name, benchmark.sha256) for benchmark in inputs.benchmarks}
    for name, sha256 in dict.fromkeys(group.benchmark for group in groups if group.is_looked_up):
        if (name, sha256) not in at_hand:
            yield (
                f"Not compared with the mean of all cells and the largest one: {name} (sha256 {sha256[:12]}) is not at "
                "hand (--data-dir, --benchmark)."
            )
    if older := len(inputs.searches) - sum(len(group.runs) for group in groups):
        yield f"Older records of a seed that is counted already, left out: {older}."
    if of_ablations := len(inputs.runs) - len(inputs.searches):
        yield (
            f"Runs of ablations, which change a setting, are not here: {of_ablations}. Tables 7, 8 and study and "
            "Figures 5 to 8 show them."
        )


def _protocol_line(group: Group) -> str:
    name = group["protocol"]
    about = PROTOCOLS[name].about if name in PROTOCOLS else ""
    if group.kind != "one-shot":
        about = {**simulate.PROTOCOLS["black-box"], **simulate.PROTOCOLS["training-free"]}.get(name, "")
    return f"{KINDS[group.kind].capitalize()} protocol {name}{about and f': {about}'}."


TABLES = {"6": Maker("accuracy of the cells found", build)}
