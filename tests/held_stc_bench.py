"""`stc-bench` that goes so far and no further: who stops it finds it where it cannot have ended by itself.

How far is in the folder `$HELD`, which `processes.Held` writes and reads. Its workers import this file, too
(`held/sitecustomize.py`), so that they are held as well.
"""

import json
import os
import sys
import time
from pathlib import Path

from nasbench_stc import cli

FOLDER = Path(os.environ["HELD"])
PARENT = os.getppid()


def hold(name: str, place: str, at: int) -> None:
    """Wait as long as the method may not go on from there; that it waits can be seen in the folder."""
    while json.loads((FOLDER / "limits").read_text()).get(name, [None]) == [place, at]:
        (FOLDER / f"{name}.{place}.{at}.{os.getpid()}").touch()
        time.sleep(0.01)
        if __name__ == "__main__" and os.getppid() != PARENT:
            sys.exit("the tests are gone")


def hold_simulated() -> None:
    """`run` N: before the run after N that this process did; records are written after each, if `$OFTEN` is set."""
    from nasbench_stc.runs import simulate

    own, done = simulate.simulate, 0

    def simulate_held(name, *args):
        nonlocal done
        hold(name, "run", done)
        done += 1
        return own(name, *args)

    simulate.simulate = simulate_held
    if "OFTEN" in os.environ:
        simulate._EVERY = -1.0


def hold_trained() -> None:
    """`step` N: in epoch N, after a step of the weights; `write` N: when N epochs are done, before that is kept."""
    from nasbench_stc.engine.loop import Search

    own_step, own_fsync, at_work = Search.weight_step, os.fsync, []

    def step_held(self, index):
        loss = own_step(self, index)
        at_work[:] = [self]
        hold(self.name, "step", self.epoch)
        return loss

    def fsync_held(file):
        for search in at_work:
            hold(search.name, "write", search.epoch)
        own_fsync(file)

    Search.weight_step, os.fsync = step_held, fsync_held


{"simulated": hold_simulated, "one-shot": hold_trained}[os.environ["KIND"]]()

if __name__ == "__main__":
    cli.main()
