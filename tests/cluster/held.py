"""STC-NAS, held in the midst of an epoch as long as a test wants it: what happens to a job happens there.

How far it may go is in the folder `$HELD`, and so are notes of where it has been: how fast the machine is does not
matter.
"""

import os
import time
from pathlib import Path

from nasbench_stc.methods.stc import STC

GUARD = 600  # seconds


class Held(STC):
    """It waits in its second step of the epoch that `limit` says, and of later ones, while that file is there."""

    def begin_epoch(self, epoch, epochs):
        super().begin_epoch(epoch, epochs)
        self.epoch, self.step = epoch, 0

    def weight_mixture(self):
        if folder := os.environ.get("HELD"):
            (Path(folder) / f"{job()}.{self.epoch}.{self.step}").touch()
            ends = time.monotonic() + GUARD
            while self.step == 1 and self.epoch >= limit(Path(folder)):
                assert time.monotonic() < ends, "the tests are gone"
                time.sleep(0.05)
        self.step += 1
        return super().weight_mixture()


def job():
    """The number of the job, that of its task if it is one of an array, and how often it was started again."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    number = f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]
    return f"{number}.{os.environ.get('SLURM_RESTART_COUNT', 0)}"


def limit(folder):
    """The epoch; infinite where there is no limit."""
    try:
        return int((folder / "limit").read_text())
    except FileNotFoundError:
        return float("inf")
