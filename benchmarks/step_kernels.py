"""How many kernels a step would launch on a GPU, in both forms, and what that lets expect of an H100.

    python benchmarks/step_kernels.py --out benchmarks/results/step_kernels.json

A step of a real method is recorded by torch's profiler, on the CPU. Counted is each operation that computes something,
as deep down as the profiler sees it; views and allocations are none, and an operation on a list of tensors
(`_foreach_…`, which the optimizers take on a GPU) is one. On a GPU some are several kernels: a batch norm in training
about three in each direction, an operation on a long list one for every hundred tensors or so. So this is less than
what will be launched, by the same rule for both forms.

The expectation is arithmetic, not a measurement. Floor: bytes of bfloat16 numbers by 3.0 TB/s plus multiply-adds by
400 T/s (800 TFLOP/s dense), of what `step_floor.py` counts for what each form computes. Launching: 6 µs of the host for
an operation that Python asks for, 2 µs for a kernel of a replayed graph; both are assumptions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch
from measuring import SIZES, Size, full, show, write
from step_floor import work
from torch.utils import _foreach_utils

from nasbench_stc.engine.loop import Search
from nasbench_stc.engine.profile import CLASSES, random_images
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.methods import load
from nasbench_stc.models.mixture import Active

BYTES, MACS = 3.0e12, 400e12
EAGER, REPLAYED = 6e-6, 2e-6
PATHS = 12
"""Steps over which the plan form's number is averaged, where it draws."""
STATIC_PATH: Active = ((1, 3, 4),) * 6
"""What the static form computes for any path: skip, one 3x3 convolution and pooling on every edge."""

_NO_KERNEL = {
    *("alias", "as_strided", "broadcast_tensors", "chunk", "detach", "detach_", "expand", "expand_as", "flatten"),
    *("lift_fresh", "narrow", "permute", "reshape", "resize_", "resolve_conj", "resolve_neg", "select", "slice"),
    *("split", "split_with_sizes", "squeeze", "swapaxes", "t", "to", "transpose", "unbind", "unflatten", "unsqueeze"),
    *("unsafe_split", "view", "view_as", "_unsafe_view", "_reshape_alias", "contiguous", "result_type", "is_nonzero"),
    *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "set_", "item", "_local_scalar_dense"),
}


def kernels(event: Any) -> int:
    """Of an operation and those that it consists of."""
    name = event.name.removeprefix("aten::")
    if name.startswith("_foreach"):
        return 1
    below = sum(kernels(child) for child in event.cpu_children)
    return below or int(event.name.startswith("aten::") and name not in _NO_KERNEL)


def count(step: Callable[[], Any]) -> int:
    """Kernels of one step."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as recorded:
        step()
    return sum(kernels(event) for event in recorded.events() if event.cpu_parent is None)


def counted(method: str, form: str, size: Size) -> dict[str, float]:
    """Kernels of a weight step and of an alpha step, means over steps where they differ."""
    cls = load(method)
    protocol = Protocol(size.channels, size.cells_per_stage, batch_size=size.batch, precision="float32", form=form)
    images = random_images(2 * size.batch, size.side, torch.device("cpu"))
    s = Search(lambda g: cls(cls.Settings(), g), protocol, images, images, CLASSES, 0, on_device=cls.on_device)
    s.method.begin_epoch(0, 1)
    s.supernet.train()
    index = torch.arange(size.batch)
    steps = {"weights": lambda: s.weight_step(index)} | (
        {"alpha": lambda: s.alpha_step(index)} if s.method.learns else {}
    )
    for step in steps.values():
        step()
    times = PATHS if form == "plan" else 1
    return {kind: sum(count(step) for _ in range(times)) / times for kind, step in steps.items()}


def floor(active: Active, size: Size) -> float:
    """Seconds of a weight and an alpha step on an H100, at least."""
    works = [work(active, size, learns_weights) for learns_weights in (True, False)]
    return sum(of.macs for of in works) / MACS + sum(of.bytes for of in works) / 2 / BYTES  # counted for 4-byte numbers


@click.command(help=(__doc__ or "").split("\n\n")[0])
@click.option("--methods", default="stc,gdas,darts,snas", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there, as JSON.")
def main(methods: str, out: Path | None) -> None:
    """Count, print, write."""
    torch.set_num_threads(1)
    supported = _foreach_utils._get_foreach_kernels_supported_devices
    _foreach_utils._get_foreach_kernels_supported_devices = lambda: [*supported(), "cpu"]  # as on a GPU
    rows = []
    for name, size in SIZES.items():
        for method in methods.split(","):
            single = method not in ("darts", "snas", "setn")
            for form in ("plan", "static"):
                found = counted(method, form, size)
                computed = (STATIC_PATH if form == "static" else ((3,),) * 6) if single else full()
                total, least = sum(found.values()), floor(computed, size)
                rows.append(
                    {
                        "size": name,
                        "method": method,
                        "form": form,
                        **found,
                        "floor_ms": 1e3 * least,
                        "eager_ms": 1e3 * max(least, EAGER * total),
                        "graph_ms": 1e3 * max(least, REPLAYED * total) if form == "static" else None,
                    }
                )
    show(
        "Kernels of a step; expected of an H100 in bfloat16, ms for a weight and an alpha step (not measured)",
        ["", "", "", "weights", "alpha", "floor", "launched", "replayed"],
        [
            [
                *(str(row[key]) for key in ("size", "method", "form")),
                *(f"{row[key]:.0f}" if key in row else "–" for key in ("weights", "alpha")),
                *("–" if row[key] is None else f"{row[key]:.2f}" for key in ("floor_ms", "eager_ms", "graph_ms")),
            ]
            for row in rows
        ],
    )
    write(out, "cpu", {"rows": rows, "assumed": {"eager_s": EAGER, "replayed_s": REPLAYED}})


if __name__ == "__main__":
    main()
