"""Figures 2 and 10 of the paper: the cells that a method found, as graphs.

The paper draws cells of DARTS' space, two kinds with more nodes; a cell here has four nodes and six edges, and each
node sums what its edges bring.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from nasbench_stc import seeds
from nasbench_stc.report import style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.groups import chosen
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.runs import Record
from nasbench_stc.space import EDGES, NONE, NUM_NODES, OPS, Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCORE = "cifar10-test"
"""The accuracy that stands above a cell."""
PANELS = 6
"""Cells drawn, at most."""

_COLUMNS = 2
_ROW = 1.2  # inches
_LONGEST = 24  # characters of a title's line; of more seeds only the number is said
_PLACES = ((0.0, 0.0), (1.6, 0.75), (1.6, -0.45), (3.2, 0.0))  # of the nodes: no two edges cross
_BENDS = {(0, 3): 0.6}  # of the edge that passes below; the others are straight
_VIEW = (-0.2, 3.4), (-1.05, 0.97)  # x and y limits
_NODE = 11  # points across
_HEAD = 0.33  # from the middle of a node to the blunt end of the arrows that enter it
# The eye-catching look for the operation that costs most.
_LOOKS = {
    OPS.index(name): style.line_look(number)
    for number, name in enumerate(("nor_conv_3x3", "nor_conv_1x1", "skip_connect", "avg_pool_3x3"))
}


class Panel(NamedTuple):
    """A cell, and the runs that found it or one that computes the same."""

    cell: Cell
    """The first run's."""
    runs: Sequence[Record]

    @property
    def title(self) -> str:
        """Seeds, the cell's index and, where the benchmark has it, its accuracy."""
        whose = seeds.told(run.seed for run in self.runs)
        whose = whose if len(whose) <= _LONGEST else f"{len(self.runs)} seeds"
        alike = len({run.cell for run in self.runs}) - 1
        index = f"cell {self.cell.index}{f' (+{alike})' * bool(alike)}"
        scores = sorted(run.scores[SCORE] for run in self.runs if SCORE in run.scores)
        if not scores:
            return f"{whose}\n{index}"
        # Cells that compute the same were trained each, and score not quite the same.
        told = [f"{score:.2f}" for score in (scores[0], scores[-1])]
        return f"{whose}\n{index}: {'–'.join(dict.fromkeys(told))} %"


def build(inputs: Inputs, method: str) -> Chart:
    """The distinct cells that the runs of `method` found.

    Raises:
        MissingRecords: there is no run of it.
    """
    shown = chosen(inputs, method)
    panels = _panels(shown.runs)
    places = {run.seed: place for place, panel in enumerate(panels, 1) for run in panel.runs}
    rows = tuple(
        {
            "panel": places[run.seed] if places[run.seed] <= PANELS else None,
            "seed": run.seed,
            "index": Cell.parse(run.cell).index,
            "cell": run.cell,
            "idle_edges": " ".join(_edges(idle(Cell.parse(run.cell)))),
            SCORE: run.scores.get(SCORE),
        }
        for run in shown.runs
    )
    picture = _Picture(panels[:PANELS])
    caption = f"Cells found by {shown.told}; {_counted(panels)}.{_explained(panels[:PANELS])}{shown.left_out}"
    return Chart(caption, rows, {**shown.described(), "distinct_cells": len(panels)}, picture.draw)


def live(cell: Cell) -> list[tuple[int, int]]:
    """The edges that take part in the output: what comes in is not all zero, and a path leads on to the output."""
    edges = [edge for edge, op in zip(EDGES, cell.ops, strict=True) if op != NONE]
    fed, needed = {0}, {NUM_NODES - 1}
    for source, target in edges:  # EDGES go from node to node, so that a node's own inputs come before what it feeds
        if source in fed:
            fed.add(target)
    for source, target in reversed(edges):
        if target in needed:
            needed.add(source)
    return [(source, target) for source, target in edges if source in fed and target in needed]


def idle(cell: Cell) -> list[tuple[int, int]]:
    """The edges that have an operation and take no part in the output."""
    used = live(cell)
    return [edge for edge, op in zip(EDGES, cell.ops, strict=True) if op != NONE and edge not in used]


def _panels(runs: Sequence[Record]) -> list[Panel]:
    """One for each isomorphism class: what most runs found comes first, then by seed."""
    classes: dict[str, list[Record]] = {}
    for run in runs:
        classes.setdefault(Cell.parse(run.cell).isomorphism_class, []).append(run)
    panels = [Panel(Cell.parse(alike[0].cell), alike) for alike in classes.values()]
    return sorted(panels, key=lambda panel: -len(panel.runs))


def _edges(edges: Iterable[tuple[int, int]]) -> list[str]:
    return [f"{source}-{target}" for source, target in edges]


def _counted(panels: Sequence[Panel]) -> str:
    number = f"{len(panels)} distinct cell{'s' * (len(panels) > 1)}"
    if len(panels) <= PANELS:
        return number
    return f"{number}, of which the {PANELS} that most runs found, then those of the first seeds, are drawn"


def _explained(panels: Sequence[Panel]) -> str:
    told = " Node 0 is the cell's input, node 3 its output; a node sums what its edges bring; `none` is not drawn."
    if any(idle(panel.cell) for panel in panels):
        told += " Grey: edges whose input is all zero, or whose output does not reach node 3."
    if any(len({run.cell for run in panel.runs}) > 1 for panel in panels):
        told += " (+k): k more cells that compute the same."
    scored = [run for panel in panels for run in panel.runs if SCORE in run.scores]
    if scored:
        benchmark = scored[0].benchmark
        source = f"{benchmark['name']} (sha256 {benchmark['sha256'][:12]})"
        told += f" Percent: {SCORE} accuracy in {source}; nothing is chosen by it."
    return told


@dataclass(frozen=True)
class _Picture:
    """What is on the figure."""

    panels: Sequence[Panel]

    def draw(self) -> Figure:
        """The figure."""
        from matplotlib.figure import Figure
        from matplotlib.lines import Line2D

        columns = min(_COLUMNS, len(self.panels))
        rows = math.ceil(len(self.panels) / columns)
        with style.context():
            figure = Figure(layout="constrained")
            grid = list(figure.subplots(rows, columns, squeeze=False).flat)
            for axes in grid:
                axes.set_axis_off()
            for axes, panel in zip(grid, self.panels, strict=False):
                axes.set_title(panel.title, fontsize=7)
                _draw_cell(axes, panel.cell)
            lines = [
                Line2D([], [], linestyle=pattern, color=colour, label=style.OP_LABELS[OPS[op]])
                for op, (pattern, colour) in _LOOKS.items()
            ]
            legend = style.legend_below(figure, lines, ())
            figure.set_size_inches(style.COLUMN_WIDTH, _ROW * rows + style.LEGEND_ROW * legend)
        return figure


def _draw_cell(axes: Axes, cell: Cell) -> None:
    axes.set(xlim=_VIEW[0], ylim=_VIEW[1], aspect="equal")
    used = live(cell)
    for edge, op in zip(EDGES, cell.ops, strict=True):
        if op != NONE:
            pattern, colour = _LOOKS[op]
            _draw_edge(axes, edge, pattern, colour if edge in used else style.GREY)
    busy = {0, NUM_NODES - 1, *(node for edge in used for node in edge)}
    for node, place in enumerate(_PLACES):
        colour = style.BLACK if node in busy else style.GREY
        axes.plot(
            *place, "o", color="white", markersize=_NODE, markeredgecolor=colour, markeredgewidth=0.8, clip_on=False
        )
        axes.text(*place, str(node), color=colour, fontsize=6.5, ha="center", va="center_baseline")


def _draw_edge(axes: Axes, edge: tuple[int, int], pattern: Any, colour: str) -> None:
    """A line in the pattern, and an arrow's head of its own: drawn in the pattern it would be ragged."""
    from matplotlib.patches import FancyArrowPatch

    (x, y), (to_x, to_y) = (_PLACES[node] for node in edge)
    bend = _BENDS.get(edge, 0.0)
    line = FancyArrowPatch(
        (x, y),
        (to_x, to_y),
        connectionstyle=f"arc3,rad={bend}",
        arrowstyle="-",
        linestyle=pattern,
        capstyle="butt",  # round ones, the default of arrows, fill the gaps of a pattern
        shrinkA=_NODE / 2,
        shrinkB=_NODE / 2 + 3,
        linewidth=1.2,
        color=colour,
        label=f"{edge[0]}-{edge[1]}",
    )
    # It arrives from where the curve has its control point.
    from_x, from_y = (x + to_x) / 2 + bend * (to_y - y), (y + to_y) / 2 - bend * (to_x - x)
    part = _HEAD / math.hypot(from_x - to_x, from_y - to_y)
    head = FancyArrowPatch(
        (to_x + part * (from_x - to_x), to_y + part * (from_y - to_y)),
        (to_x, to_y),
        arrowstyle="-|>",
        mutation_scale=6,
        shrinkA=0,
        shrinkB=_NODE / 2,
        linewidth=1.2,
        color=colour,
    )
    axes.add_patch(line)
    axes.add_patch(head)
