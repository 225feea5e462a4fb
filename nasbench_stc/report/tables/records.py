"""Where numbers come from: which runs were read, by which revision and on which device, and the benchmarks' files."""

from __future__ import annotations

import json
from collections.abc import Iterable

from nasbench_stc import seeds
from nasbench_stc.report.groups import Group, grouped
from nasbench_stc.report.inputs import Inputs, MissingRecords
from nasbench_stc.report.registry import Maker
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


def build(inputs: Inputs) -> Table:
    """A row for each group of runs, ablations among them.

    Raises:
        MissingRecords: there is none.
    """
    groups = grouped(inputs.runs)
    if not groups:
        raise MissingRecords(inputs.lacking("records of searches", inputs.a_search))
    total = sum(len(group.runs) for group in groups)
    caption = (
        *dict.fromkeys(
            f"Looked up in {one['benchmark']}: {one['benchmark_about']} ({one['benchmark_file']}, sha256 "
            f"{one['benchmark_sha256']})."
            if one.is_looked_up
            else one.benchmark_line
            for one in groups
        ),
        f"{total:,} runs; older ones of the same seed, left out: {len(inputs.runs) - total}.",
        *(f"Not read: {problem}" for problem in inputs.problems),
    )
    return Table(None, "The runs behind this report", _COLUMNS, tuple(map(_row, groups)), caption)


def _row(group: Group) -> Row:
    runs = group.runs
    from pandas import NaT

    return Row(
        f"looked up in {group['benchmark']}" if group.is_looked_up else "not looked up",
        {
            "method": group.name,
            "changes": group.changed.removeprefix(", ") or None,
            "search_dataset": group.searched_on,
            "protocol": group["protocol"],
            "n": group.n,
            "seeds": seeds.ranges(runs["seed"]),
            "device": _all(runs["device"]),
            "threads": _all(runs["threads"].astype(str)),
            "torch": _all(json.loads(versions).get("torch", "") for versions in runs["versions"].unique()) or None,
            "revisions": _all(runs["git_revision"].str[:7]),
            "finished": None if group.newest is NaT else f"{group.newest:%Y-%m-%d}",
        },
        details=group.details,
    )


def _all(texts: Iterable[str]) -> str:
    """Each different one once, but for empty ones."""
    return ", ".join(dict.fromkeys(filter(None, texts)))


TABLES = {"records": Maker("the runs behind all this", build)}
