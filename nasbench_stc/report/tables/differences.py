"""Methods against one of them: how far apart their cells score, with an interval, and how often one's run is better.

Differences are over common seeds (Student's t) where two methods are of one kind, else of means (Welch's t). How often
is the probability of improvement of rliable (Agarwal et al., NeurIPS 2021). The maths is in `statistics`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nasbench_stc.benchmark import column
from nasbench_stc.methods import title_of
from nasbench_stc.report import statistics
from nasbench_stc.report.groups import COLUMN_GROUPS, Group, benchmark_line, grouped
from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords
from nasbench_stc.report.published import EACH
from nasbench_stc.report.table import INDISTINCT, Column, Estimate, Row, Spread, Table, Value
from nasbench_stc.space import DATASETS

_SPLIT = "test"
_BETTER = "P(better)"
_NOISE = " / ".join(f"{noise:.2f}" for noise in statistics.RETRAINING_NOISE.values())

NOT_TOLD_APART = (
    f"{INDISTINCT}: cannot be told from no difference: it is below what training a cell again changes ({_NOISE} points "
    "by data set), its interval reaches zero, or it has none, being of one run."
)
"""Of captions: what `marked` does."""


def marked(spread: Spread, dataset: str) -> Spread:
    """A difference in points on a data set, as such, and whether it cannot be told from none."""
    told = statistics.distinguishable(spread.mean, spread.interval, dataset)
    return replace(spread, signed=True, indistinct=not told)


@dataclass(frozen=True)
class _Pair:
    """A group, and the one of the reference method that it is compared with."""

    group: Group
    reference: Group

    @cached_property
    def runs(self) -> dict[str, tuple[Mapping[int, float], Mapping[int, float]]]:
        """What each of the two found by data set, in percent by seed; for the data sets that both were looked up on."""
        both = [_by_seed(one) for one in (self.group, self.reference)]
        return {
            dataset: (both[0][dataset], both[1][dataset]) for dataset in DATASETS if all(dataset in b for b in both)
        }

    @cached_property
    def common(self) -> dict[str, int]:
        """How many seeds the two have in common, by data set."""
        return {dataset: len(ours.keys() & theirs.keys()) for dataset, (ours, theirs) in self.runs.items()}

    @property
    def paired(self) -> bool:
        """Whether differences are over common seeds. A single one would have no interval."""
        numbers = self.common.values()
        return bool(numbers) and min(numbers) > 1 and self.group.kind == self.reference.kind


def build(inputs: Inputs) -> Table:
    """A row for each group of records but for those that are the reference.

    Raises:
        MissingRecords: the reference method has no runs, or no other method has.
    """
    groups = grouped(inputs.searches)
    references = [group for group in groups if group.first.method == inputs.against]
    if not references:
        raise MissingRecords(_missing(inputs, inputs.against))
    found = [(group, _reference(group, references)) for group in groups]
    pairs = [_Pair(group, reference) for group, reference in found if reference and reference is not group]
    if not pairs:
        raise MissingRecords(_missing(inputs, "rs" if inputs.against != "rs" else "rea"))
    sections = defaultdict(list)  # of one, rows need not come one after the other
    for pair in pairs:
        row = _row(pair)
        sections[pair.group.benchmark, row.section].append(row)
    rows = tuple(row for section in sections.values() for row in section)
    name = references[0].name
    shown = [dataset for dataset in DATASETS if any(dataset in pair.runs for pair in pairs)]
    alone = [group for group, reference in found if reference is None]
    title = f"Methods against {name}: differences of test accuracy, in points"
    return Table(None, title, _columns(shown), rows, _caption(name, pairs, alone))


def _missing(inputs: Inputs, method: str) -> Missing:
    return Missing(f"runs of {title_of(method)}", inputs.command(f"search --method {method} --seeds 3"))


def _reference(group: Group, references: Sequence[Group]) -> Group | None:
    """What a group is compared with, in the benchmark that it was looked up in.

    Of several: that of the same protocol and searched data set, with the fewest settings changed; else that of most
    runs.
    """
    at_hand = [one for one in references if one.benchmark == group.benchmark]
    alike = [
        one for one in at_hand if (one.first.protocol, one.searched_on) == (group.first.protocol, group.searched_on)
    ]
    if alike:
        return min(alike, key=lambda one: (len(one.first.changes), -len(one.records)))
    return max(at_hand, key=lambda one: len(one.records), default=None)


def _by_seed(group: Group) -> dict[str, dict[int, float]]:
    found = {}
    scores = group.scores()
    for dataset in DATASETS:
        values = scores.get(column(dataset, _SPLIT))
        if values:
            found[dataset] = {record.seed: value for record, value in zip(group.of(dataset), values, strict=True)}
    return found


def _columns(datasets: Sequence[str]) -> tuple[Column, ...]:
    of_each = [
        one
        for dataset in datasets
        for one in (
            Column(column(dataset, _SPLIT), "diff.", group=COLUMN_GROUPS[dataset], spread=True),
            Column(f"{column(dataset, _SPLIT)}_better", _BETTER, group=COLUMN_GROUPS[dataset], estimate=True),
        )
    ]
    over_all = [Column("better", f"over\ndata sets\n{_BETTER}", estimate=True)]
    return (
        Column("method", "method"),
        Column("n", "n"),
        Column("common", "common\nseeds", drop=1),
        Column("search_dataset", "searched\non", drop=3),
        Column("protocol", "protocol", drop=4),
        *of_each,
        *(over_all if len(datasets) > 1 else []),
    )


def _row(pair: _Pair) -> Row:
    group, reference = pair.group, pair.reference
    return Row(
        section=_section(pair),
        values={
            "method": group.name,
            "n": group.runs,
            "common": _common(pair) if pair.paired else None,
            "search_dataset": group.searched_on,
            "protocol": group.first.protocol,
            **_values(pair),
        },
        notes=(_note(group),),
        details={
            "paired": pair.paired,
            "against": reference.first.method,
            "against_n": reference.runs,
            "against_search_dataset": reference.searched_on,
            "against_protocol": reference.first.protocol,
            "against_settings": reference.first.settings,
            "settings": group.first.settings,
            "device": group.first.device,
            "benchmark": group.benchmark[0],
            "benchmark_sha256": group.benchmark[1],
        },
    )


def _values(pair: _Pair) -> dict[str, Value]:
    if not pair.runs:
        return {}
    found: dict[str, Value] = {}
    *each, over_all = _better(pair)
    for (dataset, (ours, theirs)), better in zip(pair.runs.items(), each, strict=True):
        key = column(dataset, _SPLIT)
        found[key] = _difference(ours, theirs, pair.paired, dataset)
        found[f"{key}_better"] = better
    if len(each) > 1:
        found["better"] = over_all
    return found


def _difference(ours: Mapping[int, float], theirs: Mapping[int, float], paired: bool, dataset: str) -> Spread:
    if paired:
        found = statistics.paired_difference(ours, theirs)
    else:
        found = statistics.welch_difference(list(ours.values()), list(theirs.values()))
    return marked(Spread(found.mean, statistics.known(found.std), statistics.known(found.half_width)), dataset)


def _better(pair: _Pair) -> list[Estimate]:
    """How probably a run of the group is better than one of the reference: on each data set, and the mean over them."""
    ours, theirs = ([list(both[side].values()) for both in pair.runs.values()] for side in (0, 1))
    values = [statistics.improvement(x, y) for x, y in zip(ours, theirs, strict=True)]
    one_search = [len(group.parts) == 1 for group in (pair.group, pair.reference)]
    each, over_all = statistics.improvement_intervals(ours, theirs, *one_search)
    intervals = [*each, over_all]
    return [
        Estimate(value, statistics.known(low), statistics.known(high))
        for value, (low, high) in zip([*values, statistics.mean(values)], intervals, strict=True)
    ]


def _common(pair: _Pair) -> int | str:
    numbers = sorted(set(pair.common.values()))
    return numbers[0] if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"


def _section(pair: _Pair) -> str:
    reference = pair.reference
    how = "by common seeds" if pair.paired else "without pairs"
    against = (
        f"{reference.first.protocol}{_changes(reference)}, searched on {reference.searched_on}, n={reference.runs}"
    )
    return f"{pair.group.kind.section}: {pair.group.benchmark[0]}; against {reference.name} ({against}), {how}"


def _note(group: Group) -> str:
    origin = group.first.versions.get(group.first.method)
    return (
        f"{f'Method of {origin}. ' if origin else ''}Searched on {' / '.join(group.parts)} by protocol "
        f"{group.first.protocol}{_changes(group)}; on {group.first.device}."
    )


def _changes(group: Group) -> str:
    return "".join(f", {name}={value}" for name, value in group.first.changes.items())


def _caption(name: str, pairs: Sequence[_Pair], alone: Sequence[Group]) -> tuple[str, ...]:
    lines = [
        f"Diff.: the method's test accuracy minus that of {name}, in points; below it, after 95 %: half the width of "
        "its 95 % t-interval. By common seeds: the mean over the seeds that both have, and the interval of the "
        "differences. Without pairs, where the two are of different kinds or have no two seeds in common: the "
        "difference of the means over all runs, and Welch's interval. No interval is corrected for how many there are.",
        "Pairs take away only what a seed fixes: initial weights and the order of images, of methods that share "
        "weights and have one protocol. Other methods have seeds of the same number, but draw nothing in common.",
        NOT_TOLD_APART,
        f"{_BETTER}: how probably a run of the method is better than one of {name}, over all runs of both, equal ones "
        "counted half; over data sets: the mean. Below it the 95 % percentile bootstrap interval (1,000 resamples of "
        "the runs of each data set; runs that were searched on one data set are drawn for all at once). Of three runs "
        "it is too narrow, and 1.00–1.00 says no more than that every run was better.",
    ]
    if any(EACH in (pair.group.searched_on, pair.reference.searched_on) for pair in pairs):
        lines.append(f"Searched on {EACH}: a search on each data set, and a column is of that on its own.")
    lines += dict.fromkeys(benchmark_line(pair.group.first.benchmark) for pair in pairs)
    if alone:
        benchmarks = ", ".join(dict.fromkeys(group.benchmark[0] for group in alone))
        lines.append(f"Not compared, since {name} has no runs in their benchmark ({benchmarks}): groups: {len(alone)}.")
    return tuple(lines)
