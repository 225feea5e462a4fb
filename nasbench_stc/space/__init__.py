"""The search space: the NAS-Bench-201 cell (4 nodes, 6 edges, 5 operations, 15,625 cells), without torch.

Dong & Yang, "NAS-Bench-201", ICLR 2020; the topology space of Dong et al., "NATS-Bench", TPAMI 2021.
"""

from nasbench_stc.space.cell import (
    EDGES,
    NONE,
    NUM_CELLS,
    NUM_NODES,
    OPS,
    SKIP,
    Cell,
    all_cells,
    file_number,
    indices_of,
)
from nasbench_stc.space.cost import flops, params
from nasbench_stc.space.datasets import DATASETS, NUM_CLASSES, check_dataset
from nasbench_stc.space.encodings import ENCODINGS

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
    "Cell",
    "all_cells",
    "check_dataset",
    "file_number",
    "flops",
    "indices_of",
    "params",
]
