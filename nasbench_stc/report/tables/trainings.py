"""What cells reach that were trained alone; and Tables 4 and 5 of the paper, its rows and below them ours.

One row of ours is one group of trainings: the cells that one method found, or a cell that was given, on one data set
by one protocol.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from nasbench_stc.engine.recipe import RECIPES
from nasbench_stc.report.groups import by_section
from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords
from nasbench_stc.report.published import PublishedTraining, load_trainings
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.table import COLUMN_GROUPS, Column, Row, Spread, Table, Value
from nasbench_stc.report.trained import Trained, trained

_DAY = 86_400  # seconds
_METHOD, _N = Column("method", "method"), Column("n", "n")
_PARAMS, _MFLOPS = Column("params", "params\nM", form=",.3g"), Column("mflops", "mult-adds\nM", drop=1, form=",.4g")
_COLUMNS = (
    _METHOD,
    _N,
    Column("test_accuracy", "test\naccuracy"),
    Column("train_accuracy", "training\naccuracy", drop=3),
    _PARAMS,
    _MFLOPS,
    Column("distinct_cells", "distinct\ncells", drop=4),
    Column("searched_on", "searched\non", drop=2),
    Column("searched_by", "by\nprotocol", drop=2),
    Column("search_seconds", "search s", form=",.0f"),
    Column("seconds", "training s", drop=1, form=",.0f"),
)
_DAYS = Column("search_days", "search\ndays", form=",.4g")
_ALGORITHM = Column("algorithm", "search\nalgorithm", drop=1)
_PAPERS = {4: ("cifar10", "cifar100"), 5: ("imagenet",)}
"""The data sets of the paper's tables."""
_TITLES = {
    4: "Cells of DARTS's space, trained on CIFAR-10 and CIFAR-100",
    5: "Cells of DARTS's space, trained on ImageNet",
}
_SPACE = "darts"


def build(inputs: Inputs) -> Table:
    """A row for each group of trainings, those on one data set by one protocol together.

    Raises:
        MissingRecords: there is none.
    """
    groups = trained(inputs)
    if not groups:
        raise MissingRecords(_lacking(inputs, "trainings of single cells"))
    rows = [Row(one.section, _values(one, label), (_note(one),), one.details) for one, label in by_section(groups)]
    caption = ("Percent after the last epoch, of training as it went.", *_caption(groups))
    title = f"What cells of {inputs.space.title} reach, trained alone"
    return Table(None, title, _COLUMNS, tuple(rows), caption, more=tuple(_protocols(groups)))


def build_papers(inputs: Inputs, number: int) -> Table:
    """The paper's Table 4 or 5: test errors of printed rows, and of groups of trainings on the same data sets."""
    published, datasets = load_trainings(number), _PAPERS[number]
    groups = [one for one in trained(inputs) if one["dataset"] in datasets]
    rows = [_published_row(row) for row in published.rows]
    rows += [Row(one.section, _errors(one, label), (_note(one),), one.details) for one, label in by_section(groups)]
    of_others = [name for name in datasets if name not in {one["dataset"] for one in groups}]
    caption = [
        f"Paper: {published.about}; how those of other methods' rows were, it does not say.",
        "Test error in percent, after the last epoch.",
        *_caption(groups),
    ]
    small = [name for name in dict.fromkeys(one["trained_by"] for one in groups) if name not in ("paper", "imagenet")]
    if small:
        caption.insert(
            1,
            f"Protocol {', '.join(small)}: not the paper's training. Compare these rows with each other, not with what "
            "is printed.",
        )
    more = (
        f"Paper: as printed in {published.reference}. There search days are GPU-days, not all of one kind of GPU; of "
        "ours, days of the device in the note. It is not printed what the ± of other methods' rows are.",
        *_protocols(groups),
    )
    missing = tuple(_lacking(inputs, f"trainings on {name}", f" --dataset {name}") for name in of_others)
    columns = (_METHOD, _N, *(one for name in datasets for one in _columns(name)), _DAYS, _ALGORITHM)
    return Table(number, _TITLES[number], columns, tuple(rows), tuple(caption), missing, more)


def _columns(dataset: str) -> Iterator[Column]:
    """Of the paper's tables, of one data set."""
    group = COLUMN_GROUPS.get(dataset, "ImageNet")
    error = Column(f"{dataset}_error", "error", group)
    params = replace(_PARAMS, key=f"{dataset}_params", group=group, title="params M")
    if dataset != "imagenet":
        yield from (error, params)
        return
    yield replace(error, title="top-1")
    yield from (Column(f"{dataset}_top5", "top-5", group), params)
    yield replace(_MFLOPS, key=f"{dataset}_mflops", group=group, title="mult-adds M")


def _published_row(row: PublishedTraining) -> Row:
    values: dict[str, Value] = {
        "method": row.method,
        "n": row.runs,
        "search_days": float(row.gpu_days),
        "algorithm": row.algorithm,
    }
    for dataset, numbers in row.numbers.items():
        for name, number in numbers.items():
            shown = float(number.mean) if name == "mflops" else Spread(number.mean, number.std, source=row.source)
            values[f"{dataset}_{name}"] = shown
    return Row("As printed, STC-NAS paper", values, (row.note,) * bool(row.note), {"source": row.source})


def _errors(group: Trained, label: str) -> dict[str, Value]:
    """What Tables 4 and 5 show of a group."""
    seconds, source, dataset = group.search_seconds, str(group.details["source"]), group["dataset"]
    params = Spread.over(group.runs["params"] / 1e6)
    numbers: Mapping[str, Value] = {
        "error": Spread.over(100 - group.runs["test_accuracy"], source),
        "top5": Spread.over(100 - group.runs["test_top5"], source),
        "params": replace(params, interval=None, std=params.std or None),
        "mflops": float(group.runs["mflops"].mean()),
    }
    shown = {column.key for column in _columns(dataset)}
    return {
        "method": label,
        "n": group.n,
        **{key: value for name, value in numbers.items() if (key := f"{dataset}_{name}") in shown},
        "search_days": None if seconds is None else seconds / _DAY,
    }


def _values(group: Trained, label: str) -> dict[str, Value]:
    runs, source = group.runs, str(group.details["source"])
    return {
        "method": label,
        "n": group.n,
        **{name: Spread.over(runs[name], source) for name in ("test_accuracy", "train_accuracy")},
        "params": float(runs["params"].mean()) / 1e6,
        "mflops": float(runs["mflops"].mean()),
        "distinct_cells": group.distinct_cells,
        "searched_on": group["search_dataset"] or None,
        "searched_by": group["protocol"] or None,
        "search_seconds": group.search_seconds,
        "seconds": float(runs["seconds"].mean()),
    }


def _note(group: Trained) -> str:
    seconds = f"{group.runs['seconds'].mean():,.0f} s a training on {group['device']}{group.side_by_side}"
    return f"{group.told[0].upper()}{group.told[1:]}; {seconds}."


def _caption(groups: Sequence[Trained]) -> Iterator[str]:
    if groups:
        yield (
            "Ours: mean±standard deviation (ddof=0) over n trainings (±half the width of the mean's 95 % t-interval); "
            "given: cells that no search of ours found. Parameters are without an auxiliary head's."
        )


def _protocols(groups: Sequence[Trained]) -> Iterator[str]:
    """What the protocols are."""
    for name in dict.fromkeys(group["trained_by"] for group in groups):
        if name in RECIPES:
            yield f"Training protocol {name}: {RECIPES[name].about}."


def _lacking(inputs: Inputs, what: str, options: str = "") -> Missing:
    return inputs.lacking(what, f"{inputs.a_training}{options} --seeds 3")


TABLES = {
    "4": Maker("cells trained on CIFAR-10 and CIFAR-100", partial(build_papers, number=4), _SPACE, trained=True),
    "5": Maker("cells trained on ImageNet", partial(build_papers, number=5), _SPACE, trained=True),
    "trainings": Maker("what cells reach, trained alone", build, trained=True),
}
