"""Figure 5 of the paper: does the search's own ranking of its runs agree with that of the cells trained alone?

Eight searches that differ by seed, in a smaller network and in the protocol's own; search: accuracy of the resulting
cell under its supernet, on validation images; evaluation: what the benchmark says of that cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_stc.report import statistics, style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.groups import distinct_cells
from nasbench_stc.report.inputs import Inputs, MissingRecords
from nasbench_stc.report.published import load_rows
from nasbench_stc.report.studies import Study, about, missing, required
from nasbench_stc.runs import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT = 2.1  # inches


def build(inputs: Inputs) -> Chart:
    """Figure 5.

    Raises:
        MissingRecords: no run in a smaller network is there, or no two in either.
    """
    found = required(inputs, "depth")
    study = found[0]
    panels = [panel for arm, records in study.arms if (panel := _panel(study, _network(records), records)) is not None]
    if not panels:  # a ranking takes two
        raise MissingRecords(*missing(inputs, "depth", found))
    caption = (
        f"{about(study, study.score)} Each mark is a search; across: validation accuracy of the cell found under the "
        f"supernet's weights; up: its {study.score} in the benchmark. tau-b and its two-sided p (exact without ties). "
        f"{' '.join(_told(panel, study) for panel in panels)} {_as_printed()}"
    )
    details = {
        "study": study.title,
        "benchmark_sha256": study.setting.benchmark[1],
        "panels": [{"network": panel.name, **panel.kendall._asdict()} for panel in panels],
    }
    rows = tuple(row for panel in panels for row in panel.rows(study.score))
    return Chart(caption, rows, details, _Picture(study, panels).draw, missing(inputs, "depth", found))


@dataclass(frozen=True)
class _Panel:
    """The runs in one network."""

    name: str
    records: Sequence[Record]
    search: np.ndarray[Any, np.dtype[np.float64]]
    evaluation: np.ndarray[Any, np.dtype[np.float64]]

    @cached_property
    def kendall(self) -> statistics.Kendall:
        """Of the search's with the evaluation's ranking."""
        return statistics.kendall(self.search, self.evaluation)

    def rows(self, score: str) -> list[Mapping[str, Any]]:
        """A row a run, best first by the search; ranks count from 1, the best, equal ones share the mean."""
        from scipy.stats import rankdata

        ranks = [rankdata(-values) for values in (self.search, self.evaluation)]
        return [
            {
                "network": self.name,
                "seed": self.records[at].seed,
                "cell": self.records[at].cell,
                "search_rank": float(ranks[0][at]),
                "evaluation_rank": float(ranks[1][at]),
                "search_accuracy": float(self.search[at]),
                score: float(self.evaluation[at]),
            }
            for at in np.argsort(ranks[0], kind="stable")
        ]


def _panel(study: Study, name: str, records: Sequence[Record]) -> _Panel | None:
    kept = [record for record in records if study.score in record.scores]
    if len(kept) < 2:
        return None
    search = np.array([record.supernet["accuracy"] for record in kept])
    return _Panel(name, kept, search, np.array([record.scores[study.score] for record in kept]))


def _network(records: Sequence[Record]) -> str:
    if not records:
        return ""
    engine = records[0].settings["protocol"]
    return f"N={engine['cells_per_stage']}, C={engine['channels']}"


def _told(panel: _Panel, study: Study) -> str:
    """Ranks as the paper prints them, mean and best."""
    ranks = ", ".join(f"{row['evaluation_rank']:g}" for row in panel.rows(study.score))
    values, cells = panel.evaluation.tolist(), distinct_cells(panel.records)
    return (
        f"{panel.name}: evaluation ranks in the order of the search {ranks}; mean {statistics.mean(values):.2f}"
        f"±{statistics.std(values):.2f} (ddof=0, n={len(values)}), best {max(values):.2f}; {cells} distinct cells."
    )


def _as_printed() -> str:
    published = load_rows("figure5")
    told = []
    for row in published.rows:
        found = statistics.kendall(np.arange(len(row["ranks"])), np.array(row["ranks"]))
        told.append(f"{row['network']} tau {found.tau:.3f} (printed {row['tau']}), p {found.p:.3f}")
    return f"In the paper, by its printed ranks of eight runs in another space: {'; '.join(told)}."


@dataclass(frozen=True)
class _Picture:
    """What is on the figure."""

    study: Study
    panels: Sequence[_Panel]

    def draw(self) -> Figure:
        """The figure: a panel a network, on one scale of the benchmark's accuracy."""
        from matplotlib.figure import Figure

        with style.context():
            figure = Figure(figsize=(style.COLUMN_WIDTH, _HEIGHT), layout="constrained")
            (row,) = figure.subplots(1, len(self.panels), sharey=True, squeeze=False)
            for number, (axes, panel) in enumerate(zip(row, self.panels, strict=True)):
                marker, colour = style.look(number)
                axes.plot(panel.search, panel.evaluation, marker, color=colour, markeredgecolor="white")
                found = panel.kendall
                axes.set_title(f"{panel.name}, n={found.n}\ntau-b = {found.tau:.2f}, p = {found.p:.2g}")
                axes.margins(0.12)
            row[0].set_ylabel(f"{self.study.score.replace('-', ' ')} [%]")
            figure.supxlabel("search: supernet validation accuracy [%]", fontsize=8)
        return figure
