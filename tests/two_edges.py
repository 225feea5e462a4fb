"""A made-up search space of two edges in a row with three operations, as `docs/own-spaces.md` says how to add one."""

SPACE_FILE = '''
"""Two edges in a row, three operations: nine cells."""

from nasbench_stc.space.base import Space


class TwoEdges(Space):
    """Both edges decide for themselves."""

    name = "two"
    title = "Two edges"
    edges = ("first", "second")
    ops = ("zero", "pass", "conv")
    none, skip = 0, 1
    inputs = ((0,), (1,))
    networks = "nasbench_stc.models.two"


SPACE = TwoEdges()
'''

NETWORKS_FILE = '''
"""The supernet of two edges."""

import torch
from torch import nn

from nasbench_stc.models.mixture import Mixture


class Supernet(nn.Module):
    def __init__(self, channels, cells_per_stage, classes, running):
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.edges = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.classifier = nn.Linear(channels, classes)

    def forward(self, images, mixture):
        x, weights = self.stem(images), mixture.weights.to(images.device, self.classifier.weight.dtype)
        for edge, (ops, convolution) in enumerate(zip(mixture.active, self.edges)):
            outputs = [weights[edge, op] * (x if op == 1 else convolution(x).relu()) for op in ops if op]
            x = sum(outputs) if outputs else torch.zeros_like(x)
            x = x if mixture.shift is None else x + mixture.shift[edge].to(x)
        return self.classifier(x.mean(dim=(2, 3)))

    def computation(self, cell):
        return cell.ops

    def in_order(self, computations):
        return sorted(computations)

    def path_logits(self, images, computations):
        for ops in computations:
            yield self(images, Mixture.path(ops, weights=torch.ones(2, 3)))
'''


def add(folder, monkeypatch):
    """Put both files into the package, for one test."""
    import nasbench_stc.models
    import nasbench_stc.space

    for package, name, text in (
        (nasbench_stc.space, "space", SPACE_FILE),
        (nasbench_stc.models, "models", NETWORKS_FILE),
    ):
        (folder / name).mkdir()
        (folder / name / "two.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder / name)])
