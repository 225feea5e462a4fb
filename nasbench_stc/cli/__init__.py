"""The command line: thin click commands over the public functions. Only `search`, `rank` and `doctor` import torch."""

from nasbench_stc.cli.main import main

__all__ = ["main"]
