"""The figure of what was found: a line a method, and axes that failures do not flatten."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from records import make_record

from nasbench_stc.benchmark import Benchmark, held_columns, open_benchmark
from nasbench_stc.records import Record
from nasbench_stc.report import Inputs, make_figure
from nasbench_stc.report.inputs import MissingRecords
from nasbench_stc.space import Cell

GOOD = 9930
WORST = 10  # 10 %


@pytest.fixture(scope="module")
def bench() -> Benchmark:
    return open_benchmark("analog")


def found(bench: Benchmark, method: str, seed: int, cell: int) -> Record:
    scores = {name: float(bench.accuracy([cell], *which)[0]) for name, which in held_columns(bench).items()}
    benchmark = {"name": bench.name, "about": "", "file": "", "sha256": bench.sha256}
    return make_record(seed, method=method, cell=str(Cell.from_index(cell)), scores=scores, benchmark=benchmark)


def drawn(bench: Benchmark, records: list[Record], **more: Any) -> tuple[Any, Any]:
    made = make_figure("summary", Inputs.of(records, bench, **more))
    return made, made.draw().axes


def test_what_lies_before_an_axis_stands_there_with_its_number(bench: Benchmark) -> None:
    records = [found(bench, "fine", seed, GOOD + seed) for seed in range(3)] + [found(bench, "failed", 0, WORST)]
    made, panels = drawn(bench, records)
    (axes,), accuracy = panels, bench.accuracy(np.arange(15_625))  # analog holds one column
    first, last = axes.get_xlim()
    assert accuracy[WORST] < first < accuracy.mean() < accuracy.max() < last
    at_the_end = [line for line in axes.lines if list(line.get_xdata()) == [first] and not line.get_clip_on()]
    assert [line.get_ydata()[0] for line in at_the_end if line.get_marker() == "o"] == [0]  # rows are by method
    assert [text.get_text() for text in axes.texts] == [f"{accuracy[WORST]:.1f}"]
    failed = next(row for row in made.rows if row["method"] == "failed")
    assert failed["mean"] == pytest.approx(bench.accuracy([WORST])[0])
    assert "A mean that lies before an axis begins stands there with its number." in made.caption


def test_where_the_benchmark_is_not_at_hand_all_means_are_on_the_axes(bench: Benchmark) -> None:
    records = [found(bench, "fine", 0, GOOD), found(bench, "failed", 0, WORST)]
    made = make_figure("summary", Inputs.of(records))
    for axes in made.draw().axes:
        assert not axes.texts
        assert axes.get_xlim()[0] < min(line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1)


def test_no_searches(bench: Benchmark) -> None:
    with pytest.raises(MissingRecords, match="search --dataset cifar10 --seeds 3"):
        make_figure("summary", Inputs.of([], bench))
