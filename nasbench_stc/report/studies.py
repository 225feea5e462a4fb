"""The runs of the paper's ablations: for each arm its seeds, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from nasbench_stc.benchmark import COLUMNS, column
from nasbench_stc.records.ablation import ABLATIONS, Arm, Search, belongs, changed_arm
from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords, like
from nasbench_stc.report.pooling import over_devices
from nasbench_stc.space import DATASETS

if TYPE_CHECKING:
    from pandas import DataFrame, Series

_SEARCH = ("method", "search_dataset", "protocol", "changes")
_WHERE = ("benchmark", "benchmark_sha256", "device")


class Setting(NamedTuple):
    """What all runs of a study have in common."""

    dataset: str
    """That the ablation is of; an arm may search on another one."""
    protocol: str
    benchmark: str
    """What the cells were looked up in: its name."""
    sha256: str
    """Its checksum."""
    device: str


@dataclass(frozen=True)
class Study:
    """One ablation under one protocol."""

    name: str
    setting: Setting
    arms: tuple[tuple[Arm, DataFrame], ...]
    """All arms, each with its runs, one a seed, in order; see `load_runs`."""

    @property
    def runs(self) -> DataFrame:
        """Of all arms."""
        from pandas import concat

        return concat([runs for _, runs in self.arms])

    @cached_property
    def score(self) -> str:
        """The report column that arms are compared by: test accuracy on the data set, else on CIFAR-10."""
        own = column(self.setting.dataset, "test")
        return own if own in COLUMNS and self.runs[own].notna().any() else column(DATASETS[0], "test")

    @property
    def usual(self) -> DataFrame:
        """The runs of the arm that the others are compared with."""
        return next((runs for arm, runs in self.arms if arm.is_usual), self.runs.iloc[:0])

    @property
    def title(self) -> str:
        """Protocol, data set and benchmark."""
        return f"{self.setting.protocol} on {self.setting.dataset}, {self.setting.benchmark}"

    def details(self, arm: Arm, runs: DataFrame) -> dict[str, Any]:
        """Where the numbers of an arm come from, in plain values, for the row of a table."""
        return {
            "method": arm.method,
            "changes": dict(arm.changes),
            "searched_on": arm.dataset or self.setting.dataset,
            "protocol": self.setting.protocol,
            "benchmark": self.setting.benchmark,
            "benchmark_sha256": self.setting.sha256,
            "device": self.setting.device,
            **{f"{name}s": runs[name].tolist() for name in ("seed", "cell")},
            "git_revisions": sorted(set(runs["git_revision"])),
        }

    def scores(self, runs: DataFrame) -> Series:
        """Percent, by seed; none where the benchmark has no such accuracy."""
        return runs.set_index("seed")[self.score].dropna()


def studies(inputs: Inputs, name: str) -> list[Study]:
    """What there is of an ablation; of two runs of one seed the newer one counts.

    A study has at least one run of an arm that changes something: the others were made for more than it. Complete ones
    come first, then those on a data set of the benchmark's, then those of most runs.
    """
    from pandas import concat

    ablation = ABLATIONS[name]
    of_it = inputs.runs[inputs.runs["seed"].isin(ablation.seeds)] if ablation.tunes else inputs.runs
    by_age = of_it.sort_values("finished", kind="stable")
    newest = by_age.drop_duplicates([*_SEARCH, *_WHERE, "seed"], keep="last")
    runs = over_devices(newest, ("protocol", "benchmark", "benchmark_sha256"), (*_SEARCH, "seed"))
    parts = [
        (Search(key[0], key[1], key[2], json.loads(key[3])), key[4:], part)
        for key, part in runs.groupby([*_SEARCH, *_WHERE], observed=True, sort=False)
    ]
    settings = [
        Setting(search.search_dataset, search.protocol, *where)
        for search, where, _ in parts
        if changed_arm(search, name) is not None
    ]
    found = []
    for setting in dict.fromkeys(settings):
        there = [(search, part) for search, where, part in parts if (search.protocol, *where) == setting[1:]]
        arms = []
        for arm in ablation.of(setting.dataset, setting.protocol):
            own = [runs.iloc[:0], *(part for search, part in there if belongs(search, arm, setting.dataset))]
            newest = concat(own).sort_values("finished", kind="stable").drop_duplicates("seed", keep="last")
            arms.append((arm, newest.sort_values("seed")))
        found.append(Study(name, setting, tuple(arms)))
    return sorted(found, key=lambda one: (bool(_short(one)), one.setting.dataset not in DATASETS, -len(one.runs)))


def missing(inputs: Inputs, name: str, found: Sequence[Study]) -> tuple[Missing, ...]:
    """What an ablation lacks: of each study the seeds of its arms, or all of it."""
    if not found:
        ablation = ABLATIONS[name]
        what = f"the searches of {ablation.stands_for}: {ablation.about}"
        options = like(ablation.dataset, ablation.protocols[0]) if ablation.tunes else inputs.like_ours
        return (inputs.lacking(what, f"ablate {name}{options}"),)
    return tuple(
        inputs.lacking(
            f"runs of {', '.join(short)}",
            f"ablate {name} --dataset {study.setting.dataset} --protocol {study.setting.protocol}",
        )
        for study in found
        if (short := _short(study))
    )


def _short(study: Study) -> list[str]:
    """The arms that lack seeds."""
    wanted = len(ABLATIONS[study.name].seeds)
    return [f"{arm.label} ({len(runs)} of {wanted})" for arm, runs in study.arms if len(runs) < wanted]


def required(inputs: Inputs, name: str) -> list[Study]:
    """The studies of an ablation that have something to show.

    Raises:
        MissingRecords: there is none.
    """
    found = [study for study in studies(inputs, name) if len(study.scores(study.runs))]
    if not found:
        raise MissingRecords(*missing(inputs, name, ()))
    return found


def about(study: Study, compared_by: str) -> str:
    """What the arms of a study change, by what they are compared, and what they ran on."""
    setting, changes = study.setting, []
    for arm, _ in study.arms:
        told = [f"method {arm.method}"] * (arm.method != "stc") + [f"{k}={v}" for k, v in arm.changes.items()]
        told += [f"searched on {arm.dataset}"] * bool(arm.dataset)
        changes += [f"{arm.label}: {', '.join(told)}"] * (not arm.is_usual)
    return (
        f"{ABLATIONS[study.name].stands_for}, {study.title}: {'; '.join(changes)}. Compared by {compared_by}; looked "
        f"up in {setting.benchmark} (sha256 {setting.sha256[:12]}); searched on {setting.device}."
    )
