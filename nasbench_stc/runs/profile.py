"""The record of a profile: what searches cost, measured point by point under one set of circumstances.

One file holds every point that was measured on one device, with as many threads, the same versions and the same
settings, so that the points can be compared; a sweep adds to it after each point. Reading it does not import torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from nasbench_stc import files
from nasbench_stc.engine.cost import StepCost
from nasbench_stc.errors import DataError
from nasbench_stc.runs.record import fields_of, read_below

SCHEMA = 1
PATTERN = "profile-*.json"
REPEATS = 32
"""Paths drawn a kind of step: enough that what paths cost (it varies by half) is known on average to a tenth."""
SUBNET = "subnet"
"""In place of a method: the mean of stand-alone networks, which M and T of a complexity are meant of."""

T = TypeVar("T")


@dataclass(frozen=True)
class Point:
    """One method at one depth and batch size."""

    method: str
    cells_per_stage: int
    batch_size: int
    settings: dict[str, Any]
    """The method's own; of the subnet its `cells`."""
    costs: dict[str, StepCost]
    """By kind of step: `weights`, and `alpha` and `closing` where the method has them."""
    steps: dict[str, int]
    """How many of each a whole search takes; nothing of the subnet, which is no search."""
    git_revision: str
    measured: str
    """UTC, ISO 8601."""

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
    threads: int
    versions: dict[str, str]
    protocol: dict[str, Any]
    """Its settings, but for those that a point has itself."""
    repeats: int
    """Measured steps of each kind, where they differ."""
    points: list[Point] = field(default_factory=list)
    schema: int = SCHEMA

    @property
    def file_name(self) -> str:
        """The same for the same circumstances, another for any others."""
        circumstances = [self.device, self.threads, self.versions, self.protocol, self.repeats]
        return f"profile-{hashlib.sha256(json.dumps(circumstances, sort_keys=True).encode()).hexdigest()[:8]}.json"

    def write(self, folder: Path) -> Path:
        """Write it into `folder`, whole or not at all."""
        path = folder / self.file_name
        files.write_atomic(path, (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode())
        return path


def read(path: Path) -> Profile:
    """The profile in the file at `path`.

    Raises:
        DataError: it cannot be read, is damaged, or has another schema.
    """
    content = fields_of(path, Profile, "profile", SCHEMA, "delete it and profile again")
    try:
        points = [_point(point) for point in content["points"]]
        if not {"channels", "precision", "resolution"} <= content["protocol"].keys():  # a report tells them
            raise ValueError("the protocol's settings are not whole")
        return Profile(**{**content, "points": points})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: damaged ({error}); delete it and profile again") from None


def _point(content: dict[str, Any]) -> Point:
    costs = {kind: _made(StepCost, cost) for kind, cost in content["costs"].items()}
    for kind, cost in costs.items():
        for numbers in (cost.seconds, cost.mib):
            if not numbers or not all(isinstance(number, (int, float)) and number > 0 for number in numbers):
                raise ValueError(f"costs of {content['method']}, {kind}: no positive numbers")
    needed = {"weights", "alpha"} if content["method"] == SUBNET else {"weights"}
    if not needed | content["steps"].keys() <= costs.keys():
        raise ValueError(f"{content['method']}: not all kinds of steps have costs")
    return _made(Point, {**content, "costs": costs})


def _made(kind: type[T], content: dict[str, Any]) -> T:
    names = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    missing, unknown = sorted(names - content.keys()), sorted(content.keys() - names)
    if missing or unknown:
        raise ValueError(f"missing: {missing or 'nothing'}; unknown: {unknown or 'nothing'}")
    return kind(**content)


def read_all(folders: Iterable[Path]) -> tuple[list[Profile], list[str]]:
    """All profiles below `folders`, sorted by path, and one sentence for each file that could not be read."""
    return read_below(folders, PATTERN, read)
