"""Training-free scores: of some cells, or how well they rank many: Kendall's tau-b with a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.benchmark import COLUMNS, Benchmark
from nasbench_stc.report.table import Column, Row, Table, Value
from nasbench_stc.report.tables.ranking import compared_with, tau_rows, tau_table
from nasbench_stc.space import Cell


@dataclass(frozen=True)
class Scores:
    """Scores of cells and how they came about. Higher is better for all."""

    cells: Sequence[Cell]
    values: Mapping[str, NDArray[np.float64]]
    """By name, one a cell; -inf is the lowest."""
    about: Mapping[str, str]
    """What each score is, by name."""
    dataset: str
    seed: int
    settings: Mapping[str, Any]
    """Of networks and mini-batch; empty where no score looks at them."""
    seconds: float
    """Of scoring all cells."""
    device: str

    @property
    def details(self) -> dict[str, object]:
        """What a row of CSV and JSON says besides."""
        return {"dataset": self.dataset, "seed": self.seed, **self.settings}

    @property
    def captions(self) -> tuple[str, ...]:
        """What the scores are, and of which networks."""
        what = "; ".join(f"{name}: {self.about[name]}" for name in self.values) + ". Higher is better for all."
        if not self.settings:
            return (what,)
        said = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        how = (
            f"Untrained networks and one mini-batch of {self.dataset}, seed {self.seed}; {said}. "
            f"{1e3 * self.seconds / len(self.cells):.0f} ms a cell on {self.device}."
        )
        return what, how


def make_score_table(scores: Scores) -> Table:
    """Training-free scores, a row for each cell."""
    columns = (
        Column("cell", "cell"),
        Column("digits", "digits", drop=1),
        *(Column(name, name, form=".4g" if name in ("snip", "grad_norm") else ".2f") for name in scores.values),
    )
    rows = []
    for place, cell in enumerate(scores.cells):
        found = {name: float(values[place]) for name, values in scores.values.items() if np.isfinite(values[place])}
        details = {**scores.details, "string": str(cell)}
        shown: dict[str, Value] = {"cell": cell.index, "digits": cell.digits, **found}
        rows.append(Row(f"{scores.dataset}, seed {scores.seed}", shown, details=details))
    lowest = "–: minus infinity, the lowest: what the network computes does not tell the images apart."
    infinite = any(np.isinf(values).any() for values in scores.values.values())
    caption = (*scores.captions, *[lowest] * infinite)
    return Table(None, "Training-free scores", columns, tuple(rows), caption)


def make_agreement_table(scores: Scores, benchmark: Benchmark) -> Table:
    """How well each training-free score ranks the cells: tau-b with the benchmark's accuracy, validation before test.

    Raises:
        DataError: the benchmark holds no accuracy of the data set, nor of CIFAR-10, or lacks cells.
    """
    column = compared_with(scores.dataset, benchmark)[0]
    truth = benchmark.accuracy(scores.cells, *COLUMNS[column])
    rows = tau_rows(column, scores.values, scores.cells, truth, {**scores.details, "compared_with": column})
    return tau_table("training-free scores", rows, benchmark, scores.captions)
