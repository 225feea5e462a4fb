"""The table of goals: milliseconds and memory of steps, seeds side by side, ratings, and a peer's step.

Steps are those of real searches by `paper` (C=16, N=5, batch 64) on images of noise: a weight and an alpha step
together, over whole epochs. Seconds of a search are so many steps of it, not a search. What does not fit the seconds
is left out, and said to be.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import torch
from measuring import Size, drawn_paths, seconds, show, write
from step_speed import PAPER_STEPS, Peer
from torch.profiler import ProfilerActivity

from nasbench_stc.engine import profile
from nasbench_stc.engine.evaluation import rate
from nasbench_stc.engine.loop import Search
from nasbench_stc.engine.precision import computing
from nasbench_stc.models import Mixture
from nasbench_stc.models.plan import plan
from nasbench_stc.records.ranking import choose_cells
from nasbench_stc.runs import environment
from nasbench_stc.space import Cell

from .seeds import Trial, by_processes, by_threads
from .steps import FORMS, TARGET, TINY, Way, build, epochs, noise, precisions

A_SEARCH = 50 * PAPER_STEPS
"""Steps of `paper`."""
ALL_PATHS = 9445
"""Different paths of all 15,625 cells (`ranking_cost.py` counts them)."""
METHODS = ("stc", "darts", "gdas", "snas")


class Speed:
    """What was measured so far, and how much time is left for more."""

    def __init__(self, device: str, size: Size, steps: int, box: float, end: float, out: Path | None) -> None:
        self.device, self.size, self.steps, self.box, self.end, self.out = device, size, steps, box, end, out
        self.figures: dict[str, Any] = {
            "size": size._asdict(),
            "steps_an_epoch": steps,
            "steps": [],
            "side_by_side": [],
            "left_out": [],
        }

    @contextmanager
    def item(self, name: str, needs: float) -> Iterator[bool]:
        """Whether there is time for what needs so many seconds. What fails is noted, and the rest goes on."""
        fits = time.monotonic() + needs <= self.end
        if not fits:
            self.figures["left_out"].append(f"{name}: no time left")
        try:
            yield fits
        except Exception as error:
            self.figures["left_out"].append(f"{name}: {type(error).__name__}: {error}")
            click.echo(f"{name}: failed: {type(error).__name__}: {error}", err=True)
        if fits:
            gc.collect()
            write(self.out, self.device, self.figures)  # what is there, if all is cut short

    def measure_steps(self, method: str, way: Way) -> None:
        """Milliseconds of a step, and MiB from before the search was built to its first epoch's peak."""
        if self.found(method, way):
            return
        with self.item(f"{method}, {way}", 6 * self.box) as fits:
            if not fits:
                return
            searches: list[Search] = []

            def begin() -> None:
                searches.append(build(method, way, self.size, self.device, self.steps))
                searches[0].run_epoch()

            mib = profile.peak_memory(begin, torch.device(self.device))
            (search,) = searches
            warm = dict(search.progress.seconds)
            took, done = epochs(search, self.box, self.device)
            kinds = {
                f"{kind}_ms": round(1000 * (spent - warm[kind]) / (done * self.steps), 4)
                for kind, spent in search.progress.seconds.items()
            }
            numbers = {"ms": round(1000 * took, 4), "mib": round(mib, 2), "epochs": done, **kinds}
            self.figures["steps"].append({"method": method, **way._asdict(), **numbers})

    def measure_seeds(self, way: Way, by: str, seeds: int) -> None:
        """Milliseconds a step of STC-NAS, of each of several seeds."""
        needs = 4 * self.box + 2 * seeds if by == "threads" else 20 + 3 * self.box + 2 * seeds
        with self.item(f"{seeds} seeds by {by}", needs) as fits:
            alone = self.found("stc", way)
            if not fits or alone is None:
                return
            number = max(1, round(1000 * self.box / (alone["ms"] * self.steps)))
            trial = Trial("stc", way, self.size, self.device, self.steps, number)
            if by == "threads":
                took = by_threads(trial, seeds)
            else:
                took = by_processes(trial, seeds, max(1.0, self.end - time.monotonic()))
            self.figures["side_by_side"].append({"seeds": seeds, "by": by, **way._asdict(), "ms_a_seed": 1000 * took})

    def measure_rating(self, precision: str, images: int) -> None:
        """Seconds for as many cells as fit, extrapolated to all by the number of different paths."""
        with self.item("rating", 10 * self.box) as fits:
            if not fits:
                return
            search = build("stc", Way("plan", precision), self.size, self.device, 1)
            valid = noise(images, self.size.side, self.device)

            def rated(n: int) -> tuple[float, int]:
                cells = [Cell.from_index(index) for index in choose_cells(n).tolist()]
                paths = {plan(Mixture.path(cell).active, search.supernet.zeros_vanish) for cell in cells}
                took = seconds(
                    lambda: rate(search.supernet, cells, valid, search.protocol.eval_batch, images, precision),
                    self.device,
                )
                return took, len(paths)

            rated(8)
            took, paths = rated(16)
            n = max(16, min(500, int(16 * 4 * self.box / took)))
            took, paths = rated(n)
            self.figures["rating"] = {
                "cells": n,
                "different_paths": paths,
                "images": images,
                "precision": precision,
                "seconds": took,
                "all_cells_extrapolated": took * ALL_PATHS / paths,
            }

    def measure_peer(self, checkout: Path, precision: str) -> None:
        """AutoDL-Projects' GDAS step on drawn paths, in the precision of autocast or as it is."""
        with self.item(f"peer, {precision}", 8 * self.box) as fits:
            if not fits:
                return
            peer = Peer(checkout, "one sampled", self.size, self.device)
            spent = []
            until = time.monotonic() + 3 * self.box
            for number, active in enumerate(drawn_paths(200, none=False)):
                peer.choose(active)
                with computing(torch.device(self.device), precision):
                    took = seconds(peer.both, self.device)
                if number > 1:  # the first ones warm up
                    spent.append(took)
                if len(spent) > 1 and time.monotonic() > until:
                    break
            self.figures.setdefault("peer", []).append(
                {"precision": precision, "ms": 1000 * statistics.mean(spent), "steps": len(spent)}
            )

    def found(self, method: str, way: Way) -> dict[str, Any] | None:
        """The figures of a method's steps, if they were measured."""
        matching = (
            step
            for step in self.figures["steps"]
            if (step["method"], *(step[name] for name in Way._fields)) == (method, *way)
        )
        return next(matching, None)

    def goals(self, way: Way) -> list[list[str]]:
        """The goals beside what was measured in the best way."""
        steps = {method: self.found(method, way) for method in METHODS}
        ms = {method: None if step is None else step["ms"] for method, step in steps.items()}
        side = min((one["ms_a_seed"] for one in self.figures["side_by_side"]), default=None)
        stc, darts = steps["stc"], steps["darts"]
        memory = stc["mib"] / darts["mib"] if stc and darts else None
        peers = {one["precision"]: one["ms"] for one in self.figures.get("peer", ())}
        ahead = [
            peers[precision] / step["ms"]
            for precision in peers
            if (step := self.found("gdas", way._replace(precision=precision)))
        ]
        rating = self.figures.get("rating", {}).get("all_cells_extrapolated")

        def search(one: float | None) -> float | None:
            return None if one is None else one * A_SEARCH / 1000

        rows: list[tuple[str, str, float | None, str]] = [
            ("STC-NAS, a weight and an alpha step", "3 ms", ms["stc"], "ms"),
            (f"STC-NAS, {A_SEARCH:,} steps, one seed alone", "60 s", search(ms["stc"]), "s"),
            ("the same, seeds side by side, a seed", "20 s", search(side), "s"),
            (f"DARTS, {A_SEARCH:,} steps", "150 s", search(ms["darts"]), "s"),
            (f"SNAS, {A_SEARCH:,} steps", "150 s", search(ms["snas"]), "s"),
            ("memory, STC-NAS : DARTS", "at most 0.25", memory, ""),
            ("GDAS's step here : AutoDL-Projects'", "10 times as fast", min(ahead, default=None), "times"),
            ("rating 15,625 cells on 4,096 images, extrapolated", "300 s", rating, "s"),
        ]
        return [[what, goal, "not measured" if one is None else f"{one:.3g} {unit}"] for what, goal, one, unit in rows]

    def report(self, way: Way) -> None:
        """Print all of it."""
        show(
            f"A weight and an alpha step, {self.size} ({environment.device_name(self.device)})",
            ["", "form", "precision", "ms", "of it weights", "alpha", "MiB"],
            [
                [step["method"], str(Way(*(step[name] for name in Way._fields))).rpartition(",")[0], step["precision"]]
                + [f"{step['ms']:.3f}"]
                + [f"{step[kind]:.3f}" if kind in step else "" for kind in ("weights_ms", "alpha_ms")]
                + [f"{step['mib']:.0f}"]
                for step in self.figures["steps"]
            ],
        )
        show(
            "STC-NAS, seeds side by side, ms a step and seed",
            ["seeds", "by", "form", "precision", "ms"],
            [
                [str(one["seeds"]), one["by"], one["form"], one["precision"], f"{one['ms_a_seed']:.3f}"]
                for one in self.figures["side_by_side"]
            ],
        )
        for one in self.figures.get("peer", ()):
            click.echo(f"\nAutoDL-Projects' GDAS step, {one['precision']}: {one['ms']:.2f} ms")
        if rating := self.figures.get("rating"):
            click.echo(
                f"\nrating {rating['cells']} cells ({rating['different_paths']} different paths) on "
                f"{rating['images']:,} images: {rating['seconds']:.2f} s"
            )
        self.figures["goals"] = self.goals(way)
        show(f"Goals, {way}", ["", "goal", "found"], self.figures["goals"])
        for line in self.figures["left_out"]:
            click.echo(f"left out: {line}")
        write(self.out, self.device, self.figures)


def write_profile(path: Path, device: str, size: Size, ways: list[Way], steps: int) -> None:
    """What an epoch of so many steps spends its time in, by torch's profiler, for each way."""
    cuda = device.startswith("cuda")
    parts = []
    for way in ways:
        search = build("stc", way, size, device, steps)
        search.run_epoch()
        profile.wait(torch.device(device))
        with torch.profiler.profile(
            activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
        ) as recorded:
            search.run_epoch()
            profile.wait(torch.device(device))
        events = recorded.key_averages()
        order = "self_device_time_total" if cuda else "self_cpu_time_total"
        parts.append(
            f"stc, {way}, {steps} steps\n\n{events.table(sort_by=order, row_limit=40, max_name_column_width=80)}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(parts) + "\n")


@click.command(help=__doc__)
@click.argument("total", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True), default=120)
@click.option("--device", default="auto", show_default=True)
@click.option("--peer", type=click.Path(exists=True, file_okay=False, path_type=Path), help="AutoDL-Projects.")
@click.option("--profile", "profiled", type=click.Path(dir_okay=False, path_type=Path), help="Write profiles there.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there, as JSON.")
@click.option("--quick", is_flag=True, help="A tiny supernet and two seeds: shows that all of it runs.")
@click.pass_obj
def main(
    begin: float | None,
    total: float,
    device: str,
    peer: Path | None,
    profiled: Path | None,
    out: Path | None,
    quick: bool,
) -> None:
    """Measure in order of value."""
    begin = time.monotonic() if begin is None else begin
    device = environment.choose_device(device)
    size, steps, box = (TINY, 2, 0.05) if quick else (TARGET, 50, 1.0)
    speed = Speed(device, size, steps, box, begin + total, out)
    low, *_ = order = [name for name in ("bfloat16", "float32") if name in precisions(device)]
    best = Way(FORMS[0], low, compiled=device.startswith("cuda"))
    seeds = (2,) if quick else (4, 8, 2)
    plain = [Way(form, low) for form in FORMS]
    in_turn: list[Callable[[], None]] = [
        lambda: speed.measure_steps("stc", best),
        lambda: _profile(speed, profiled, list(dict.fromkeys([best, *plain]))),
        lambda: speed.measure_seeds(best, "threads", seeds[0]),
        lambda: speed.measure_steps("gdas", best),
        *(lambda precision=precision: speed.measure_peer(peer, precision) for precision in order if peer),
        *(lambda way=way: speed.measure_steps("stc", way) for way in plain),
        lambda: speed.measure_steps("darts", best),
        *(lambda n=n: speed.measure_seeds(best, "threads", n) for n in seeds[1:]),
        lambda: speed.measure_rating(low, 64 if quick else 4096),
        lambda: speed.measure_seeds(best, "processes", seeds[0]),
        lambda: speed.measure_steps("snas", best),
    ]
    if device.startswith("cuda"):
        in_turn.append(lambda: speed.measure_steps("stc", Way("static", low, graphs=False)))
    rest = [Way(form, precision) for precision in reversed(order) for form in FORMS]
    in_turn += [lambda method=method, way=way: speed.measure_steps(method, way) for way in rest for method in METHODS]
    for measure in in_turn:
        measure()
    speed.report(best)


def _profile(speed: Speed, path: Path | None, ways: list[Way]) -> None:
    if path is None:
        return
    with speed.item("profile", 15 * speed.box) as fits:
        if fits:
            write_profile(path, speed.device, speed.size, ways, min(speed.steps, 10))
