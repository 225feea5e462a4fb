"""Records that belong together: the runs of one method under the same settings, which are one row or one curve."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.methods import Listing, ours
from nasbench_stc.report.published import EACH
from nasbench_stc.runs import Record, SimulatedRun
from nasbench_stc.space import DATASETS, Cell

COLUMN_GROUPS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "ImageNet16-120": "ImageNet\n16-120"}
"""Of data sets, above their columns."""


class Kind(NamedTuple):
    """Rows of ours that stand together."""

    section: str
    order: int


MANY = 30
"""Runs from which on a group is told by its mean alone: single runs hide one another, and the mean is known well."""
TRAINED, SIMULATED, SCORED = Kind("Ours", 0), Kind("Ours, black-box", 1), Kind("Ours, training-free", 2)


@dataclass(frozen=True)
class Group:
    """The records of one row."""

    parts: Mapping[str, Sequence[Record]]
    """By search data set, seeds in order. With more than one, every column is of the runs on its own data set."""

    @property
    def records(self) -> list[Record]:
        """All of them."""
        return [record for part in self.parts.values() for record in part]

    @property
    def first(self) -> Record:
        """One, for what they have in common."""
        return next(iter(self.parts.values()))[0]

    @property
    def kind(self) -> Kind:
        """Of its method."""
        if not isinstance(self.first, SimulatedRun):
            return TRAINED
        return SIMULATED if self.first.trained else SCORED

    @property
    def name(self) -> str:
        """Of its method, as shown."""
        return self.listing.title

    @property
    def listing(self) -> Listing:
        """How its method is shown: as a record says that has a title, if one has."""
        return listing_of(next((record for record in self.records if record.title), self.first))

    @property
    def searched_on(self) -> str:
        """The data set, or `each`."""
        return next(iter(self.parts)) if len(self.parts) == 1 else EACH

    @property
    def runs(self) -> int | str:
        """How many a column is the mean of."""
        numbers = sorted({len(part) for part in self.parts.values()})
        return numbers[0] if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"

    @property
    def benchmark(self) -> tuple[str, str]:
        """Name and checksum of what its cells were looked up in."""
        return self.first.looked_up_in

    def of(self, dataset: str) -> Sequence[Record]:
        """The runs that stand for a data set: those on it, or all where the group was searched on one set only."""
        return self.records if len(self.parts) == 1 else self.parts.get(dataset, ())

    def scores(self) -> dict[str, list[float]]:
        """Percent of each run by column, for the columns that all runs behind it have."""
        found = {}
        for key, (dataset, _) in COLUMNS.items():
            part = self.of(dataset)
            if part and all(key in record.scores for record in part):
                found[key] = [record.scores[key] for record in part]
        return found


def grouped(records: Sequence[Record]) -> list[Group]:
    """The rows of ours, in order; of two records of one seed the newer one counts."""
    found: dict[tuple[str, ...], dict[str, dict[int, Record]]] = {}
    for record in sorted(records, key=lambda record: record.finished):
        parts = found.setdefault(_key(record), {})
        parts.setdefault(record.search_dataset, {})[record.seed] = record
    groups = [
        Group(
            {dataset: [seeds[seed] for seed in sorted(seeds)] for dataset, seeds in sorted(parts.items(), key=_place)}
        )
        for parts in found.values()
    ]

    def order(group: Group) -> tuple[object, ...]:
        first = group.first
        place = group.listing.order
        # The benchmark that holds most columns comes first.
        most = max(len(one.first.scores) for one in groups if one.benchmark == group.benchmark)
        own = (math.inf if place is None else place, first.method, first.protocol, len(first.changes))
        return (-most, *group.benchmark, group.kind.order, *own, *_key(first), group.searched_on)

    return sorted(groups, key=order)


def listing_of(record: Record) -> Listing:
    """How its method is shown: one of ours as its class says now, any other as the record says."""
    if record.method in ours() and record.method not in record.versions:  # else a file's or a package's, of that name
        return ours()[record.method].listing
    return Listing(record.title or record.method, order=record.order)


def distinct_cells(records: Sequence[Record]) -> int:
    """How many cells they found; those that compute the same count once."""
    return len({Cell.parse(cell).isomorphism_class for cell in {record.cell for record in records}})


def benchmark_line(benchmark: Mapping[str, str]) -> str:
    """What the cells were looked up in, for a caption; `benchmark` as records have it."""
    about = f"{benchmark['about']} " if benchmark.get("about") else ""
    return f"Benchmark {benchmark['name']}: {about}({benchmark['file']}, sha256 {benchmark['sha256'][:12]})."


def _place(part: tuple[str, object]) -> int:
    """Of a data set: the benchmark's in the order of the columns, then others."""
    return (*DATASETS, part[0]).index(part[0])


def _key(record: Record) -> tuple[str, ...]:
    """What records of a row have in common; of simulated ones not the data set, nor the budget that goes with it."""
    settings: dict[str, Any] = record.settings
    dataset = record.search_dataset
    if isinstance(record, SimulatedRun) and dataset in DATASETS:
        settings, dataset = without_budget(record), ""
    origin = record.versions.get(record.method, "")
    everything = json.dumps([settings, record.changes], sort_keys=True)
    return (*record.looked_up_in, record.method, origin, dataset, record.protocol, record.device, everything)


def without_budget(record: Record) -> dict[str, Any]:
    """The settings of a simulated run but for its seconds, which differ from data set to data set."""
    protocol = {name: value for name, value in record.settings["protocol"].items() if name != "budget"}
    return {**record.settings, "protocol": protocol}
