"""NATS-Bench's size space: its official order and costs, and its benchmark from the published files' layout."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from nasbench_stc import Cell
from nasbench_stc.errors import BadCallError
from nasbench_stc.models import network
from nasbench_stc.models.sss import CellNetwork
from nasbench_stc.space import DATASETS, NUM_CLASSES, all_cells, find_space, flops, params

SSS = find_space("sss")

# Parameters and millions of multiply-adds by data set, as the official files have them. 0, 11, 284: the files that
# NATS-Bench's repository has for its tests; 12: the output of its notebook create-query-sss.ipynb.
PUBLISHED = {
    (0, "8:8:8:8:8"): ((11_714, 4.481114), (12_524, 4.481924), (12_704, 1.121336)),
    (11, "8:8:8:16:32"): ((49_202, 6.84065), (52_172, 6.84362), (52_832, 1.71404)),
    (12, "8:8:8:16:40"): ((67_378, 7.991706),),
    (284, "8:8:40:32:40"): ((144_834, 21.827994), (148_524, 21.831684), (149_344, 5.461816)),
}


@pytest.mark.parametrize(("index", "text"), PUBLISHED)
def test_published_networks(index, text):
    cell = Cell.from_index(index, "sss")
    assert (str(cell), cell.index, Cell.parse(text, space="sss")) == (text, index, cell)
    for dataset, (expected, multiply_adds) in zip(DATASETS, PUBLISHED[index, text], strict=False):
        assert params([cell], dataset) == [expected]
        assert flops([cell], dataset)[0] == pytest.approx(multiply_adds, abs=1e-9)


def test_the_order_is_that_of_the_official_collection():
    # `traverse_net` of AutoDL-Projects' sss-collect.py: each layer in turn takes all counts, the last one fastest.
    counts = [str(8 * number) for number in range(1, 9)]
    assert [str(cell) for cell in all_cells("sss")] == [":".join(cell) for cell in itertools.product(counts, repeat=5)]
    assert SSS.num_cells == 32_768


def test_every_network_is_read_by_what_it_is_called():
    for index in range(0, SSS.num_cells, 997):
        cell = Cell.from_index(index, "sss")
        for name in (str(cell), cell.digits, f" {cell} ", index, str(index), [int(c) for c in str(cell).split(":")]):
            assert Cell.parse(name, space="sss") == cell


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8:8:8:8:9", "'9' in .* is no number of channels: allowed are 8, 16, 24"),
        ("8:8:8:8", "has 4 numbers of channels, not 5"),
        ("32768", "no cell index: it is a whole number 0-32767"),
        ("|nor_conv_3x3~0|", "is no cell of NATS-Bench's size space: give one like '8:24:40:16:64', or an index"),
        ((0, 1, 2, 3, 4), "'0' in .* is no number of channels"),
    ],
)
def test_what_is_no_network_is_refused(text, message):
    with pytest.raises(BadCallError, match=message):
        Cell.parse(text, space="sss")


def of_all_kinds():
    """Networks with and without projections in each of the two cells that may have one."""
    return [
        Cell.parse(text, space="sss") for text in ("8:24:24:16:16", "16:8:64:40:40", "64:32:32:8:56", "24:16:8:48:64")
    ]


def count(counted, module, _, output):
    counted.append(module.weight.numel() * output[0, 0].numel() + (0 if module.bias is None else module.bias.numel()))


@pytest.mark.parametrize("dataset", DATASETS)
def test_costs_are_those_of_the_network(dataset):
    side = 16 if dataset == "ImageNet16-120" else 32
    for cell in of_all_kinds():
        built = CellNetwork(cell, NUM_CLASSES[dataset]).eval()
        assert params([cell], dataset) == [sum(parameter.numel() for parameter in built.parameters())]
        counted = []
        for module in built.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                module.register_forward_hook(partial(count, counted))
        assert built(torch.zeros(1, 3, side, side)).shape == (1, NUM_CLASSES[dataset])
        assert flops([cell], dataset)[0] == pytest.approx(sum(counted) / 1e6, abs=1e-9)


def test_the_network_is_that_of_the_topology_space_where_both_have_it():
    cell = Cell.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|")
    theirs = network.CellNetwork(cell, channels=16, cells_per_stage=1)
    ours = CellNetwork(Cell.parse("16:32:32:64:64", space="sss"))
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        own.data.copy_(other.data)
    images = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(ours(images), theirs(images))
    torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))


def test_a_mutation_draws_one_layer_anew():
    draws, start = np.random.default_rng(0), Cell.parse("8:24:40:16:64", space="sss")
    children = np.array([SSS.mutated(start.ops, draws) for _ in range(20_000)])
    differs = children != np.array(start.ops)
    assert differs.sum(axis=1).max() == 1
    np.testing.assert_allclose(differs.mean(axis=0), 7 / 8 / 5, atol=0.01)  # of eight mutations one changes nothing
    assert len(set(map(tuple, children.tolist()))) == 1 + 5 * 7
    assert len(list(SSS.neighbours(start.ops))) == 35
