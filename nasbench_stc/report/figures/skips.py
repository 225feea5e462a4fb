"""Figure 8 of the paper: skip connections and accuracy over the epochs of long searches, DARTS against STC-NAS.

The paper searches for 150 epochs, three times as many as usual, and trains the cell of every 25th; here a benchmark
says of every epoch's cell what it scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench_stc.benchmark import column, held_columns
from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.errors import DataError
from nasbench_stc.methods import title_of
from nasbench_stc.records.ablation import LONGER, Search, changed_arm
from nasbench_stc.report import style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.groups import Chosen, Group, grouped
from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords, like
from nasbench_stc.report.registry import Maker
from nasbench_stc.space import DATASETS, Space

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame, Series

METHODS = ("darts", "stc")
SPLIT = "test"
_SKIPS = "skip_connects"  # column: of the epoch's cell, how many edges


def build(inputs: Inputs) -> Chart:
    """The longer runs of both methods, or in their place the longest by the protocol's own settings.

    Both are by the same protocol, on the same data set and looked up in the same benchmark.

    Raises:
        MissingRecords: there is no run of either method.
        DataError: the benchmark in which the cells were looked up is not at hand.
    """
    if inputs.space.skip is None:
        raise DataError(f"{inputs.space.title} has no skip connections")
    shown = _chosen(inputs)
    first = shown[0].group
    benchmark = inputs.benchmark_of(*first.benchmark)
    if benchmark is None:
        raise DataError(
            f"benchmark {first.benchmark[0]} (sha256 {first.benchmark[1][:12]}), in which the runs' cells were looked "
            "up, is not at hand: `stc-bench data status` says how to get one"
        )
    if not benchmark.holds():
        raise DataError(benchmark.about)
    own = column(first["search_dataset"], SPLIT) in held_columns(benchmark)
    dataset = first["search_dataset"] if own else DATASETS[0]
    name = column(dataset, SPLIT)
    epochs = inputs.trajectories.set_index("path").loc[[path for one in shown for path in one.runs["path"]]]
    epochs[_SKIPS] = epochs["digits"].astype(str).str.count(str(inputs.space.skip))
    epochs[name] = benchmark.accuracy(epochs["cell_index"].to_numpy(), dataset, SPLIT)
    learning = epochs[epochs["valid_loss"].notna()].groupby("method", observed=True)["epoch"].min()
    begins = learning.reindex([one.group["method"] for one in shown], fill_value=1)
    series = [
        {**one.described(), "epochs": int(one.group["epochs"]), "alpha_learns_from": int(begin)}
        for one, begin in zip(shown, begins, strict=True)
    ]
    accuracy = f"{name} accuracy in {benchmark.name} ({benchmark.about}; sha256 {benchmark.sha256[:12]})"
    missing = _missing(inputs, shown)
    caption = " ".join(_caption(inputs.space, shown, epochs, begins, accuracy, missing))
    rows = epochs[["method", "seed", "epoch", "cell", _SKIPS, name]].round({name: 4}).to_dict("records")
    details = {"dataset": dataset, "split": SPLIT, "series": series}
    paint = partial(_paint, len(inputs.space.edges), shown, epochs, begins, (dataset, SPLIT))
    return Chart(caption, tuple(rows), details, paint, height=3.1, missing=missing)


def _chosen(inputs: Inputs) -> list[Chosen]:
    """Of each method the runs to show, as far as there are any."""
    lengths = inputs.trajectories.groupby("path", observed=True).size()
    runs = inputs.runs[inputs.runs["method"].isin(METHODS) & inputs.runs["path"].isin(lengths.index)]
    groups = grouped(runs.assign(epochs=runs["path"].astype(str).map(lengths)))
    settings: dict[tuple[str, ...], dict[str, Group]] = {}
    for group in sorted(groups, key=lambda one: (_is_longer(one), one["epochs"], len(one.runs), one.newest)):
        if _is_longer(group) or not group.changes:
            # The last one, that of the highest rank, stays.
            setting = (group["protocol"], group["search_dataset"], *group.benchmark)
            settings.setdefault(setting, {})[group["method"]] = group
    if not settings:
        raise MissingRecords(Missing(f"runs of {_names(METHODS)}", inputs.command(f"ablate epochs{inputs.like_ours}")))

    def rank(shown: dict[str, Group]) -> tuple[Any, ...]:
        ours = list(shown.values())
        number, newest = sum(len(group.runs) for group in ours), max(group.newest for group in ours)
        return sum(map(_is_longer, ours)), len(ours), ours[0]["search_dataset"] in DATASETS, number, newest

    best = max(settings.values(), key=rank)
    rivals = [group["method"] for group in groups]
    return [Chosen(best[method], rivals.count(method) - 1) for method in METHODS if method in best]


def _is_longer(group: Group) -> bool:
    """Whether nothing but the epochs is changed, to `LONGER` times as many."""
    search = (group["method"], group["search_dataset"], group["protocol"], group.changes)
    return changed_arm(Search(*search), "epochs") is not None


def _missing(inputs: Inputs, chosen: Sequence[Chosen]) -> tuple[Missing, ...]:
    """The longer runs of those methods that have none under the setting of the others."""
    longer = {one.group["method"] for one in chosen if _is_longer(one.group)}
    lacking = [name for name in METHODS if name not in longer]
    protocol, dataset = chosen[0].group["protocol"], chosen[0].group["search_dataset"]
    preset = PROTOCOLS.get(protocol)  # None: of a protocol that this version does not know
    long = "longer runs" if preset is None else f"runs over {LONGER * preset.settings.epochs} epochs"
    command = inputs.command(f"ablate epochs{like(dataset, protocol)}")
    return (Missing(f"{long} of {_names(lacking)} on {dataset}", command),) if lacking else ()


def _caption(
    space: Space,
    shown: Sequence[Chosen],
    epochs: DataFrame,
    begins: Series,
    accuracy: str,
    missing: Sequence[Missing],
) -> Iterator[str]:
    whose = " and ".join(one.group.told for one in shown)
    what = f"how many of its {len(space.edges)} edges are skip connections, and its {accuracy}"
    yield f"The cell after each epoch of {whose}: {what}."
    if any(len(one.runs) > 1 for one in shown):
        yield "Thick: the mean over runs; thin: single runs."
    for epoch in begins[begins > 1].unique():
        names = ", ".join(one.group.name for one, begin in zip(shown, begins, strict=True) if begin == epoch)
        yield f"Vertical line: from epoch {epoch} on alpha learns ({names}); before, the cell is what alpha started as."
    means = epochs.groupby(["method", "epoch"], observed=True)[[_SKIPS, epochs.columns[-1]]].mean()
    ends = [(one.group.name, *means.loc[one.group["method"], one.group["epochs"]]) for one in shown]
    told = [f"{name} {skips:.1f} skip connections and {percent:.2f} %" for name, skips, percent in ends]
    yield f"After the last epoch, mean: {', '.join(told)}."
    if missing:
        yield f"Not the paper's comparison, which is of {LONGER} times the usual epochs: {missing[0].what} are missing."
    yield from (one.left_out.strip() for one in shown if one.others)


def _names(methods: Sequence[str]) -> str:
    return " and ".join(title_of(method) for method in methods)


def _paint(
    edges: int, shown: Sequence[Chosen], epochs: DataFrame, begins: Series, of: tuple[str, str], figure: Figure
) -> None:
    above, below = figure.subplots(2, sharex=True)
    above.set(ylabel="skip connections", ylim=(-0.2, edges + 0.2), yticks=range(0, edges + 1, 2))
    below.set(ylabel=f"{' '.join(of)}\naccuracy [%]", xlabel="epoch", xlim=(0, epochs["epoch"].max() + 1))
    below.xaxis.get_major_locator().set_params(integer=True)
    for axes, name in ((above, _SKIPS), (below, column(*of))):
        lines = [_line(axes, one.group, epochs, name) for one in shown]
        for epoch in begins[begins > 1].unique():
            axes.axvline(epoch - 0.5, color=style.BLACK, linewidth=0.6, linestyle=":", zorder=1)
    figure.legend(handles=lines, loc=style.BELOW, ncols=len(lines))


def _line(axes: Axes, group: Group, epochs: DataFrame, name: str) -> Any:
    """Steps, each as wide as its epoch."""
    pattern, colour = style.line_look(METHODS.index(group["method"]))
    values = epochs[epochs["method"] == group["method"]].pivot(index="epoch", columns="seed", values=name).to_numpy()
    steps = np.append(values, values[-1:], axis=0)
    x = np.arange(len(steps)) + 0.5
    if group.n != 1:
        thin = min(0.4, 1.2 / steps.shape[1])  # where many runs agree, their lines add up
        axes.plot(x, steps, drawstyle="steps-post", color=colour, alpha=thin, linewidth=0.5, zorder=1.5)
    look: Any = {"linestyle": pattern, "color": colour, "label": f"{group.name} (n={group.n})"}
    return axes.plot(x, steps.mean(axis=1), drawstyle="steps-post", **look)[0]


FIGURES = {"8": Maker("skip connections and accuracy over the epochs", build, supernet=True)}
