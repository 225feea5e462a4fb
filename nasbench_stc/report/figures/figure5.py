"""Figure 5 of the paper: does the search's own ranking of its runs agree with that of the cells trained alone?

Eight searches that differ by seed, in a smaller network and in the protocol's own; search: accuracy of the resulting
cell under its supernet, on validation images; evaluation: what the benchmark says of that cell.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_stc.report import statistics, style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.inputs import Inputs, MissingRecords
from nasbench_stc.report.published import load_rows
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.studies import about, missing, required

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


def build(inputs: Inputs) -> Chart:
    """Figure 5.

    Raises:
        MissingRecords: no run in a smaller network is there, or no two in either.
    """
    found = required(inputs, "depth")
    study, score = found[0], found[0].score
    panels = [_ranked(runs.dropna(subset=score), score) for _, runs in study.arms if runs[score].count() > 1]
    if not panels:  # a ranking takes two
        raise MissingRecords(*missing(inputs, "depth", found))
    agreements = [_agreement(panel, score) for panel in panels]
    caption = (
        f"{about(study, score)} Each mark is a search; across: validation accuracy of the cell found under the "
        f"supernet's weights; up: its {score} in the benchmark. tau-b, its two-sided p (exact without ties), and its "
        "95 % percentile bootstrap interval over the n runs (1,000 resamples). "
        f"{' '.join(_told(panel, score) for panel in panels)} {_as_printed()}"
    )
    shown = ["network", "seed", "cell", "search_rank", "evaluation_rank", "search_accuracy", score]
    rows = [row for panel in panels for row in panel[shown].to_dict("records")]
    details = {"study": study.title, "benchmark_sha256": study.setting.sha256, "panels": agreements}
    paint = partial(_paint, panels, agreements, score)
    return Chart(caption, tuple(rows), details, paint, height=2.3, missing=missing(inputs, "depth", found))


def _ranked(runs: DataFrame, score: str) -> DataFrame:
    """Runs in one network, best first by the search; ranks count from 1, the best, equal ones share the mean."""
    network = json.loads(runs["settings"].iloc[0])["protocol"]
    return runs.assign(
        network=f"N={network['cells_per_stage']}, C={network['channels']}",
        search_rank=runs["supernet_accuracy"].rank(ascending=False),
        evaluation_rank=runs[score].rank(ascending=False),
        search_accuracy=runs["supernet_accuracy"],
    ).sort_values("search_rank", kind="stable")


def _agreement(panel: DataFrame, score: str) -> dict[str, Any]:
    """Kendall's tau-b of the search's with the evaluation's ranking, and its interval; None where there is none."""
    both = panel["search_accuracy"].to_numpy(), panel[score].to_numpy()
    low, high = statistics.kendall_interval(*both)
    found = {**statistics.kendall(*both)._asdict(), "low": low, "high": high}
    return {"network": panel["network"].iloc[0], **{key: statistics.known(value) for key, value in found.items()}}


def _told(panel: DataFrame, score: str) -> str:
    """Ranks as the paper prints them, mean and best."""
    ranks = ", ".join(f"{rank:g}" for rank in panel["evaluation_rank"])
    values = panel[score]
    return (
        f"{panel['network'].iloc[0]}: evaluation ranks in the order of the search {ranks}; mean {values.mean():.2f}"
        f"±{values.std(ddof=0):.2f} (ddof=0, n={len(panel)}), best {values.max():.2f}; "
        f"{panel['isomorphism_class'].nunique()} distinct cells."
    )


def _as_printed() -> str:
    told = []
    for row in load_rows("figure5").rows:
        found = statistics.kendall(np.arange(len(row["ranks"])), np.array(row["ranks"]))
        told.append(f"{row['network']} tau {found.tau:.3f} (printed {row['tau']}), p {found.p:.3f}")
    return f"In the paper, by its printed ranks of eight runs in another space: {'; '.join(told)}."


def _paint(panels: Sequence[DataFrame], agreements: Sequence[Mapping[str, Any]], score: str, figure: Figure) -> None:
    """A panel a network, on one scale of the benchmark's accuracy."""
    (row,) = figure.subplots(1, len(panels), sharey=True, squeeze=False)
    for axes, panel, found in zip(row, panels, agreements, strict=True):
        axes.plot(panel["search_accuracy"], panel[score], "o", color=style.COLOURS[1], markeredgecolor="white")
        lines = [f"{found['network']}, n={found['n']}"]
        if found["tau"] is not None:
            lines.append(f"tau-b = {found['tau']:.2f}, p = {found['p']:.2g}")
            lines.append(f"95 %: {found['low']:.2f} to {found['high']:.2f}")
        axes.set_title("\n".join(lines))
        axes.margins(0.12)
    row[0].set_ylabel(f"{score.replace('-', ' ')} [%]")
    figure.supxlabel("search: supernet validation accuracy [%]", fontsize=8)


FIGURES = {"5": Maker("the search's ranking of its runs against the benchmark's", build, supernet=True)}
