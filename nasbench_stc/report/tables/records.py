"""Where numbers come from: which runs were read, by which revision and on which device, and the benchmarks' files."""

from __future__ import annotations

from nasbench_stc import seeds
from nasbench_stc.report.groups import Group, grouped
from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords
from nasbench_stc.report.table import Column, Row, Table

_COLUMNS = (
    Column("method", "method"),
    Column("changes", "changed"),
    Column("search_dataset", "searched\non", drop=1),
    Column("protocol", "protocol"),
    Column("n", "n"),
    Column("seeds", "seeds", drop=5),
    Column("device", "device", drop=4),
    Column("threads", "threads", drop=6),
    Column("torch", "torch", drop=3),
    Column("revisions", "revision", drop=2),
    Column("finished", "finished\n(UTC)", drop=2),
)
_SHORT = 7  # characters of a revision


def build(inputs: Inputs) -> Table:
    """A row for each group of runs, ablations among them.

    Raises:
        MissingRecords: there is none.
    """
    if not inputs.records:
        raise MissingRecords(Missing("records of searches", inputs.command("search --dataset cifar10 --seeds 3")))
    groups = grouped(inputs.records)
    benchmarks = {group.benchmark: group.first.benchmark for group in groups}
    caption = tuple(
        f"Looked up in {held['name']}: {held.get('about', '')} ({held['file']}, sha256 {held['sha256']})."
        for held in benchmarks.values()
    )
    total = sum(len(group.records) for group in groups)
    more = (
        f"{total:,} runs; older ones of the same seed, left out: {len(inputs.records) - total}.",
        *(f"Not read: {problem}" for problem in inputs.problems),
    )
    return Table(None, "The runs behind this report", _COLUMNS, tuple(map(_row, groups)), (*caption, *more))


def _row(group: Group) -> Row:
    records = group.records
    return Row(
        f"looked up in {group.benchmark[0]}",
        {
            "method": group.name,
            "changes": ", ".join(f"{name}={value}" for name, value in group.first.changes.items()) or None,
            "search_dataset": group.searched_on,
            "protocol": group.first.protocol,
            "n": group.runs,
            "seeds": seeds.ranges(record.seed for record in records),
            "device": _all(record.device for record in records),
            "threads": _all(str(record.threads) for record in records),
            "torch": _all(record.versions.get("torch", "") for record in records) or None,
            "revisions": _all(record.git_revision[:_SHORT] for record in records),
            "finished": max(record.finished for record in records)[:10],
        },
        details={"git_revisions": sorted({record.git_revision for record in records})},
    )


def _all(values: object) -> str:
    return ", ".join(dict.fromkeys(value for value in values if value))  # type: ignore[attr-defined]
