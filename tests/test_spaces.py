"""What holds of every search space, and that one more is two files."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import two_edges
from hypothesis import given
from hypothesis import strategies as st

import nasbench_stc
from nasbench_stc import open_benchmark
from nasbench_stc import space as spaces
from nasbench_stc.benchmark import find_metrics
from nasbench_stc.data.images import DeviceImages, Images
from nasbench_stc.engine.loop import Search
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.errors import BadCallError, MethodError
from nasbench_stc.methods import find, of_kind
from nasbench_stc.models import Mixture
from nasbench_stc.report import gather, make_table
from nasbench_stc.runs.sweep import sweep
from nasbench_stc.space import Cell, find_space

NAMES = spaces.names()
SMALL = {"steps": 2, "batch_size": 4, "eval_batch": 8, "epochs": 3, "channels": 4, "cells_per_stage": 1}


@pytest.fixture
def two(tmp_path, monkeypatch):
    """The made-up space."""
    two_edges.add(tmp_path, monkeypatch)
    yield find_space("two")
    find_space.cache_clear()
    for name in ("nasbench_stc.space.two", "nasbench_stc.models.two"):
        sys.modules.pop(name, None)


def cells_of(name):
    """Any cells of the space."""
    return st.integers(0, find_space(name).num_cells - 1).map(lambda index: Cell.from_index(index, name))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_cell_has_one_string_and_one_index(name, data):
    cell = data.draw(cells_of(name))
    assert Cell.parse(str(cell), space=name) == cell
    assert Cell.from_index(cell.index, name) == cell
    assert 0 <= cell.index < cell.of.num_cells


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_neighbours_and_mutants_are_cells(name, data):
    cell = data.draw(cells_of(name))
    around = list(cell.of.neighbours(cell.ops))
    assert len(set(around)) == len(around) and cell.ops not in around
    for other in around[:3]:
        assert cell.of.check(other) == other
        assert cell.ops in cell.of.neighbours(other)
    draws = np.random.default_rng(data.draw(st.integers(0, 99)))
    mutants = {cell.of.mutated(cell.ops, draws) for _ in range(20)}
    assert {cell.of.check(mutant) for mutant in mutants} == mutants
    assert len(mutants - {cell.ops}) > 1  # in `sss` some are the cell itself, as in NATS-Bench


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 999))
def test_scores_that_favour_a_cell_stand_for_it(name, seed):
    space, draws = find_space(name), np.random.default_rng(seed)
    ops = space.drawn(draws)
    assert space.check(ops) == ops
    scores = draws.random(space.shape)
    scores[range(len(ops)), ops] += 1
    assert space.strongest(scores) == ops


def test_an_unknown_space_is_refused_with_those_there_are():
    for name in ("nas", "base", "../x"):
        with pytest.raises(BadCallError, match=f"unknown space '{name}': choose from tss"):
            find_space(name)


def asks_which_space(line):
    """Whether a comparison is with a space that is named there."""
    nodes = list(ast.walk(ast.parse(line)))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    return "TSS" in names or ("space" in line and bool(texts & {*NAMES}))


def test_only_a_space_and_its_networks_know_which_space_it_is():
    package = Path(nasbench_stc.__file__).parent
    found = [
        f"{path.relative_to(package)}: {line}"
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] not in ("space", "models")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare) and asks_which_space(line := ast.unparse(node))
    ]
    assert found == []
    for line in ("space.name == TSS.name", "inputs.space is not TSS", "'darts' != about.space"):
        assert asks_which_space(line)


def test_a_space_that_was_added_says_what_there_is_of_it(two, tmp_path):
    assert [name for name in spaces.names() if find_space(name).usual] == ["tss"] == spaces.names()[:1]
    assert (find_space("tss").option, two.option) == ("", " --space two")
    none = open_benchmark("auto", tmp_path, "two")
    assert (none.name, none.space, none.holds()) == ("none", two, ())
    assert find_metrics(none, tmp_path) == {}
    for name in ("analog", "analog:hwt", "nb201"):
        with pytest.raises(BadCallError, match=f"'{name}' is of NAS-Bench-201, where one of Two edges .*--space tss"):
            open_benchmark(name, tmp_path, "two")


def search_in(space, method, **changes):
    """A tiny search, built."""
    found = find(method)
    protocol = Protocol(**{**SMALL, **space.protocols.get("smoke", {}), **changes})
    draws = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (16, 3, 8, 8), dtype=torch.uint8, generator=draws)
    labels = torch.randint(10, (16,), generator=draws)
    data = DeviceImages(Images(pixels.numpy(), labels.numpy(), (128.0,) * 3, (64.0,) * 3, 1), torch.device("cpu"))
    usual = found.cls.presets.get("smoke", {})
    own = {name: value for name, value in usual.items() if hasattr(found.make_settings(), name)}
    settings = type(found.make_settings())(**own)
    return Search(lambda generator: found.make(space, settings, generator), protocol, data, data, 10, 0, space=space)


@pytest.mark.parametrize("method", of_kind("one-shot"))
def test_every_weight_sharing_method_searches_a_space_that_was_added(two, method):
    cell = found_by(search_in(two, method))
    assert cell.space == "two" and len(cell.ops) == 2


# Those that ask a space for more than its shape, and one for each way in which methods run a supernet.
@pytest.mark.parametrize("method", ["stc", "darts", "gdas", "setn", "enas", "rsps", "spos", "few_shot"])
def test_weight_sharing_methods_search_the_darts_space(method):
    cell = found_by(search_in(find_space("darts"), method))
    assert cell.space == "darts" and sum(op != cell.of.none for op in cell.ops) == 16


def test_what_searches_cost_is_measured_in_a_space_that_was_added(two, tmp_path):
    """It has no networks of cells, so no subnet, and says nothing of how costs grow."""
    changes = {"channels": 4, "resolution": 8}
    found, _ = sweep(["rsps", "darts"], [4], [1], tmp_path, "cpu", 2, changes=changes, space="two")
    assert [point.method for point in found.points] == ["rsps", "darts"]
    table = make_table(3, gather([tmp_path], space="two"))
    assert [row.values["method"] for row in table.rows[-2:]] == ["RSPS", "DARTS"]
    assert [row.values["agrees"] for row in table.rows[-2:]] == [None, None]
    assert not any("Subnet: " in line or "multiply-adds" in line for line in table.more)


def found_by(search):
    """What the search finds."""
    while not search.done:
        search.run_epoch()
    cell, found = search.result()
    assert 0 <= found["accuracy"] <= 100
    return cell


def test_a_mixture_of_another_space_is_refused(two):
    search = search_in(two, "rsps")
    search.method.weight_mixture = lambda: Mixture.path([3] * 6)
    with pytest.raises(MethodError, match=r"shape \(2, 3\); got \(6, 5\)"):
        search.run_epoch()
