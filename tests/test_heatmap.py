"""Figures 3 and 9: weights against plain formulas, margins, and what is drawn."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from records import make_record
from test_cells_figure import RESULTS

from nasbench_stc.records import Record
from nasbench_stc.report import Chart, Inputs, MissingRecords, gather, make_figure, style
from nasbench_stc.space import EDGES, OPS, Cell

METHODS = {"3": "darts", "9": "stc"}
NAMES = ["0-1", "0-2", "1-2", "0-3", "1-3", "2-3"]


def table(seed: int, low: float = -1.0, high: float = 1.0) -> list[list[float]]:
    """An alpha."""
    draws = random.Random(seed)
    return [[draws.uniform(low, high) for _ in OPS] for _ in EDGES]


def best(alpha: list[list[float]]) -> str:
    """The cell of the largest alphas."""
    return str(Cell(tuple(row.index(max(row)) for row in alpha)))


def run(method: str, alpha: list[list[float]], seed: int = 0, **changes: Any) -> Record:
    """A search that ended with this alpha."""
    start = {"epoch": 0, "cell": best(table(99)), "alpha": table(99), "train_loss": 2.0, "valid_loss": None}
    end = {**start, "epoch": 1, "cell": best(alpha), "alpha": alpha}
    return make_record(seed, **{"method": method, "cell": best(alpha), "trajectory": [start, end], **changes})


def drawn(name: str, *records: Record) -> Chart:
    return make_figure(name, Inputs.of(records))


def with_activation(name: str) -> dict[str, Any]:
    settings = make_record().settings
    return {"settings": {**settings, "method": {**settings["method"], "activation": name}}}


def softmax(row: list[float]) -> list[float]:
    return [math.exp(value) / sum(map(math.exp, row)) for value in row]


def relu(row: list[float]) -> list[float]:
    return [value if value > 0 else 0.0 for value in row]


def sigmoid(row: list[float]) -> list[float]:
    return [1 / (1 + math.exp(-value)) for value in row]


# The numbers


@pytest.mark.parametrize(
    ("name", "changes", "weight", "shown"),
    [
        ("3", {}, softmax, "softmax(α), Eq. 1: "),
        ("9", {}, relu, "ReLU(α), Eq. 3: "),
        ("9", with_activation("relu"), relu, "ReLU(α), Eq. 3: "),
        ("9", with_activation("softmax"), softmax, "softmax(α), in place of ReLU(α) in Eq. 3: "),
        ("9", with_activation("sigmoid"), sigmoid, "sigmoid(α), in place of ReLU(α) in Eq. 3: "),
    ],
)
def test_rows_are_the_weights_at_the_end(name: str, changes: dict[str, Any], weight: Any, shown: str) -> None:
    alpha = table(0)
    made = drawn(name, run(METHODS[name], alpha, **changes))
    assert [(row["edge"], row["operation"]) for row in made.rows] == [(edge, op) for edge in NAMES for op in OPS]
    assert [row["alpha"] for row in made.rows] == [value for row in alpha for value in row]
    expected = [value for row in alpha for value in weight(row)]
    assert [row["weight"] for row in made.rows] == pytest.approx(expected, abs=1e-6)
    chosen = [row for row in made.rows if row["in_cell"]]
    assert [row["alpha"] for row in chosen] == [max(row) for row in alpha]
    assert made.caption.startswith(shown)
    margins = [sorted(weight(row))[-1] - sorted(weight(row))[-2] for row in alpha]
    assert made.details["margins"] == {"0": pytest.approx(sum(margins) / 6, abs=1e-6)}
    assert f"the second largest weight: {sum(margins) / 6:.3f}. Framed" in made.caption


def test_large_alphas_have_a_softmax() -> None:
    made = drawn("3", run("darts", [[1000.0, 999.0, 0.0, 0.0, -1000.0]] * 6))
    assert [row["weight"] for row in made.rows[:5]] == pytest.approx([0.731059, 0.268941, 0, 0, 0], abs=1e-6)


def test_the_margin_of_many_runs_is_their_mean() -> None:
    clear, tied = [[0.0, 1.0, 0.25, 0.0, 0.0]] * 6, [[0.5, 0.5, 0.0, 0.0, 0.0]] * 6
    made = drawn("9", *(run("stc", alpha, seed) for seed, alpha in enumerate((clear, tied, clear, tied, tied))))
    assert made.details["margins"] == {"0": 0.75, "1": 0.0, "2": 0.75, "3": 0.0, "4": 0.0}
    assert "the second largest weight: 0.300 (mean of n=5; 0.000 to 0.750)." in made.caption
    assert "of which seeds 0-2 are drawn" in made.caption
    assert len(made.rows) == 5 * 30
    assert [axes.get_title(loc="left") for axes in made.draw().axes[:-1]] == [
        "seed 0, margin 0.75",
        "seed 1, margin 0.00",
        "seed 2, margin 0.75",
    ]
    assert "are drawn" not in drawn("9", *(run("stc", clear, seed) for seed in range(3))).caption


def test_a_result_that_is_not_the_largest_is_told() -> None:
    """STC-NAS passes over `none`, whose weight may be the largest."""
    alpha = [[0.9, 0.5, 0.4, 0.3, 0.2]] * 2 + [[0.1, 0.5, 0.4, 0.3, 0.2]] * 4
    made = drawn("9", run("stc", alpha, cell=str(Cell((1,) * 6))))
    assert "It does not have the largest weight on 2 of 6 edges." in made.caption
    assert "largest weight on" not in drawn("9", run("stc", alpha)).caption


@pytest.mark.parametrize("name", ["3", "9"])
def test_what_is_missing_is_named(name: str) -> None:
    method = METHODS[name]
    other = run({"darts": "stc", "stc": "darts"}[method], table(0))
    untold = make_record(method=method)  # without a trajectory
    silent = run(method, table(0))
    silent = replace(silent, trajectory=[{"epoch": 0, "cell": None}])
    with pytest.raises(MissingRecords) as raised:
        drawn(name, other, untold, silent)
    (missing,) = raised.value.missing
    assert missing.command == f"stc-bench search --method {method} --protocol cpu --seeds 3"


def test_the_group_without_changes_is_shown() -> None:
    plain = run("stc", table(1))
    changed = [run("stc", table(seed), seed, changes={"noise": 0.5}) for seed in range(3)]
    made = drawn("9", plain, *changed)
    assert {row["seed"] for row in made.rows} == {0}
    assert made.rows[0]["alpha"] == table(1)[0][0]
    assert "Another group of STC-NAS runs (by settings, data set, device or benchmark) not shown." in made.caption


# What is drawn


def test_what_is_drawn() -> None:
    alpha = table(3, 0.0)
    made = drawn("9", run("stc", alpha), run("stc", table(4, 0.0), 1))
    figure = made.draw()
    first, second, bar = figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["0→1", "0→2", "1→2", "0→3", "1→3", "2→3"]
    assert [label.get_text() for label in second.get_xticklabels()] == list(style.OP_LABELS.values())
    assert list(style.OP_LABELS) == list(OPS)
    for axes in (first, second):
        (image,) = axes.images
        assert (image.norm.vmin, image.norm.vmax, image.get_cmap().name) == (0, 1, "cividis")
    assert [text.get_text() for text in first.texts] == [f"{value:.2f}" for row in alpha for value in row]
    assert [text.get_position() for text in first.texts[:6]] == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (0, 1)]
    frames = [patch for patch in first.patches if isinstance(patch, Rectangle)]
    middles = [(frame.get_x() + frame.get_width() / 2, frame.get_y() + frame.get_height() / 2) for frame in frames]
    assert middles == [pytest.approx((row.index(max(row)), edge)) for edge, row in enumerate(alpha)]
    assert bar.get_ylabel() == "ReLU(α)"
    assert figure.get_size_inches() == pytest.approx([style.COLUMN_WIDTH, 2.45])


def test_numbers_stand_out_from_their_ground() -> None:
    (axes, _) = drawn("9", run("stc", [[0.0, 0.25, 0.5, 0.75, 1.0]] * 6)).draw().axes
    assert [to_hex(text.get_color()) for text in axes.texts[:5]] == ["#ffffff"] * 3 + ["#000000"] * 2


def test_the_scale_holds_all_weights() -> None:
    axes = drawn("9", run("stc", table(0, 0.0)), run("stc", table(0, 0.0, 2.5), 1)).draw().axes
    highest = max(map(max, table(0, 0.0, 2.5)))
    assert highest > 1
    assert [one.images[0].norm.vmax for one in axes[:2]] == [highest] * 2


# The committed records


def test_the_committed_records() -> None:
    """What the paper says: the weights of DARTS are close, those of STC-NAS's results stand out."""
    records = [one for one in gather(RESULTS).sources.values() if isinstance(one, Record)]
    ours = Inputs.of(record for record in records if record.protocol == "cpu" and "Intel" in record.device)
    margins = {}
    for name, method in METHODS.items():
        made = make_figure(name, ours)
        margins[method] = made.details["margins"].values()
        own = {one.seed: one for one in ours.sources.values() if one.method == method and not one.changes}
        for seed in made.details["seeds"]:
            found = [OPS.index(row["operation"]) for row in made.rows if row["seed"] == seed and row["in_cell"]]
            assert tuple(found) == Cell.parse(own[seed].cell).ops
        assert "largest weight on" not in made.caption
    assert 0.05 < min(margins["darts"]) <= max(margins["darts"]) < 0.2 < 0.3 < min(margins["stc"])
