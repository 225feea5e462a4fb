"""Figures 2 and 10 to 12 of the paper for NAS-Bench-201's space: the cells that a method found, as graphs.

The paper draws cells of DARTS' space, two kinds with more nodes (see `genotypes`); a cell here has four nodes and six
edges, and each node sums what its edges bring.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nasbench_stc import seeds
from nasbench_stc.report import statistics, style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.groups import ON_CIFAR100, ON_IMAGENET, chosen
from nasbench_stc.report.inputs import Inputs
from nasbench_stc.report.registry import Maker
from nasbench_stc.space import EDGES, NONE, NUM_NODES, OPS, TSS, Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

SCORE = "cifar10-test"
"""The accuracy that stands above a cell."""
PANELS = 6
"""Cells drawn, at most."""

_COLUMNS, _ROW = 2, 1.2  # of panels; inches of one
_LONGEST = 24  # characters of a title's line; of more seeds only the number is said
_PLACES = ((0.0, 0.0), (1.6, 0.75), (1.6, -0.45), (3.2, 0.0))  # of the nodes: no two edges cross
_BENDS = {(0, 3): 0.6}  # of the edge that passes below; the others are straight
_VIEW = (-0.2, 3.4), (-1.05, 0.97)  # x and y limits
_NODE = 11  # points across
_WAYS = ({(0, 3)}, {(0, 1), (1, 3)}, {(0, 2), (2, 3)}, {(0, 1), (1, 2), (2, 3)})  # from a cell's input to its output
# The eye-catching look for the operation that costs most.
_LOOKS = {
    OPS.index(name): style.line_look(number)
    for number, name in enumerate(("nor_conv_3x3", "nor_conv_1x1", "skip_connect", "avg_pool_3x3"))
}


def build(inputs: Inputs, method: str, datasets: Sequence[str] = ()) -> Chart:
    """The distinct cells that the runs of `method` found: what most runs found comes first, then by seed.

    Args:
        inputs: with the runs.
        method: by name.
        datasets: of searches on these alone; empty: on any.

    Raises:
        MissingRecords: there is no run of it.
    """
    shown = chosen(inputs, inputs.runs, method, datasets)
    panels = shown.by_cell
    places = {seed: place for place, panel in enumerate(panels, 1) for seed in panel["seed"]}
    rows = tuple(
        {
            "panel": places[seed] if places[seed] <= PANELS else None,
            "seed": seed,
            "index": index,
            "cell": cell,
            "idle_edges": " ".join(f"{source}-{target}" for source, target in idle(Cell.from_index(index))),
            SCORE: statistics.known(score),
        }
        for seed, index, cell, score in shown.runs[["seed", "cell_index", "cell", SCORE]].itertuples(index=False)
    )
    details = {**shown.described(), "distinct_cells": len(panels)}
    caption = f"Cells found by {shown.group.told}; {len(panels)} distinct cell{'s' * (len(panels) > 1)}"
    if len(panels) > PANELS:
        caption += f", of which the {PANELS} that most runs found, then those of the first seeds, are drawn"
    caption += ". Node 0 is the cell's input, node 3 its output; a node sums what its edges bring; `none` is not drawn."
    panels = panels[:PANELS]
    drawn = {_title(panel): Cell.from_index(panel["cell_index"].iloc[0]) for panel in panels}
    if any(map(idle, drawn.values())):
        caption += " Grey: edges whose input is all zero, or whose output does not reach node 3."
    if any(panel["cell_index"].nunique() > 1 for panel in panels):
        caption += " (+k): k more cells that compute the same."
    if any(panel[SCORE].notna().any() for panel in panels):
        name, sha256 = shown.group.benchmark
        caption += f" Percent: {SCORE} accuracy in {name} (sha256 {sha256[:12]}); nothing is chosen by it."
    height = _ROW * math.ceil(len(drawn) / _COLUMNS) + style.LEGEND_ROW
    return Chart(caption + shown.left_out, rows, details, partial(_paint, drawn), height)


def live(cell: Cell) -> list[tuple[int, int]]:
    """The edges that take part in the output: those on a way from the cell's input to its output without `none`."""
    there = {edge for edge, op in zip(EDGES, cell.ops, strict=True) if op != NONE}
    return [edge for edge in EDGES if any(edge in way and way <= there for way in _WAYS)]


def idle(cell: Cell) -> list[tuple[int, int]]:
    """The edges that have an operation and take no part in the output."""
    return [edge for edge, op in zip(EDGES, cell.ops, strict=True) if op != NONE and edge not in live(cell)]


def _title(panel: DataFrame) -> str:
    """Seeds, the first run's cell and, where the benchmark has it, its accuracy."""
    whose = seeds.told(panel["seed"])
    whose = whose if len(whose) <= _LONGEST else f"{len(panel)} seeds"
    alike = panel["cell_index"].nunique() - 1
    title = f"{whose}\ncell {panel['cell_index'].iloc[0]}{f' (+{alike})' * bool(alike)}"
    # Cells that compute the same were trained each, and score not quite the same.
    scores = [f"{score:.2f}" for score in panel[SCORE].agg(["min", "max"]).dropna()]
    return f"{title}: {'–'.join(dict.fromkeys(scores))} %" if scores else title


def _paint(panels: Mapping[str, Cell], figure: Figure) -> None:
    """By their titles."""
    from matplotlib.lines import Line2D

    columns = min(_COLUMNS, len(panels))
    bare: Any = {"frame_on": False, "xticks": (), "yticks": (), "xlim": _VIEW[0], "ylim": _VIEW[1], "aspect": "equal"}
    grid = figure.subplots(math.ceil(len(panels) / columns), columns, squeeze=False, subplot_kw=bare)
    for axes, (title, cell) in zip(grid.flat, panels.items(), strict=False):
        axes.set_title(title, fontsize=7)
        _paint_cell(axes, cell)
    lines = [
        Line2D([], [], linestyle=pattern, color=colour, label=style.OP_LABELS[OPS[op]])
        for op, (pattern, colour) in _LOOKS.items()
    ]
    figure.legend(handles=lines, loc=style.BELOW, ncols=len(lines))


def _paint_cell(axes: Axes, cell: Cell) -> None:
    used = live(cell)
    for edge, op in zip(EDGES, cell.ops, strict=True):
        if op != NONE:
            pattern, colour = _LOOKS[op]
            ends, look = [_PLACES[node] for node in edge], (pattern, colour if edge in used else style.GREY)
            style.arrow(axes, ends, look, f"{edge[0]}-{edge[1]}", _NODE / 2, _BENDS.get(edge, 0.0))
    busy = {0, NUM_NODES - 1, *(node for edge in used for node in edge)}
    for node, place in enumerate(_PLACES):
        colour = style.BLACK if node in busy else style.GREY
        axes.plot(*place, "o", color="white", ms=_NODE, markeredgecolor=colour, markeredgewidth=0.8, clip_on=False)
        axes.text(*place, str(node), color=colour, fontsize=6.5, ha="center", va="center_baseline")


FIGURES = {
    "2": Maker("cells that DARTS found", partial(build, method="darts"), TSS.name),
    "10": Maker("cells that STC-NAS found", partial(build, method="stc"), TSS.name),
    "11": Maker("cells that STC-NAS found on CIFAR-100", partial(build, method="stc", datasets=ON_CIFAR100), TSS.name),
    "12": Maker("cells that STC-NAS found on ImageNet", partial(build, method="stc", datasets=ON_IMAGENET), TSS.name),
}
