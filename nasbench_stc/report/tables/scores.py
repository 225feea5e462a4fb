"""Training-free scores: of some cells, or how well they rank many: Kendall's tau-b with a benchmark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.benchmark import COLUMNS, Benchmark
from nasbench_stc.report.tables.ranking import SLICES, TAU_COLUMNS, compared_with, slices, tau_values
from nasbench_stc.report.table import Column, Row, Table
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
        return (
            what,
            f"Untrained networks and one mini-batch of {self.dataset}, seed {self.seed}; {said}. "
            f"{1e3 * self.seconds / len(self.cells):.0f} ms a cell on {self.device}.",
        )


def build_values(scores: Scores) -> Table:
    """A row for each cell."""
    columns = (
        Column("cell", "cell"),
        Column("digits", "digits", drop=1),
        *(Column(name, name, form=".4g" if name in ("snip", "grad_norm") else ".2f") for name in scores.values),
    )
    rows = [
        Row(
            f"{scores.dataset}, seed {scores.seed}",
            {
                "cell": cell.index,
                "digits": cell.digits,
                **{name: _finite(float(values[number])) for name, values in scores.values.items()},
            },
            details={**scores.details, "string": str(cell)},
        )
        for number, cell in enumerate(scores.cells)
    ]
    lowest = "–: minus infinity, the lowest: what the network computes does not tell the images apart."
    infinite = any(np.isinf(values).any() for values in scores.values.values())
    return Table(None, "Training-free scores", columns, tuple(rows), (*scores.captions, *[lowest] * infinite))


def build_agreement(scores: Scores, benchmark: Benchmark) -> Table:
    """How well each score ranks the cells: tau-b with the benchmark's validation accuracy, else with that of the test.

    Raises:
        DataError: the benchmark holds no accuracy of the data set, nor of CIFAR-10, or lacks cells.
    """
    column = compared_with(scores.dataset, benchmark)[0]
    truth = benchmark.accuracy(list(scores.cells), *COLUMNS[column])
    classes = [cell.isomorphism_class for cell in scores.cells]
    rows = [
        Row(
            column,
            {"score": name, "slice": of_slice, **tau_values(left(values), left(truth))},
            details={**scores.details, "compared_with": column, "isomorphism_classes": len(set(classes))},
        )
        for of_slice, left in slices(classes, truth).items()
        for name, values in scores.values.items()
    ]
    caption = (
        *scores.captions,
        f"Kendall's tau-b with {column} in {benchmark.name} over {len(truth):,} cells of {len(set(classes)):,} "
        "isomorphism classes. From, to: the 95 % percentile bootstrap interval over cells, or classes (1,000 "
        "resamples); it says nothing of other seeds. p: two-sided, of no association. Ties: how many cells share their "
        "score, or accuracy, with another.",
        SLICES,
        f"Benchmark {benchmark.name}: {benchmark.about} ({benchmark.path.name}, sha256 {benchmark.sha256[:12]}).",
    )
    return Table(
        None, f"How well training-free scores rank cells of {benchmark.name}", TAU_COLUMNS, tuple(rows), caption
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
