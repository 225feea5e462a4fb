"""CUDA graphs: what is launched operation by operation a few times is then replayed as a whole.

A function can be captured if it does the same operations on tensors of the same shapes each time, waits for nothing
and copies nothing from the host. What it is to be told anew each time it takes as inputs, or reads from tensors that
the host writes between the calls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from nasbench_stc.errors import RunError

WARM_UP = 3
"""Calls before the capture, carried out one operation after the other: libraries set themselves up in them."""
in_threads = False
"""Whether several threads of this process search on one device, which whoever starts them says. cuDNN then chooses its
algorithms without trying them: trying waits for the whole device, which ends the capture of another thread, and what
was found holds for one thread only."""
_CAPTURING = threading.Lock()  # searches in several threads capture one at a time: the allocator allows no other way


class Graphs:
    """The captured functions of a search. Without a GPU, or inside a captured function, a call is a plain call.

    Every call counts: neither warming up nor capturing does anything that has to be undone, so that a search takes
    the same steps whether they are captured or not.

    Args:
        device: where all of it happens.
        generators: whose random numbers the functions draw.
    """

    def __init__(self, device: torch.device, generators: Iterable[torch.Generator]) -> None:
        self.enabled = device.type == "cuda"
        """Whether anything is captured; switched off, every call is a plain one."""
        self._generators = [generator for generator in generators if generator.device.type == "cuda"]
        self._stream = torch.cuda.Stream(device) if self.enabled else None  # type: ignore[no-untyped-call]
        self._calls: dict[Hashable, int] = {}
        self._captured: dict[Hashable, tuple[Any, tuple[Tensor, ...], Any]] = {}
        self.inside = False
        """Whether a function is being called now, so that calls in it are part of it."""

    def __call__(self, key: Hashable, function: Callable[..., Any], *inputs: Tensor) -> Any:
        """`function(*inputs)`. What a captured one returns is overwritten by the next call of the same `key`.

        Args:
            key: tells functions apart: one of the same key does the same.
            inputs: of the same shapes each time.

        Raises:
            RunError: it cannot be captured.
        """
        if not self.enabled or self.inside:
            with self.plainly():
                return function(*inputs)
        if key not in self._captured:
            self._calls[key] = self._calls.get(key, 0) + 1
            if self._calls[key] <= WARM_UP:
                return self._aside(function, inputs)
            self._captured[key] = self._capture(function, inputs)
        graph, own_inputs, outputs = self._captured[key]
        for own, given in zip(own_inputs, inputs, strict=True):
            own.copy_(given)
        graph.replay()
        return outputs

    @contextmanager
    def plainly(self) -> Iterator[None]:
        """In the block every call is a plain one."""
        before, self.inside = self.inside, True
        try:
            yield
        finally:
            self.inside = before

    def _aside(self, function: Callable[..., Any], inputs: tuple[Tensor, ...]) -> Any:
        """On the stream on which it will be captured."""
        assert self._stream is not None
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream), self.plainly():
            outputs = function(*inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        return outputs

    def _capture(self, function: Callable[..., Any], inputs: tuple[Tensor, ...]) -> tuple[Any, tuple[Tensor, ...], Any]:
        own = tuple(given.clone() for given in inputs)
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        try:
            with (
                _CAPTURING,
                torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"),
                self.plainly(),
            ):
                outputs = function(*own)
        except (RuntimeError, RunError) as error:
            raise RunError(
                f"a step cannot be captured as a CUDA graph ({str(error).splitlines()[0]}). Of a method of your own: "
                "it may look at numbers on the GPU, and then must not say `on_device = True`. --set form=plan runs "
                "without graphs"
            ) from error
        return graph, own, outputs
