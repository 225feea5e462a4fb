"""Figures 6 and 7 of the paper: what cells found score, by what weighs alpha, and by the range of the noise."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from nasbench_stc.report import statistics, style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.studies import Study, about, missing, required
from nasbench_stc.report.table import INDISTINCT, Spread
from nasbench_stc.report.tables.ablations import change_of
from nasbench_stc.report.tables.differences import NOT_TOLD_APART

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SAID = {
    "activation": "In the paper (Fig. 6, another space, no numbers printed) softmax and sigmoid are below ReLU.",
    "noise": "In the paper (Fig. 7, another space, no numbers printed) no noise is far below the rest, 0.3 best.",
}
_X = {"activation": "what makes alpha a weight", "noise": "initial range of the sampling noise"}


def build(inputs: Inputs, name: str) -> Chart:
    """The figure of that ablation.

    Raises:
        MissingRecords: no run of it is there.
    """
    study, *others = found = required(inputs, name)
    rows = [
        {"arm": arm.label, "seed": seed, "cell": cell, study.score: statistics.known(score)}
        for arm, runs in study.arms
        for seed, cell, score in zip(*(runs[key].tolist() for key in ("seed", "cell", study.score)), strict=True)
    ]
    told = "; ".join(f"{other.title} (n={len(other.runs)} in all)" for other in others)
    hidden = f" Runs that are not shown: {told}." if told else ""
    caption = (
        f"{about(study, study.score)} Dots: runs; diamonds and bars: their mean and its 95 % t-interval (ddof=1); a "
        f"caret where it goes on beyond the axis. {_changes(study)} {_SAID[name]}{hidden}"
    )
    details = {"study": study.title, "score": study.score, "benchmark_sha256": study.setting.sha256}
    lacking = missing(inputs, name, found)
    return Chart(caption, tuple(rows), details, partial(_paint, study), height=2.2, missing=lacking)


def _changes(study: Study) -> str:
    """What the arms do to the usual one."""
    told = []
    for arm, runs in study.arms:
        if (change := change_of(study, arm, runs)) is not None:
            half = "" if change.interval is None else f"±{change.interval:.2f}"
            told.append(f"{arm.label} {INDISTINCT * change.indistinct}{change.mean:+.2f}{half}")
    usual = next((arm.label for arm, _ in study.arms if arm.is_usual), "")
    if not told:
        return ""
    return f"Minus {usual}, over common seeds, with the 95 % interval: {', '.join(told)}. {NOT_TOLD_APART}"


def _paint(study: Study, figure: Figure) -> None:
    """Each arm's runs, and beside them their mean."""
    arms = {arm.label: scores.to_numpy() for arm, runs in study.arms if len(scores := study.scores(runs))}
    n = "–".join(dict.fromkeys(str(of(map(len, arms.values()))) for of in (min, max)))
    every = np.concatenate(list(arms.values()))
    room = max(0.15 * np.ptp(every), 0.25)  # beyond the runs alone: intervals of three runs would flatten the rest
    axes = figure.add_subplot(
        title=f"{study.title}, n={n}",
        xlabel=_X[study.name],
        xlim=(-0.5, len(arms) - 0.3),
        ylabel=f"{study.score.replace('-', ' ')} accuracy [%]",
        ylim=(every.min() - room, min(every.max() + room, 100.0)),
    )
    colour = style.COLOURS[1]  # one: the axis says which is which
    for place, scores in enumerate(arms.values()):
        across = place + np.linspace(-0.15, 0.15, len(scores))
        axes.plot(across, scores, "o", color=colour, markersize=4, markeredgewidth=0, alpha=0.6)
        spread = Spread.over(scores)
        axes.plot(place + 0.3, spread.mean, "D", color=colour, markersize=3.5)
        style.bar(axes, place + 0.3, spread.mean, spread.interval, color=colour)
    axes.set_xticks([place + 0.1 for place in range(len(arms))], list(arms))
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")


FIGURES = {
    "6": Maker("softmax, sigmoid or ReLU", partial(build, name="activation"), supernet=True),
    "7": Maker("the range of the sampling noise", partial(build, name="noise"), supernet=True),
}
