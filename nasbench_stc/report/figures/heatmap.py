"""Figures 3 and 9 of the paper: what weighs the operations of each edge when the search ends.

DARTS weighs by softmax(alpha), Eq. 1, STC-NAS by ReLU(alpha), Eq. 3. The paper's point is how far the largest weight of
an edge stands out, for the cell keeps nothing of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import seeds
from nasbench_stc.errors import DataError
from nasbench_stc.report import style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.frames import alpha_columns
from nasbench_stc.report.groups import chosen
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.registry import Maker
from nasbench_stc.space import Space

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

PANELS = 3
"""Runs drawn, at most."""
_OWN = {"darts": ("softmax", "Eq. 1"), "stc": ("relu", "Eq. 3")}
"""Of a method: what makes alpha a weight, unless its settings say otherwise, and where the paper says so."""
_DARK = 0.56  # share of the scale below which its colours are darker than white text needs
_BARE, _PANEL = 0.35, 1.05  # inches: of a figure without panels, and of a panel
_MANY, _ROW = 10, 0.11  # edges from which on a figure is as wide as the page, and inches of one of them there


ACTIVATIONS = {
    "softmax": ("softmax(α)", "those of an edge sum to 1"),
    "relu": ("ReLU(α)", "each from 0 to 1"),
    "sigmoid": ("sigmoid(α)", "each from 0 to 1"),
}
"""By the setting `activation` of STC-NAS what makes alpha weights: its name, and the scale of the weights."""


def build(inputs: Inputs, method: str) -> Chart:
    """The weights that the runs of `method`, `darts` or `stc`, ended with.

    Raises:
        MissingRecords: there is no run of it.
        DataError: what makes alpha weights in these runs is not known here.
    """
    space = inputs.space
    names = alpha_columns(space)
    ends = inputs.trajectories.groupby(["path", "seed"], observed=True).tail(1)
    ends = ends.reindex(columns=["path", "seed", *names])
    shown = chosen(inputs, inputs.runs.merge(ends.dropna(), on=["path", "seed"]), method)
    runs = shown.runs
    usual, equation = _OWN[method]
    own = str(shown.group.settings["method"].get("activation", usual))
    if own not in ACTIVATIONS:
        raise DataError(f"runs of {method} whose activation is {own!r}: this version knows {', '.join(ACTIVATIONS)}")
    weight, scale = ACTIVATIONS[own]
    alpha = runs[names].to_numpy().reshape(-1, *space.shape)
    weights = _weights(own, alpha)
    in_cell = np.array([np.equal.outer(space.parse(cell), range(len(space.ops))) for cell in runs["cell"]])
    *_, second, first = np.moveaxis(np.sort(weights, axis=2), 2, 0)
    margins = (first - second).mean(axis=1)
    kept = space.is_free | (
        in_cell.argmax(axis=2) != space.none
    )  # of an edge that a cell does not keep none is no choice
    outweighed = int((kept & (np.where(in_cell, weights, 0).sum(axis=2) < first)).sum())
    rows = tuple(
        {
            "seed": int(runs["seed"].iloc[run]),
            "edge": space.edges[edge].replace("→", "-"),
            "operation": space.ops[op],
            "alpha": float(value),
            "weight": round(float(weights[run, edge, op]), 6),
            "in_cell": bool(in_cell[run, edge, op]),
        }
        for (run, edge, op), value in np.ndenumerate(alpha)
    )
    source = equation if own == usual else f"in place of {ACTIVATIONS[usual][0]} in {equation}"
    caption = f"{weight}, {source}: the weights of operations ({scale}) at the end of {shown.group.told}"
    if len(runs) > PANELS:
        caption += f", of which {seeds.told(runs['seed'].head(PANELS))} are drawn"
    caption += f". Margin, the mean over edges of the largest minus the second largest weight: {margins.mean():.3f}"
    if len(runs) > 1:
        caption += f" (mean of n={len(runs)}; {margins.min():.3f} to {margins.max():.3f})"
    caption += ". Framed: the operation in the resulting cell."
    if outweighed:
        caption += f" It does not have the largest weight on {outweighed} of {kept.sum()} edges."
    told = {str(seed): round(float(margin), 6) for seed, margin in zip(runs["seed"], margins, strict=True)}
    details = {**shown.described(), "weight": weight, "margins": told}
    titles = [f"seed {seed}, margin {margin:.2f}" for seed, margin in zip(runs["seed"], margins, strict=True)][:PANELS]
    paint = partial(_paint, space, weight, titles, weights[:PANELS], in_cell[:PANELS])
    many = len(space.edges) > _MANY
    height = _BARE + len(titles) * (_ROW * len(space.edges) if many else _PANEL)
    width = style.PAGE_WIDTH if many else style.COLUMN_WIDTH
    return Chart(caption + shown.left_out, rows, details, paint, height, width)


def _weights(activation: str, alpha: Floats) -> Floats:
    """By one of `ACTIVATIONS`, along the last axis."""
    from scipy import special  # costs a quarter of a second, which other figures do without

    found: Floats
    if activation == "softmax":
        found = special.softmax(alpha, axis=-1)
    else:
        found = special.expit(alpha) if activation == "sigmoid" else np.maximum(alpha, 0)
    return found


def _paint(
    space: Space, weight: str, titles: Sequence[str], weights: Floats, in_cell: NDArray[np.bool_], figure: Figure
) -> None:
    """A panel a run; `weights` and `in_cell` of shape (runs, edges, operations)."""
    from matplotlib.patches import Rectangle

    size, ticks = (6, 6) if len(space.edges) > _MANY else (6.5, 7)
    top = max(1.0, float(weights.max()))  # from 0 to 1 in both figures, so that one colour is one weight in both
    columns = figure.subplots(len(titles), sharex=True, squeeze=False)[:, 0]
    for axes, title, own, framed in zip(columns, titles, weights, in_cell, strict=True):
        axes.set_title(title)
        image = axes.imshow(own, cmap="cividis", vmin=0, vmax=top, aspect="auto")
        axes.set_yticks(range(len(space.edges)), space.edges, fontsize=ticks)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for (edge, op), value in np.ndenumerate(own):
            colour = "white" if value < _DARK * top else style.BLACK
            axes.text(op, edge, f"{value:.2f}", color=colour, fontsize=size, ha="center", va="center_baseline")
            if framed[edge, op]:
                axes.add_patch(Rectangle((op - 0.45, edge - 0.42), 0.9, 0.84, fill=False, edgecolor=colour))
    columns[-1].set_xticks(range(len(space.ops)), style.op_labels(space.ops), fontsize=6.5)
    bar = figure.colorbar(image, ax=list(columns), label=weight, aspect=15 * len(titles), pad=0.02)
    bar.outline.set_visible(False)


FIGURES = {
    "3": Maker("weights of operations at the end of DARTS", partial(build, method="darts"), supernet=True),
    "9": Maker("weights of operations at the end of STC-NAS", partial(build, method="stc"), supernet=True),
}
