"""A search's own steps on images of noise: built by names, as `stc-bench search` does it, and timed by the epoch.

An epoch is what every form of the engine has in common: where steps are replayed as graphs, the host waits for the
device only at its end.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import torch
from measuring import SIZES, Size

from nasbench_stc.data.images import DeviceImages
from nasbench_stc.engine import profile
from nasbench_stc.engine.loop import MakeMethod, Search
from nasbench_stc.runs import launch
from nasbench_stc.runs.launch import Plan

TARGET = SIZES["target"]
TINY = Size(4, 1, 8, 16)


class Way(NamedTuple):
    """How steps are computed."""

    form: str
    """A value of the setting `form`."""
    precision: str
    graphs: bool = True
    """Whether a step of the static form is one CUDA graph on a GPU; else its operations are launched one by one."""
    compiled: bool = False
    """Whether torch.compile has a part in it, on a GPU."""

    def __str__(self) -> str:
        how = f"{'' if self.graphs else ' without graphs'}{' compiled' if self.compiled else ''}"
        return f"{self.form}{how}, {self.precision}"

    @property
    def changes(self) -> dict[str, Any]:
        """As settings of a protocol."""
        return {"precision": self.precision, "form": self.form, "compiled": self.compiled}


FORMS = ("static", "plan")
"""The one that a GPU is to have first."""


def precisions(device: str) -> list[str]:
    """On a CPU without bfloat16, which many compute very slowly."""
    return [*(["bfloat16"] if device.startswith("cuda") else []), "float32", "float64"]


def build(method: str, way: Way, size: Size, device: str, steps: int, seed: int = 0, **changes: Any) -> Search:
    """A search by `paper` of that size with so many steps an epoch, so long that nothing is annealed yet."""
    shape = {"channels": size.channels, "cells_per_stage": size.cells_per_stage, "batch_size": size.batch}
    asked = {**shape, "epochs": 1000, "steps": steps, **way.changes, **changes}
    todo = launch.plan(method, "cifar10", seed, "paper", asked, device)
    search = search_of(todo, noise(4 * size.batch, size.side, device))
    if not way.graphs:
        search.form.graphs.enabled = False
    return search


def search_of(todo: Plan, images: DeviceImages, make_method: MakeMethod | None = None) -> Search:
    """The search of a plan on these images, for weights and alpha; by another method, if one is given."""
    on_device = make_method is None and todo.method.cls.on_device
    make = make_method or todo.make_method
    return Search(make, todo.engine, images, images, profile.CLASSES, todo.seed, todo.method.name, on_device)


def noise(n: int, side: int, device: str) -> DeviceImages:
    """Images, always the same ones."""
    return profile.random_images(n, side, torch.device(device))


def epochs(search: Search, seconds: float, device: str) -> tuple[float, int]:
    """Seconds a step over whole epochs, and how many epochs those were: as many as take `seconds`, at least one."""
    profile.wait(torch.device(device))
    begin, done = time.perf_counter(), 0
    while True:
        search.run_epoch()
        profile.wait(torch.device(device))
        done += 1
        spent = time.perf_counter() - begin
        if spent >= seconds:
            return spent / (done * search.steps), done
