"""Figures 6 and 7 of the paper: what cells found score, by what weighs alpha, and by the range of the noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nasbench_stc.report import style
from nasbench_stc.report.tables.ablations import change_of
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.tables.differences import NOT_TOLD_APART
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.table import INDISTINCT, Spread
from nasbench_stc.report.studies import Study, about, missing, required

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT = 2.2  # inches
_SAID = {
    "activation": "In the paper (Fig. 6, another space, no numbers printed) softmax and sigmoid are below ReLU.",
    "noise": "In the paper (Fig. 7, another space, no numbers printed) no noise is far below the rest, 0.3 best.",
}
_X = {"activation": "what makes alpha a weight", "noise": "initial range of the sampling noise"}


def build_activation(inputs: Inputs) -> Chart:
    """Figure 6.

    Raises:
        MissingRecords: no run of it is there.
    """
    return _build(inputs, "activation")


def build_noise(inputs: Inputs) -> Chart:
    """Figure 7.

    Raises:
        MissingRecords: no run of it is there.
    """
    return _build(inputs, "noise")


def _build(inputs: Inputs, name: str) -> Chart:
    found = required(inputs, name)
    study = found[0]
    values = {arm.label: study.scores(records) for arm, records in study.arms}
    shown = {label: scores for label, scores in values.items() if scores}
    picture = _Picture(_X[name], study.score, study.title, shown)
    others = [f"{other.title} (n={len(other.records)} in all)" for other in found[1:]]
    caption = (
        f"{about(study, study.score)} Dots: runs; diamonds and bars: their mean and its 95 % t-interval (ddof=1, cut "
        "at the axis). "
        f"{_changes(study)} {_SAID[name]}" + f" Runs that are not shown: {'; '.join(others)}." * bool(others)
    )
    details = {"study": study.title, "score": study.score, "benchmark_sha256": study.setting.benchmark[1]}
    return Chart(caption, tuple(_rows(study)), details, picture.draw, missing(inputs, name, found))


def _rows(study: Study) -> list[Mapping[str, Any]]:
    """One a run."""
    return [
        {"arm": arm.label, "seed": record.seed, "cell": record.cell, study.score: record.scores.get(study.score)}
        for arm, records in study.arms
        for record in records
    ]


def _changes(study: Study) -> str:
    """What the arms do to the usual one."""
    told = []
    for arm, records in study.arms:
        change = None if arm.is_usual else change_of(study, records)
        if change is not None:
            half = "" if change.interval is None else f"±{change.interval:.2f}"
            told.append(f"{arm.label} {INDISTINCT * change.indistinct}{change.mean:+.2f}{half}")
    usual = next((arm.label for arm, _ in study.arms if arm.is_usual), "")
    if not told:
        return ""
    return f"Minus {usual}, over common seeds, with the 95 % interval: {', '.join(told)}. {NOT_TOLD_APART}"


@dataclass(frozen=True)
class _Picture:
    """What is on the figure."""

    x_label: str
    score: str
    title: str
    arms: Mapping[str, Sequence[float]]

    def draw(self) -> Figure:
        """The figure."""
        from matplotlib.figure import Figure

        with style.context():
            figure = Figure(figsize=(style.COLUMN_WIDTH, _HEIGHT), layout="constrained")
            numbers = sorted({len(values) for values in self.arms.values()})
            n = f"n={'–'.join(str(number) for number in dict.fromkeys((numbers[0], numbers[-1])))}"
            axes = figure.add_subplot(
                title=f"{self.title}, {n}", xlabel=self.x_label, ylabel=f"{self.score.replace('-', ' ')} accuracy [%]"
            )
            low, high = self.y_limits()
            colour = style.COLOURS[1]  # one: the axis says which is which
            for place, values in enumerate(self.arms.values()):
                offsets = [place + 0.12 * (number - (len(values) - 1) / 2) for number in range(len(values))]
                axes.plot(offsets, values, "o", color=colour, markersize=4, markeredgewidth=0, alpha=0.6)
                mean = Spread.over(values)
                half = mean.interval or 0.0
                axes.vlines(place + 0.3, max(mean.mean - half, low), min(mean.mean + half, high), color=colour)
                axes.plot(place + 0.3, mean.mean, "D", color=colour, markeredgecolor="white", markersize=5.5)
            axes.set(xlim=(-0.5, len(self.arms) - 0.3), ylim=(low, high))
            axes.set_xticks([place + 0.1 for place in range(len(self.arms))], list(self.arms))
            axes.tick_params(axis="x", length=0)
            axes.grid(axis="y", linewidth=0.4, color=style.GREY, alpha=0.6)
            axes.set_axisbelow(True)
        return figure

    def y_limits(self) -> tuple[float, float]:
        """From below the lowest run to above the highest: intervals of three runs would flatten the rest."""
        values = [value for runs in self.arms.values() for value in runs]
        room = max(0.15 * (max(values) - min(values)), 0.25)
        return min(values) - room, min(max(values) + room, 100.0)
