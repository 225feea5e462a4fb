"""Methods against one of them: how far apart their cells score, with an interval, and how often one's run is better.

Differences are over common seeds (Student's t) where two methods are of one kind, else of means (Welch's t). How often
is the probability of improvement of rliable (Agarwal et al., NeurIPS 2021). The maths is in `statistics`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from nasbench_stc.benchmark import COLUMNS, column
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.methods import of_kind, title_of
from nasbench_stc.report import statistics
from nasbench_stc.report.groups import MANY, Group, by_section, grouped, span
from nasbench_stc.report.inputs import Inputs, MissingRecords
from nasbench_stc.report.published import EACH
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.table import COLUMN_GROUPS, INDISTINCT, KINDS, Column, Estimate, Row, Spread, Table, Value
from nasbench_stc.report.yardsticks import yardsticks
from nasbench_stc.space import DATASETS

if TYPE_CHECKING:
    from pandas import Series

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
    def runs(self) -> dict[str, tuple[Series, Series]]:
        """What each of the two found by data set, in percent by seed; for the data sets that both were looked up on."""
        both = [one.scores() for one in (self.group, self.reference)]
        keys = {dataset: column(dataset, _SPLIT) for dataset in DATASETS}
        return {name: (both[0][key], both[1][key]) for name, key in keys.items() if all(key in one for one in both)}

    @cached_property
    def common(self) -> dict[str, int]:
        """How many seeds the two have in common, by data set."""
        return {name: len(ours.index.intersection(theirs.index)) for name, (ours, theirs) in self.runs.items()}

    @property
    def paired(self) -> bool:
        """Whether differences are over common seeds. A single one would have no interval."""
        numbers = self.common.values()
        return bool(numbers) and min(numbers) > 1 and self.group.kind == self.reference.kind

    @property
    def section(self) -> str:
        """What its row has in common with those around it."""
        reference = self.reference
        how = "by common seeds" if self.paired else "without pairs"
        against = f"{reference['protocol']}{reference.changed}, on {reference.searched_on}, n={reference.n}"
        return f"{self.group.section}; against {reference.name} ({against}), {how}"


def build(inputs: Inputs) -> Table:
    """A row for each group of runs but for those that are the reference; then each beside what needs no search.

    Raises:
        MissingRecords: the reference method has no runs, or no other method has.
        BadCallError: it cannot have runs, for it does not search this space.
        DataError: what methods found was not looked up.
    """
    groups = grouped(inputs.searches)
    against, *others = inputs.searchers
    others.append(against)
    against = inputs.against or against
    references = [group for group in groups if group["method"] == against]
    found = [(group, _reference(group, references)) for group in groups]
    pairs = [_Pair(group, reference) for group, reference in found if reference and reference is not group]
    if not pairs:
        kind = next((kind for kind in KINDS if against in of_kind(kind)), "")
        if not references and not inputs.is_searched_by(kind):
            raise BadCallError(
                f"--against {against}: {KINDS[kind]} methods do not search {inputs.space.title}; "
                f"--against {inputs.searchers[0]} is of one that does"
            )
        lacking = against if not references else next(name for name in others if name != against)
        raise MissingRecords(inputs.lacking(f"runs of {title_of(lacking)}", f"search --method {lacking} --seeds 3"))
    if not any(pair.group.is_looked_up for pair in pairs):
        raise DataError(f"nothing to compare: {pairs[0].group.benchmark_line}")
    rows = [_row(pair, label) for pair, label in by_section(pairs, lambda pair: pair.group)]
    name = references[0].name
    columns = [Column("method", "method"), Column("n", "n")]
    shown = [dataset for dataset in DATASETS if any(dataset in pair.runs for pair in pairs)]
    for dataset in shown:
        key, group = column(dataset, _SPLIT), COLUMN_GROUPS[dataset]
        columns += [Column(key, "diff.", group), Column(f"{key}_better", _BETTER, group, drop=2)]
    if len(shown) > 1:
        columns.append(Column("better", f"over\ndata sets\n{_BETTER}", drop=1))
    columns.append(Column("common", "common\nseeds", drop=3))
    alone = [group for group, reference in found if reference is None]
    return Table(
        None,
        f"Methods against {name}: differences of test accuracy, in points",
        tuple(columns),
        (*rows, *_without_search(groups, inputs)),
        _caption(name, pairs),
        more=tuple(_more(name, pairs, alone)),
    )


def _without_search(groups: Sequence[Group], inputs: Inputs) -> Iterator[Row]:
    """What groups of few runs found, minus the mean of all cells and the largest one; of many runs Table 6 tells it."""
    few = [group for group in groups if len(group.runs) < MANY]
    for benchmark in inputs.benchmarks:
        own = [group for group in few if group.benchmark == (benchmark.name, benchmark.sha256)]
        for yardstick in yardsticks(benchmark):
            for group, label in by_section(own):
                values = {
                    key: marked(Spread.over(scores - yardstick.scores[key]), COLUMNS[key][0])
                    for key, scores in group.scores().items()
                    if COLUMNS[key][1] == _SPLIT
                }
                details = {"against": yardstick.name, "paired": False, "protocol": group["protocol"]}
                section = f"{group.section}; minus the {yardstick.name}"
                yield Row(section, {"method": label, "n": group.n, **values}, (), details)


def _reference(group: Group, references: Sequence[Group]) -> Group | None:
    """What a group is compared with, in the benchmark that it was looked up in.

    Of several: that of the same protocol and searched data set, with the fewest settings changed; else one that was
    searched on a data set of the benchmark's, of most runs.
    """
    at_hand = [one for one in references if one.benchmark == group.benchmark]
    alike = [one for one in at_hand if (one["protocol"], one.searched_on) == (group["protocol"], group.searched_on)]
    if alike:
        return min(alike, key=lambda one: (len(one.changes), -len(one.runs)))
    return max(at_hand, key=lambda one: (one["search_dataset"] in DATASETS, len(one.runs)), default=None)


def _row(pair: _Pair, label: str) -> Row:
    group, reference = pair.group, pair.reference
    return Row(
        pair.section,
        {"method": label, "n": group.n, "common": span(pair.common.values()) if pair.paired else None, **_values(pair)},
        (f"{group.searched}; on {group['device']}.",),
        {
            **group.details,
            "paired": pair.paired,
            "against": reference["method"],
            "against_n": reference.n,
            "against_searched_on": reference.searched_on,
            "against_protocol": reference["protocol"],
            "against_settings": reference.settings,
        },
    )


def _values(pair: _Pair) -> dict[str, Value]:
    """On each data set the difference and how probably a run of the group is better, and the mean of the latter."""
    if not pair.runs:
        return {}
    ours, theirs = zip(*pair.runs.values(), strict=True)
    one_search = [len(group.parts) == 1 for group in (pair.group, pair.reference)]
    better = list(map(statistics.improvement, ours, theirs))
    intervals, of_mean = statistics.improvement_intervals(ours, theirs, *one_search)
    found: dict[str, Value] = {}
    for dataset, x, y, value, interval in zip(pair.runs, ours, theirs, better, intervals, strict=True):
        paired = statistics.paired_difference(x.to_dict(), y.to_dict()) if pair.paired else None
        key = column(dataset, _SPLIT)
        found[key] = marked(Spread.of(paired or statistics.welch_difference(x, y)), dataset)
        found[f"{key}_better"] = Estimate(value, *map(statistics.known, interval))
    if len(better) > 1:
        found["better"] = Estimate(statistics.mean(better), *map(statistics.known, of_mean))
    return found


def _caption(name: str, pairs: Sequence[_Pair]) -> tuple[str, ...]:
    return (
        f"Diff.: the method's test accuracy minus that of {name}, in points; in parentheses half the width of its 95 % "
        "t-interval.",
        NOT_TOLD_APART,
        f"{_BETTER}: how probably a run of the method is better than one of {name}, equal ones counted half, and its "
        "95 % interval; over data sets: the mean.",
        *dict.fromkeys(pair.group.benchmark_line for pair in pairs),
    )


def _more(name: str, pairs: Sequence[_Pair], alone: Sequence[Group]) -> Iterator[str]:
    yield (
        "By common seeds: the mean over the seeds that both have, and the interval of the differences. Without pairs, "
        "where the two are of different kinds or have no two seeds in common: the difference of the means over all "
        "runs, and Welch's interval. No interval is corrected for how many there are."
    )
    yield (
        "Pairs take away only what a seed fixes: initial weights and the order of images, of methods that share "
        "weights and have one protocol. Other methods have seeds of the same number, but draw nothing in common."
    )
    yield (
        f"The interval of {_BETTER} is the percentile bootstrap's (1,000 resamples of the runs of each data set; runs "
        "that were searched on one data set are drawn for all at once). Of three runs it is too narrow, and 1.00–1.00 "
        "says no more than that every run was better."
    )
    if any(EACH in (pair.group.searched_on, pair.reference.searched_on) for pair in pairs):
        yield f"Searched on {EACH}: a search on each data set, and a column is of that on its own."
    if alone:
        benchmarks = ", ".join(dict.fromkeys(group["benchmark"] for group in alone))
        yield f"Not compared, since {name} has no runs in their benchmark ({benchmarks}): groups: {len(alone)}."


TABLES = {"differences": Maker("methods against one of them, by common seeds", build)}
