"""NATS-Bench's size space: its official order and costs, its published files, and searches in it."""

import itertools
import pickle
import shutil
from functools import partial
from pathlib import Path

import nats_folder as made_up
import numpy as np
import pytest
import torch
from official_api import answer, as_pickle, read_folder
from torch import nn

from nasbench_stc import Cell, open_benchmark
from nasbench_stc.benchmark import find_metric, find_metrics, importing, official
from nasbench_stc.benchmark.base import QUANTITIES, Key
from nasbench_stc.benchmark.status import status
from nasbench_stc.benchmark.table import TableBenchmark
from nasbench_stc.engine.simulation import Simulation, simulate
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.methods import find, of_kind
from nasbench_stc.models import network
from nasbench_stc.models.sss import CellNetwork
from nasbench_stc.report.published import load
from nasbench_stc.space import DATASETS, NUM_CLASSES, all_cells, find_space, flops, params

CELLS = [0, 11, 284]
FOLDER = official.SIZE_FOLDER_NAME
pytestmark = pytest.mark.filterwarnings("ignore::nasbench_stc.errors.OfficialPickleWarning")
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three cells in the form of NATS-Bench's folder, with made-up numbers."""
    path = tmp_path_factory.mktemp("official") / FOLDER
    made_up.write(path, CELLS, "sss")
    return path


@pytest.fixture(scope="module")
def real(table_path):
    """The same three as they are published, in the repository of NATS-Bench (`fake_torch_dir`)."""
    path = table_path.parent / FOLDER
    if not path.is_dir():
        pytest.skip(f"needs {FOLDER} beside nb201.csv.gz, with cells 0, 11 and 284")
    return path


@pytest.fixture(scope="module")
def imported(folder, tmp_path_factory):
    return importing.import_official(folder, tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="module")
def bench():
    """A made-up table of all networks: wider is better, later layers count more, and trainings differ."""
    draws = np.random.default_rng(5)
    channels = np.array([[int(count) for count in str(cell).split(":")] for cell in all_cells("sss")])
    quality = 60 + np.log2(channels / 8) @ [1, 1.5, 2, 2.5, 3]
    columns = {}
    for split, epochs in itertools.product(("valid", "test"), (12, 90)):
        key = Key("cifar10", split, epochs, None)
        columns[key, "accuracy"] = quality + draws.normal(0, 0.5, len(quality))
        columns[key, "train-seconds"] = epochs * (2 + channels.sum(axis=1) / 40)
    return TableBenchmark("made up", "for tests", Path("sizes.csv.gz"), "0" * 64, columns, space=SSS)


def kinds(value):
    """Of what it is made: types, names, numbers of items; no numbers."""
    if isinstance(value, dict):
        return {key: kinds(item) for key, item in value.items()}
    if isinstance(value, list):
        return len(value), {type(item) for item in value}
    return value if isinstance(value, str) else type(value)


def test_the_made_up_folder_has_the_layout_of_the_published_one(folder, real):
    (archs, cells), (their_archs, theirs) = read_folder(folder), read_folder(real)
    assert archs == their_archs
    for index in CELLS:
        assert list(cells[index]) == list(theirs[index])
        for of_training in theirs[index].values():
            for run in of_training["all_results"].values():
                run["train_acc5es"] = None  # top-5 accuracies, which nobody reads here
                run["eval_names"].sort()
                run["train_times"] = dict(run["train_times"])
        for of_training in cells[index].values():
            for run in of_training["all_results"].values():
                run["eval_names"].sort()
        assert kinds(cells[index]) == kinds(theirs[index])


@pytest.mark.parametrize("which", ["folder", "pickle", "real"])
def test_every_answer_is_the_official_one(which, folder, tmp_path, request):
    import nats_bench

    where = folder if which == "pickle" else request.getfixturevalue(which)
    api = nats_bench.create(str(where), "sss", fast_mode=True, verbose=False)
    opened = open_benchmark(
        as_pickle(folder, tmp_path / official.SIZE_PICKLE_NAME) if which == "pickle" else where, space="sss"
    )
    assert (opened.name, opened.space.name, len(opened.holds())) == ("NATS-Bench v1.0", "sss", 13 * (2 + 4 + 2))
    asked = 0
    for key, quantity, index in itertools.product(opened.holds(), QUANTITIES, CELLS):
        for at_epoch in dict.fromkeys((None, 1, key.epochs // 2 or 1, key.epochs)):
            expected = answer(api, index, key, quantity, at_epoch)
            if expected is None:
                with pytest.raises((BadCallError, DataError)):
                    opened.quantity(quantity, [index], *key, at_epoch)
            else:
                asked += 1
                assert opened.quantity(quantity, [index], *key, at_epoch) == [expected]
    assert asked > 3000


def test_published_accuracies(real):
    opened = open_benchmark(real, space="sss")
    splits = list(itertools.product(DATASETS, ("valid", "test")))
    at_90 = [
        [76.89, 79.79, 32.24, 32.3, 16.6, 15.53],
        [83.72, 85.77, 54.46, 53.68, 25.67, 25.47],
        [86.8, 89.51, 62.78, 62.7, 33.33, 32.77],
    ]
    np.testing.assert_allclose(np.transpose([opened.accuracy(CELLS, *which) for which in splits]), at_90, atol=0.005)
    assert opened.accuracy([11], "cifar10", "valid", 12, 777) != opened.accuracy([11], "cifar10", "valid", 12, 888)
    for dataset in DATASETS:
        for name, ours in opened.cost(CELLS, dataset).items():
            np.testing.assert_allclose(opened.quantity(name, CELLS, dataset), ours, rtol=1e-12)


def test_an_import_holds_what_the_folder_does(folder, imported, tmp_path):
    assert imported.path.name == "NATS-sss-v1_0-50262.table"
    assert (imported.about.space, imported.about.cells, imported.about.verified["cells"]) == ("sss", 3, CELLS)
    table, source = open_benchmark(imported.path, space="sss"), open_benchmark(folder, space="sss")
    assert table.about == f"imported from {FOLDER}, 3 of 32,768 cells"
    assert set(table.holds()) == set(source.holds())
    for key in table.holds():
        np.testing.assert_array_equal(table.accuracy(CELLS, *key), source.accuracy(CELLS, *key))
    for epochs in (1, 12, 90):
        curve = table.curve(CELLS, "cifar100", "test", epochs)
        np.testing.assert_allclose(curve, source.curve(CELLS, "cifar100", "test", epochs), rtol=1e-6)
    with pytest.raises(DataError, match="does not have the whole space at hand"):
        table.frame()
    with pytest.raises(DataError, match="no run of cifar10 test at 90 epochs"):
        table.accuracy([32_767])


def test_the_single_pickle_gives_the_same_table(folder, imported, tmp_path):
    again = importing.import_official(as_pickle(folder, tmp_path / official.SIZE_PICKLE_NAME), tmp_path / "data")
    assert again.about.columns == imported.about.columns
    assert again.path.name == imported.path.name


def test_a_benchmark_of_another_space_is_refused(folder, imported, bench, tmp_path):
    for path in (folder, imported.path):
        with pytest.raises(BadCallError, match=r"is of NATS-Bench's size space, where .* NAS-Bench-201 .*--space sss"):
            open_benchmark(path)
    for name in ("analog", "analog:noisy", "nb201"):
        with pytest.raises(
            BadCallError, match=r"is of NAS-Bench-201, where one of NATS-Bench's size space.*--space tss"
        ):
            open_benchmark(name, tmp_path, "sss")
    with pytest.raises(BadCallError, match="is a cell of NAS-Bench-201"):
        bench.accuracy([Cell.from_index(3)])
    with pytest.raises(BadCallError, match="cell indices run from 0 to 32767"):
        bench.accuracy(np.array([32_768]))
    shutil.copytree(folder, tmp_path / "NATS-tss-v1_0-3ffb9-simple")
    with pytest.raises(DataError, match=r"not NATS-Bench's list of the 15,625 cells .* is named NATS-sss"):
        open_benchmark(tmp_path / "NATS-tss-v1_0-3ffb9-simple")


def test_auto_finds_a_whole_benchmark_of_the_space(folder, imported, tmp_path, monkeypatch):
    with pytest.raises(
        DataError, match=f"no benchmark of NATS-Bench's size space found in .*{FOLDER}.* below --data-dir"
    ):
        open_benchmark("auto", tmp_path, "sss")
    shutil.copytree(folder, tmp_path / FOLDER)
    with pytest.raises(DataError, match="no benchmark of NATS-Bench's size space"):
        open_benchmark("auto", tmp_path, "sss")
    monkeypatch.setattr(official, "count_cells", lambda folder: 32_768)
    assert open_benchmark("auto", tmp_path, "sss").path == tmp_path / FOLDER
    assert open_benchmark("auto", tmp_path).space.name == "tss"
    copy = tmp_path / imported.path.name
    copy.mkdir()
    about = (imported.path / "table.json").read_text()
    (copy / "table.json").write_text(about.replace('"cells": 3,', '"cells": 32768,'))
    assert open_benchmark("auto", tmp_path, "sss").path == copy
    assert open_benchmark("auto", tmp_path).space.name == "tss"
    (copy / "table.json").write_text(about.replace('"cells": 3,', '"cells": 32769,'))
    with pytest.raises(DataError, match=r"damaged .*32,769 cells of 32,768"):
        open_benchmark(copy, space="sss")


def test_status_names_what_there_is_and_how_to_get_it(folder, imported, tmp_path):
    items = {item.name: item for item in status(tmp_path) if "sizes" in item.name}
    assert list(items) == ["NATS sizes folder", "NATS sizes pickle"]
    for name, file in zip(items, official.names_of(SSS), strict=True):
        assert items[name].path is None
        assert items[name].how_to_get.endswith(f"as {file}")
    shutil.copytree(folder, tmp_path / FOLDER)
    (tmp_path / imported.path.name).symlink_to(imported.path)
    states = {item.name: item.state for item in status(tmp_path)}
    assert states["NATS sizes folder"] == "incomplete: 3 of 32,768 cells"
    assert states["imported table"] == "sizes as recorded, 3 cells"


def test_another_process_opens_the_same(folder):
    opened = open_benchmark(folder, space="sss")
    again = pickle.loads(pickle.dumps(opened))
    assert (again.space.name, again.sha256) == ("sss", opened.sha256)


def test_the_whole_space_is_ranked_and_framed(bench, tmp_path):
    values = bench.accuracy(np.arange(SSS.num_cells))
    best, accuracy = bench.optimal()
    assert (best.space, best.index, accuracy) == ("sss", values.argmax(), values.max())
    assert bench.rank([best, 0]).tolist() == [1, 1 + (values > values[0]).sum()]
    frame = bench.frame(data_dir=tmp_path)
    assert len(frame) == 32_768
    assert frame.cell[11] == frame.digits[11] == "8:8:8:16:32"
    assert frame["cifar10-test"].idxmax() == best.index
    np.testing.assert_allclose(frame["cifar100-params"][284], 0.148524)
    assert "cifar10-train-seconds-valid" in frame
    assert not [name for name in frame if "analog" in name]  # these are of the other space's cells


def test_metrics_are_those_of_the_space(bench, tmp_path):
    assert set(find_metrics(bench, tmp_path)) == {"params", "mflops", "train-seconds-valid", "train-seconds-test"}
    cell = Cell.parse("8:8:8:16:40", space="sss")
    assert find_metric("mflops", bench, tmp_path).values([cell]) == [pytest.approx(7.991706)]
    with pytest.raises(BadCallError, match="is a cell of NAS-Bench-201"):
        find_metric("params", bench, tmp_path).values([Cell.from_index(3)])
    with pytest.raises(BadCallError, match="unknown metric 'naswot'"):
        find_metric("naswot", bench, tmp_path)


def test_the_command_line_names_networks_by_their_string(folder, imported, stc_bench, tmp_path):
    asked = ("8:8:40:32:40", "--benchmark", imported.path)
    status, out, _ = stc_bench("query", *asked, "--space", "sss")
    assert status == 0
    assert "284 = 8:8:40:32:40" in out.splitlines()
    assert stc_bench("query", *asked)[0] == 2
    out = stc_bench("data", "import", folder, "--data-dir", imported.path.parent)[1]
    assert out.splitlines()[-1] == f"stc-bench query 0 --benchmark {imported.path} --space sss"
    out = stc_bench("metrics", "--space", "sss", "--benchmark", imported.path, "--data-dir", tmp_path)[1]
    assert "mflops" in out and "not found" not in out


def searched(name, benchmark, seed, **changes):
    """One simulated run of a black-box method with its own settings."""
    method, simulation = find(name), Simulation(**changes)
    oracle = simulation.oracle(benchmark, "cifar10")
    make = partial(method.make, benchmark.space, method.make_settings())
    return simulate(name, make, oracle, simulation.resolved(oracle, "cifar10"), seed)


@pytest.mark.parametrize("name", [*of_kind("black-box"), "optuna:TPESampler", "optuna:GridSampler"])
def test_every_blackbox_method_searches_the_space(name, bench):
    run = searched(name, bench, 0, evaluations=30)
    assert len(run.cells) == len(run.asked) == 30
    assert run.seconds > 0
    again = searched(name, bench, 0, evaluations=30)
    assert again.cells == run.cells
    assert searched(name, bench, 1, evaluations=30).cells != run.cells


def test_who_learns_beats_who_draws_at_random(bench):
    worth = bench.accuracy(np.arange(SSS.num_cells), "cifar10", "valid", 12)
    for name in ("rea", "bohb", "ls", "optuna:TPESampler"):
        ours, random = (
            np.mean([worth[searched(method, bench, seed, evaluations=150).incumbents[-1].cell] for seed in range(5)])
            for method in (name, "rs")
        )
        assert ours > random, name
    drawn = worth[searched("reinforce", bench, 0, evaluations=1000).cells]
    assert drawn[-200:].mean() > drawn[:200].mean() + 1  # it learns slowly: its policy, not yet its best


def test_a_search_ends_with_the_last_answer_that_is_paid_for(bench):
    run = searched("rea", bench, 0)
    assert 19_000 < run.seconds <= 20_000


def test_published_searches():
    rows = {row.method: row for row in load("size_space").rows}
    assert len(rows) == 7
    assert {row.search_dataset for row in rows.values()} == {"each"}
    found = [(score.mean, score.std) for score in rows["BOHB"].scores.values()]
    assert found == [(90.07, 0.28), (93.01, 0.24), (69.75, 0.6), (69.9, 0.6), (45.11, 0.69), (45.56, 0.81)]
