"""Where nodes, edges and their labels go in a drawing of a graph: left to right, few crossings, nothing covered.

Nodes stand in columns, each after all of its inputs; of all ways to distribute them over some rows the cheapest is
taken. Few enough nodes are assumed for trying all.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Edge = tuple[int, int]
Places = list[tuple[float, float]]

_TRIED = 2_500  # distributions over rows, at most
_FINALISTS = 12  # of which labels are placed, too
_CLEARANCE = 0.17  # inches that an edge should keep from other nodes
_NARROW = np.cos(np.radians(16))  # edges of one node that part by less look like one
_ALONG = np.linspace(0.2, 0.76, 15)  # where on an edge its label may be
_ROUNDS = 4  # in which labels make room for each other
_FIRST, _LAST = 1.2, 0.6  # widths of the first column and the last, whose edges have no labels, by that of others
_CROSSING, _CROSSED, _COVERED, _ANGLE, _LENGTH = 1.0, 2.5, 8.0, 2.0, 0.25  # what costs how much


def placed(nodes: int, edges: Sequence[Edge], size: tuple[float, float]) -> list[Places]:
    """Where the nodes may go, in inches, best first.

    Args:
        nodes: how many; edges lead from lower to higher numbers.
        edges: source and target.
        size: width and height to fill.
    """
    column = np.zeros(nodes, dtype=int)
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        column[target] = max(column[target], column[source] + 1)
    first = [node for node in range(nodes) if column[node] == 0]
    last = int(column.argmax())
    inner = [node for node in range(nodes) if node not in first and node != last]
    rows = max(2, min(9, int(_TRIED ** (1 / max(1, len(inner))))))
    tried = np.array(list(itertools.product(range(rows), repeat=len(inner))), dtype=float)
    y = np.full((len(tried), nodes), 0.5)
    y[:, first] = 0.5 if len(first) == 1 else np.linspace(0.85, 0.15, len(first))
    if inner:
        y[:, inner] = tried / (rows - 1)
    steps = np.ones(max(1, column[last]))  # where no node has an input, all are in the first column
    steps[0], steps[-1] = _FIRST, _LAST
    x = np.broadcast_to(np.append(0, steps.cumsum() / steps.sum())[column], y.shape)
    points = np.stack([x * size[0], y * size[1]], axis=2)
    order = np.argsort(_costs(points, edges), kind="stable")[:_FINALISTS]
    return [[(float(x), float(y)) for x, y in points[one]] for one in order]


def _costs(points: Floats, edges: Sequence[Edge]) -> Floats:
    """Of each of several placements; shape (placements, nodes, 2)."""
    start, end = (points[:, [edge[side] for edge in edges]] for side in (0, 1))
    lengths = np.linalg.norm(end - start, axis=2)
    cost: Floats = _LENGTH * lengths.sum(axis=1)
    for node in range(points.shape[1]):
        others = [number for number, edge in enumerate(edges) if node not in edge]
        away = _distance(points[:, None, node], start[:, others], end[:, others])
        cost += _COVERED * np.maximum(0, 1 - away / _CLEARANCE).sum(axis=1)
        apart = np.linalg.norm(points - points[:, None, node], axis=2)
        cost += _COVERED * (np.maximum(0, 1 - apart / (2 * _CLEARANCE)).sum(axis=1) - 1)
    for one, other in itertools.combinations(range(len(edges)), 2):
        shared = set(edges[one]) & set(edges[other])
        if not shared:
            crossing = _turns(start, end, one, other) & _turns(start, end, other, one)
            cost += _CROSSING * crossing
            continue
        sides = [1 if edges[number][0] in shared else -1 for number in (one, other)]
        ways = [(end[:, number] - start[:, number]) * side for number, side in zip((one, other), sides, strict=True)]
        cosine = (ways[0] * ways[1]).sum(axis=1) / (lengths[:, one] * lengths[:, other])
        cost += _ANGLE * np.maximum(0, (cosine - _NARROW) / (1 - _NARROW))
    return cost


def _distance(point: Floats, start: Floats, end: Floats) -> Floats:
    """Of a point from lines between two points."""
    way = end - start
    along = ((point - start) * way).sum(axis=-1) / (way**2).sum(axis=-1)
    found: Floats = np.linalg.norm(point - start - np.clip(along, 0, 1)[..., None] * way, axis=-1)
    return found


def _turns(start: Floats, end: Floats, one: int, other: int) -> NDArray[np.bool_]:
    """Whether the ends of the other edge lie on both sides of the one."""
    way = end[:, one] - start[:, one]
    sides = [
        way[:, 0] * (point - start[:, one])[:, 1] - way[:, 1] * (point - start[:, one])[:, 0]
        for point in (start[:, other], end[:, other])
    ]
    return sides[0] * sides[1] < 0


def labelled(
    places: Places, widths: Sequence[float], edges: Sequence[Edge], sizes: Mapping[int, tuple[float, float]]
) -> tuple[float, Mapping[int, tuple[float, float]]]:
    """What it costs that labels of edges cover something, and where they go, each on its own edge.

    Args:
        places: of the nodes, in inches.
        widths: likewise.
        edges: source and target.
        sizes: width and height of the labels, by the number of the edge.
    """
    points = np.array(places)
    start, end = (points[[edge[side] for edge in edges]] for side in (0, 1))
    spots = {number: start[number] + _ALONG[:, None] * (end - start)[number] for number in sizes}
    lines = start + np.linspace(0, 1, 40)[:, None, None] * (end - start)  # shape (points, edges, 2)
    alone = {}
    for number, size in sizes.items():
        others = np.delete(lines, number, axis=1)
        crossed = (abs(spots[number][:, None, None] - others) < np.array(size) / 2).all(axis=3).any(axis=1).sum(axis=1)
        room = np.column_stack([np.array(widths) + size[0], np.full(len(points), min(widths) + size[1])]) / 2
        covered = (abs(spots[number][:, None] - points) < room).all(axis=2).sum(axis=1)
        alone[number] = _CROSSED * crossed + _COVERED * covered + abs(_ALONG - np.mean(_ALONG))
    chosen = dict.fromkeys(sizes, len(_ALONG) // 2)

    def costs(number: int) -> Floats:
        """By place, with all others where they are."""
        found: Floats = alone[number].copy()
        for other, place in chosen.items():
            if other != number:
                room = np.add(sizes[number], sizes[other]) / 2
                found += _COVERED * (abs(spots[number] - spots[other][place]) < room).all(axis=1)
        return found

    for _ in range(_ROUNDS):
        for number in sizes:
            chosen[number] = int(costs(number).argmin())
    total = sum(float(costs(number)[place]) for number, place in chosen.items())
    return total, {number: (float(x), float(y)) for number in sizes for x, y in [spots[number][chosen[number]]]}
