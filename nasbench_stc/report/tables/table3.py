"""Table 3 of the paper: what a search costs, the paper's rows and below them ours, with the complexities checked.

One row of ours is one point of a profile: a method at one depth and batch size. Beside it stand the ratios to the
target subnet at the same depth and batch size, which is what O(M) and O(T) are meant of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from nasbench_stc.methods import title_of
from nasbench_stc.report.inputs import Inputs, Missing
from nasbench_stc.report.published import PublishedCost, PublishedCosts, load_costs
from nasbench_stc.report.table import Column, Row, Table
from nasbench_stc.runs.profile import SUBNET, Point, Profile
from nasbench_stc.space import EDGES, OPS, Cell, flops

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
_MIXED = len(OPS) - 1  # operations on an edge that cost anything: all but `none`


def build(inputs: Inputs, published: PublishedCosts | None = None) -> Table:
    """The table of `published` (None: as the paper printed it) and of the points of the profiles."""
    profiles = inputs.profiles
    published = published or load_costs(3)
    claims = {row.method: (row.memory_complexity, row.time_complexity) for row in published.rows}
    rows = [_published_row(row) for row in published.rows]
    for profile in profiles:
        points = sorted(profile.points, key=lambda point: -point.cells_per_stage)  # sorting keeps the sweep's order
        rows += [_own_row(point, profile, claims) for point in points]
    missing = (
        () if profiles else (Missing("a profile of ours, measured with nothing else running", inputs.command(_CALL)),)
    )
    return Table(3, _TITLE, _COLUMNS, tuple(rows), _caption(profiles, published), missing)


def _published_row(row: PublishedCost) -> Row:
    figures = [figure for figure in (row.memory_gb, row.gpu_days) if figure]
    return Row(
        section="Paper" if row.cells is None else f"Paper, L={row.cells}",
        values={
            "method": row.method,
            "cells": row.cells,
            "batch_size": row.batch_size,
            "memory": row.memory_gb.value if row.memory_gb else None,
            "search_days": row.gpu_days.value if row.gpu_days else None,
            "memory_complexity": row.memory_complexity,
            "time_complexity": row.time_complexity,
        },
        notes=tuple(figure.note for figure in figures if figure.note),
        details={"source": "; ".join(dict.fromkeys(figure.source for figure in figures)) or row.source},
    )


def _own_row(point: Point, profile: Profile, claims: Mapping[str, tuple[str, str]]) -> Row:
    subnet = next((other for other in profile.points if _beside(other, point)), None)
    name = "Subnet" if point.method == SUBNET else title_of(point.method)
    memory, time = claims.get(name) or _by_what_runs(point)
    ratios = {} if subnet is None else _ratios(point, subnet)
    # The last step of an epoch stands in for the alpha step where there is no other.
    alpha = point.costs.get("alpha", point.costs.get("closing"))
    seconds = point.search_seconds
    return Row(
        section=f"Ours, L={point.cells}",
        values={
            "method": name,
            "cells": point.cells,
            "batch_size": point.batch_size,
            "memory": point.peak_mib / _GIB,
            "highest": point.highest_mib / _GIB,
            "weights_seconds": point.costs["weights"].typical_seconds,
            "alpha_seconds": alpha.typical_seconds if alpha else None,
            "search_days": None if seconds is None else seconds / _DAY,
            **{f"{kind}_ratio": ratio for kind, ratio in ratios.items()},
            "memory_complexity": memory,
            "time_complexity": time,
            "agrees": _agrees(point, ratios, memory, time) if ratios and point.method != SUBNET else None,
        },
        notes=(_note(point, profile),),
        details={
            "source": "measured here; search_days extrapolated from the seconds of a step",
            "search_seconds_extrapolated": seconds,
            "steps_a_search": point.steps,
            "settings": point.settings,
            "protocol": profile.protocol,
            "costs": {kind: {"seconds": cost.seconds, "mib": cost.mib} for kind, cost in point.costs.items()},
            "operations_an_edge": {kind: cost.operations for kind, cost in point.costs.items()},
            "device": profile.device,
            "threads": profile.threads,
            "versions": profile.versions,
            "git_revision": point.git_revision,
            "measured": point.measured,
        },
    )


def _beside(subnet: Point, point: Point) -> bool:
    sizes = (point.cells_per_stage, point.batch_size)
    return subnet.method == SUBNET and (subnet.cells_per_stage, subnet.batch_size) == sizes


def _ratios(point: Point, subnet: Point) -> dict[str, float]:
    """Of memory, of the weight step and of the alpha step to the subnet's; a closing step counts as an alpha step."""
    ratios = {"memory": point.peak_mib / subnet.peak_mib}
    for kind, name in (("weights", "weights"), ("closing", "alpha"), ("alpha", "alpha")):
        if kind in point.costs:
            ratios[name] = point.costs[kind].typical_seconds / subnet.costs[name].typical_seconds
    return ratios


def _by_what_runs(point: Point) -> tuple[str, str]:
    """The complexities in memory and time that follow from how many operations ran on an edge."""
    factors = ["" if cost.operations <= 1 else "n" for cost in point.costs.values()]
    return f"O({max(factors)}M)", "+".join(f"O({factor}T)" for factor in dict.fromkeys(factors))


def _agrees(point: Point, ratios: Mapping[str, float], memory: str, time: str) -> str:
    """`yes`, or what grows otherwise than claimed."""
    edge = math.sqrt(counted_ratio(point.cells_per_stage))
    of_time = time.split("+")
    claims = {"memory": memory, "weights": of_time[0], "alpha": of_time[-1]}
    wrong = [kind for kind, ratio in ratios.items() if (ratio > edge) != ("n" in claims[kind])]
    return f"not {', '.join(wrong)}" if wrong else "yes"


def counted_ratio(cells_per_stage: int) -> float:
    """Multiply-adds of a supernet that runs every operation on every edge, over those of the target subnet.

    By `flops`, with C=16 on 32x32 pixels; the subnet is the mean of all cells without `none`, whose edges have each
    of the other four operations equally often. Stem, reductions and head are in both, so the ratio is below four.
    """
    names = ("none", "nor_conv_1x1", "nor_conv_3x3")
    none, one, three = (float(of) for of in flops([Cell((OPS.index(name),) * len(EDGES)) for name in names]))
    all_operations = (one - none + three - none) * cells_per_stage / 5  # `flops` is of N=5
    return (none + all_operations) / (none + all_operations / _MIXED)


def _note(point: Point, profile: Profile) -> str:
    side = profile.protocol["resolution"] or 32
    return (
        f"N={point.cells_per_stage}, C={profile.protocol['channels']}, {side}x{side}, {profile.protocol['precision']}, "
        f"on {profile.device}, {profile.threads} thread{'s' * (profile.threads > 1)}, "
        f"torch {profile.versions.get('torch', 'unknown')}."
    )


def _caption(profiles: Sequence[Profile], published: PublishedCosts) -> tuple[str, ...]:
    lines = [
        f"The paper's rows are as printed in: {published.reference}. They are of {published.about}: not to be compared "
        f"with ours in gigabytes or days, only in how they grow. {_printed_growth(published)}",
    ]
    points = [point for profile in profiles for point in profile.points]
    if not points:
        return tuple(lines)
    depths = sorted({point.cells_per_stage for point in points}, reverse=True)
    counted = ", ".join(f"{counted_ratio(depth):.2f} at L={3 * depth + 2}" for depth in depths)
    edges = ", ".join(f"{math.sqrt(counted_ratio(depth)):.2f} at L={3 * depth + 2}" for depth in depths)
    return (
        *lines,
        "Ours: steps of a search by protocol paper, in the first epoch in which alpha learns, on random images; "
        "L = 3 N + 2 counts the two reductions. Subnet: stand-alone networks of 8 cells without `none`, in which each "
        "edge has each operation equally often; their mean is M and T.",
        "Memory: weights, momentum, gradients and whatever a step allocates, at its peak, in 2^30 bytes; of the kind "
        "of step that needs most the mean over its steps, and the highest of all steps. On a CPU it is the sum of "
        "torch's tensors by its profiler's record, on CUDA the allocator's counter; images and the process itself are "
        "not in it.",
        "Seconds: where steps draw paths the mean over steps, where all run the same the median. Weights: beside a "
        "training step of the subnet. Alpha: beside the subnet's forward pass and the way back through it without "
        "weight gradients; of ENAS it is a sample of its controller's, a forward pass alone.",
        "Search days of ours are EXTRAPOLATED, no search was run: 50 epochs of 25,000 images times the seconds of a "
        "step, without the evaluation at the end; days of the device named, not GPU-days.",
        "Claimed: by the paper; where it claims nothing of a method, by how many operations run on an edge (two terms: "
        "in the weight step and in the alpha step). Of the five, `none` costs nothing, and an edge of the subnet has "
        "the mean of the other four, so n is four on the edges, and with stem, reductions and head, counted in "
        f"multiply-adds, {counted}. Measured agrees: a ratio is nearer, as a factor, to 1 where O(M) or O(T) is "
        "claimed, and to that number, or above it, for O(nM) and O(nT); the border is its square root, "
        f"{edges}.",
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
