"""What a step costs at least on this machine, what it takes, and where the time goes.

    python benchmarks/step_floor.py --out benchmarks/results/step_floor.json

For a path of drawn operations and for all of them mixed: the multiply-adds and the bytes of a weight step and of an
alpha step; this machine's ceilings, measured through torch (a convolution of 256 channels, and a copy of 64 MiB); the
floor, which is both divided by their ceilings and added; the measured step; and the profile by operation.

Counted are the convolutions (forward, back to the input, and in a weight step to the weights) and, of bytes, the
passes over memory that torch's separate operations cannot do without, each node, activation and gradient read or
written once for each of them. Head, losses and optimizers are left out: they are small.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch
import torch.nn.functional as F
from measuring import MIB, SIZES, Ours, Size, drawn_paths, full, seconds, show, write
from rich.progress import track

from nasbench_stc.models.mixture import Active
from nasbench_stc.models.ops import AVG_POOL, KERNELS
from nasbench_stc.models.plan import plan
from nasbench_stc.runs import environment

# Passes over a feature map (a read or a write of it), forward and backward.
RELU = (2, 3)  # once a node; backward: gradient and sign in, gradient out
CONV = (2, 2)  # backward to the input
CONV_WEIGHTS = 2
NORM = (3, 5)  # statistics, then the result; backward: two sums, then the result
INTO_SUM = 3  # a second convolution is added to the first
PARAMETER_FREE = (3, 2)  # skip: into the sum; backward: out of it
POOL = (3, 4)  # the pooling itself, in two passes, once a node; backward once a sum
WEIGHT_OF = 2  # alpha's gradient of a skip or pooling: a dot product


class Work(NamedTuple):
    """Of a step."""

    macs: float
    bytes: float


def work(active: Active, size: Size, learns_weights: bool) -> Work:
    """Multiply-adds and bytes of a step under a mixture."""
    cell, macs, moved = plan(active, True), 0.0, 0.0
    channels, pixels = size.channels, size.batch * size.side**2
    ways = 3 if learns_weights else 2
    if not cell[-1]:
        return Work(0, 0)
    macs += pixels * 27 * channels * (2 if learns_weights else 1)  # the stem; images need no gradient
    moved += 4 * pixels * channels * (sum(NORM) + 2)
    for stage in range(3):
        if stage:
            pixels //= 4
            macs += ways * pixels * channels * channels * (2 * 9 + 4 * 9 + 2)
            channels *= 2
            moved += 4 * pixels * channels * (2 * (sum(NORM) + sum(RELU) + sum(CONV)) + INTO_SUM)
        terms = [term for node in cell[1:] for term in node or ()]
        rectified = {term.source for term in terms if term.op in KERNELS}
        pooled = {term.source for term in terms if term.op == AVG_POOL}
        passes = len(rectified) * sum(RELU) + len(pooled) * sum(POOL)
        for node in cell[1:]:
            passes += INTO_SUM * max(sum(term.op in KERNELS for term in node or ()) - 1, 0)
        for term in terms:
            if term.op in KERNELS:
                macs += size.cells_per_stage * ways * pixels * channels**2 * KERNELS[term.op] ** 2
                passes += sum(CONV) + sum(NORM) + (CONV_WEIGHTS if learns_weights else 0)
            else:
                passes += sum(PARAMETER_FREE) + (0 if learns_weights else WEIGHT_OF)
        moved += 4 * size.cells_per_stage * pixels * channels * passes
    return Work(macs, moved)


def ceilings(device: str) -> dict[str, float]:
    """Multiply-adds and bytes a second, the best of several."""
    x = torch.randn(16, 256, 32, 32, device=device).to(memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3, device=device).to(memory_format=torch.channels_last)
    large = torch.randn(16 * MIB, device=device)
    into = torch.empty_like(large)
    with torch.no_grad():
        conv = min(seconds(lambda: F.conv2d(x, weight, padding=1), device) for _ in range(8))
        copy = min(seconds(lambda: into.copy_(large), device) for _ in range(12))
    return {"macs_per_second": x.numel() * 256 * 9 / conv, "bytes_per_second": 2 * 4 * large.numel() / copy}


def measure(kind: str, paths: list[Active], size: Size, device: str, ceiling: dict[str, float]) -> list[dict[str, Any]]:
    """Floor and seconds of both steps, means over the paths."""
    ours, rows = Ours(size, device), []
    for name, step in (("weights", ours.weights), ("alpha", ours.alpha)):
        ours.method.active = paths[0]
        step()
        spent = []
        for active in track(paths, f"{kind}, {name}, {size}"):
            ours.method.active = active
            spent.append(seconds(step, device))
        works = [work(active, size, name == "weights") for active in paths]
        macs, moved = (statistics.mean(of) for of in zip(*works, strict=True))
        arithmetic, memory = macs / ceiling["macs_per_second"], moved / ceiling["bytes_per_second"]
        took = statistics.mean(spent)
        rows.append(
            {
                "mixture": kind,
                "step": name,
                "size": size._asdict(),
                "macs": macs,
                "bytes": moved,
                "floor_arithmetic": arithmetic,
                "floor_memory": memory,
                "seconds": took,
                "measured / floor": took / (arithmetic + memory),
            }
        )
    return rows


def profile(paths: list[Active], size: Size, device: str, shown: int = 8) -> dict[str, float]:
    """Share of a search step's own time by operation, percent, on the CPU."""
    ours = Ours(size, device)
    ours.method.active = paths[0]
    ours.both()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as recorded:
        for active in paths:
            ours.method.active = active
            ours.both()
    averages = recorded.key_averages()
    own = {event.key.removeprefix("aten::"): event.self_cpu_time_total for event in averages}
    total = sum(own.values())
    top = sorted(own.items(), key=lambda item: -item[1])[:shown]
    return {name: 100 * spent / total for name, spent in top}


@click.command(help=(__doc__ or "").split("\n\n")[0])
@click.option("--device", default="auto", show_default=True)
@click.option("--threads", type=int, default=1, show_default=True, help="Of torch, on the CPU.")
@click.option("--paths", "number", type=click.IntRange(min=2), default=12, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there, as JSON.")
def main(device: str, threads: int, number: int, out: Path | None) -> None:
    """Measure, print, write."""
    device = environment.choose_device(device)
    torch.set_num_threads(threads)
    ceiling = ceilings(device)
    begin = time.perf_counter()
    rows, profiles = [], {}
    for size in SIZES.values():
        for kind, paths in (("one sampled", drawn_paths(number)), ("all mixed", [full()] * 2)):
            rows += measure(kind, paths, size, device, ceiling)
            profiles[f"{kind}, {size}"] = profile(paths[:6], size, device)
    print(
        f"\nceilings ({environment.device_name(device)}, {threads} thread(s)): "
        f"{ceiling['macs_per_second'] / 1e9:.0f} G multiply-adds/s, {ceiling['bytes_per_second'] / 1e9:.1f} GB/s"
    )
    show(
        "The floor, and what was measured",
        ["", "", "step", "G mul-adds", "MB", "floor s", "of it memory", "measured s", "measured/floor"],
        [
            [
                row["mixture"],
                str(Size(**row["size"])),
                row["step"],
                f"{row['macs'] / 1e9:.2f}",
                f"{row['bytes'] / 1e6:.0f}",
                f"{row['floor_arithmetic'] + row['floor_memory']:.4f}",
                f"{row['floor_memory']:.4f}",
                f"{row['seconds']:.4f}",
                f"{row['measured / floor']:.2f}",
            ]
            for row in rows
        ],
    )
    for title, shares in profiles.items():
        show(f"Share of a search step: {title}", ["operation", "%"], [[n, f"{s:.1f}"] for n, s in shares.items()])
    took = time.perf_counter() - begin
    write(out, device, {"ceilings": ceiling, "rows": rows, "profiles": profiles, "took_seconds": took})


if __name__ == "__main__":
    main()
