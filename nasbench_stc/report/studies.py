"""Records as runs of the paper's ablations: for each arm its seeds, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from nasbench_stc.benchmark import column
from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords
from nasbench_stc.runs import Record
from nasbench_stc.runs.ablation import ABLATIONS, Arm, belongs, changed_arm
from nasbench_stc.space import DATASETS


class Setting(NamedTuple):
    """What all runs of a study have in common."""

    dataset: str
    """That the ablation is of; an arm may search on another one."""
    protocol: str
    benchmark: tuple[str, str]
    """Name and checksum of what the cells were looked up in."""
    device: str


@dataclass(frozen=True)
class Study:
    """One ablation under one protocol."""

    name: str
    setting: Setting
    arms: tuple[tuple[Arm, tuple[Record, ...]], ...]
    """All arms, each with its runs, one a seed, in order."""

    @property
    def records(self) -> list[Record]:
        """Of all arms."""
        return [record for _, records in self.arms for record in records]

    @cached_property
    def score(self) -> str:
        """The report column that arms are compared by: test accuracy on the data set, else on CIFAR-10."""
        own = column(self.setting.dataset, "test")
        return own if any(own in record.scores for record in self.records) else column(DATASETS[0], "test")

    @property
    def usual(self) -> Sequence[Record]:
        """The runs of the arm that the others are compared with."""
        return next((records for arm, records in self.arms if arm.is_usual), ())

    @property
    def title(self) -> str:
        """Protocol, data set and benchmark."""
        return f"{self.setting.protocol} on {self.setting.dataset}, {self.setting.benchmark[0]}"

    def scores(self, records: Sequence[Record]) -> list[float]:
        """Percent, one a run; none where the benchmark has no such accuracy."""
        return [record.scores[self.score] for record in records if self.score in record.scores]


def studies(inputs: Inputs, name: str) -> list[Study]:
    """What there is of an ablation; of two records of one seed the newer one counts.

    A study has at least one run of an arm that changes something: the others were made for more than it. Complete ones
    come first, then those on a data set of the benchmark's, then those of most runs.
    """
    ordered = sorted(inputs.records, key=lambda record: record.finished)
    found = []
    for setting in dict.fromkeys(_settings(ordered, name)):
        arms = tuple(
            (arm, _newest([record for record in ordered if _fits(record, arm, setting)]))
            for arm in ABLATIONS[name].of(setting.dataset, setting.protocol)
        )
        found.append(Study(name, setting, arms))
    return sorted(
        found,
        key=lambda study: (bool(_short(study)), study.setting.dataset not in DATASETS, -len(study.records)),
    )


def _settings(records: Sequence[Record], name: str) -> list[Setting]:
    return [
        Setting(record.search_dataset, record.protocol, record.looked_up_in, record.device)
        for record in records
        if changed_arm(record, name) is not None
    ]


def _fits(record: Record, arm: Arm, setting: Setting) -> bool:
    same = (record.protocol, record.looked_up_in, record.device) == setting[1:]
    return same and belongs(record, arm, setting.dataset)


def _newest(records: Sequence[Record]) -> tuple[Record, ...]:
    seeds = {record.seed: record for record in records}
    return tuple(seeds[seed] for seed in sorted(seeds))


def missing(inputs: Inputs, name: str, found: Sequence[Study]) -> tuple[Missing, ...]:
    """What an ablation lacks: of each study the seeds of its arms, or all of it."""
    if found:
        return tuple(told for study in found if (told := _lacking(inputs, study)) is not None)
    return (_lacking_all(inputs, name),)


def required(inputs: Inputs, name: str) -> list[Study]:
    """The studies of an ablation that have something to show.

    Raises:
        MissingRecords: there is none.
    """
    found = [study for study in studies(inputs, name) if study.scores(study.records)]
    if not found:
        raise MissingRecords(_lacking_all(inputs, name))
    return found


def _lacking(inputs: Inputs, study: Study) -> Missing | None:
    short = _short(study)
    if not short:
        return None
    of = f"--dataset {study.setting.dataset} --protocol {study.setting.protocol}"
    return Missing(f"runs of {', '.join(short)}", inputs.command(f"ablate {study.name} {of}"))


def _short(study: Study) -> list[str]:
    """The arms that lack seeds."""
    wanted = len(ABLATIONS[study.name].seeds)
    return [f"{arm.label} ({len(records)} of {wanted})" for arm, records in study.arms if len(records) < wanted]


def _lacking_all(inputs: Inputs, name: str) -> Missing:
    ablation = ABLATIONS[name]
    what = f"the searches of {ablation.stands_for}: {ablation.about}"
    return Missing(what, inputs.command(f"ablate {name}{inputs.like_ours}"))


def about(study: Study, compared_by: str) -> str:
    """What the arms of a study change, by what they are compared, and what they ran on."""
    setting = study.setting
    changes = [
        f"{arm.label}: {', '.join([*_method(arm), *(f'{k}={v}' for k, v in arm.changes.items()), *_on(arm)])}"
        for arm, _ in study.arms
        if not arm.is_usual
    ]
    return (
        f"{ABLATIONS[study.name].stands_for}, {study.title}: {'; '.join(changes)}. Compared by {compared_by}; looked "
        f"up in {setting.benchmark[0]} (sha256 {setting.benchmark[1][:12]}); searched on {setting.device}."
    )


def _on(arm: Arm) -> list[str]:
    return [f"searched on {arm.dataset}"] if arm.dataset else []


def _method(arm: Arm) -> list[str]:
    return [f"method {arm.method}"] if arm.method != "stc" else []
