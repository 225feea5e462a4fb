"""The space against the official facts: order, index, strings, isomorphism classes, parameters, FLOPs."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_stc import Cell
from nasbench_stc.errors import BadCallError
from nasbench_stc.space import DATASETS, NUM_CELLS, all_cells, check_dataset, file_number, flops, indices_of, params

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
        ("9" * 5000, "0-15624"),
        ("009930", "digit '9' in '009930' .*; the cell of an official file of that number is 9930"),
        ("099999", "digit '9' in '099999' is none of 0-4 \\([^;]*$"),
        ("Structure(4 nodes with none~0)", "'none~0' is no cell"),
        ("Structure(5 nodes with |none~0|+|none~0|none~1|+|none~0|none~1|none~2|)", "is no cell: give an official"),
        ("(4, 0, 3, 1, 4, 3)", "is a list of operations.* say whose it is, naslib or syne-tune"),
        ("4,0,3,1,4,3", "is a list of operations"),
        ("[4 0 3 1 4 3]", "is a list of operations"),
        ("none,none,none,none,none,none", "is a list of operations"),
        ("-1", "'-1' is no cell"),
        ("resnet", "'resnet' is no cell"),
        ("", "'' is no cell"),
    ],
)
def test_bad_text_is_named(text, named):
    with pytest.raises(BadCallError, match=named):
        Cell.parse(text)


def test_the_string_as_autodl_projects_prints_it():
    # A line of a log of theirs; HPOBench's copy of the class is called _Structure.
    string = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    for name in ("Structure", "_Structure"):
        assert Cell.parse(f"{name}(4 nodes with {string})").digits == "333132"


def test_six_characters_are_digits_always():
    assert Cell.parse("000012").digits == "000012" and Cell.parse("000012").index != 12
    assert [file_number(text) for text in ("000012", "015624", "015625", "100000", "00012", "0000x2")] == [
        12,
        15624,
        None,
        None,
        None,
        None,
    ]


# The first by NASLib's tests/test_nb201_search_space.py, whose test_query asks for this list what its table has under
# this string; the second is what its convert_op_indices_to_str gives (quoted in gabikadlecova/zc_combine).
NASLIB = {
    (
        4,
        3,
        3,
        0,
        0,
        0,
    ): "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    (4, 0, 3, 1, 4, 3): "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|",
}


@pytest.mark.parametrize(("ops", "string"), NASLIB.items())
def test_lists_of_naslib(ops, string):
    for written in (
        ops,
        list(ops),
        np.array(ops),
        str(ops),
        str(list(ops)),
        str(np.array(ops)),
        ",".join(map(str, ops)),
    ):
        assert str(Cell.parse(written, "naslib")) == string


def test_lists_of_naslib_score_what_it_measured(nb201):
    # tests/assets/nb201_test_set_x.npy and _y.npy of NASLib: 20 lists, and validation accuracies of one training each.
    measured = {
        (3, 3, 0, 4, 1, 0): 87.12,
        (1, 1, 0, 0, 0, 2): 84.12,
        (3, 1, 3, 2, 1, 2): 89.44,
        (1, 0, 3, 1, 4, 3): 85.69,
        (3, 3, 4, 3, 0, 1): 85.28,
        (3, 2, 0, 4, 4, 1): 87.02,
        (1, 4, 1, 4, 0, 2): 80.31,
        (1, 0, 4, 3, 2, 0): 77.26,
        (3, 0, 3, 0, 4, 3): 86.35,
        (3, 3, 3, 4, 4, 2): 88.84,
        (4, 3, 4, 2, 4, 1): 66.15,
        (4, 2, 3, 1, 0, 4): 85.79,
        (4, 4, 3, 4, 2, 1): 87.8,
        (0, 0, 1, 1, 1, 0): 83.72,
        (0, 4, 2, 2, 1, 2): 89.33,
        (0, 4, 2, 0, 1, 1): 87.85,
        (1, 3, 4, 4, 4, 0): 84.94,
        (1, 1, 4, 3, 2, 0): 71.36,
        (2, 1, 1, 1, 2, 3): 87.35,
        (1, 1, 0, 3, 3, 1): 83.8,
    }
    found = nb201.accuracy([Cell.parse(ops, "naslib") for ops in measured], "cifar10", "valid")
    np.testing.assert_allclose(found, list(measured.values()), atol=0.9)
    wrong = [Cell(ops) for ops in measured]
    assert abs(nb201.accuracy(wrong, "cifar10", "valid") - list(measured.values())).max() > 5


def test_lists_of_syne_tune():
    # Its str_to_list takes the names out of the official string from left to right, for hp_x0 to hp_x5.
    for cell in (Cell.from_index(0), Cell.from_index(9930), Cell.parse("012341")):
        names = re.findall(r"(\w+)~", str(cell))
        config = {f"hp_x{place}": name for place, name in enumerate(names)}
        backwards = dict(reversed(config.items()))
        for written in (names, ",".join(names), str(names), config, backwards, str(config), str(backwards)):
            assert Cell.parse(written, "syne-tune") == cell
        assert Cell.parse(",".join(f"{key}={name}" for key, name in backwards.items()), "syne-tune") == cell


@pytest.mark.parametrize(
    ("cell", "encoding", "said"),
    [
        ((4, 0, 3, 1, 4, 3), None, "is a list of operations.* naslib or syne-tune"),
        ((4, 0, 3, 1, 4, 3), "nasbench", "unknown encoding 'nasbench': choose from naslib, syne-tune"),
        ((4, 0, 3, 1, 4, 3), "syne-tune", "'4' is none of none, skip_connect, nor_conv_1x1"),
        ("(4, 0, 3, 1, 4)", "naslib", "has 5 entries, not 6"),
        (
            "(4, 0, 3, 1, 4, 5)",
            "naslib",
            "'5' is none of 0 skip_connect, 1 none, 2 nor_conv_3x3, 3 nor_conv_1x1, 4 avg",
        ),
        ("403143", "naslib", "has 1 entries, not 6"),
        (9930, "naslib", "has 1 entries, not 6"),
        ("a=4,b=0,c=3,d=1,e=4,f=3", "naslib", "its edges are named a, b, c, d, e, f, not at all"),
        ({f"hp_x{place}": "none" for place in range(1, 7)}, "syne-tune", "hp_x6, not hp_x0, hp_x1"),
    ],
)
def test_lists_that_are_no_cells(cell, encoding, said):
    with pytest.raises(BadCallError, match=said):
        Cell.parse(cell, encoding)


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
