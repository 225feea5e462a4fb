"""Table 6 of the paper: what the cells found score on NAS-Bench-201, the paper's rows and below them ours.

One row of ours is one group of records: same method, settings, search data set, benchmark and device, one
record a seed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from nasbench_stc.benchmark import COLUMNS, Benchmark
from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.report import statistics
from nasbench_stc.report.published import Published, PublishedRow, load
from nasbench_stc.report.render import Column, Row, Spread, Table
from nasbench_stc.report.yardsticks import Yardstick, yardsticks
from nasbench_stc.runs import Record
from nasbench_stc.space import EDGES, OPS, Cell

DISPLAY_NAMES = {
    "rsps": "RSPS",
    "darts": "DARTS",
    "darts2": "DARTS(2nd)",
    "gdas": "GDAS",
    "setn": "SETN",
    "enas": "ENAS",
    "snas": "SNAS",
    "stc": "STC-NAS",
}
"""Of methods, by key, in the order of the rows; a method that is not here is shown by its key, after them."""

_GROUPS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "ImageNet16-120": "ImageNet\n16-120"}
_COLUMNS = (
    Column("method", "method"),
    Column("seconds", "search s", drop=1),
    Column("n", "n", drop=2),
    Column("skips", f"skips\nof {len(EDGES)}", drop=3),
    Column("search_dataset", "searched\non", drop=4),
    Column("protocol", "protocol", drop=5),
    Column("distinct_cells", "distinct\ncells", drop=6),
    *(Column(key, split, group=_GROUPS[dataset], spread=True) for key, (dataset, split) in COLUMNS.items()),
)
_TITLE = "Accuracy of the cells found on NAS-Bench-201, in percent"
_SECTIONS = {"STC-NAS": "STC-NAS paper"}
_COMMAND = "stc-bench search --dataset cifar10 --seeds 3"


def build(records: Sequence[Record], benchmarks: Sequence[Benchmark] = (), published: Published | None = None) -> Table:
    """The table of `published` (None: as the paper printed it) and of the groups of `records`.

    Args:
        benchmarks: those in which the records were looked up, as far as they are at hand: what they say of cells that
            nobody searched for is added, and how far each group's cells are from it.
    """
    published = published or load(6)
    groups = _groups(records)
    rows = [_published_row(row, published) for row in published.rows]
    left: list[Mapping[str, str]] = []
    for name, digest in dict.fromkeys(_looked_up_in(group) for group in groups):
        members = [group for group in groups if _looked_up_in(group) == (name, digest)]
        rows += [_own_row(group) for group in members]
        opened = [benchmark for benchmark in benchmarks if (benchmark.name, benchmark.sha256) == (name, digest)]
        to_beat = yardsticks(opened[0]) if opened else ()
        rows += [_yardstick_row(yardstick, name) for yardstick in to_beat]
        rows += [_difference_row(group, yardstick, name) for yardstick in to_beat for group in members]
        if not opened:
            left.append(members[0][0].benchmark)
    left_out = len(records) - sum(map(len, groups))
    return Table(6, _TITLE, _COLUMNS, tuple(rows), _caption(groups, published, left_out, left))


def _published_row(row: PublishedRow, published: Published) -> Row:
    scores = {key: Spread(score.mean, score.std, None, score.source, score.note) for key, score in row.scores.items()}
    searched = row.search_dataset is not None
    return Row(
        section=_SECTIONS.get(row.block, row.block),
        values={
            "method": row.method,
            "seconds": row.seconds,
            "n": published.runs if searched else None,
            "search_dataset": row.search_dataset,
            **scores,
        },
        notes=tuple(score.note for score in row.scores.values() if score.note),
        details={"source": "; ".join(dict.fromkeys(score.source for score in row.scores.values()))},
    )


def _groups(records: Sequence[Record]) -> list[list[Record]]:
    """Records that one row is made of, seeds in order; of two records of one seed the newer one."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(_key(record), []).append(record)
    methods = list(DISPLAY_NAMES)

    def place(key: tuple[str, ...]) -> tuple[object, ...]:
        name, digest, method, *rest = key
        known = methods.index(method) if method in methods else len(methods)
        # The benchmark that holds most columns comes first.
        return (-len(groups[key][0].scores), name, digest, known, method, *rest)

    return [_one_a_seed(groups[key]) for key in sorted(groups, key=place)]


def _key(record: Record) -> tuple[str, ...]:
    settings = json.dumps(record.settings, sort_keys=True)
    benchmark = (record.benchmark["name"], record.benchmark["sha256"])
    return (*benchmark, record.method, record.search_dataset, record.protocol, record.device, settings)


def _one_a_seed(group: Sequence[Record]) -> list[Record]:
    newest = {record.seed: record for record in sorted(group, key=lambda record: record.finished)}
    return [newest[seed] for seed in sorted(newest)]


def _own_row(group: Sequence[Record]) -> Row:
    first = group[0]
    name, digest = first.benchmark["name"], first.benchmark["sha256"]
    distinct = len({Cell.parse(record.cell).isomorphism_class for record in group})
    source = f"{len(group)} record(s), looked up in {name} (sha256 {digest[:12]})"
    scores = {key: _spread([record.scores[key] for record in group], source) for key in _held(group)}
    return Row(
        section=f"Ours: {name}",
        values={
            "method": DISPLAY_NAMES.get(first.method, first.method),
            "seconds": statistics.mean([record.total_seconds for record in group]),
            "n": len(group),
            "search_dataset": first.search_dataset,
            "protocol": first.protocol,
            "distinct_cells": distinct,
            "skips": f"{statistics.mean([_skips(record) for record in group]):.1f}",
            **scores,
        },
        notes=(_note(group, distinct),),
        details={
            "source": source,
            "device": first.device,
            "benchmark": name,
            "benchmark_file": first.benchmark["file"],
            "benchmark_sha256": digest,
            "seeds": [record.seed for record in group],
            "cells": [record.cell for record in group],
            "git_revisions": sorted({record.git_revision for record in group}),
            "settings": first.settings,
        },
    )


def _looked_up_in(group: Sequence[Record]) -> tuple[str, str]:
    """Name and checksum of a group's benchmark."""
    return group[0].benchmark["name"], group[0].benchmark["sha256"]


def _skips(record: Record) -> int:
    """How many edges of the cell found are `skip_connect`, to which DARTS is known to collapse."""
    return [OPS[op] for op in Cell.parse(record.cell).ops].count("skip_connect")


def _yardstick_row(yardstick: Yardstick, benchmark: str) -> Row:
    scores = {key: Spread(value, source=f"looked up in {benchmark}") for key, value in yardstick.scores.items()}
    return Row(section=f"Without a search: {benchmark}", values={"method": yardstick.name, **scores})


def _difference_row(group: Sequence[Record], yardstick: Yardstick, benchmark: str) -> Row:
    first = group[0]
    source = f"{len(group)} record(s) minus the {yardstick.name}, both in {benchmark}"
    differences = {key: [record.scores[key] - yardstick.scores[key] for record in group] for key in _held(group)}
    return Row(
        section=f"Ours minus the {yardstick.name}: {benchmark}",
        values={
            "method": DISPLAY_NAMES.get(first.method, first.method),
            "n": len(group),
            "search_dataset": first.search_dataset,
            "protocol": first.protocol,
            **{key: replace(_spread(values, source), signed=True) for key, values in differences.items()},
        },
        details={"source": source},
    )


def _held(group: Sequence[Record]) -> list[str]:
    """The columns that every record of the group has."""
    return [key for key in COLUMNS if all(key in record.scores for record in group)]


def _spread(values: Sequence[float], source: str) -> Spread:
    if len(values) == 1:  # one run says nothing of how far runs lie apart
        return Spread(values[0], source=source)
    return Spread(statistics.mean(values), statistics.std(values), statistics.t_half_width(values), source)


def _note(group: Sequence[Record], distinct: int) -> str:
    first = group[0]
    seeds = f"seed{'s' * (len(group) > 1)} {', '.join(str(record.seed) for record in group)}"
    changed = "".join(f", {name}={value}" for name, value in first.changes.items())
    cost = statistics.mean([record.total_seconds for record in group])
    return (
        f"Searched on {first.search_dataset} by protocol {first.protocol}{changed}; n={len(group)} ({seeds}), "
        f"{distinct} distinct cell{'s' * (distinct > 1)}; "
        f"looked up in {first.benchmark['name']} ({first.benchmark['sha256'][:12]}); "
        f"{cost:,.0f} s a search on {first.device}."
    )


def _caption(
    groups: Sequence[Sequence[Record]], published: Published, left_out: int, not_at_hand: Sequence[Mapping[str, str]]
) -> tuple[str, ...]:
    lines = [f"Mean ± standard deviation (ddof=0) over n independent searches; in the paper's rows n={published.runs}."]
    if any(len(group) > 1 for group in groups):
        lines.append("Below it, after 95 %: half the width of the 95 % t-interval of the mean (ddof=1).")
    lines += [
        f"Optimal: the best of all cells, column by column. It and the rows down to STC-NAS paper are as printed in: "
        f"{published.reference}.",
        "The methods of the section NATS-Bench were searched on each data set separately, with other hyper-parameters. "
        "All others, STC-NAS and ours among them, were searched on one data set, and the cells looked up on all.",
    ]
    if not groups:
        return (*lines, "No run of ours is here. To make three:", _COMMAND)  # a line of its own, to be copied
    lines += [_protocol_line(name) for name in dict.fromkeys(group[0].protocol for group in groups)]
    lines += dict.fromkeys(_benchmark_line(group[0].benchmark) for group in groups)
    lines.append(
        "Distinct cells: isomorphic ones count as one. Skips: edges of a cell found that are skip_connect, the mean "
        "over n. All settings of a row are in the formats csv and json."
    )
    if len(not_at_hand) < len({_looked_up_in(group) for group in groups}):
        lines.append(
            "Ours minus what needs no search: the mean over n; a method is told apart from it where the 95 % interval "
            "below does not reach zero."
        )
    lines += [
        f"Not compared with the mean of all cells and the largest one: {benchmark['name']} "
        f"({benchmark['file']}, sha256 {benchmark['sha256'][:12]}) is not at hand (--data-dir, --benchmark)."
        for benchmark in not_at_hand
    ]
    if left_out:
        lines.append(f"Older records of a seed that is counted already, left out: {left_out}.")
    return tuple(lines)


def _protocol_line(name: str) -> str:
    about = f": {PROTOCOLS[name].about}" if name in PROTOCOLS else ""
    if name == "paper":
        return f"Protocol {name}{about}."
    return (
        f"Protocol {name}{about}. This is not the paper's search: "
        "compare its rows with each other, not with the paper's rows."
    )


def _benchmark_line(benchmark: Mapping[str, str]) -> str:
    about = f"{benchmark['about']} " if benchmark.get("about") else ""
    return f"Benchmark {benchmark['name']}: {about}({benchmark['file']}, sha256 {benchmark['sha256'][:12]})."
