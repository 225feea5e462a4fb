"""What the tests let workers do instead of a search: workers are new processes, which import it by name."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path

import torch
from processes import GUARD

from nasbench_stc.benchmark import Benchmark
from nasbench_stc.errors import DataError
from nasbench_stc.runs import status

CARDS = os.environ.get("CUDA_VISIBLE_DEVICES")
"""As it was when this was imported."""


class Odd(Exception):
    """Cannot be unpickled."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def killed(*_: object) -> None:
    """As when memory runs out."""
    print("killed is about to go", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def left(*_: object) -> None:
    """Without a word."""
    print("left is about to go", file=sys.stderr, flush=True)
    os._exit(7)


def odd(*_: object) -> None:
    """Fails in a way that cannot be told as it is."""
    raise Odd("one", "two")


def ours(*_: object) -> None:
    """Fails as a user is told."""
    raise DataError("the file is damaged")


class Unborn:
    """Work that cannot be unpickled, as where a file is another one there."""

    def __call__(self) -> None:
        """Never called."""

    def __reduce__(self) -> tuple[object, ...]:
        return ours, ()


def asks(folder: Path, benchmark: Benchmark) -> None:
    """Asks the benchmark, with a warning."""
    warnings.warn("mind the step", UserWarning, stacklevel=1)
    answer = benchmark.accuracy([9930]).tolist(), benchmark.name, benchmark.path.name, benchmark.sha256
    folder.mkdir()
    (folder / "answer").write_text(json.dumps([*answer, torch.get_num_threads(), CARDS]))


def steps(folder: Path, _: Benchmark) -> None:
    """Two epochs of three steps, the last of which is waited at until it is said to have been read."""
    folder.mkdir()
    with status.telling(folder, 2) as teller:
        for step in range(6):
            teller.step(step // 3, 2, step % 3, 3)
        ends = time.monotonic() + GUARD
        while not (folder / "read").exists():
            assert time.monotonic() < ends, "it hangs"
            time.sleep(0.05)


def refused(_: Path, benchmark: Benchmark) -> None:
    """Asks the benchmark what it does not hold."""
    benchmark.accuracy([9930], dataset="digits")
