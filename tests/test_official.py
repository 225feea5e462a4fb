"""The official files: answers equal to the official API's own, and nothing of a planted pickle run."""

import bz2
import pickle
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nasbench_stc import open_benchmark
from nasbench_stc.benchmark import COLUMNS, official
from nasbench_stc.benchmark.official import _CALLS
from nasbench_stc.errors import BadCallError, DataError

CELLS = [0, 11, 284]


@pytest.fixture(scope="session")
def nats_folder(table_path):
    folder = table_path.parent / official.FOLDER_NAME
    if not folder.is_dir():
        pytest.skip(f"needs {official.FOLDER_NAME} beside the table, with cells 0, 11 and 284")
    return folder


@pytest.fixture(scope="session")
def nats_api(nats_folder):
    import nats_bench

    return nats_bench.create(str(nats_folder), "tss", fast_mode=True, verbose=False)


def as_pth(folder: Path, path: Path) -> Path:
    """The cells of a NATS-Bench folder in the form of NAS-Bench-201's one file."""
    with bz2.open(folder / "meta.pickle.pbz2") as file:
        archs = pickle.load(file)["meta_archs"]
    infos = {}
    for index in CELLS:
        with bz2.open(folder / f"{index:06d}.pickle.pbz2") as file:
            content = pickle.load(file)
        infos[index] = {"less": content["12"], "full": content["200"]}
    torch.save({"meta_archs": archs, "arch2infos": infos, "evaluated_indexes": CELLS}, path)
    return path


def as_pickle(folder: Path, path: Path) -> Path:
    """The same in the form of NATS-Bench's one pickle."""
    with bz2.open(folder / "meta.pickle.pbz2") as file:
        archs = pickle.load(file)["meta_archs"]
    infos = {i: pickle.loads(bz2.decompress((folder / f"{i:06d}.pickle.pbz2").read_bytes())) for i in CELLS}
    content = {"meta_archs": archs, "arch2infos": infos, "evaluated_indexes": set(CELLS)}
    path.write_bytes(bz2.compress(pickle.dumps(content), 1))
    return path


@pytest.fixture(params=["folder", "pickle", "pth"])
def opened(request, nats_folder, tmp_path):
    if request.param == "folder":
        return open_benchmark(nats_folder)
    if request.param == "pickle":
        return open_benchmark(as_pickle(nats_folder, tmp_path / official.PICKLE_NAME))
    return open_benchmark(as_pth(nats_folder, tmp_path / official.PTH_NAME))


def test_every_answer_is_the_official_one(opened, nats_api):
    asked = 0
    for key in opened.holds():
        dataset, name = _CALLS[key.dataset, key.split]
        for index in CELLS:
            nats_api.get_more_info(index, dataset, hp=str(key.epochs), is_random=False)  # reads the cell's file
            seeds = nats_api.arch2infos_dict[index][str(key.epochs)].get_dataset_seeds(dataset)
            if key.seed is not None and key.seed not in seeds:
                with pytest.raises(DataError, match=f"no run of .* seed {key.seed} for cell {index}"):
                    opened.accuracy([index], *key)
                continue
            is_random = False if key.seed is None else key.seed
            info = nats_api.get_more_info(index, dataset, hp=str(key.epochs), is_random=is_random)
            assert opened.accuracy([index], *key) == [info[name]]
            asked += 1
            if key.seed is None:
                assert opened.train_seconds([index], *key[:3]) == [info["train-all-time"]]
    assert asked > 60


def test_answers_agree_with_the_table(opened, nb201):
    for which in COLUMNS.values():
        np.testing.assert_allclose(opened.accuracy(CELLS, *which), nb201.accuracy(CELLS, *which), atol=0.035)


def test_what_was_read_is_dropped(nats_folder):
    bench = open_benchmark(nats_folder)
    bench.accuracy(CELLS)
    assert not bench._api.arch2infos_dict


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
    monkeypatch.setattr(official, "NUM_CELLS", 3)
    assert open_benchmark("auto", tmp_path).name == "NATS-Bench"


def test_auto_takes_nas_bench_201_before_analog(nats_folder, tmp_path):
    as_pth(nats_folder, tmp_path / official.PTH_NAME)
    assert open_benchmark("auto", tmp_path).name == "NAS-Bench-201"
    as_pickle(nats_folder, tmp_path / official.PICKLE_NAME)
    assert open_benchmark("auto", tmp_path).name == "NATS-Bench"


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
    with pytest.raises(DataError, match="not NAS-Bench-201's file"):
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
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out = capsys.readouterr().out
    assert not ended.value.code
    assert out.splitlines()[4].split()[:3] == ["0", "81.98", "85.86"]
    assert "NATS-Bench through nats_bench" in out
