"""Figures 6 and 7 of the paper: what cells found score, by what weighs alpha, and by the range of the noise."""

from __future__ import annotations

from collections.abc import Mapping
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
    from pandas import Series

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
        f"{about(study, study.score)} Dots: runs; diamonds and bars: their mean and its 95 % t-interval (ddof=1); an "
        f"arrow where it goes on beyond the axis. {_changes(study)} {_SAID[name]}{hidden}"
    )
    details = {"study": study.title, "score": study.score, "benchmark_sha256": study.setting.sha256}
    return Chart(caption, tuple(rows), details, partial(_draw, study), missing(inputs, name, found))


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


def _draw(study: Study) -> Figure:
    """Each arm's runs, and beside them their mean."""
    from matplotlib.figure import Figure

    arms = {arm.label: scores for arm, runs in study.arms if len(scores := study.scores(runs))}
    with style.context():
        figure = Figure(figsize=(style.COLUMN_WIDTH, 2.2), layout="constrained")
        numbers = [len(scores) for scores in arms.values()]
        n = "–".join(dict.fromkeys(str(of(numbers)) for of in (min, max)))
        ylabel = f"{study.score.replace('-', ' ')} accuracy [%]"
        axes = figure.add_subplot(title=f"{study.title}, n={n}", xlabel=_X[study.name], ylabel=ylabel)
        low, high = _limits(arms)
        colour = style.COLOURS[1]  # one: the axis says which is which
        for place, scores in enumerate(arms.values()):
            across = place + np.linspace(-0.15, 0.15, len(scores))
            axes.plot(across, scores, "o", color=colour, markersize=4, markeredgewidth=0, alpha=0.6)
            spread = Spread.over(scores.tolist())
            at, mean, half = place + 0.3, spread.mean, spread.interval or 0.0
            axes.errorbar(at, mean, half, fmt="D", color=colour, markersize=3.5)
            for end, marker, beyond in ((low, "v", mean - half < low), (high, "^", mean + half > high)):
                if beyond:
                    axes.scatter(at, end, s=16, color=colour, marker=marker, clip_on=False)
        axes.set(xlim=(-0.5, len(arms) - 0.3), ylim=(low, high))
        axes.set_xticks([place + 0.1 for place in range(len(arms))], list(arms))
        axes.tick_params(axis="x", length=0)
        axes.grid(axis="y", linewidth=0.4, color=style.GREY, alpha=0.6)
        axes.set_axisbelow(True)
    return figure


def _limits(arms: Mapping[str, Series]) -> tuple[float, float]:
    """From below the lowest run to above the highest: intervals of three runs would flatten the rest."""
    low, high = min(map(min, arms.values())), max(map(max, arms.values()))
    room = max(0.15 * (high - low), 0.25)
    return low - room, min(high + room, 100.0)


FIGURES = {
    "6": Maker("softmax, sigmoid or ReLU", partial(build, name="activation")),
    "7": Maker("the range of the sampling noise", partial(build, name="noise")),
}
