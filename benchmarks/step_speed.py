"""Seconds and memory of a search step: ours, and the same step in the reference implementation.

    python benchmarks/step_speed.py --peer DIR --out benchmarks/results/step_speed.json

A step is a weight step and an alpha step on a batch of 64. `one sampled` runs one operation an edge, drawn as an
untrained GDAS draws them; `all mixed` runs all, as first-order DARTS does. `--peer` names a checkout of
AutoDL-Projects, whose `TinyNetworkGDAS` and `TinyNetworkDarts` are then made to take the same paths on a batch of the
same size, in turn with ours. Ours includes augmentation and gradient clipping, theirs neither. On a GPU the seconds of
an epoch of the protocol `paper` are printed too (390 steps).
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

import click
import torch
import torch.nn.functional as F
from measuring import SIZES, Ours, Size, drawn_paths, full, peak_memory, seconds, show, write
from rich.progress import track

from nasbench_stc.engine.profile import training_step, way_back
from nasbench_stc.models import CellNetwork
from nasbench_stc.runs import environment
from nasbench_stc.space import OPS, Cell

PAPER_STEPS = 25_000 // 64
SURE = 200.0  # so large a logit is always the one that is drawn


class Peer:
    """The reference's step: everything gets a gradient in both halves, as `exps/NATS-algos/search-cell.py` has it."""

    def __init__(self, checkout: Path, kind: str, size: Size, device: str) -> None:
        sys.path.insert(0, str(checkout))
        from xautodl.models.cell_searchs.search_model_darts import TinyNetworkDarts
        from xautodl.models.cell_searchs.search_model_gdas import TinyNetworkGDAS

        torch.manual_seed(0)
        make = TinyNetworkGDAS if kind == "one sampled" else TinyNetworkDarts
        net = make(size.channels, size.cells_per_stage, 4, 10, list(OPS), False, False)
        self.net = net.to(device)
        self.images = torch.randn(size.batch, 3, size.side, size.side, device=device)
        self.labels = torch.randint(0, 10, (size.batch,), device=device)
        self.sgd = torch.optim.SGD(net.get_weights(), 0.025, momentum=0.9, nesterov=True, weight_decay=5e-4)
        self.adam = torch.optim.Adam(net.get_alphas(), 3e-4, betas=(0.5, 0.999), weight_decay=1e-3)

    def choose(self, active: tuple[tuple[int, ...], ...]) -> None:
        """Make the next steps take this path; the reference has edges and operations in the same order as we."""
        with torch.no_grad():
            self.net.arch_parameters.zero_()
            for edge, ops in enumerate(active):
                if len(ops) == 1:
                    self.net.arch_parameters[edge, ops[0]] = SURE

    def both(self) -> None:
        """A weight step and an alpha step."""
        for optimizer in (self.sgd, self.adam):
            self.net.zero_grad()
            _, logits = self.net(self.images)
            F.cross_entropy(logits, self.labels).backward()
            optimizer.step()


def compare(kind: str, size: Size, device: str, peer: Peer | None, rounds: int) -> dict[str, Any]:
    """Seconds a step (mean over rounds) and MiB at the peak (mean and highest of rounds), of both sides on the same."""
    ours = Ours(size, device)
    sides: dict[str, Ours | Peer] = {"ours": ours} | ({"peer": peer} if peer else {})
    paths = drawn_paths(rounds + 1) if kind == "one sampled" else [full()] * (rounds + 1)
    spent: dict[str, list[float]] = {name: [] for name in sides}
    memory: dict[str, list[float]] = {name: [] for name in sides}
    for number, active in enumerate(track(paths, f"{kind}, {size}")):
        ours.method.active = active
        if peer:
            peer.choose(active)
        for name, side in sides.items():
            took = seconds(side.both, device)
            if number:  # the first warms up
                spent[name].append(took)
                memory[name].append(peak_memory(side.both, device))
    found: dict[str, Any] = {
        name: {
            "seconds": statistics.mean(spent[name]),
            "mib_mean": statistics.mean(memory[name]),
            "mib_highest": max(memory[name]),
        }
        for name in sides
    }
    if peer:
        found["ratio"] = {key: found["ours"][key] / found["peer"][key] for key in found["ours"]}
    return {"kind": kind, "size": size._asdict(), "rounds": rounds, **found}


def beside_plain(size: Size, device: str, rounds: int) -> dict[str, Any]:
    """A search step of a sampled cell against a plain training step of that cell's own network, in turn.

    `none` is not drawn, as STC-NAS does not. The alpha step's share is that same network's forward pass and
    the way back through it without weight gradients.
    """
    ours = Ours(size, device)
    spent: dict[str, list[float]] = {"weights": [], "alpha": [], "plain": [], "share": []}
    for number, active in enumerate(track(drawn_paths(rounds + 1, none=False), f"stand-alone, {size}")):
        ours.method.active = active
        cell = Cell(tuple(ops[0] for ops in active))
        network = CellNetwork(cell, size.channels, size.cells_per_stage)
        network = network.to(device, memory_format=torch.channels_last)
        protocol = ours.search.protocol
        plain, share = training_step(network, ours.batch, protocol), way_back(network, ours.batch, protocol)
        plain()
        share()
        for name, step in (("weights", ours.weights), ("plain", plain), ("alpha", ours.alpha), ("share", share)):
            took = seconds(step, device)
            if number:
                spent[name].append(took)
    mean = {name: statistics.mean(of) for name, of in spent.items()}
    ratio = {
        "weight step / plain step": mean["weights"] / mean["plain"],
        "search step / (plain + share)": (mean["weights"] + mean["alpha"]) / (mean["plain"] + mean["share"]),
    }
    return {"size": size._asdict(), "rounds": rounds, "seconds": mean, "ratio": ratio}


def by_precision(size: Size, device: str, rounds: int) -> dict[str, Any]:
    """Mean seconds of a weight step and an alpha step in both precisions, on drawn paths, in turn."""
    ours = {precision: Ours(size, device, precision) for precision in ("float32", "bfloat16")}
    spent: dict[str, list[float]] = {precision: [] for precision in ours}
    for number, active in enumerate(track(drawn_paths(rounds + 1, none=False), f"precision, {size}")):
        for precision, side in ours.items():
            side.method.active = active
            took = seconds(side.both, device)
            if number:
                spent[precision].append(took)
    return {"size": size._asdict(), "seconds": {name: statistics.mean(of) for name, of in spent.items()}}


@click.command(help=(__doc__ or "").split("\n\n")[0])
@click.option("--peer", type=click.Path(exists=True, file_okay=False, path_type=Path), help="AutoDL-Projects.")
@click.option("--device", default="auto", show_default=True)
@click.option("--threads", type=int, default=1, show_default=True, help="Of torch, on the CPU.")
@click.option("--rounds", type=click.IntRange(min=2), default=12, show_default=True, help="Steps of each side.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there, as JSON.")
def main(peer: Path | None, device: str, threads: int, rounds: int, out: Path | None) -> None:
    """Measure, print, write."""
    device = environment.choose_device(device)
    torch.set_num_threads(threads)
    results = []
    for size in SIZES.values():
        for kind, number in (("one sampled", rounds), ("all mixed", max(2, rounds // 3))):
            other = Peer(peer, kind, size, device) if peer else None
            results.append(compare(kind, size, device, other, number))
    plain = [beside_plain(size, device, rounds) for size in SIZES.values()]
    precisions = [by_precision(size, device, rounds) for size in SIZES.values()]

    where = f"{environment.device_name(device)}, {threads} thread(s)"
    sides = [name for name in ("ours", "peer", "ratio") if name in results[0]]
    for key, title in (("seconds", "seconds"), ("mib_mean", "MiB, mean of steps"), ("mib_highest", "MiB, highest")):
        rows = [
            [result["kind"], str(Size(**result["size"])), *(f"{result[name][key]:.3g}" for name in sides)]
            for result in results
        ]
        show(f"A weight step and an alpha step, {title} ({where})", ["", "", *sides], rows)
    show(
        "STC-NAS's step against the sampled cell's own network",
        ["", *plain[0]["ratio"]],
        [[str(Size(**p["size"])), *(f"{value:.2f}" for value in p["ratio"].values())] for p in plain],
    )
    show(
        "The same step by precision, seconds",
        ["", "float32", "bfloat16"],
        [[str(Size(**p["size"])), *(f"{value:.4f}" for value in p["seconds"].values())] for p in precisions],
    )
    if device.startswith("cuda"):
        epochs = (f"{name} {PAPER_STEPS * took:.1f} s" for name, took in precisions[0]["seconds"].items())
        print(f"\nan epoch of the protocol `paper` ({PAPER_STEPS} weight and alpha steps): {', '.join(epochs)}")
    write(out, device, {"steps": results, "beside_plain": plain, "precision": precisions})


if __name__ == "__main__":
    main()
