"""Runs: the record of one, the folder it lives in, and the launcher. Reading records does not import torch."""

from nasbench_stc.runs.record import Record, read_all

__all__ = ["Record", "read_all"]
