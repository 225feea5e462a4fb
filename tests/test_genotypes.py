"""Figures of genotypes: which cells, what is drawn of them, and that nothing in a drawing covers anything else."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch
from records import make_record, make_training

from nasbench_stc.errors import DataError
from nasbench_stc.records import Record
from nasbench_stc.records.training import TrainingRecord
from nasbench_stc.report import Chart, Inputs, MissingRecords, chart, make_figure, style
from nasbench_stc.report.figures import genotypes
from nasbench_stc.report.graphs import labelled, placed
from nasbench_stc.space import Cell, find_space

DARTS = find_space("darts")


def run(genotype: str, seed: int = 0, **changes: Any) -> Record:
    """A search of DARTS's space by STC-NAS that found that cell."""
    cell = str(Cell.parse(genotype, space="darts"))
    return make_record(seed, **{"space": "darts", "cell": cell, "scores": {}, **changes})


def figure(name: str, *records: Record, trainings: tuple[TrainingRecord, ...] = (), **more: Any) -> Chart:
    trained = {Path(str(number)): record for number, record in enumerate(trainings)}
    return make_figure(name, Inputs.of(records, trained=trained, space=DARTS, **more))


def titles(made: Chart) -> list[str]:
    return [axes.get_title(loc="left") for axes in made.draw().axes]


def arrows(axes: Axes) -> dict[str, tuple[str, str]]:
    """Colour and line style of each edge of a panel, by the names of its nodes."""
    found = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch) and patch.get_label()]
    return {str(arrow.get_label()): (to_hex(arrow.get_ec()), str(arrow.get_ls())) for arrow in found}


# Which cells


def test_the_cells_of_most_runs_come_first() -> None:
    records = [run("PDARTS", 0), run("DARTS_V2", 1), run("DARTS_V2", 2)]
    made = figure("10", *records)
    assert titles(made) == ["seeds 1, 2\nnormal cell", "\nreduction cell", "seed 0\nnormal cell", "\nreduction cell"]
    assert [(row["panel"], row["seed"]) for row in made.rows] == [(1, 1), (1, 2), (2, 0)]
    assert made.caption.startswith("Cells found by STC-NAS (protocol cpu, searched on cifar10; n=3, seeds 0-2); 2 dist")
    assert made.width == style.PAGE_WIDTH


def test_cells_that_differ_in_the_order_of_nodes_are_one() -> None:
    # Nodes 0 and 1 of the normal cell both take the inputs alone, and nothing takes them: they may change places.
    rest = "440044000" + DARTS.published["DARTS_V2"][14:]
    assert len(figure("10", run("44540" + rest, 0), run("54440" + rest, 1)).draw().axes) == 2


def test_a_cell_that_was_trained_says_what_it_reached() -> None:
    trainings = (make_training(0), make_training(1), make_training(2, "PDARTS"), make_training(3, dataset="digits"))
    made = figure("10", run("DARTS_V2"), trainings=trainings)
    title = "seed 0; 90.50 % on cifar10, protocol cpu (n=2); 93.00 % on digits, protocol cpu (n=1)"
    assert titles(made)[0] == f"{title}\nnormal cell"
    assert made.rows[0]["trained"] == title.removeprefix("seed 0; ")


def test_figures_11_and_12_are_of_searches_on_their_data_sets() -> None:
    datasets = ("cifar10", "cifar100", "ImageNet16-120")
    records = [run("DARTS_V2", seed, search_dataset=name) for seed, name in enumerate(datasets)]
    for name, seed in (("11", 1), ("12", 2)):
        assert [row["seed"] for row in figure(name, *records).rows] == [seed]
    for name, dataset in (("11", "cifar100"), ("12", "ImageNet16-120")):
        with pytest.raises(MissingRecords) as raised:
            figure(name, records[0], folders=(Path("mine"),))
        (missing,) = raised.value.missing
        assert missing.what == f"runs of STC-NAS on {dataset}"
        assert missing.command == (
            f"stc-bench search --method stc --dataset {dataset} --seeds 3 --space darts --out mine"
        )


def test_genotypes_are_the_best_of_each_row_of_trainings() -> None:
    given = (make_training(0), make_training(4), make_training(1, "PDARTS"))
    origin = {"method": "stc", "folder": "a", "search_dataset": "cifar10", "seed": 0, "protocol": "cpu"}
    found = tuple(make_training(seed, name, found_by=origin) for seed, name in ((2, "DARTS_V1"), (3, "PC_DARTS_image")))
    made = figure("genotypes", trainings=given + found)
    assert [title.split("\n")[0] for title in titles(made)[::2]] == [
        "STC-NAS: 93.00 % on cifar10, protocol cpu (n=1)",
        "given: PDARTS: 91.00 % on cifar10, protocol cpu (n=1)",
        "given: DARTS_V2: 92.00 % on cifar10, protocol cpu (n=2)",
    ]
    names = {row["name"]: (Cell.parse(row["cell"], space="darts").digits, row["test_accuracy"]) for row in made.rows}
    assert names == {
        "STC-NAS": (DARTS.published["PC_DARTS_image"], 93.0),
        "given: PDARTS": (DARTS.published["PDARTS"], 91.0),
        "given: DARTS_V2": (DARTS.published["DARTS_V2"], 92.0),
    }
    with pytest.raises(MissingRecords, match="to make it: stc-bench train DARTS_V2 --seeds 3 --space darts"):
        figure("genotypes")
    assert len(json.loads(chart.render(made, "json"))["rows"]) == 3


def test_weights_of_edges_that_are_not_kept_are_not_counted() -> None:
    cell = Cell.parse("DARTS_V2", space="darts")
    alpha = [[float(op == kept) for op in range(8)] for kept in cell.ops]
    alpha[0] = alpha[4] = [0.0] * 7 + [1.0]  # of which the cell keeps the first
    entry = {"epoch": 0, "cell": str(cell), "alpha": alpha, "train_loss": 1.0, "valid_loss": 1.0, "seconds": 1.0}
    made = figure("9", run("DARTS_V2", trajectory=[entry]))
    assert "It does not have the largest weight on 1 of 16 edges." in made.caption
    assert made.width == style.PAGE_WIDTH


# What is drawn


def test_every_kept_edge_is_drawn_with_its_operation() -> None:
    normal, reduction = figure("10", run("DARTS_V2")).draw().axes
    concat = {f"{node}-c_{{k}}" for node in range(4)}
    kept = {"c_{k-2}-0", "c_{k-1}-0", "c_{k-2}-1", "c_{k-1}-1", "c_{k-2}-2", "c_{k-1}-2", "c_{k-2}-3", "0-3"}
    assert arrows(normal).keys() == kept | concat
    assert {name for name, (colour, _) in arrows(normal).items() if colour == style.GREY} == concat
    named = sorted(text.get_text() for text in normal.texts if not text.get_text().startswith("$"))
    assert named == ["dil 3×3", *["sep 3×3"] * 5, "skip", "skip"]
    nodes = [text.get_text() for text in normal.texts if text.get_text().startswith("$")]
    assert nodes == ["$c_{k-2}$", "$c_{k-1}$", "$0$", "$1$", "$2$", "$3$", "$c_{k}$"]
    named = sorted(text.get_text() for text in reduction.texts if not text.get_text().startswith("$"))
    assert named == [*["max 3×3"] * 5, *["skip"] * 3]


def test_operations_look_unlike_one_another() -> None:
    for name in ("darts", "tss"):
        space = find_space(name)
        looks = genotypes._looks(space)
        assert len(looks) == len(space.ops) - 1
        assert len(set(looks.values())) == len(looks)


def test_operations_are_named_in_short() -> None:
    assert style.op_labels(DARTS.ops)[-4:] == ["sep 3×3", "sep 5×5", "dil 3×3", "dil 5×5"]
    assert style.op_labels(find_space("tss").ops) == list(style.OP_LABELS.values())
    assert style.op_labels(["pass", "8"]) == ["pass", "8"]


def test_other_spaces_are_drawn_as_they_say() -> None:
    record = make_training(space="tss", cell=str(Cell.parse("333033")))
    made = make_figure("genotypes", Inputs(trained={Path("a"): record}))
    assert made.width == style.COLUMN_WIDTH
    (axes,) = made.draw().axes
    assert arrows(axes).keys() == {"0-1", "0-2", "1-2", "1-3", "2-3"}
    assert "Grey" not in made.caption
    empty = make_training(space="tss", cell=str(Cell.parse("000000")))
    (axes,) = make_figure("genotypes", Inputs(trained={Path("a"): empty})).draw().axes
    assert (len(arrows(axes)), len(axes.texts)) == (0, 4)
    with pytest.raises(DataError, match="no graphs"):
        make_figure("genotypes", Inputs(space=find_space("sss")))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, DARTS.num_cells - 1))
def test_no_label_or_node_covers_another(index: int) -> None:
    made = figure("10", run(Cell.from_index(index, "darts").digits))
    drawn = made.draw()
    canvas = FigureCanvasAgg(drawn)
    canvas.draw()  # which lays out the axes
    renderer: Any = canvas.get_renderer()
    for axes in drawn.axes:
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
        for one, other in itertools.combinations(boxes, 2):
            shared = one.intersection(one, other)
            assert shared is None or min(shared.width, shared.height) < 2, "pixels, of 300 an inch"
        view = axes.get_window_extent(renderer)
        assert all(view.x0 <= box.x0 and box.x1 <= view.x1 and box.y1 <= view.y1 for box in boxes)


def test_nodes_stand_after_their_inputs_and_edges_keep_away_from_others() -> None:
    draws = np.random.default_rng(5)
    for _ in range(10):
        cell = Cell(DARTS.drawn(draws), "darts")
        for graph in DARTS.graphs:
            edges = [(s, t) for s, t, edge in graph.edges if edge is None or cell.ops[edge] != DARTS.none]
            places = np.array(placed(len(graph.nodes), edges, (2.8, 1.1))[0])
            assert (places >= 0).all() and (places <= np.array([2.8, 1.1]) + 1e-9).all()
            assert all(places[source][0] < places[target][0] for source, target in edges)
            for source, target in edges:
                way = places[source] + np.linspace(0, 1, 50)[:, None] * (places[target] - places[source])
                others = np.delete(places, [source, target], axis=0)
                assert np.linalg.norm(way[:, None] - others, axis=2).min() > 0.08


def test_labels_make_room_for_each_other() -> None:
    places, edges = [(0.0, 0.5), (1.0, 0.55), (1.0, 0.45)], [(0, 1), (0, 2)]
    _, at = labelled(places, [0.1] * 3, edges, {0: (0.25, 0.2), 1: (0.25, 0.2)})
    assert abs(at[0][0] - at[1][0]) >= 0.25


def test_report_writes_it(stc_bench, tmp_path: Path) -> None:
    folder = tmp_path / "training"
    folder.mkdir()
    make_training().write(folder)
    for ending in (".pdf", ".svg"):
        out = tmp_path / f"drawn{ending}"
        call = ("report", "--figure", "genotypes", "--space", "darts", "--results", tmp_path, "--out", out)
        status, said, err = stc_bench(*call)
        assert (status, err) == (0, "") and said.startswith(f"{out}: Cells trained alone")
    assert "sep 3×3" in (tmp_path / "drawn.svg").read_text(encoding="utf-8")
