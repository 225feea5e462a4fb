"""Table 6 of the paper: what the cells found score on NAS-Bench-201, the paper's rows and below them ours.

One row of ours is one group of records: same method, settings, search data set, benchmark and device, one
record a seed. Black-box and training-free methods that were run on several data sets have one row, every column
searched on its own data set, as NATS-Bench prints them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from nasbench_stc import seeds
from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.report import statistics
from nasbench_stc.report.tables.differences import NOT_TOLD_APART, marked
from nasbench_stc.report.groups import (
    COLUMN_GROUPS,
    MANY,
    SIMULATED,
    TRAINED,
    Group,
    benchmark_line,
    distinct_cells,
    grouped,
)
from nasbench_stc.report.inputs import Inputs, Missing
from nasbench_stc.report.published import (
    EACH,
    Published,
    PublishedRow,
    load,
    load_since,
    load_without_supernet,
)
from nasbench_stc.report.table import Column, Row, Spread, Table
from nasbench_stc.report.yardsticks import Yardstick, yardsticks
from nasbench_stc.runs import Record, SimulatedRun, simulate
from nasbench_stc.space import EDGES, OPS, Cell

_COLUMNS = (
    Column("method", "method"),
    Column("seconds", "search s", drop=1),
    Column("n", "n", drop=2),
    Column("skips", f"skips\nof {len(EDGES)}", drop=3),
    Column("search_dataset", "searched\non", drop=4),
    Column("protocol", "protocol", drop=5),
    Column("distinct_cells", "distinct\ncells", drop=6),
    *(Column(key, split, group=COLUMN_GROUPS[dataset], spread=True) for key, (dataset, split) in COLUMNS.items()),
)
_TITLE = "Accuracy of the cells found on NAS-Bench-201, in percent"
_SECTIONS = {"STC-NAS": "STC-NAS paper"}
_CALLS = {
    "searches of ours": "search --dataset cifar10 --seeds 3",
    "simulated runs": "search --method black-box --seeds 500",
}


def build(inputs: Inputs, published: Published | None = None) -> Table:
    """The table of `published` (None: as the paper printed it) and of the groups of records.

    Of benchmarks at hand it has what they say of cells that nobody searched for, and how far each group's are from it.
    """
    records, benchmarks = inputs.searches, inputs.benchmarks
    published = published or load(6)
    without_supernet, since = load_without_supernet(), load_since()
    groups = grouped(records)
    rows = [_published_row(row, table) for table in (published, without_supernet, since) for row in table.rows]
    left: list[Mapping[str, str]] = []
    for name, digest in dict.fromkeys(group.benchmark for group in groups):
        members = [group for group in groups if group.benchmark == (name, digest)]
        rows += [_own_row(group) for group in members]
        opened = [benchmark for benchmark in benchmarks if (benchmark.name, benchmark.sha256) == (name, digest)]
        to_beat = yardsticks(opened[0]) if opened else ()
        rows += [_yardstick_row(yardstick, name) for yardstick in to_beat]
        in_doubt = [group for group in members if len(group.records) < MANY]
        rows += [_difference_row(group, yardstick, name) for yardstick in to_beat for group in in_doubt]
        if not opened:
            left.append(members[0].first.benchmark)
    left_out = len(records) - sum(len(group.records) for group in groups)
    missing = () if groups else tuple(Missing(what, inputs.command(call)) for what, call in _CALLS.items())
    caption = _caption(groups, (published, without_supernet, since), left_out, left)
    if of_ablations := len(inputs.records) - len(records):
        told = f"Runs of ablations, which change a setting, are not here: {of_ablations}."
        caption += (f"{told} Tables 7 and 8 and Figures 5 to 8 show them.",)
    return Table(6, _TITLE, _COLUMNS, tuple(rows), caption, missing)


def _published_row(row: PublishedRow, published: Published) -> Row:
    scores = {key: Spread(score.mean, score.std, None, score.source, score.note) for key, score in row.scores.items()}
    sources = "; ".join(dict.fromkeys(score.source for score in row.scores.values()))
    notes = [score.note for score in row.scores.values() if score.note]
    if published.runs is None:  # one note, for marks take room
        notes = [" ".join(filter(None, [f"Source: {sources}.", row.note, *notes]))]
    return Row(
        section=_SECTIONS.get(row.block, row.block),
        values={
            "method": row.method,
            "seconds": row.seconds,
            "n": row.runs,
            "search_dataset": row.search_dataset,
            **scores,
        },
        notes=tuple(notes),
        details={"source": sources},
    )


def _own_row(group: Group) -> Row:
    first, records = group.first, group.records
    name, digest = group.benchmark
    distinct = distinct_cells(records)
    source = f"{len(records)} record(s), looked up in {name} (sha256 {digest[:12]})"
    each = group.searched_on == EACH
    return Row(
        section=f"{group.kind.section}: {name}",
        values={
            "method": group.name,
            "seconds": None if each else statistics.mean([record.total_seconds for record in records]) or None,
            "n": group.runs,
            "search_dataset": group.searched_on,
            "protocol": first.protocol,
            "distinct_cells": distinct,
            "skips": f"{statistics.mean([_skips(record.cell) for record in records]):.1f}",
            **{key: Spread.over(values, source) for key, values in group.scores().items()},
        },
        notes=(_note(group, distinct),),
        details={
            "source": source,
            "device": first.device,
            "benchmark": name,
            "benchmark_file": first.benchmark["file"],
            "benchmark_sha256": digest,
            "seeds": [record.seed for record in records],
            "cells": _cells(records),
            "git_revisions": sorted({record.git_revision for record in records}),
            "settings": first.settings,
        },
    )


def _cells(records: Sequence[Record]) -> list[str]:
    """Each run's, as official strings; of many runs the indices of those that occur, for a field can get too long."""
    if len(records) < MANY:
        return [record.cell for record in records]
    return [str(index) for index in sorted({Cell.parse(cell).index for cell in {record.cell for record in records}})]


@cache
def _skips(cell: str) -> int:
    """How many edges of a cell are `skip_connect`, to which DARTS is known to collapse."""
    return [OPS[op] for op in Cell.parse(cell).ops].count("skip_connect")


def _yardstick_row(yardstick: Yardstick, benchmark: str) -> Row:
    scores = {key: Spread(value, source=f"looked up in {benchmark}") for key, value in yardstick.scores.items()}
    return Row(section=f"Without a search: {benchmark}", values={"method": yardstick.name, **scores})


def _difference_row(group: Group, yardstick: Yardstick, benchmark: str) -> Row:
    source = f"{len(group.records)} record(s) minus the {yardstick.name}, both in {benchmark}"
    differences = {key: [value - yardstick.scores[key] for value in values] for key, values in group.scores().items()}
    return Row(
        section=f"Ours minus the {yardstick.name}: {benchmark}",
        values={
            "method": group.name,
            "n": group.runs,
            "search_dataset": group.searched_on,
            "protocol": group.first.protocol,
            **{key: marked(Spread.over(values, source), COLUMNS[key][0]) for key, values in differences.items()},
        },
        details={"source": source},
    )


def _note(group: Group, distinct: int) -> str:
    first, records = group.first, group.records
    told_of = {seeds.told(record.seed for record in part) for part in group.parts.values()}
    changed = "".join(f", {name}={value}" for name, value in first.changes.items())
    origin = first.versions.get(first.method)
    told = f"told the {first.told}; " if isinstance(first, SimulatedRun) and group.kind is SIMULATED else ""
    seconds = [f"{statistics.mean([record.total_seconds for record in part]):,.0f}" for part in group.parts.values()]
    cost = f"{' / '.join(seconds)} s a search on {first.device}"
    if isinstance(first, SimulatedRun) and first.clock == "evaluations":
        trainings = [run.evaluations for run in records if isinstance(run, SimulatedRun)]
        cost = f"{statistics.mean(trainings):,.0f} trainings a search"
    return (
        f"{f'Method of {origin}. ' if origin else ''}Searched on {' / '.join(group.parts)} by protocol "
        f"{first.protocol}{changed}; n={group.runs} ({'; '.join(told_of)}), "
        f"{distinct} distinct cell{'s' * (distinct > 1)}; {told}"
        f"looked up in {first.benchmark['name']} ({first.benchmark['sha256'][:12]}); {cost}."
    )


def _caption(
    groups: Sequence[Group],
    printed: tuple[Published, Published, Published],
    left_out: int,
    not_at_hand: Sequence[Mapping[str, str]],
) -> tuple[str, ...]:
    published, without_supernet, since = printed
    lines = [
        f"Mean ± standard deviation (ddof=0) over n independent searches; in the paper's rows n={published.runs}.",
    ]
    if any(len(group.records) > 1 for group in groups):
        lines.append("Below it, after 95 %: half the width of the 95 % t-interval of the mean (ddof=1).")
    lines += [
        f"Optimal: the best of all cells, column by column. It and the rows down to STC-NAS paper are as printed in: "
        f"{published.reference}. The section {without_supernet.rows[0].block} is not in that table: "
        f"{without_supernet.reference}; n={without_supernet.runs}.",
        f"Nor are the rows of the section {since.rows[0].block}: methods that share weights, each as its source in the "
        "notes prints it. Where n, the data set searched on or a column is not printed there, none is here; nor is it "
        "known with what ddof the deviations are.",
        f"Rows searched on {EACH}, those of the section NATS-Bench among them, had a search on each data set, and a "
        "column shows that of its own. All others that name a data set were searched on that one, and the cells looked "
        "up on all.",
    ]
    if not groups:
        return tuple(lines)
    lines += dict.fromkeys(_protocol_line(group) for group in groups)
    lines += dict.fromkeys(benchmark_line(group.first.benchmark) for group in groups)
    if any(group.kind is SIMULATED for group in groups):
        lines.append(
            "Black-box: seconds are simulated, those of the benchmark's own trainings; test accuracies were not looked "
            "at in the search, but where the note says so."
        )
    lines.append(
        "Distinct cells: isomorphic ones count as one. Skips: edges of a cell found that are skip_connect, the mean "
        "over n. All settings of a row are in the formats csv and json."
    )
    if len(not_at_hand) < len({group.benchmark for group in groups}):
        lines.append(
            f"Ours minus what needs no search: the mean over n. {NOT_TOLD_APART} Rows of {MANY} runs and more tell it "
            "themselves."
        )
    lines += [
        f"Not compared with the mean of all cells and the largest one: {benchmark['name']} "
        f"({benchmark['file']}, sha256 {benchmark['sha256'][:12]}) is not at hand (--data-dir, --benchmark)."
        for benchmark in not_at_hand
    ]
    if left_out:
        lines.append(f"Older records of a seed that is counted already, left out: {left_out}.")
    return tuple(lines)


def _protocol_line(group: Group) -> str:
    name = group.first.protocol
    if group.kind is not TRAINED:
        about = {**simulate.PROTOCOLS["black-box"], **simulate.PROTOCOLS["training-free"]}.get(name, "")
        return f"{group.kind.section.removeprefix('Ours, ').capitalize()} protocol {name}{about and f': {about}'}."
    about = f": {PROTOCOLS[name].about}" if name in PROTOCOLS else ""
    if name == "paper":
        return f"Protocol {name}{about}."
    return (
        f"Protocol {name}{about}. This is not the paper's search: "
        "compare its rows with each other, not with the paper's rows."
    )
