"""Which methods train supernets that rank cells: means over the rankings of several seeds, a row a method.

The table `ranking` has each ranking by itself, with intervals over cells and isomorphic cells merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import seeds
from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.methods import ours, title_of
from nasbench_stc.records import Ranking
from nasbench_stc.report import statistics
from nasbench_stc.report.inputs import Inputs, MissingRecords
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.table import AND_INTERVAL, Column, Row, Spread, Table, Value
from nasbench_stc.report.tables.ranking import BEST, FIRST, compared_with, lacking
from nasbench_stc.space import Cell, params

_MEASURES = {"tau_b": "tau-b", "precision": "P@10%", "best_rank": "BR@1%\nin %"}
_COLUMNS = (
    Column("method", "method"),
    Column("n", "n"),
    *(Column(f"accuracy_{key}", head, group="cells by accuracy") for key, head in _MEASURES.items()),
    *(Column(f"loss_{key}", head, group="cells by loss", drop=1) for key, head in _MEASURES.items()),
)
_CAPTION = (
    "How well supernets put cells in the order of the benchmark's accuracy that a section ends with, by their own "
    f"accuracy and by their loss; mean±standard deviation (ddof=0) over n supernets{AND_INTERVAL}. P@10%: how much of "
    "the tenth that they put first is of the best tenth (0.10 without information). BR@1%: the benchmark's rank of the "
    "best of the hundredth that they put first, in percent of the cells."
)


def build(inputs: Inputs) -> Table:
    """The rankings of one method's supernets are a row, if they were made alike.

    Raises:
        MissingRecords, DataError: as of the table `ranking`.
    """
    if not inputs.rankings:
        raise MissingRecords(lacking(inputs))
    benchmark = inputs.benchmark
    alike: dict[tuple[Any, ...], dict[int, Ranking]] = {}
    for one in inputs.rankings:
        changes = tuple(sorted(one.changes.items()))
        key = (one.search_dataset, one.protocol, tuple(one.cells), one.images, one.method, changes)
        alike.setdefault(key, {})[one.seed] = one
    places = {name: place for place, name in enumerate(ours())}
    rows: list[Row] = []
    sections: dict[str, None] = {}
    for (dataset, protocol, cells, images, *_), found in sorted(
        alike.items(), key=lambda item: (*item[0][:4], places.get(item[0][4], len(places)), len(item[0][5]), item[0][5])
    ):
        compared = compared_with(dataset, benchmark)[0]
        section = f"{dataset} by protocol {protocol}; {len(cells):,} cells on {images:,} images: {compared}"
        truth = benchmark.accuracy([Cell.from_index(index, inputs.space.name) for index in cells], *COLUMNS[compared])
        if section not in sections:
            sections[section] = None
            rows.append(_counted(section, cells, truth, inputs))
        rows.append(_row(section, list(found.values()), truth))
    source = f"Benchmark {benchmark.name}: {benchmark.about} ({benchmark.path.name}, sha256 {benchmark.sha256[:12]})."
    return Table(
        None, f"Which supernets rank cells of {benchmark.name}", _COLUMNS, tuple(rows), (_CAPTION,), (), (source,)
    )


def _row(section: str, rankings: Sequence[Ranking], truth: NDArray[np.float64]) -> Row:
    first = rankings[0]
    changed = "".join(f", {name}={value}" for name, value in first.changes.items())
    of_each = [
        {
            **_measured("accuracy", np.array(ranking.accuracy), truth),
            **_measured("loss", -np.array(ranking.loss), truth),
        }
        for ranking in rankings
    ]
    values: dict[str, Value] = {"method": f"{title_of(first.method)}{changed}", "n": len(rankings)}
    for key in of_each[0]:
        if known := [one[key] for one in of_each if not np.isnan(one[key])]:
            values[key] = Spread.over(known)
    of = sorted(ranking.seed for ranking in rankings)
    details = {"seeds": of, "supernet_sha256": [ranking.supernet_sha256 for ranking in rankings]}
    return Row(section, values, (f"{seeds.told(of).capitalize()}.",), details)


def _counted(section: str, cells: Sequence[int], truth: NDArray[np.float64], inputs: Inputs) -> Row:
    """What counting parameters gives: it is searched by nothing and is what a supernet has to beat."""
    counts = params([Cell.from_index(index, inputs.space.name) for index in cells])
    values: dict[str, Value] = {"method": "parameters, FLOPs"}
    values |= {key: Spread(value) for key, value in _measured("accuracy", counts, truth).items() if not np.isnan(value)}
    return Row(section, values)


def _measured(score: str, values: statistics.Numbers, truth: NDArray[np.float64]) -> Mapping[str, float]:
    return {
        f"{score}_tau_b": statistics.kendall(values, truth).tau,
        f"{score}_precision": statistics.precision_at(values, truth, BEST),
        f"{score}_best_rank": 100 * statistics.best_rank_at(values, truth, FIRST),
    }


TABLES = {"supernets": Maker("which methods' supernets rank cells", build, supernet=True)}
