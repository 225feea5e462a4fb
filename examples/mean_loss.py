"""A one-shot method of one's own: an operation is as good as the mean validation loss of the paths that have it.

stc-bench search --method mean_loss.py:MeanLoss --dataset digits
"""

import torch

from nasbench_stc.methods.alpha import uniform_path
from nasbench_stc.methods.base import OneShotMethod
from nasbench_stc.space import EDGES, OPS, Cell


class MeanLoss(OneShotMethod):
    learns = True  # alpha_step follows every step of the weights

    def __init__(self, *args):
        super().__init__(*args)
        self.total, self.paths = torch.zeros(2, len(EDGES), len(OPS))

    def weight_mixture(self):
        return uniform_path(self.generator)

    def alpha_step(self, objective):
        path = uniform_path(self.generator)
        loss = objective.valid_loss(path)
        ran = range(len(EDGES)), [op for (op,) in path.active]
        self.total[ran] += loss.cpu()
        self.paths[ran] += 1
        return loss

    def cell(self):
        mean = (self.total / self.paths).nan_to_num(torch.inf)
        return Cell(tuple(mean.argmin(dim=1).tolist()))

    def state_dict(self):  # what a killed run goes on with
        return {"total": self.total, "paths": self.paths}

    def load_state_dict(self, state):
        self.total, self.paths = state["total"], state["paths"]
