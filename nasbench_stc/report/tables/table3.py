"""Table 3 of the paper: what a search costs, the paper's rows and below them ours, with the complexities checked.

One row of ours is one point of a profile: a method at one depth and batch size. Beside it stand the ratios to the
target subnet at the same depth and batch size, which is what O(M) and O(T) are meant of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from nasbench_stc.engine.cost import SUBNETS
from nasbench_stc.methods import title_of
from nasbench_stc.records.profile import SUBNET, Point, Profile
from nasbench_stc.report.groups import short_device
from nasbench_stc.report.inputs import Inputs, Missing
from nasbench_stc.report.published import PublishedCost, PublishedCosts, load_costs
from nasbench_stc.report.registry import Maker
from nasbench_stc.report.table import Column, Row, Table, Value
from nasbench_stc.space import Space, find_space

_COLUMNS = (
    Column("method", "method"),
    Column("cells", "L", drop=2),
    Column("batch_size", "batch\nsize"),
    Column("memory", "memory\nGB", form=".3g"),
    Column("highest", "highest\nGB", drop=3, form=".3g"),
    Column("weights_seconds", "weights", group="s/step", drop=1, form=".3g"),
    Column("alpha_seconds", "alpha", group="s/step", drop=1, form=".3g"),
    Column("search_days", "search\ndays", form=".3g"),
    Column("memory_ratio", "memory", group="×subnet"),
    Column("weights_ratio", "weights", group="×subnet"),
    Column("alpha_ratio", "alpha", group="×subnet"),
    Column("memory_complexity", "memory", group="claimed"),
    Column("time_complexity", "time", group="claimed"),
    Column("agrees", "agrees"),
)
_TITLE = "What a search costs: memory and time, beside the target subnet's"
_CALL = "profile --methods stc,gdas,darts --batch-sizes 16,32,64"
_GIB = 1024  # MiB
_DAY = 86_400  # seconds


def build(inputs: Inputs) -> Table:
    """The rows that the paper printed, and those of the points of the profiles."""
    published = load_costs()
    claims = {row.method: (row.memory_complexity, row.time_complexity) for row in published.rows}
    points = [
        (point, profile)
        for profile in inputs.profiles
        for point in sorted(profile.points, key=lambda point: -point.cells_per_stage)  # keeps the sweep's order
    ]
    devices = list(dict.fromkeys(profile.device for _, profile in points))
    rows = [*map(_published_row, published.rows)]
    for point, profile in points:
        on = f", {short_device(profile.device)}" if len(devices) > 1 else ""
        rows.append(_own_row(f"Ours, L={point.cells}{on}", point, profile, claims))
    caption = [
        f"The paper's rows are of {published.about}: not to be compared with ours in gigabytes or days, only in how "
        "they grow."
    ]
    more = [f"Paper: as printed in {published.reference}. {_printed_growth(published)}"]
    missing: tuple[Missing, ...] = ()
    if points:
        caption.append(
            f"Ours: steps of a search on random images, on {' and '.join(devices)}. Search days are EXTRAPOLATED, no "
            "search was run: 50 epochs of 25,000 images times the seconds of a step."
        )
        more += _notes([point for point, _ in points], inputs.space)
    else:
        missing = (inputs.lacking("a profile of ours, measured with nothing else running", _CALL),)
    return Table(3, _TITLE, _COLUMNS, tuple(rows), tuple(caption), missing, tuple(more))


def _published_row(row: PublishedCost) -> Row:
    printed = {"memory": row.memory_gb, "search_days": row.gpu_days}
    found = {key: number for key, number in printed.items() if number}
    same = ("method", "cells", "batch_size", "memory_complexity", "time_complexity")
    return Row(
        "Paper" if row.cells is None else f"Paper, L={row.cells}",
        {**{key: getattr(row, key) for key in same}, **{key: number.value for key, number in found.items()}},
        tuple(number.note for number in found.values() if number.note),
        {"source": "; ".join(dict.fromkeys(number.source for number in found.values())) or row.source},
    )


def _own_row(section: str, point: Point, profile: Profile, claims: Mapping[str, tuple[str, str]]) -> Row:
    name = "Subnet" if point.method == SUBNET else title_of(point.method)
    space = find_space(profile.space)
    every = space.shape[1]
    memory, time = claims.get(name) or _by_what_runs(point, every)
    seconds, ratios = point.search_seconds, _ratios(point, profile)
    growth = space.growth(point.cells_per_stage)
    agrees = None
    if growth and ratios and point.method != SUBNET:
        agrees = _agrees(ratios, growth, every, memory, time)
    values: dict[str, Value] = {
        "method": name,
        "cells": point.cells,
        "batch_size": point.batch_size,
        "memory": point.peak_mib / _GIB,
        "highest": point.highest_mib / _GIB,
        "search_days": None if seconds is None else seconds / _DAY,
        "memory_complexity": memory,
        "time_complexity": time,
        "agrees": agrees,
        **{f"{kind}_seconds": value for kind, value in _seconds(point).items()},
        **{f"{kind}_ratio": value for kind, value in ratios.items()},
    }
    own, side = profile.protocol, profile.protocol["resolution"] or 32
    note = (
        f"N={point.cells_per_stage}, C={own['channels']}, {side}x{side}, {own['precision']}, on {profile.device}, "
        f"{profile.threads} thread{'s' * (profile.threads > 1)}, torch {profile.versions.get('torch', 'unknown')}."
    )
    details = {
        "source": "measured here; search_days extrapolated from the seconds of a step",
        "search_seconds_extrapolated": seconds,
        "steps_a_search": point.steps,
        "costs": {kind: {"seconds": cost.seconds, "mib": cost.mib} for kind, cost in point.costs.items()},
        "operations_an_edge": {kind: cost.operations for kind, cost in point.costs.items()},
        "passes_a_step": {kind: cost.passes for kind, cost in point.costs.items()},
        **{key: getattr(point, key) for key in ("settings", "git_revision", "measured")},
        **{key: getattr(profile, key) for key in ("protocol", "device", "threads", "versions")},
    }
    return Row(section, values, (note,), details)


def _seconds(point: Point) -> dict[str, float]:
    """Of a step, by kind; the last one of an epoch stands in for the alpha step where there is no other."""
    costs = {"weights": point.costs["weights"], "alpha": point.costs.get("alpha", point.costs.get("closing"))}
    return {kind: cost.typical_seconds for kind, cost in costs.items() if cost}


def _ratios(point: Point, profile: Profile) -> dict[str, float]:
    """Of memory and of steps to those of the subnet at the same depth and batch size; empty where it is missing.

    Steps of the static form are replayed as one CUDA graph, the subnet's are launched operation by operation: their
    seconds are not of the same kind.
    """
    sizes = SUBNET, point.cells_per_stage, point.batch_size
    for other in profile.points:
        if (other.method, other.cells_per_stage, other.batch_size) == sizes:
            of_subnet = _seconds(other)
            replayed = profile.protocol.get("form") == "static"
            steps = {} if replayed else {kind: took / of_subnet[kind] for kind, took in _seconds(point).items()}
            return {"memory": point.peak_mib / other.peak_mib, **steps}
    return {}


def _by_what_runs(point: Point, every: int) -> tuple[str, str]:
    """The complexities in memory and time that follow from how many operations ran on an edge, of `every`.

    Time is of those of all passes of a weight step, which train one after another; what an alpha step compares is as
    often a forward pass alone, of which no claim is made.
    """

    def told(operations: float) -> str:
        return "" if operations <= 1 else "n" if operations >= every else f"{operations:.2g}"

    at_once = {kind: cost.operations for kind, cost in point.costs.items()}
    in_all = {**at_once, "weights": at_once["weights"] * point.costs["weights"].passes}
    time = dict.fromkeys(f"O({told(operations)}T)" for operations in in_all.values())
    return f"O({told(max(at_once.values()))}M)", "+".join(time)


def _agrees(ratios: Mapping[str, float], growth: float, every: int, memory: str, time: str) -> str:
    """`yes`, or what grows otherwise than claimed, where all operations cost `growth` times what one does."""
    of_time = time.split("+")
    claims = {"memory": memory, "weights": of_time[0], "alpha": of_time[-1]}
    wrong = []
    for kind, ratio in ratios.items():
        claimed = claims[kind][2:-2]  # of O(2M) the 2
        levels = {told: _level(told, growth, every) for told in ("", "n", claimed)}
        if min(levels, key=lambda told: abs(math.log(ratio / levels[told]))) != claimed:
            wrong.append(kind)
    return f"not {', '.join(wrong)}" if wrong else "yes"


def _level(told: str, growth: float, every: int) -> float:
    """What so many operations cost, of `every`, beside one."""
    operations = {"": 1, "n": every}.get(told) or float(told)
    return 1 + (growth - 1) * (operations - 1) / (every - 1)


def _notes(points: Sequence[Point], space: Space) -> tuple[str, ...]:
    deepest_first = sorted(points, key=lambda point: -point.cells)
    ratios = {f"L={point.cells}": space.growth(point.cells_per_stage) for point in deepest_first}
    counted = ", ".join(f"{ratio:.2f} at {cells}" for cells, ratio in ratios.items() if ratio)
    every = space.shape[1]
    two = ", ".join(f"{_level('2', ratio, every):.2f} at {cells}" for cells, ratio in ratios.items() if ratio)
    subnet = ""
    if any(point.method == SUBNET for point in points):
        subnet = (
            f" Subnet: stand-alone networks of {len(space.even(SUBNETS, np.random.default_rng()))} cells without "
            f"`none`, in which each edge{' that is kept' * (not space.is_free)} has each operation equally often; "
            "their mean is M and T."
        )
    border = (
        f" {space.growth_from}, counted in multiply-adds, {counted}. Measured agrees: of 1, that number, and what is "
        "claimed, if that is between (two operations an edge, by so much of the way from one to all: "
        f"{two}), the last is what a ratio is nearest to, as a factor."
    )
    return (
        "Ours: steps by protocol paper, in the first epoch in which alpha learns; L = 3 N + 2 counts the two "
        f"reductions.{subnet}",
        "Memory: weights, momentum, gradients and whatever a step allocates, at its peak, in 2^30 bytes: of the kind "
        "of step that needs most the mean over its steps, and the highest of all steps. On a CPU it is the sum of "
        "torch's tensors by its profiler's record, on CUDA the allocator's counter; images and the process itself are "
        "not in it.",
        "Seconds: where steps draw paths the mean over steps, where all run the same the median. Weights: beside a "
        "training step of the subnet. Alpha: beside the subnet's forward pass and the way back through it without "
        "weight gradients; of ENAS it is a sample of its controller's, a forward pass alone. Search days: of the "
        "device named, not GPU-days, and without the evaluation at the end. Where a search's step is replayed as one "
        "CUDA graph (form=static), its seconds are not set beside the subnet's, which is launched operation by "
        "operation.",
        "Claimed: by the paper; where it claims nothing of a method, by how many operations run on an edge (two terms: "
        f"in the weight step and in the alpha step).{border * bool(counted)}",
    )


def _printed_growth(published: PublishedCosts) -> str:
    """How many times STC-NAS's memory and time DARTS takes in the paper, at equal depth and batch size."""
    ours = {(row.cells, row.batch_size): row for row in published.rows if row.method == "STC-NAS"}
    told = []
    for row in published.rows:
        other = ours.get((row.cells, row.batch_size))
        if row.method == "DARTS" and other and row.memory_gb and row.gpu_days and other.memory_gb and other.gpu_days:
            memory = row.memory_gb.value / other.memory_gb.value
            time = row.gpu_days.value / other.gpu_days.value
            told.append(f"{memory:.1f} times the memory and {time:.1f} times the days at L={row.cells}")
    return f"There DARTS takes, at the same batch size as STC-NAS, {', '.join(told)}."


TABLES = {"3": Maker("what a search costs", build, supernet=True)}
