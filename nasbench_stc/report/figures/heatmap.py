"""Figures 3 and 9 of the paper: what weighs the operations of each edge when the search ends.

DARTS weighs by softmax(alpha), Eq. 1, STC-NAS by ReLU(alpha), Eq. 3. The paper's point is how far the largest weight of
an edge stands out, for the cell keeps nothing of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_stc import seeds
from nasbench_stc.errors import DataError
from nasbench_stc.report import statistics, style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.groups import chosen
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.runs import Record
from nasbench_stc.space import EDGES, OPS, Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

PANELS = 3
"""Runs drawn, at most."""
_OWN = {"darts": ("softmax", "Eq. 1"), "stc": ("relu", "Eq. 3")}
"""Of a method: what makes alpha a weight, unless its settings say otherwise, and where the paper says so."""
_DARK = 0.56  # share of the scale below which its colours are darker than white text needs
_BARE, _PANEL = 0.35, 1.05  # inches: of a figure without panels, and of a panel


class Activation(NamedTuple):
    """What makes alpha weights."""

    name: str
    of: Callable[[Floats], Floats]
    scale: str
    """In which the weights, and so their margins, are; not the same for all."""


def softmax(alpha: Floats) -> Floats:
    """Of each row."""
    powers = np.exp(alpha - alpha.max(axis=1, keepdims=True))
    weights: Floats = powers / powers.sum(axis=1, keepdims=True)
    return weights


ACTIVATIONS: Mapping[str, Activation] = {
    "softmax": Activation("softmax(α)", softmax, "those of an edge sum to 1"),
    "relu": Activation("ReLU(α)", lambda alpha: np.maximum(alpha, 0), "each from 0 to 1"),
    "sigmoid": Activation("sigmoid(α)", lambda alpha: 1 / (1 + np.exp(-alpha)), "each from 0 to 1"),
}
"""By the name that the setting `activation` of STC-NAS has."""


class Panel(NamedTuple):
    """The weights at the end of a run."""

    run: Record
    alpha: Floats
    weights: Floats
    """Rows in the order of `EDGES`, columns in that of `OPS`; so has alpha."""

    @property
    def margin(self) -> float:
        """The largest weight minus the second largest, the mean over edges."""
        ordered = np.sort(self.weights, axis=1)
        return float((ordered[:, -1] - ordered[:, -2]).mean())

    @property
    def outweighed(self) -> int:
        """Edges whose operation in the resulting cell has not the largest weight."""
        own = self.weights[np.arange(len(EDGES)), Cell.parse(self.run.cell).ops]
        return int((own < self.weights.max(axis=1)).sum())


def build(inputs: Inputs, method: str) -> Chart:
    """The weights that the runs of `method`, `darts` or `stc`, ended with.

    Raises:
        MissingRecords: there is no run of it.
    """
    kept = [record for record in inputs.records if record.trajectory and "alpha" in record.trajectory[-1]]
    shown = chosen(replace(inputs, records=kept), method)
    usual, equation = _OWN[method]
    own = str(shown.group.first.settings["method"].get("activation", usual))
    if own not in ACTIVATIONS:
        raise DataError(f"runs of {method} whose activation is {own!r}: this version knows {', '.join(ACTIVATIONS)}")
    activation = ACTIVATIONS[own]
    source = equation if own == usual else f"in place of {ACTIVATIONS[usual].name} in {equation}"
    panels = [_panel(run, activation) for run in shown.runs]
    details = {
        **shown.described(),
        "weight": activation.name,
        "margins": {str(panel.run.seed): round(panel.margin, 6) for panel in panels},
    }
    caption = (
        f"{activation.name}, {source}: the weights of operations ({activation.scale}) at the end of {shown.told}"
        f"{_drawn(panels)}. {_margins(panels)} Framed: the operation in the resulting cell.{_outweighed(panels)}"
        f"{shown.left_out}"
    )
    picture = _Picture(panels[:PANELS], activation.name)
    return Chart(caption, tuple(row for panel in panels for row in _rows(panel)), details, picture.draw)


def _panel(run: Record, activation: Activation) -> Panel:
    alpha = np.array(run.trajectory[-1]["alpha"], dtype=np.float64)
    return Panel(run, alpha, activation.of(alpha))


def _rows(panel: Panel) -> list[dict[str, object]]:
    """One for each operation of each edge."""
    ops = Cell.parse(panel.run.cell).ops
    return [
        {
            "seed": panel.run.seed,
            "edge": f"{source}-{target}",
            "operation": name,
            "alpha": float(panel.alpha[edge, op]),
            "weight": round(float(panel.weights[edge, op]), 6),
            "in_cell": ops[edge] == op,
        }
        for edge, (source, target) in enumerate(EDGES)
        for op, name in enumerate(OPS)
    ]


def _drawn(panels: Sequence[Panel]) -> str:
    if len(panels) <= PANELS:
        return ""
    return f", of which {seeds.told(panel.run.seed for panel in panels[:PANELS])} are drawn"


def _margins(panels: Sequence[Panel]) -> str:
    margins = [panel.margin for panel in panels]
    told = f"Margin, the mean over edges of the largest minus the second largest weight: {statistics.mean(margins):.3f}"
    return f"{told} (mean of n={len(margins)}; {min(margins):.3f} to {max(margins):.3f})." if panels[1:] else f"{told}."


def _outweighed(panels: Sequence[Panel]) -> str:
    number = sum(panel.outweighed for panel in panels)
    if not number:
        return ""
    return f" It does not have the largest weight on {number} of {len(panels) * len(EDGES)} edges."


@dataclass(frozen=True)
class _Picture:
    """What is on the figure."""

    panels: Sequence[Panel]
    weight: str

    def draw(self) -> Figure:
        """The figure."""
        from matplotlib.figure import Figure

        height = _BARE + _PANEL * len(self.panels)
        # From 0 to 1 in both figures, so that one colour is one weight in both.
        top = max(1.0, *(float(panel.weights.max()) for panel in self.panels))
        with style.context():
            figure = Figure(figsize=(style.COLUMN_WIDTH, height), layout="constrained")
            columns = figure.subplots(len(self.panels), sharex=True, squeeze=False)[:, 0]
            for axes, panel in zip(columns, self.panels, strict=True):
                axes.set_title(f"seed {panel.run.seed}, margin {panel.margin:.2f}")
                image = axes.imshow(panel.weights, cmap="cividis", vmin=0, vmax=top, aspect="auto")
                _write(axes, panel, top)
            columns[-1].set_xticks(range(len(OPS)), [style.OP_LABELS[name] for name in OPS], fontsize=6.5)
            bar = figure.colorbar(image, ax=list(columns), label=self.weight, aspect=15 * len(self.panels), pad=0.02)
            bar.outline.set_visible(False)
        return figure


def _write(axes: Axes, panel: Panel, top: float) -> None:
    """The numbers, and a frame around what results."""
    from matplotlib.patches import Rectangle

    axes.set_yticks(range(len(EDGES)), [f"{source}→{target}" for source, target in EDGES])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    in_cell = Cell.parse(panel.run.cell).ops
    for (edge, op), weight in np.ndenumerate(panel.weights):
        colour = "white" if weight < _DARK * top else style.BLACK
        axes.text(op, edge, f"{weight:.2f}", color=colour, fontsize=6.5, ha="center", va="center_baseline")
        if in_cell[edge] == op:
            frame = Rectangle((op - 0.45, edge - 0.42), 0.9, 0.84, fill=False, edgecolor=colour, linewidth=1)
            axes.add_patch(frame)
