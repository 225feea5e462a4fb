"""Figures 2 and 10 to 12 of the paper: the cells that a method found; and those that were trained alone.

A cell is drawn as its space says, of DARTS's space the normal cell beside the reduction cell, left to right from what
the two cells before put out to what this one does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nasbench_stc import seeds
from nasbench_stc.errors import DataError
from nasbench_stc.report import style
from nasbench_stc.report.chart import Chart
from nasbench_stc.report.graphs import labelled, placed
from nasbench_stc.report.groups import ON_CIFAR100, ON_IMAGENET, by_section, chosen
from nasbench_stc.report.inputs import Inputs, MissingRecords
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.trained import trained
from nasbench_stc.space import Cell, Graph, Space

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from pandas import DataFrame

PANELS = 4
"""Cells drawn, at most."""

_SIZE, _MARGIN = (2.8, 1.1), 0.2  # inches: what the nodes' centres fill, and what is left around it
_TITLE = 0.3  # inches above a graph
_FONT = 6.5  # points
_LETTER, _LINE = 0.055, 0.11  # inches that a label takes
_NODE, _WIDE = 0.17, 0.31  # inches: across a node, and of one with a long name


def build(inputs: Inputs, method: str, datasets: Sequence[str] = ()) -> Chart:
    """The distinct cells that the runs of `method` found: what most runs found comes first, then by seed.

    Args:
        inputs: with the runs.
        method: by name.
        datasets: of searches on these alone; empty: on any.

    Raises:
        MissingRecords: there is no run of it.
        DataError: cells of this space cannot be drawn.
    """
    _check(inputs.space)
    shown = chosen(inputs, inputs.runs, method, datasets)
    panels = shown.by_cell
    drawn: dict[str, Cell] = {}
    rows: list[dict[str, Any]] = []
    for place, panel in enumerate(panels, 1):
        accuracies = _accuracies(inputs, panel)
        if place <= PANELS:
            title = seeds.told(panel["seed"])
            drawn["; ".join([title, *accuracies])] = Cell.parse(panel["cell"].iloc[0], space=inputs.space.name)
        rows += [
            {"panel": place if place <= PANELS else None, "seed": seed, "cell": cell, "trained": "; ".join(accuracies)}
            for seed, cell in panel[["seed", "cell"]].itertuples(index=False)
        ]
    caption = f"Cells found by {shown.group.told}; {len(panels)} distinct cell{'s' * (len(panels) > 1)}"
    if len(panels) > PANELS:
        caption += f", of which the {PANELS} that most runs found, then those of the first seeds, are drawn"
    details = {**shown.described(), "distinct_cells": len(panels)}
    return _chart(inputs.space, drawn, f"{caption}.{shown.left_out}", rows, details)


def build_trained(inputs: Inputs) -> Chart:
    """Of each row of the table of trainings the cell that reached most.

    Raises:
        MissingRecords: there is no training.
        DataError: cells of this space cannot be drawn.
    """
    _check(inputs.space)
    drawn: dict[str, Cell] = {}
    rows: list[dict[str, Any]] = []
    for group, label in by_section(trained(inputs)):
        reached = group.runs.groupby("cell", observed=True)["test_accuracy"].mean()
        cell, n = str(reached.idxmax()), int((group.runs["cell"] == reached.idxmax()).sum())
        where = f"{group['dataset']}, protocol {group['trained_by']}"
        if len(drawn) < PANELS:
            drawn[f"{label}: {reached.max():.2f} % on {where} (n={n})"] = Cell.parse(cell, space=inputs.space.name)
        rows.append({"name": label, "cell": cell, "test_accuracy": reached.max(), "n": n, "section": group.section})
    if not drawn:
        raise MissingRecords(inputs.lacking("trainings of single cells", f"{inputs.a_training} --seeds 3"))
    caption = "Cells trained alone, of each method the one that reached the highest test accuracy."
    if len(rows) > PANELS:
        caption += f" The first {PANELS} of {len(rows)}."
    return _chart(inputs.space, drawn, caption, rows, {})


def _accuracies(inputs: Inputs, panel: DataFrame) -> list[str]:
    """What trainings of the cells reached."""
    trainings = inputs.trainings
    own = trainings[trainings["isomorphism_class"].isin(panel["isomorphism_class"].unique())]
    reached = own.groupby(["dataset", "protocol"], observed=True)["test_accuracy"].agg(["mean", "size"])
    return [
        f"{mean:.2f} % on {dataset}, protocol {protocol} (n={n})"
        for (dataset, protocol), mean, n in reached.itertuples()
    ]


def _check(space: Space) -> None:
    if not space.graphs:
        raise DataError(f"{space.title}: cells are no graphs that can be drawn")


def _chart(
    space: Space, drawn: Mapping[str, Cell], caption: str, rows: Sequence[Mapping[str, Any]], details: Mapping[str, Any]
) -> Chart:
    caption += " Edges are named by their operation; `none` is not drawn."
    if any(op is None for graph in space.graphs for *_, op in graph.edges):
        caption += " Grey: what every cell has."
    width = style.COLUMN_WIDTH if len(space.graphs) == 1 else style.PAGE_WIDTH
    height = (_SIZE[1] + 2 * _MARGIN + _TITLE) * len(drawn)
    return Chart(caption, tuple(rows), details, partial(_paint, space, drawn), height, width)


def _paint(space: Space, drawn: Mapping[str, Cell], figure: Figure) -> None:
    view: Any = {
        **{"frame_on": False, "xticks": (), "yticks": (), "aspect": "equal"},
        "xlim": (-_MARGIN, _SIZE[0] + _MARGIN),
        "ylim": (-_MARGIN, _SIZE[1] + _MARGIN),
    }
    grid = figure.subplots(len(drawn), len(space.graphs), squeeze=False, subplot_kw=view)
    for row, (title, cell) in zip(grid, drawn.items(), strict=True):
        for axes, graph in zip(row, space.graphs, strict=True):
            lines = [title if axes is row[0] else "", graph.name]
            axes.set_title("\n".join(lines) if graph.name else title, fontsize=7)
            _paint_graph(axes, space, graph, cell)


def _paint_graph(axes: Axes, space: Space, graph: Graph, cell: Cell) -> None:
    kept = [(s, t, None if edge is None else cell.ops[edge]) for s, t, edge in graph.edges]
    kept = [edge for edge in kept if edge[2] is None or edge[2] != space.none]
    ends = [(source, target) for source, target, _ in kept]
    names = style.op_labels(space.ops)
    labels = {number: names[op] for number, (*_, op) in enumerate(kept) if op is not None}
    sizes = {number: (_LETTER * len(label) + 0.04, _LINE) for number, label in labels.items()}
    widths = [_NODE if len(name) == 1 else _WIDE for name in graph.nodes]
    found = [(labelled(places, widths, ends, sizes), places) for places in placed(len(graph.nodes), ends, _SIZE)]
    (_, at), places = min(found, key=lambda one: one[0][0])
    looks, shapes = _looks(space), list(map(_shape, places, widths))
    for source, target, op in sorted(kept, key=lambda edge: edge[2] is not None):
        look = ("-", style.GREY) if op is None else looks[op]
        name = f"{graph.nodes[source]}-{graph.nodes[target]}"
        style.arrow(axes, [places[source], places[target]], look, name, patchA=shapes[source], patchB=shapes[target])
    for number, label in labels.items():
        box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
        axes.text(*at[number], label, fontsize=_FONT, ha="center", va="center_baseline", bbox=box)
    for shape, place, name in zip(shapes, places, graph.nodes, strict=True):
        axes.add_patch(shape)
        axes.text(*place, f"${name}$", fontsize=_FONT, ha="center", va="center")


def _shape(place: tuple[float, float], width: float) -> Patch:
    """Of a node: a box with round ends, which one digit makes a circle."""
    from matplotlib.patches import FancyBboxPatch

    radius = _NODE / 2
    corner = place[0] - width / 2, place[1] - radius
    look: Any = {"facecolor": "white", "edgecolor": style.BLACK, "linewidth": 0.8, "clip_on": False}
    return FancyBboxPatch(corner, width, _NODE, boxstyle=f"round,pad=0,rounding_size={radius}", **look)


def _looks(space: Space) -> dict[int, tuple[Any, str]]:
    """Of operations pattern and colour: a colour for those whose names begin alike, and among these a pattern each."""
    families: dict[str, list[int]] = {}
    for op in reversed(range(len(space.ops))):
        if op != space.none:
            families.setdefault(space.ops[op].split("_")[0], []).insert(0, op)
    return {
        op: (style.PATTERNS[number % len(style.PATTERNS)], style.COLOURS[place % len(style.COLOURS)])
        for place, family in enumerate(families.values())
        for number, op in enumerate(family)
    }


FIGURES = {
    "2": Maker("cells that DARTS found", partial(build, method="darts"), supernet=True),
    "10": Maker("cells that STC-NAS found", partial(build, method="stc"), supernet=True),
    "11": Maker(
        "cells that STC-NAS found on CIFAR-100", partial(build, method="stc", datasets=ON_CIFAR100), supernet=True
    ),
    "12": Maker(
        "cells that STC-NAS found on ImageNet", partial(build, method="stc", datasets=ON_IMAGENET), supernet=True
    ),
    "genotypes": Maker("cells that were trained alone", build_trained),
}
