"""The networks: the operations, the supernet whose forward takes a mixture, and one cell's own network."""

from nasbench_stc.models.mixture import Mixture
from nasbench_stc.models.network import CellNetwork, Supernet

__all__ = ["CellNetwork", "Mixture", "Supernet"]
