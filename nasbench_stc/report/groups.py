"""Runs that belong together: those of one method under the same settings, which are one row or one curve."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nasbench_stc import seeds
from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.benchmark.base import NoBenchmark
from nasbench_stc.methods import title_of
from nasbench_stc.report.inputs import Inputs, MissingRecords
from nasbench_stc.report.pooling import compared_settings, over_devices, without_budget
from nasbench_stc.report.published import EACH
from nasbench_stc.report.registry import makers
from nasbench_stc.report.table import KINDS
from nasbench_stc.space import DATASETS, find_space

if TYPE_CHECKING:
    from pandas import DataFrame, Series

T = TypeVar("T")

MANY = 30
"""Runs from which on a group is told by its mean alone: single runs hide one another, and the mean is known well."""
_SAME = (
    *("benchmark", "benchmark_sha256", "method", "origin", "protocol", "device", "changes"),
    *("_settings", "_dataset"),
)


@dataclass(frozen=True)
class Group:
    """The runs of one row."""

    runs: DataFrame
    """As `load_runs` has them: by search data set, there by rising seed. With more than one data set, every column is
    of the runs on its own."""

    def __getitem__(self, name: str) -> Any:
        """What its runs have in common, by the name of the column."""
        return self._first[name]

    @cached_property
    def _first(self) -> Series:
        return self.runs.iloc[0]

    @cached_property
    def parts(self) -> Mapping[str, DataFrame]:
        """By search data set."""
        datasets = self.runs["search_dataset"]
        names = datasets.unique()
        return {names[0]: self.runs} if len(names) == 1 else {name: self.runs[datasets == name] for name in names}

    @property
    def kind(self) -> str:
        """Of its method: one of `KINDS`."""
        return str(self["kind"])

    @property
    def name(self) -> str:
        """Of its method, as shown: as a run says that has a title, if one has."""
        return next((title for title in self.runs["title"] if title != self["method"]), str(self["title"]))

    @property
    def changes(self) -> dict[str, Any]:
        """Settings that differ from the protocol's and the method's own, by name."""
        found: dict[str, Any] = json.loads(self["changes"])
        return found

    @property
    def changed(self) -> str:
        """The same in words, each after a comma and a space."""
        return "".join(f", {name}={value}" for name, value in self.changes.items())

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """All settings of its first run, by part and name."""
        found: dict[str, dict[str, Any]] = json.loads(self["settings"])
        return found

    @property
    def section(self) -> str:
        """What it has in common with the rows around it: kind, data set, protocol and benchmark, if there is one."""
        where = f": {self['benchmark']}" if self.is_looked_up else ""
        return f"Ours, {KINDS[self.kind]}, on {self.searched_on} by protocol {self['protocol']}{where}"

    @cached_property
    def searched_on(self) -> str:
        """The data set, or `each`."""
        return next(iter(self.parts)) if len(self.parts) == 1 else EACH

    @property
    def n(self) -> int | str:
        """How many runs a column is the mean of."""
        return span(map(len, self.parts.values()))

    @property
    def benchmark(self) -> tuple[str, str]:
        """Name and checksum of what its cells were looked up in."""
        return self["benchmark"], self["benchmark_sha256"]

    @property
    def is_looked_up(self) -> bool:
        """Whether there was a benchmark to look its cells up in."""
        return bool(self["benchmark"] != NoBenchmark.name)

    def looked_up(self, before: str = "sha256 ") -> str:
        """Where its cells were looked up, to stand in a sentence; `before` the checksum."""
        if not self.is_looked_up:
            return "not looked up"
        return f"looked up in {self['benchmark']} ({before}{self.benchmark[1][:12]})"

    @property
    def distinct_cells(self) -> int:
        """How many cells its runs found; those that compute the same count once."""
        return int(self.runs["isomorphism_class"].nunique())

    @property
    def side_by_side(self) -> str:
        """After seconds of its runs: that they are not those of runs alone; empty where they are."""
        number = self.runs["side_by_side"]
        return f", {span(number)} side by side" if number.max() > 1 else ""

    @property
    def newest(self) -> Any:
        """When the last of its runs ended."""
        return self.runs["finished"].max()

    def of(self, dataset: str) -> DataFrame:
        """The runs that stand for a data set: those on it, or all where the group was searched on one set only."""
        return self.runs if len(self.parts) == 1 else self.parts.get(dataset, self.runs.iloc[:0])

    def scores(self) -> dict[str, Series]:
        """Percent of each run by column, indexed by seed, for the columns that all runs behind it have."""
        from pandas import Series

        found = {}
        for column, (dataset, _) in COLUMNS.items():
            runs = self.of(dataset)
            values = runs[column].to_numpy()
            if len(values) and not np.isnan(values).any():
                found[column] = Series(values, runs["seed"].to_numpy())
        return found

    @property
    def told(self) -> str:
        """Whose runs, under which settings, how many: to stand within a caption's sentence."""
        return (
            f"{self.name} (protocol {self['protocol']}, searched on {self['search_dataset']}{self.changed}; "
            f"n={len(self.runs)}, {seeds.told(self.runs['seed'])})"
        )

    @property
    def searched(self) -> str:
        """Whose method, on which data sets and how: the beginning of a row's note."""
        origin = f"Method of {self['origin']}. " if self["origin"] else ""
        return f"{origin}Searched on {' / '.join(self.parts)} by protocol {self['protocol']}{self.changed}"

    @property
    def benchmark_line(self) -> str:
        """What the cells were looked up in, or where accuracies are instead, for a caption."""
        if not self.is_looked_up:
            space = find_space(self["space"])
            tables = ", ".join(name for name, maker in makers("tables", space.name).items() if maker.trained)
            return (
                f"No benchmark of the space {space.title} exists: cells found are not looked up. Accuracies are of "
                f"trainings, in tables of their own ({tables}): `stc-bench report --table trainings{space.option}`."
            )
        about = f"{self['benchmark_about']} " if self["benchmark_about"] else ""
        return f"Benchmark {self['benchmark']}: {about}({self['benchmark_file']}, sha256 {self.benchmark[1][:12]})."

    @property
    def details(self) -> dict[str, Any]:
        """Where its numbers come from, in plain values, for the row of a table."""
        runs = self.runs
        return {
            "searched_on": self.searched_on,
            "source": f"{len(runs)} record(s), {self.looked_up()}",
            **{name: self[name] for name in ("protocol", "device", "benchmark", "benchmark_file", "benchmark_sha256")},
            "changes": self.changes,
            "seeds": runs["seed"].tolist(),
            # Of many runs the indices of those that occur, for a field can get too long.
            "cells": runs["cell"].tolist() if len(runs) < MANY else sorted(runs["cell_index"].unique().tolist()),
            "git_revisions": sorted(runs["git_revision"].unique()),
            "settings": self.settings,
        }

    def described(self) -> dict[str, Any]:
        """It in plain values."""
        return {
            **{name: self[name] for name in ("method", "protocol", "search_dataset")},
            "changes": self.changes,
            "seeds": self.runs["seed"].tolist(),
            "benchmark": {"name": self.benchmark[0], "sha256": self.benchmark[1]},
        }


def span(numbers: Iterable[int]) -> int | str:
    """The number that all are, else the lowest and the highest: `2-3`."""
    ordered = sorted(numbers)
    return ordered[0] if ordered[0] == ordered[-1] else f"{ordered[0]}-{ordered[-1]}"


def grouped(runs: DataFrame) -> list[Group]:
    """The rows of ours, in order; of two runs of one seed the newer one counts.

    Runs of a row have their method, settings (`compared_settings`) and benchmark in common, and, where a seed ran on
    several devices, the device (`over_devices`); of simulated ones not the data set, nor the budget that goes with it.
    """
    if runs.empty:
        return []
    simulated = (runs["kind"] != "one-shot") & runs["search_dataset"].isin(DATASETS)
    without = runs["settings"].astype(str).map({text: without_budget(text) for text in runs["settings"].unique()})
    places = {name: place for place, name in enumerate(DATASETS)}
    keyed = runs.assign(
        _settings=compared_settings(runs.assign(settings=without.where(simulated, runs["settings"].astype(str)))),
        _dataset=runs["search_dataset"].astype(str).where(~simulated, ""),
        _place=runs["search_dataset"].astype(str).map(places).fillna(len(places)),
        _most=runs.groupby(["benchmark", "benchmark_sha256"], observed=True)[list(COLUMNS)]
        .transform("count")
        .gt(0)
        .sum(axis=1),
        _kind=runs["kind"].astype(str).map(list(KINDS).index),
        _changes=runs["changes"].astype(str).map({text: len(json.loads(text)) for text in runs["changes"].unique()}),
    )
    newest = keyed.sort_values("finished", kind="stable").drop_duplicates(
        [*_SAME, "search_dataset", "seed"], keep="last"
    )
    pooled = over_devices(newest, [name for name in _SAME if name != "device"])
    by_seed = pooled.sort_values(["_place", "search_dataset", "seed"])
    groups = [Group(part) for _, part in by_seed.groupby(list(_SAME), observed=True, sort=False)]

    def order(group: Group) -> tuple[Any, ...]:
        """The benchmark that holds most columns comes first; there by kind of method, method and protocol."""
        names = ("method", "protocol", "_changes", *_SAME)
        first = group.runs["order"].min()
        return -group["_most"], *group.benchmark, group["_kind"], first, *(group[name] for name in names)

    return sorted(groups, key=order)


def labels(groups: Sequence[Group]) -> list[str]:
    """A name for each, by which a reader tells them apart: the method's, what is changed, where it ran, a number.

    A protocol that is not that of most groups of its kind is always named.
    """
    found = [f"{group.name}{group.changed}" for group in groups]
    protocols = {g.kind: Counter(one["protocol"] for one in groups if one.kind == g.kind) for g in groups}
    unusual = [g["protocol"] != protocols[g.kind].most_common(1)[0][0] for g in groups]
    devices = [f"on {short_device(group['device'])}" for group in groups]
    for words, always in (([group["protocol"] for group in groups], unusual), (devices, [False] * len(groups))):
        told = Counter(name for name, _ in set(zip(found, words, strict=True)))
        named = [told[name] > 1 or must for name, must in zip(found, always, strict=True)]
        told_apart = zip(found, words, named, strict=True)
        found = [f"{name}, {word}" if say and word else name for name, word, say in told_apart]
    counts = Counter(found)
    return [name if counts[name] == 1 else f"{name} #{found[: at + 1].count(name)}" for at, name in enumerate(found)]


def by_section(items: Sequence[T], group: Callable[[T], Any] = lambda item: item) -> Iterator[tuple[T, str]]:
    """What stands in the rows of a table, those of a section together, each with the label of its group.

    Args:
        items: they have a `section`.
        group: of an item; groups are their own.
    """
    sections: dict[str, list[T]] = {}
    for item in items:
        sections.setdefault(item.section, []).append(item)  # type: ignore[attr-defined]
    for members in sections.values():
        yield from zip(members, labels(list(map(group, members))), strict=True)


def short_device(device: str) -> str:
    """`Intel Xeon` for `CPU: Intel(R) Xeon(R) Processor`."""
    return " ".join(re.sub(r"\bCPU:|\(R\)|\(TM\)|Processor", "", device).split())


ON_CIFAR100, ON_IMAGENET = ("cifar100",), ("ImageNet16-120", "imagenet")
"""Search data sets of the paper's Figures 11 and 12; the first is what a first search is on."""


@dataclass(frozen=True)
class Chosen:
    """The runs that a figure shows of a method, where there are runs of it under several settings."""

    group: Group
    others: int
    """Groups of the same method that are not shown."""

    @property
    def runs(self) -> DataFrame:
        """By rising seed."""
        return self.group.runs

    @property
    def by_cell(self) -> list[DataFrame]:
        """The runs of each distinct cell: what most runs found comes first, then by seed."""
        classes = self.runs.groupby("isomorphism_class", observed=True, sort=False)
        return sorted((alike for _, alike in classes), key=len, reverse=True)

    @property
    def left_out(self) -> str:
        """A sentence on the others, with a space before it; empty where there are none."""
        if not self.others:
            return ""
        number = "Another group" if self.others == 1 else f"{self.others} other groups"
        return f" {number} of {self.group.name} runs (by settings, data set, device or benchmark) not shown."

    def described(self) -> dict[str, Any]:
        """It in plain values."""
        return {**self.group.described(), "other_groups": self.others}


def chosen(inputs: Inputs, runs: DataFrame, method: str, datasets: Sequence[str] = ()) -> Chosen:
    """Of `runs` those of `method` under its own settings, of which there are most seeds; of equally many the newest.

    Searches on a data set of the benchmark's come before others. Where every run has changed settings, those of most
    seeds. With `datasets` those searched on one of them alone.

    Raises:
        MissingRecords: there is no run of it.
    """
    own = runs[runs["method"] == method]
    groups = grouped(own[own["search_dataset"].isin(datasets)] if datasets else own)
    if not groups:
        where = f" on {datasets[0]}" if datasets else ""
        how = f" --dataset {datasets[0]}" if datasets else inputs.like_ours
        call = f"search --method {method}{how} --seeds 3"
        raise MissingRecords(inputs.lacking(f"runs of {title_of(method)}{where}", call))
    best = max(groups, key=lambda one: (not one.changes, one["search_dataset"] in DATASETS, len(one.runs), one.newest))
    return Chosen(best, len(groups) - 1)


def leading(groups: Sequence[Group]) -> list[Group]:
    """Of each method those that stand for it: as it is, on the benchmark's data sets, by the paper's protocol if any.

    A single search stands for a method only where there are no more. Several differ by device, or by data set or
    benchmark where they are equally many.
    """

    def worth(group: Group) -> tuple[Any, ...]:
        known = group["search_dataset"] in DATASETS
        several = len(group.runs) > 1
        return not group.changes, known, several, group["protocol"] == "paper", len(group.parts)

    found = []
    for method in dict.fromkeys((group["method"], group["origin"]) for group in groups):
        own = [group for group in groups if (group["method"], group["origin"]) == method]
        best = max(own, key=worth)
        found += [group for group in own if (worth(group), group["protocol"]) == (worth(best), best["protocol"])]
    return found
