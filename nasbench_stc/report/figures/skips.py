"""Figure 8 of the paper: skip connections and accuracy over the epochs of long searches, DARTS against STC-NAS.

The paper searches for 150 epochs, three times as many as usual, and trains the cell of every 25th; here a benchmark
says of every epoch's cell what it scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.benchmark import Benchmark, column, held_columns
from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.errors import DataError
from nasbench_stc.methods import title_of
from nasbench_stc.report import style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.groups import Chosen
from nasbench_stc.report.groups import Group, grouped
from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords, like
from nasbench_stc.runs import Record
from nasbench_stc.runs.ablation import LONGER, changed_arm
from nasbench_stc.space import DATASETS, EDGES, SKIP, Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

METHODS = ("darts", "stc")
SPLIT = "test"
_HEIGHT = 2.9  # inches, without the legend


@dataclass(frozen=True)
class Series:
    """The runs of one method, epoch by epoch."""

    shown: Chosen
    skips: Floats
    """How many edges of the epoch's cell are skip connections; a row for each run, a column for each epoch."""
    accuracy: Floats
    """Of the epoch's cell, in percent; likewise."""

    @property
    def label(self) -> str:
        """For the legend."""
        return f"{self.shown.group.name} (n={len(self.skips)})"

    @property
    def epochs(self) -> range:
        """Counted from 1."""
        return range(1, self.skips.shape[1] + 1)

    @property
    def learns_from(self) -> int:
        """The epoch in which alpha begins to learn."""
        trajectory = self.shown.runs[0].trajectory
        learning = (epoch for epoch in self.epochs if trajectory[epoch - 1]["valid_loss"] is not None)
        return next(learning, 1)


def build(inputs: Inputs) -> Chart:
    """The longer runs of both methods, or in their place the longest by the protocol's own settings.

    Both are by the same protocol, on the same data set and looked up in the same benchmark.

    Raises:
        MissingRecords: there is no run of either method.
        DataError: the benchmark in which the cells were looked up is not at hand.
    """
    chosen = _chosen(inputs)
    first = next(iter(chosen.values())).group.first
    benchmark = inputs.benchmark_of(first)
    if benchmark is None:
        name, sha256 = first.looked_up_in
        raise DataError(
            f"benchmark {name} (sha256 {sha256[:12]}), in which the runs' cells were looked up, is not at hand: "
            "`stc-bench data status` says how to get one"
        )
    searched = first.search_dataset
    dataset = searched if column(searched, SPLIT) in held_columns(benchmark) else DATASETS[0]
    series = [_series(one, benchmark, dataset) for one in chosen.values()]
    missing = _missing(inputs, chosen, first)
    details = {
        "dataset": dataset,
        "split": SPLIT,
        "series": [
            {**one.shown.described(), "epochs": len(one.epochs), "alpha_learns_from": one.learns_from} for one in series
        ],
    }
    caption = " ".join(_caption(series, benchmark, column(dataset, SPLIT), missing))
    picture = _Picture(series, f"{dataset} {SPLIT}\naccuracy [%]")
    return Chart(caption, tuple(_rows(series, column(dataset, SPLIT))), details, picture.draw, missing)


def _chosen(inputs: Inputs) -> dict[str, Chosen]:
    """Of each method the runs to show, as far as there are any."""
    groups = grouped([record for record in inputs.records if record.method in METHODS and record.trajectory])
    settings: dict[tuple[str, ...], dict[str, Group]] = {}
    for group in sorted(groups, key=_rank):
        if _is_longer(group.first) or not group.first.changes:
            # The last one, that of the highest rank, stays.
            settings.setdefault(_setting(group), {})[group.first.method] = group
    if not settings:
        raise MissingRecords(Missing(f"runs of {_names(METHODS)}", inputs.command(f"ablate epochs{inputs.like_ours}")))

    def rank(shown: Mapping[str, Group]) -> tuple[object, ...]:
        longer = sum(_is_longer(group.first) for group in shown.values())
        known = sum(group.first.search_dataset in DATASETS for group in shown.values())
        return (
            longer,
            len(shown),
            known,
            sum(len(group.records) for group in shown.values()),
            max(map(newest, shown.values())),
        )

    best = max(settings.values(), key=rank)
    rivals = [group.first.method for group in groups]
    return {method: Chosen(best[method], rivals.count(method) - 1) for method in METHODS if method in best}


def _rank(group: Group) -> tuple[object, ...]:
    """Among runs of one method."""
    return _is_longer(group.first), len(group.first.trajectory), len(group.records), newest(group)


def _setting(group: Group) -> tuple[str, ...]:
    return group.first.protocol, group.first.search_dataset, *group.benchmark


def _is_longer(record: Record) -> bool:
    """Whether nothing but the epochs is changed, to `LONGER` times as many."""
    return changed_arm(record, "epochs") is not None


def _missing(inputs: Inputs, chosen: Mapping[str, Chosen], first: Record) -> tuple[Missing, ...]:
    """The longer runs of those methods that have none under the setting of `first`."""
    lacking = [name for name in METHODS if name not in chosen or not _is_longer(chosen[name].group.first)]
    if not lacking:
        return ()
    preset = PROTOCOLS.get(first.protocol)  # None: of a protocol that this version does not know
    long = "longer runs" if preset is None else f"runs over {LONGER * preset.settings.epochs} epochs"
    command = inputs.command(f"ablate epochs{like(first)}")
    return (Missing(f"{long} of {_names(lacking)} on {first.search_dataset}", command),)


def _series(shown: Chosen, benchmark: Benchmark, dataset: str) -> Series:
    cells = [[Cell.parse(entry["cell"]) for entry in run.trajectory] for run in shown.runs]
    skips = np.array([[cell.ops.count(SKIP) for cell in of_run] for of_run in cells], dtype=np.float64)
    accuracy = benchmark.accuracy([cell for of_run in cells for cell in of_run], dataset, SPLIT)
    return Series(shown, skips, accuracy.reshape(skips.shape))


def _rows(series: Sequence[Series], name: str) -> Iterator[dict[str, Any]]:
    """One for each epoch of each run."""
    for one in series:
        for run, skips, accuracy in zip(one.shown.runs, one.skips, one.accuracy, strict=True):
            for epoch, entry in zip(one.epochs, run.trajectory, strict=True):
                yield {
                    "method": run.method,
                    "seed": run.seed,
                    "epoch": epoch,
                    "cell": entry["cell"],
                    "skip_connects": int(skips[epoch - 1]),
                    name: round(float(accuracy[epoch - 1]), 4),
                }


def _caption(series: Sequence[Series], benchmark: Benchmark, name: str, missing: Sequence[Missing]) -> Iterator[str]:
    whose = " and ".join(one.shown.told for one in series)
    yield f"The cell after each epoch of {whose}: how many of its {len(EDGES)} edges are skip connections, and its"
    yield f"{name} accuracy in {benchmark.name} ({benchmark.about}; sha256 {benchmark.sha256[:12]})."
    if any(len(one.skips) > 1 for one in series):
        yield "Thick: the mean over runs; thin: single runs."
    for epoch, names in _beginnings(series).items():
        yield f"Vertical line: from epoch {epoch} on alpha learns ({names}); before, the cell is what alpha started as."
    ends = [
        f"{one.shown.group.name} {one.skips[:, -1].mean():.1f} skip connections and {one.accuracy[:, -1].mean():.2f} %"
        for one in series
    ]
    yield f"After the last epoch, mean: {', '.join(ends)}."
    if missing:
        yield f"Not the paper's comparison, which is of {LONGER} times the usual epochs: {missing[0].what} are missing."
    yield from (one.shown.left_out.strip() for one in series if one.shown.others)


def _beginnings(series: Sequence[Series]) -> dict[int, str]:
    """Where alpha begins to learn after a warm-up, and whose it is."""
    found: dict[int, list[str]] = {}
    for one in series:
        if one.learns_from > 1:
            found.setdefault(one.learns_from, []).append(one.shown.group.name)
    return {epoch: ", ".join(names) for epoch, names in found.items()}


def _names(methods: Sequence[str]) -> str:
    return " and ".join(title_of(method) for method in methods)


@dataclass(frozen=True)
class _Picture:
    """What is on the figure."""

    series: Sequence[Series]
    y_label: str

    def draw(self) -> Figure:
        """The figure."""
        from matplotlib.figure import Figure

        with style.context():
            figure = Figure(layout="constrained")
            above, below = figure.subplots(2, sharex=True)
            above.set(ylabel="skip connections", ylim=(-0.2, len(EDGES) + 0.2), yticks=range(0, len(EDGES) + 1, 2))
            below.set(ylabel=self.y_label, xlabel="epoch", xlim=(0, max(one.epochs[-1] for one in self.series) + 1))
            below.xaxis.get_major_locator().set_params(integer=True)
            lines = []
            for one in self.series:
                self._line(above, one, one.skips)
                lines.append(self._line(below, one, one.accuracy))
            for axes in (above, below):
                for epoch in _beginnings(self.series):
                    axes.axvline(epoch - 0.5, color=style.BLACK, linewidth=0.6, linestyle=":", zorder=1)
            rows = style.legend_below(figure, lines, ())
            figure.set_size_inches(style.COLUMN_WIDTH, _HEIGHT + style.LEGEND_ROW * rows)
        return figure

    @staticmethod
    def _line(axes: Axes, one: Series, values: Floats) -> Any:
        """Steps, each as wide as its epoch."""
        pattern, colour = style.line_look(METHODS.index(one.shown.group.first.method))
        x = np.append(one.epochs, one.epochs[-1] + 1) - 0.5
        steps = np.append(values, values[:, -1:], axis=1)
        if len(values) > 1:
            # Where many runs agree, their lines add up.
            alpha = min(0.4, 1.2 / len(values))
            axes.plot(x, steps.T, color=colour, linewidth=0.5, alpha=alpha, drawstyle="steps-post", zorder=1.5)
        mean = steps.mean(axis=0)
        (line,) = axes.plot(x, mean, linestyle=pattern, color=colour, drawstyle="steps-post", label=one.label)
        return line
