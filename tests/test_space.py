"""The space against the official facts: order, index, strings, isomorphism classes, parameters, FLOPs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_stc import Cell
from nasbench_stc.errors import BadCallError
from nasbench_stc.space import DATASETS, NUM_CELLS, all_cells, check_dataset, flops, indices_of, params

cells = st.tuples(*[st.integers(0, 4)] * 6).map(Cell)


def test_every_cell_is_itself_by_any_of_its_names():
    every = all_cells()
    assert len(set(every)) == NUM_CELLS == 15_625
    for index, cell in enumerate(every):
        assert cell.index == index
        assert Cell.from_index(index) == Cell.parse(str(index)) == cell
        assert Cell.parse(str(cell)) == Cell.parse(cell.digits) == Cell(cell.ops) == cell
    np.testing.assert_array_equal(indices_of(np.array([cell.ops for cell in every])), np.arange(NUM_CELLS))


def test_the_official_order():
    # Named cells of the NAS-Bench-201 and NATS-Bench files and papers.
    assert str(Cell.from_index(0)) == (
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    )
    assert str(Cell.from_index(1)) == (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
    )
    assert Cell((1,) * 6).index == 1835  # all skip_connect, what DARTS collapses to
    assert str(Cell.from_index(2299)) == (
        "|skip_connect~0|+|skip_connect~0|none~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
    )


def test_isomorphism_classes():
    assert len({cell.isomorphism_class for cell in all_cells()}) == 6_466
    # What passes through skip_connect is its input; the order of a node's inputs is free.
    through_node_1 = Cell.parse("|skip_connect~0|+|nor_conv_3x3~0|none~1|+|none~0|avg_pool_3x3~1|nor_conv_1x1~2|")
    directly = Cell.parse("|skip_connect~0|+|none~0|nor_conv_3x3~1|+|none~0|avg_pool_3x3~1|nor_conv_1x1~2|")
    assert through_node_1.isomorphism_class == directly.isomorphism_class
    assert Cell.parse(str(directly).replace("avg_pool_3x3~1", "skip_connect~1")).isomorphism_class not in (
        directly.isomorphism_class,
        Cell((3,) * 6).isomorphism_class,
    )


@pytest.mark.parametrize(
    ("index", "dataset", "expected"),
    [
        (0, "cifar10", 129_306),
        (0, "cifar100", 135_156),
        (0, "ImageNet16-120", 136_456),
        (11, "cifar10", 802_426),
        (284, "cifar10", 101_306),
        (9930, "cifar10", 1_288_506),
    ],
)
def test_params(index, dataset, expected):
    assert params([Cell.from_index(index)], dataset) == [expected]


def test_flops():
    cell = [Cell.from_index(0)]
    expected = (15.64737, 15.65322, 3.91948)
    for dataset, value in zip(DATASETS, expected, strict=True):
        assert flops(cell, dataset)[0] == pytest.approx(value, abs=1e-9)
    with pytest.raises(BadCallError, match="cifar10, cifar100, ImageNet16-120"):
        flops(cell, "mnist")


def test_costs_of_the_whole_table(table_path):
    import csv
    import gzip

    with gzip.open(table_path, "rt") as file:
        rows = list(csv.DictReader(file))
    assert [row["arch"] for row in rows] == [str(cell) for cell in all_cells()]
    np.testing.assert_array_equal(params(all_cells()), [int(row["params_c10"]) for row in rows])
    np.testing.assert_allclose(flops(all_cells()), [float(row["flops_m_c10"]) for row in rows], rtol=5e-6)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("|conv~0|+|none~0|none~1|+|none~0|none~1|none~2|", "'conv~0'"),
        ("|none~0|+|none~0|none~0|+|none~0|none~1|none~2|", "~1 belongs"),
        ("|none~0|+|none~0|none~1|", "2 '\\+'-separated nodes"),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", "needs 2 input"),
        ("333135", "digit '5'"),
        ("15625", "0-15624"),
        ("-1", "'-1' is no cell"),
        ("resnet", "'resnet' is no cell"),
        ("", "'' is no cell"),
    ],
)
def test_bad_text_is_named(text, named):
    with pytest.raises(BadCallError, match=named):
        Cell.parse(text)


def test_bad_values():
    for bad in (-1, NUM_CELLS, 1.0, True, None):
        with pytest.raises(BadCallError):
            Cell.from_index(bad)
    for ops in ((1, 2, 3), (0, 0, 0, 0, 0, 5), (0, 0, 0, 0, 0, 1.5), (0, 0, 0, 0, 0, -1)):
        with pytest.raises(BadCallError):
            Cell(ops)
    assert Cell.from_index(np.int64(11)).index == 11  # where the official API answers -1


@given(cells)
def test_a_skip_moves_an_edge_to_its_source(cell):
    # With node 1 the same as node 0, edges 0-3 and 1-3 can change their operations.
    _, b, c, d, e, f = cell.ops
    first, second = Cell((1, b, c, d, e, f)), Cell((1, b, c, e, d, f))
    assert first.isomorphism_class == second.isomorphism_class


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("CIFAR-10", "unknown data set 'CIFAR-10': type cifar10"),
        ("Cifar_100", "unknown data set 'Cifar_100': type cifar100"),
        ("imagenet16-120", "unknown data set 'imagenet16-120': type ImageNet16-120"),
        ("ImageNet16", "unknown data set 'ImageNet16': type ImageNet16-120"),
        (
            "cifar10-valid",
            "unknown data set 'cifar10-valid': type cifar10; valid is a split, in query and report --split valid",
        ),
        ("CIFAR100-test", ".*: type cifar100; test is a split, in query and report --split test"),
        ("mnist", "unknown data set 'mnist': choose from cifar10, cifar100, ImageNet16-120"),
        ("cifar", "unknown data set 'cifar': choose from cifar10, .*"),
        ("mnist-test", ".*: choose from cifar10, .*"),
        ("", ".*: choose from cifar10, .*"),
    ],
)
def test_other_names_of_data_sets_are_refused_with_what_to_type(name, said):
    with pytest.raises(BadCallError, match=f"^{said}$"):
        check_dataset(name)
