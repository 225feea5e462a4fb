"""Runs: the record of one, its rankings, the folder they live in, the launcher. Reading them does not import torch."""

from nasbench_stc.runs.ranking import Ranking
from nasbench_stc.runs.record import Record, read_all

__all__ = ["Ranking", "Record", "read_all"]
