"""Trainings that belong together: those of one method's cells by the same recipe, which are one row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_stc import seeds
from nasbench_stc.report.groups import Group
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.space import DATASETS, find_space

_SAME = (
    *("method", "search_dataset", "protocol", "changes", "_given"),
    *("dataset", "trained_by", "trained_with", "settings", "device"),
)


@dataclass(frozen=True)
class Trained(Group):
    """The trainings of one row: of the cells that a method found, or of one that was given.

    Their columns are those of `load_trainings`, but that `protocol` and `changes` are those of the search, and
    `trained_by` and `trained_with` those of the training; `search_seconds` is NaN where the search's record is not
    there. Sorted by cell and seed.
    """

    @property
    def name(self) -> str:
        """Of the method that found the cells; `given`, with the name that it was published under, of one that was."""
        if self["title"]:
            return str(self["title"])
        names = {digits: name for name, digits in find_space(self["space"]).published.items()}
        return f"given: {names[self['digits']]}" if self["digits"] in names else "given"

    @property
    def section(self) -> str:
        """Data set, protocol and changed settings of the training."""
        changed = "".join(f", {name}={value}" for name, value in json.loads(self["trained_with"]).items())
        return f"Ours, trained on {self['dataset']} by protocol {self['trained_by']}{changed}"

    @property
    def n(self) -> int:
        """How many trainings."""
        return len(self.runs)

    @property
    def search_seconds(self) -> float | None:
        """Of a search, the mean over those whose record is there."""
        found = self.runs.drop_duplicates("search_folder")["search_seconds"].mean()
        return None if np.isnan(found) else float(found)

    @property
    def told(self) -> str:
        """Which cells, trained how, how many."""
        cells = self.runs["digits"].unique()
        whose = f"cell {cells[0]}, given"
        if self["method"]:
            searches = seeds.told(self.runs["search_seed"].unique())
            whose = f"drawn at random, {searches}"
            if self["search_dataset"]:
                whose = f"found on {self['search_dataset']} by protocol {self['protocol']}{self.changed}, {searches}"
        distinct = f"{self.distinct_cells} distinct cell{'s' * (self.distinct_cells > 1)}"
        return f"{whose}; n={self.n} trainings of {distinct} ({seeds.told(self.runs['seed'].unique())})"

    @property
    def details(self) -> dict[str, Any]:
        """Where its numbers come from, in plain values, for the row of a table."""
        same = ("dataset", "device", "search_dataset")
        return {
            "source": f"{self.n} record(s) of trainings",
            **{name: self[name] for name in same},
            **{"protocol": self["trained_by"], "search_protocol": self["protocol"], "changes": self.changes},
            **{name: self.runs[name].tolist() for name in ("cell", "seed", "search_seed", "search_folder")},
            "git_revisions": sorted(self.runs["git_revision"].unique()),
            "settings": json.loads(self["settings"]),
        }


def trained(inputs: Inputs) -> list[Trained]:
    """The rows of trainings: by data set and protocol, there by method, and cells that were given last.

    Trainings of a row have their settings, device, and what found the cell in common; of two of one cell and seed the
    newer one counts.
    """
    runs = inputs.trainings
    if runs.empty:
        return []
    own = inputs.runs.assign(folder=[Path(path).parent.name for path in inputs.runs["path"]])
    searches = own.drop_duplicates("folder", keep="last").set_index("folder")
    folders, given = runs["search_folder"].astype(str), runs["method"] == ""
    known = searches["changes"].to_dict()
    places = {name: place for place, name in enumerate(DATASETS)}
    keyed = runs.rename(columns={"protocol": "trained_by", "changes": "trained_with", "search_protocol": "protocol"})
    keyed = keyed.assign(
        changes=[known.get(folder, "{}") for folder in folders],
        search_seconds=folders.map(searches["seconds"]).astype(np.float64),
        kind=np.where(given, "given", "one-shot"),
        _given=runs["digits"].astype(str).where(given, ""),
        _place=runs["dataset"].astype(str).map(places).fillna(len(places)),
    )
    by_age = keyed.sort_values("finished", kind="stable")
    newest = by_age.drop_duplicates([*_SAME, "digits", "seed"], keep="last")
    by_cell = newest.sort_values(["search_seed", "digits", "seed"])
    groups = [Trained(part) for _, part in by_cell.groupby(list(_SAME), observed=True, sort=False)]

    def order(group: Trained) -> tuple[Any, ...]:
        first = tuple(group[name] for name in ("_place", "dataset", "trained_by"))
        own = len(group.changes), *(group[name] for name in _SAME)
        return *first, len(json.loads(group["trained_with"])), group["trained_with"], group["order"], *own

    return sorted(groups, key=order)
