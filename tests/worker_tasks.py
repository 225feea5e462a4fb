"""What the tests let workers do instead of a search: workers are new processes, which import it by name."""

from __future__ import annotations

import os
import signal
import types
import warnings
from collections.abc import Callable
from typing import Any

from nasbench_stc.benchmark import Benchmark
from nasbench_stc.errors import DataError
from nasbench_stc.runs import workers

STEPS, MOMENT = 3000, 0.001
"""Of the run that tells of its steps; what each takes by the clock that it is given."""


class Odd(Exception):
    """Cannot be unpickled."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def misbehave(todo: Any, benchmark: Benchmark, on_step: Callable[[int, int, int, int], None]) -> Any:
    """By seed, one of the ways in which a run can end."""
    match todo.seed:
        case 0:
            now = 0.0
            workers.time = types.SimpleNamespace(monotonic=lambda: now)
            for step in range(STEPS):
                now = step * MOMENT
                on_step(0, 1, step, STEPS)
            now += 2 * workers._EVERY
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
