"""The record of a profile: what searches cost, measured point by point under one set of circumstances.

One file holds every point that was measured on one device, with as many threads, the same versions and the same
settings, so that the points can be compared; a sweep adds to it after each point. Reading it does not import torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from nasbench_stc import stored
from nasbench_stc.engine.cost import StepCost
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.records.record import check_values, read_below
from nasbench_stc.space import TSS, find_space
from nasbench_stc.stored import Positive, Time

PATTERN = "profile-*.json"
REPEATS = 32
"""Paths drawn a kind of step: enough that what paths cost (it varies by half) is known on average to a tenth."""
SUBNET = "subnet"
"""In place of a method: the mean of stand-alone networks, which M and T of a complexity are meant of."""


@dataclass(frozen=True)
class Point:
    """One method at one depth and batch size."""

    method: str
    cells_per_stage: Positive
    batch_size: Positive
    settings: dict[str, Any]
    """The method's own; of the subnet its `cells`."""
    costs: dict[str, StepCost]
    """By kind of step: `weights`, and `alpha` and `closing` where the method has them."""
    steps: dict[str, Positive]
    """How many of each a whole search takes; nothing of the subnet, which is no search."""
    git_revision: str
    measured: Time

    def __str__(self) -> str:
        return f"{self.method}, N={self.cells_per_stage}, batch size {self.batch_size}"

    def is_like(self, other: Point) -> bool:
        """Whether the same was measured, at whatever cost."""
        own, its = (replace(point, costs={}, steps={}, git_revision="", measured="") for point in (self, other))
        return own == its

    @property
    def cells(self) -> int:
        """L: three stages of cells and the two reductions."""
        return 3 * self.cells_per_stage + 2

    @property
    def peak_mib(self) -> float:
        """MiB at the peak of the kind of step that needs most, mean over its steps."""
        return max(cost.mean_mib for cost in self.costs.values())

    @property
    def highest_mib(self) -> float:
        """MiB at the peak of the step that needed most."""
        return max(mib for cost in self.costs.values() for mib in cost.mib)

    @property
    def search_seconds(self) -> float | None:
        """Of a whole search, EXTRAPOLATED: its numbers of steps times what one of them takes; None for the subnet.

        What evaluates the supernet in the end is not in it.
        """
        if not self.steps:
            return None
        return sum(self.costs[kind].typical_seconds * number for kind, number in self.steps.items())


@dataclass(frozen=True)
class Profile:
    """All points measured under the same circumstances. All values are plain (JSON) ones."""

    device: str
    threads: Positive
    versions: dict[str, str]
    protocol: dict[str, Any]
    """Its settings, but for those that a point has itself."""
    repeats: Positive
    """Measured steps of each kind, where they differ."""
    points: list[Point] = field(default_factory=list)
    space: str = TSS.name
    """That is searched, by name."""
    schema: int = 1

    @property
    def file_name(self) -> str:
        """The same for the same circumstances, another for any others; of the usual space as before there were more."""
        where = [] if find_space(self.space).usual else [self.space]
        key = stored.key(self.device, self.threads, self.versions, self.protocol, self.repeats, *where)
        return f"profile-{key}.json"

    def write(self, folder: Path) -> Path:
        """Write it into `folder`, whole or not at all."""
        return stored.write(folder / self.file_name, self)


def _checked(found: Profile) -> Profile:
    if not {"channels", "precision", "resolution"} <= found.protocol.keys():  # a report tells them
        raise ValueError("the protocol's settings are not whole")
    check_values(found.protocol, Protocol())
    find_space(found.space)  # there is one of that name
    for point in found.points:
        needed = {"weights", "alpha"} if point.method == SUBNET else {"weights"}
        if not needed | point.steps.keys() <= point.costs.keys():
            raise ValueError(f"{point.method}: not all kinds of steps have costs")
    return found


read = partial(stored.read, Profile, "profile", "delete it and profile again", check=_checked)
"""The profile in the file at a path; raises as `stored.read`."""


def read_all(folders: Iterable[Path]) -> tuple[list[Profile], list[str]]:
    """All profiles below `folders`, sorted by path, and one sentence for each file that could not be read."""
    found, problems = read_below(folders, PATTERN, read)
    return list(found.values()), problems
