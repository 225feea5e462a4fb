"""A black-box method of one's own: simulated annealing (Kirkpatrick et al., Science 1983).

stc-bench search --method annealing.py:Annealing --seeds 500 --set start=0.5
"""

import math
from dataclasses import dataclass

from nasbench_stc.methods.blackbox import BlackBoxMethod, mutated, random_cell
from nasbench_stc.settings import setting


@dataclass(frozen=True)
class Settings:
    start: float = setting(1.0, "temperature at the start, in points of accuracy")
    cooling: float = setting(0.98, "factor of the temperature a query", high=1)


class Annealing(BlackBoxMethod):
    """A worse neighbour is moved to with probability exp(-loss of accuracy / temperature)."""

    Settings = Settings

    def __init__(self, *args):
        super().__init__(*args)
        self.here, self.accuracy, self.temperature = None, -math.inf, self.settings.start

    def ask(self):
        return mutated(self.here, self.generator) if self.here else random_cell(self.generator)

    def tell(self, query, accuracy):
        worse = self.accuracy - accuracy
        if worse <= 0 or self.generator.random() < math.exp(-worse / self.temperature):
            self.here, self.accuracy = query.cell, accuracy
        self.temperature = max(self.temperature * self.settings.cooling, 1e-9)
