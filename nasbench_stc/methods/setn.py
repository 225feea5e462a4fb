"""SETN: weights learn on uniformly drawn paths, alpha on the template of all; the supernet chooses among the likeliest.

Dong & Yang, "One-shot neural architecture search via self-evaluated template network", ICCV 2019, in the form in which
NAS-Bench-201 and NATS-Bench published it (`--algo setn` in `exps/NATS-algos/search-cell.py`, AutoDL-Projects).
Departure from the paper, theirs: the template is the softmax-weighted sum of all operations rather than a drawn one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nasbench_stc.methods.alpha import AlphaMethod, AlphaSettings, uniform_path
from nasbench_stc.methods.base import Listing, Rate
from nasbench_stc.methods.selection import SelectionSettings, select
from nasbench_stc.models import Mixture
from nasbench_stc.space import Cell


@dataclass(frozen=True)
class SetnSettings(SelectionSettings, AlphaSettings):
    """alpha's settings and the selection's."""


class SETN(AlphaMethod):
    """SETN; see the module."""

    listing: ClassVar[Listing] = Listing(
        "SETN",
        "SETN: uniform paths, alpha on a template of all (Dong & Yang, 2019)",
        name="setn",
        kind="one-shot",
        order=50,
    )
    Settings: ClassVar[type] = SetnSettings
    on_device = True

    def mixture(self) -> Mixture:
        """The template: all operations, weighed by softmax(alpha)."""
        return Mixture.full(self.alpha.softmax(dim=1))

    def weight_mixture(self) -> Mixture:
        """A uniformly drawn path, in every epoch."""
        return uniform_path(self.generator, self.space)

    def cell(self) -> Cell | None:
        """None before the selection."""
        return None

    def likeliest(self, n: int) -> list[Cell]:
        """The `n` cells of the highest probability under softmax(alpha), the likeliest first."""
        log_prob = self.alpha.detach().cpu().double().log_softmax(dim=1).numpy()
        best, found = np.zeros(1), np.zeros((1, 0), dtype=np.int64)
        for edges, options in self.space.decisions:  # the likeliest of all begin with the likeliest of the first ones
            of_options = log_prob[edges, options].sum(axis=1)
            together = (best[:, None] + of_options).ravel()
            kept = np.argsort(-together, kind="stable")[:n]
            before, option = np.divmod(kept, len(options))
            best, found = together[kept], np.hstack([found[before], options[option]])
        return [Cell(tuple(ops), self.space.name) for ops in found.tolist()]

    def result(self, rate: Rate) -> Cell:
        """Among the likeliest cells the one that the supernet rates best."""
        return select(self.likeliest(self.settings.candidates), rate, self.settings.select_images)

    def snapshot(self) -> dict[str, Any]:
        """alpha and the likeliest cell."""
        return {**super().snapshot(), "likeliest": str(super().cell())}
