"""`stc-bench search` once for each of some methods, killed in its second epoch.

    python killed_in_turn.py '["rsps", "darts"]' search …

Forked rather than started: all else that a new process would do is to import torch, and torch's compiler, which its
optimizers import when the first one is made.
"""

import json
import os
import signal
import sys
import time

import held_stc_bench
import torch._dynamo  # noqa: F401

from nasbench_stc import cli

folder = held_stc_bench.FOLDER
names, arguments = json.loads(sys.argv[1]), sys.argv[2:]
for name in names:
    sys.argv = ["stc-bench", *arguments, "--method", name]
    (folder / "limits").write_text(json.dumps({name: ["step", 1]}))  # nobody else is there to read it
    process = os.fork()
    if not process:
        cli.main()
    while not (folder / f"{name}.step.1.{process}").exists():
        assert os.waitpid(process, os.WNOHANG) == (0, 0), f"it ended before {name} was held"
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
