"""Which methods train supernets that rank cells: means over the rankings of several seeds, a row a method.

The table `ranking` has each ranking by itself, with intervals over cells and isomorphic cells merged.
"""

from __future__ import annotations

from nasbench_stc import seeds
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.supernets import PARAMETERS, SCORES, Supernets, alike
from nasbench_stc.report.table import AND_INTERVAL, Column, Row, Table, Value
from nasbench_stc.report.tables.ranking import source_of

_MEASURES = {"tau_b": "tau-b", "precision": "P@10%", "best_rank": "BR@1%\nin %", "capacity": "tau-b with\nparameters"}
_COLUMNS = (
    Column("method", "method"),
    Column("n", "n"),
    *(
        Column(f"{score}_{key}", head, group=f"cells by {score}", drop=place)
        for place, score in enumerate(SCORES)
        for key, head in _MEASURES.items()
    ),
)
_CAPTION = (
    "How well supernets put cells in the order of the benchmark's accuracy that a section ends with, by their own "
    f"accuracy and by their loss; mean±standard deviation (ddof=0) over n supernets{AND_INTERVAL}. P@10%: how much of "
    "the tenth that they put first is of the best tenth (0.10 without information). BR@1%: the benchmark's rank of the "
    "best of the hundredth that they put first, in percent of the cells. Tau-b with parameters: how far their order is "
    "that of counting parameters."
)


def build(inputs: Inputs) -> Table:
    """A row for each method's supernets, below what counting parameters gives.

    Raises:
        MissingRecords, DataError: as of `alike`.
    """
    rows: list[Row] = []
    for found in alike(inputs):
        if not rows or rows[-1].section != found.section:
            of_parameters = {f"accuracy_{key}": value for key, value in found.by_parameters.items()}
            rows.append(Row(found.section, {"method": PARAMETERS, **of_parameters}))
        rows.append(_row(found))
    title = f"Which supernets rank cells of {inputs.benchmark.name}"
    return Table(None, title, _COLUMNS, tuple(rows), (_CAPTION,), more=(source_of(inputs.benchmark),))


def _row(found: Supernets) -> Row:
    values: dict[str, Value] = {"method": found.name, "n": len(found.rankings)}
    values |= {f"{score}_{key}": value for score in SCORES for key, value in found.measures(score).items()}
    of = [ranking.seed for ranking in found.rankings]
    details = {"seeds": of, "supernet_sha256": [ranking.supernet_sha256 for ranking in found.rankings]}
    return Row(found.section, values, (f"{seeds.told(of).capitalize()}.",), details)


TABLES = {"supernets": Maker("which methods' supernets rank cells", build, supernet=True)}
