"""The official files: answers equal to the official API's own, and nothing of a planted pickle run."""

import bz2
import itertools
import pickle
import random
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from official_api import answer, as_numpy_1, as_pickle, as_pth, read_folder

from nasbench_stc import open_benchmark
from nasbench_stc.benchmark import COLUMNS, official
from nasbench_stc.benchmark.base import QUANTITIES, Key
from nasbench_stc.errors import BadCallError, DataError

CELLS = [0, 11, 284]
pytestmark = pytest.mark.filterwarnings("ignore::nasbench_stc.errors.OfficialPickleWarning")


@pytest.fixture(params=["folder", "pickle", "pth"])
def opened(request, nats_folder, tmp_path):
    if request.param == "folder":
        return open_benchmark(nats_folder)
    if request.param == "pickle":
        return open_benchmark(as_pickle(nats_folder, tmp_path / official.PICKLE_NAME))
    return open_benchmark(as_pth(nats_folder, tmp_path / official.PTH_NAME))


@pytest.fixture
def api(opened, nats_folder):
    """The official API of what was opened."""
    if opened.name.startswith("NATS-Bench"):
        import nats_bench

        return nats_bench.create(str(nats_folder), "tss", fast_mode=True, verbose=False)
    from nas_201_api import NASBench201API

    archs, cells = read_folder(nats_folder)
    infos = {index: {"less": cell["12"], "full": cell["200"]} for index, cell in cells.items()}
    return NASBench201API({"meta_archs": archs, "arch2infos": infos, "evaluated_indexes": CELLS}, verbose=False)


def test_every_answer_is_the_official_one(opened, api):
    asked = refused = 0
    for index, key, quantity in itertools.product(CELLS, opened.holds(), QUANTITIES):  # a folder's cell is read once
        for at_epoch in (None, 1, key.epochs // 2, key.epochs):
            expected = answer(api, index, key, quantity, at_epoch)
            if expected is None:
                refused += 1
                with pytest.raises((BadCallError, DataError)):
                    opened.quantity(quantity, [index], *key, at_epoch)
            else:
                asked += 1
                assert opened.quantity(quantity, [index], *key, at_epoch) == [expected]
    assert asked > 2500
    assert refused > 500


def test_a_curve_is_the_official_one_at_every_epoch(opened, api):
    for dataset, split, epochs, seed in (("cifar10", "valid", 200, None), ("cifar100", "valtest", 200, 888)):
        key = Key(dataset, split, epochs, seed)
        for quantity in ("accuracy", "loss"):
            expected = [answer(api, 11, key, quantity, epoch) for epoch in range(1, epochs + 1)]
            np.testing.assert_array_equal(opened.curve([11], *key, quantity), [expected])


def test_a_seed_or_an_epoch_that_is_not_there_is_an_error_that_says_what_is(opened):
    with pytest.raises(DataError, match=r"no run of cifar100 test at 12 epochs, seed 777 for cell 0: .* seed 111$"):
        opened.accuracy([0], "cifar100", "test", 12, 777)
    with pytest.raises(BadCallError, match=r"at 200 epochs, seed 111.* It holds: .*seeds 777, 888, 999"):
        opened.accuracy([0], "cifar100", "test", 200, 111)
    with pytest.raises(DataError, match=r"after 50 epochs for cell 0\. Before .* only cifar100's train, valtest"):
        opened.accuracy([0], "cifar100", "test", at_epoch=50)
    with pytest.raises(BadCallError, match=r"at_epoch=201: .* has the epochs 1 to 200"):
        opened.accuracy([0], "cifar100", "test", at_epoch=201)
    with pytest.raises(BadCallError, match=r"does not hold the latency of .* seed 777\. It holds: accuracy, loss"):
        opened.quantity("latency", [0], "cifar100", "test", seed=777)
    with pytest.raises(BadCallError, match="unknown quantity 'energy': choose from accuracy, loss"):
        opened.quantity("energy", [0])


def test_it_says_once_that_the_api_behind_it_unpickles(nats_folder, tmp_path):
    script = (
        "import sys; from nasbench_stc import open_benchmark\n"
        "for _ in range(3): open_benchmark(sys.argv[1]).accuracy([0])\n"
    )
    done = subprocess.run([sys.executable, "-c", script, nats_folder], capture_output=True, text=True, check=True)
    assert done.stderr.count("nats_bench, unpickles its files") == 1


@pytest.mark.parametrize("of_old_torch", [False, True])
def test_a_pth_that_numpy_1_wrote_is_read(of_old_torch, nats_folder, tmp_path):
    path = as_pth(nats_folder, tmp_path / official.PTH_NAME, of_old_torch)
    expected = open_benchmark(path).accuracy(CELLS)
    as_numpy_1(path)
    np.testing.assert_array_equal(open_benchmark(path).accuracy(CELLS), expected)


def test_answers_agree_with_the_table(opened, nb201):
    for which in COLUMNS.values():
        np.testing.assert_allclose(opened.accuracy(CELLS, *which), nb201.accuracy(CELLS, *which), atol=0.035)


def test_what_was_read_is_dropped(nats_folder):
    bench = open_benchmark(nats_folder)
    bench.accuracy(CELLS)
    assert list(bench._api.arch2infos_dict) == [284]


def test_the_random_state_is_left_alone(opened):
    random.seed(1)
    expected = random.random()
    random.seed(1)
    opened.accuracy(CELLS)
    assert random.random() == expected


def test_what_is_missing_is_named(opened):
    with pytest.raises(DataError, match="does not have cell 5"):
        opened.accuracy([0, 5])
    with pytest.raises(DataError, match="does not have cell 1"):
        opened.rank([0])
    with pytest.raises(BadCallError, match=r"does not hold cifar10 test at 90 epochs.*It holds"):
        opened.accuracy([0], epochs=90)


def test_auto_takes_whole_folders_alone(nats_folder, tmp_path, monkeypatch):
    shutil.copytree(nats_folder, tmp_path / official.FOLDER_NAME)
    assert open_benchmark("auto", tmp_path).name == "analog"
    monkeypatch.setattr(official, "count_cells", lambda folder: 15_625)
    assert open_benchmark("auto", tmp_path).name == "NATS-Bench v1.0"


def test_auto_takes_nas_bench_201_before_analog(nats_folder, tmp_path):
    as_pth(nats_folder, tmp_path / official.PTH_NAME)
    assert open_benchmark("auto", tmp_path).name == "NAS-Bench-201 v1.1"
    as_pickle(nats_folder, tmp_path / official.PICKLE_NAME)
    assert open_benchmark("auto", tmp_path).name == "NATS-Bench v1.0"


class Planted:
    def __reduce__(self):
        return (eval, ("__import__('pathlib').Path('planted').touch()",))


def test_a_planted_payload_is_refused_and_runs_nothing(nats_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / official.FOLDER_NAME
    shutil.copytree(nats_folder, folder)
    folder.chmod(0o755)
    payload = bz2.compress(pickle.dumps({"12": Planted(), "meta_archs": Planted()}))
    for name in ("000011.pickle.pbz2", "meta.pickle.pbz2"):
        (folder / name).unlink()
        (folder / name).write_bytes(payload)
        with pytest.raises(DataError, match=rf"{name}: refused.*builtins\.eval"):
            open_benchmark(folder).accuracy([11])
    (tmp_path / official.PICKLE_NAME).write_bytes(payload)
    with pytest.raises(DataError, match=r"refused.*builtins\.eval"):
        open_benchmark(tmp_path / official.PICKLE_NAME)
    torch.save({"meta_archs": Planted()}, tmp_path / official.PTH_NAME)
    with pytest.raises(DataError, match=r"not NAS-Bench-201's file.*asks for .*eval"):
        open_benchmark(tmp_path / official.PTH_NAME)
    assert not (tmp_path / "planted").exists()


def test_damaged_files_are_named(nats_folder, tmp_path):
    whole = as_pickle(nats_folder, tmp_path / "whole.pickle.pbz2").read_bytes()
    (tmp_path / "cut.pickle.pbz2").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.pickle\.pbz2: damaged"):
        open_benchmark(tmp_path / "cut.pickle.pbz2")
    with pytest.raises(DataError, match="is no folder of NATS-Bench"):
        open_benchmark(tmp_path)


def test_query_of_an_official_file_has_no_ranks(nats_folder, monkeypatch, capsys):
    from nasbench_stc import cli

    monkeypatch.setattr(sys, "argv", ["stc-bench", "query", "0", "--benchmark", str(nats_folder)])
    with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
        warnings.simplefilter("always")
        cli.main()
    out, err = capsys.readouterr()
    assert not ended.value.code
    assert "unpickles" in err
    row = next(line for line in out.splitlines() if line.split()[:1] == ["0"])
    assert row.split()[:3] == ["0", "81.98", "85.86"]
    assert "#" not in out
    assert "NATS-Bench v1.0: through nats_bench" in out
