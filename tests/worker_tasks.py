"""What the tests let workers do instead of a search: workers are new processes, which import it by name."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable
from typing import Any

from nasbench_stc.benchmark import Benchmark
from nasbench_stc.errors import DataError

STEPS = 3000


class Odd(Exception):
    """Cannot be unpickled."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def misbehave(todo: Any, benchmark: Benchmark, on_step: Callable[[int, int, int, int], None]) -> Any:
    """By seed, one of the ways in which a run can end."""
    match todo.seed:
        case 0:
            for step in range(STEPS):
                on_step(0, 1, step, STEPS)
            time.sleep(0.11)
            on_step(0, 2, 0, STEPS)
            return "counted"
        case 1:
            os.kill(os.getpid(), signal.SIGKILL)
        case 2:
            os._exit(7)
        case 3:
            raise Odd("one", "two")
        case 4:
            raise DataError("the file is damaged")
        case 5:
            warnings.warn("mind the step", UserWarning, stacklevel=1)
            return benchmark.accuracy([9930]).tolist(), benchmark.name, benchmark.path.name, benchmark.sha256
        case 6:
            return benchmark.lookup(todo.seed, None)
