"""Which runs of a method a figure shows, where there are records of it under several settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nasbench_stc import seeds
from nasbench_stc.methods import title_of
from nasbench_stc.report.groups import Group, grouped
from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords
from nasbench_stc.runs import Record
from nasbench_stc.space import DATASETS


@dataclass(frozen=True)
class Chosen:
    """Runs under the same settings, one a seed."""

    group: Group
    others: int
    """Groups of the same method that are not shown."""

    @property
    def runs(self) -> Sequence[Record]:
        """By rising seed."""
        return self.group.records

    @property
    def told(self) -> str:
        """Whose runs, under which settings, how many: to stand within a caption's sentence."""
        first = self.group.first
        changed = "".join(f", {name}={value}" for name, value in first.changes.items())
        return (
            f"{self.group.name} (protocol {first.protocol}, searched on {first.search_dataset}{changed}; "
            f"n={len(self.runs)}, {seeds.told(record.seed for record in self.runs)})"
        )

    @property
    def left_out(self) -> str:
        """A sentence on the others, with a space before it; empty where there are none."""
        if not self.others:
            return ""
        number = "Another group" if self.others == 1 else f"{self.others} other groups"
        return f" {number} of {self.group.name} runs (by settings, data set, device or benchmark) not shown."

    def described(self) -> dict[str, Any]:
        """The group in plain values."""
        first = self.group.first
        return {
            "method": first.method,
            "protocol": first.protocol,
            "search_dataset": first.search_dataset,
            "changes": first.changes,
            "seeds": [record.seed for record in self.runs],
            "benchmark": {"name": first.benchmark["name"], "sha256": first.benchmark["sha256"]},
            "other_groups": self.others,
        }


def chosen(inputs: Inputs, method: str) -> Chosen:
    """The runs of `method` under its own settings, of which there are most seeds; of equally many the newest.

    Searches on a data set of the benchmark's come before others. Where every run has changed settings, those of most
    seeds.

    Raises:
        MissingRecords: there is no run of it.
    """
    groups = grouped([record for record in inputs.records if record.method == method])
    if not groups:
        call = f"search --method {method}{inputs.like_ours} --seeds 3"
        raise MissingRecords(Missing(f"runs of {title_of(method)}", inputs.command(call)))
    best = max(groups, key=_precedence)
    return Chosen(best, len(groups) - 1)


def _precedence(group: Group) -> tuple[bool, bool, int, str]:
    first = group.first
    return not first.changes, first.search_dataset in DATASETS, len(group.records), newest(group)


def newest(group: Group) -> str:
    """When the last of its runs ended."""
    return max(record.finished for record in group.records)
