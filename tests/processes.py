"""Commands in processes of their own, which a test stops: whoever started it, and however busy the machine is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

GUARD = 1800
"""Seconds after which a test that waits is given up. They measure nothing: it takes a small part of them."""


def start(command: list[str], sigint: Any = signal.default_int_handler, **options: Any) -> subprocess.Popen[str]:
    """As `Popen`; what SIGINT does there does not depend on how the tests were started.

    It does what it does in a terminal; with `SIG_IGN`, what it does in a background job of a script: nothing.
    """
    usual = signal.signal(signal.SIGINT, sigint)  # a child inherits that it is ignored, else has the default
    try:
        return subprocess.Popen(command, text=True, **options)
    finally:
        signal.signal(signal.SIGINT, usual)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for what is to come while the process runs."""
    ends = time.monotonic() + GUARD
    while not condition():
        assert process.poll() is None, f"it ended with status {process.returncode}"
        assert time.monotonic() < ends, "it hangs"
        time.sleep(0.01)


class Held:
    """Runs `stc-bench`, held where it is said: see `held_stc_bench`.

    Args:
        folder: for the two sides to speak to each other.
        kind: of the methods, one-shot or simulated.
        environment: more variables.
    """

    def __init__(self, folder: Path, kind: str, **environment: str) -> None:
        self.folder, self._kind, self._environment = folder, kind, environment
        folder.mkdir()
        self.hold()

    def hold(self, **places: tuple[str, int]) -> None:
        """From now on, hold the methods of these names there, and no others."""
        new = self.folder / "new"
        new.write_text(json.dumps(places))
        new.replace(self.folder / "limits")

    def start(self, *arguments: object, script: str = "held_stc_bench.py", **options: Any) -> subprocess.Popen[str]:
        """A process of `stc-bench ARGUMENTS`; options are those of `processes.start`."""
        command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
        here = Path(__file__).parent
        path = os.pathsep.join(map(str, filter(None, (here / "held", here, os.environ.get("PYTHONPATH")))))
        held = {"HELD": str(self.folder), "KIND": self._kind, "PYTHONPATH": path}
        return start(command, env=os.environ | held | self._environment, **options)

    def wait(self, process: subprocess.Popen[str], place: str, at: int, processes: int = 1) -> None:
        """Until so many processes are held there; the process is the one that was started, or their parent."""
        wait_until(lambda: len(list(self.folder.glob(f"*.{place}.{at}.*"))) == processes, process)
