"""Search spaces, without torch: `Space` says what there is to choose (`base.py`), `Cell` is what was chosen.

`tss.py` is NAS-Bench-201's cell, which is NATS-Bench's topology space, and what is meant where no space is named.
Adding a space is one file here and one in `models`: see `docs/own-spaces.md`.
"""

from nasbench_stc.space.base import Decision, Graph, Ops, Space
from nasbench_stc.space.cell import Cell, all_cells, flops, params
from nasbench_stc.space.datasets import DATASETS, NUM_CLASSES, check_dataset
from nasbench_stc.space.encodings import ENCODINGS
from nasbench_stc.space.registry import find_space, names, space_of
from nasbench_stc.space.tss import EDGES, NONE, NUM_CELLS, NUM_NODES, OPS, SKIP, file_number, indices_of
from nasbench_stc.space.tss import SPACE as TSS

__all__ = [
    "DATASETS",
    "EDGES",
    "ENCODINGS",
    "NONE",
    "NUM_CELLS",
    "NUM_CLASSES",
    "NUM_NODES",
    "OPS",
    "SKIP",
    "TSS",
    "Cell",
    "Decision",
    "Graph",
    "Ops",
    "Space",
    "all_cells",
    "check_dataset",
    "file_number",
    "find_space",
    "flops",
    "indices_of",
    "names",
    "params",
    "space_of",
]
