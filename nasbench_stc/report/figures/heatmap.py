"""Figures 3 and 9 of the paper: what weighs the operations of each edge when the search ends.

DARTS weighs by softmax(alpha), Eq. 1, STC-NAS by ReLU(alpha), Eq. 3. The paper's point is how far the largest weight of
an edge stands out, for the cell keeps nothing of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import seeds
from nasbench_stc.errors import DataError
from nasbench_stc.report import style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.frames import ALPHA
from nasbench_stc.report.groups import chosen
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.registry import Maker
from nasbench_stc.space import EDGES, OPS, Cell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

PANELS = 3
"""Runs drawn, at most."""
_OWN = {"darts": ("softmax", "Eq. 1"), "stc": ("relu", "Eq. 3")}
"""Of a method: what makes alpha a weight, unless its settings say otherwise, and where the paper says so."""
_DARK = 0.56  # share of the scale below which its colours are darker than white text needs
_BARE, _PANEL = 0.35, 1.05  # inches: of a figure without panels, and of a panel


def softmax(alpha: Floats) -> Floats:
    """Along the last axis."""
    powers = np.exp(alpha - alpha.max(axis=-1, keepdims=True))
    weights: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return weights


ACTIVATIONS: Mapping[str, tuple[str, Callable[[Floats], Floats], str]] = {
    "softmax": ("softmax(α)", softmax, "those of an edge sum to 1"),
    "relu": ("ReLU(α)", lambda alpha: np.maximum(alpha, 0), "each from 0 to 1"),
    "sigmoid": ("sigmoid(α)", lambda alpha: 1 / (1 + np.exp(-alpha)), "each from 0 to 1"),
}
"""By the setting `activation` of STC-NAS what makes alpha weights: its name, itself, and the scale of the weights."""


class Panel(NamedTuple):
    seed: int
    margin: float
    weights: Floats
    """Rows in the order of `EDGES`, columns in that of `OPS`; so has `in_cell`."""
    in_cell: NDArray[np.bool_]


def build(inputs: Inputs, method: str) -> Chart:
    """The weights that the runs of `method`, `darts` or `stc`, ended with.

    Raises:
        MissingRecords: there is no run of it.
        DataError: what makes alpha weights in these runs is not known here.
    """
    ends = inputs.trajectories.groupby(["path", "seed"], observed=True).tail(1)[["path", "seed", *ALPHA]]
    shown = chosen(inputs, inputs.runs.merge(ends.dropna(), on=["path", "seed"]), method)
    runs = shown.runs
    usual, equation = _OWN[method]
    own = str(shown.group.settings["method"].get("activation", usual))
    if own not in ACTIVATIONS:
        raise DataError(f"runs of {method} whose activation is {own!r}: this version knows {', '.join(ACTIVATIONS)}")
    weight, activation, scale = ACTIVATIONS[own]
    alpha = runs[list(ALPHA)].to_numpy().reshape(-1, len(EDGES), len(OPS))
    weights = activation(alpha)
    in_cell = np.array([np.equal.outer(Cell.parse(cell).ops, range(len(OPS))) for cell in runs["cell"]])
    *_, second, first = np.moveaxis(np.sort(weights, axis=2), 2, 0)
    margins = (first - second).mean(axis=1)
    outweighed = int((np.where(in_cell, weights, 0).sum(axis=2) < first).sum())
    rows = tuple(
        {
            "seed": int(runs["seed"].iloc[run]),
            "edge": "{}-{}".format(*EDGES[edge]),
            "operation": OPS[op],
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
        caption += f" It does not have the largest weight on {outweighed} of {len(runs) * len(EDGES)} edges."
    told = {str(seed): round(float(margin), 6) for seed, margin in zip(runs["seed"], margins, strict=True)}
    details = {**shown.described(), "weight": weight, "margins": told}
    panels = list(map(Panel, runs["seed"], margins, weights, in_cell))[:PANELS]
    return Chart(caption + shown.left_out, rows, details, partial(_draw, panels, weight))


def _draw(panels: Sequence[Panel], weight: str) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    # From 0 to 1 in both figures, so that one colour is one weight in both.
    top = max(1.0, *(float(panel.weights.max()) for panel in panels))
    with style.context():
        figure = Figure(figsize=(style.COLUMN_WIDTH, _BARE + _PANEL * len(panels)), layout="constrained")
        columns = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
        for axes, panel in zip(columns, panels, strict=True):
            axes.set_title(f"seed {panel.seed}, margin {panel.margin:.2f}")
            image = axes.imshow(panel.weights, cmap="cividis", vmin=0, vmax=top, aspect="auto")
            axes.set_yticks(range(len(EDGES)), [f"{source}→{target}" for source, target in EDGES])
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)
            for (edge, op), value in np.ndenumerate(panel.weights):
                colour = "white" if value < _DARK * top else style.BLACK
                axes.text(op, edge, f"{value:.2f}", color=colour, fontsize=6.5, ha="center", va="center_baseline")
                if panel.in_cell[edge, op]:
                    frame = Rectangle((op - 0.45, edge - 0.42), 0.9, 0.84, fill=False, edgecolor=colour, linewidth=1)
                    axes.add_patch(frame)
        columns[-1].set_xticks(range(len(OPS)), [style.OP_LABELS[name] for name in OPS], fontsize=6.5)
        bar = figure.colorbar(image, ax=list(columns), label=weight, aspect=15 * len(panels), pad=0.02)
        bar.outline.set_visible(False)
    return figure


FIGURES = {
    "3": Maker("weights of operations at the end of DARTS", partial(build, method="darts")),
    "9": Maker("weights of operations at the end of STC-NAS", partial(build, method="stc")),
}
