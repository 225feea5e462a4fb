"""Seconds by kind of work, without making the device wait: CUDA events there, the wall clock on the CPU."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Clock:
    """`with clock("weights"): …` adds to that kind; `lap()` gives the sums since the last lap and starts anew."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._spans: list[tuple[str, Any, Any]] = []

    @contextmanager
    def __call__(self, kind: str) -> Iterator[None]:
        """Time the block."""
        start = self._now()
        yield
        self._spans.append((kind, start, self._now()))

    def lap(self) -> dict[str, float]:
        """Seconds by kind since the last lap. On CUDA this is where the device is waited for.

        That is the stream in use, which all spans are on: other threads' searches have streams of their own, and while
        one of them captures a graph, CUDA refuses to wait for the whole device.
        """
        if self._cuda:
            torch.cuda.current_stream().synchronize()
        seconds: dict[str, float] = {}
        for kind, start, end in self._spans:
            spent = start.elapsed_time(end) / 1000 if self._cuda else end - start
            seconds[kind] = seconds.get(kind, 0.0) + spent
        self._spans.clear()
        return seconds

    def _now(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event
