"""What a kind of step was measured to cost, as plain values: made by `profile`, kept in records, read without torch."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

SUBNETS = 8
"""Cells, about, whose stand-alone networks' mean is the target subnet."""
Measured = Annotated[list[Annotated[float, Meta(gt=0)]], Meta(min_length=1)]
"""A positive number for each measured step."""


@dataclass(frozen=True)
class StepCost:
    """One kind of step; the lists have a value a measured step."""

    seconds: Measured
    mib: Measured
    """At the peak, of other steps than the timed ones, for to record memory takes time. See `profile.peak_mib`."""
    operations: Annotated[float, Meta(ge=0)]
    """That ran on an edge at once, `none` counted: one on a path, all five in a mixture of all."""
    drawn: bool
    """Whether the steps differ in what they run, so that one of them says little."""
    passes: Annotated[float, Meta(gt=0)] = 1.0
    """Mixtures that run in a step, one after another: five paths of FairNAS's weight step."""

    @property
    def typical_seconds(self) -> float:
        """Of a step: where they differ the mean, which a long search adds up to; where they are alike the median."""
        return statistics.mean(self.seconds) if self.drawn else statistics.median(self.seconds)

    @property
    def mean_mib(self) -> float:
        """MiB at the peak, mean over the steps."""
        return statistics.mean(self.mib)
