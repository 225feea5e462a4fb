"""The rest of the prepared GPU run: images go in parts, `check` tells losses apart, `speed` measures all it says."""

import configparser
import json
import os
import re
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from gpu import check, lay, mosaics, pack, precompile, speed, steps
from gpu.steps import TINY, Way

from nasbench_stc import files
from nasbench_stc.data import readers
from nasbench_stc.data.images import DeviceImages
from nasbench_stc.errors import BadCallError, DataError

SMALL = {"images": (20, 4), "md5": {}}
"""CIFAR-10, cut to a few images."""


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with a small CIFAR-10 and a table, and an empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(readers._PUBLISHED, "cifar10", readers._PUBLISHED["cifar10"]._replace(**SMALL))
    monkeypatch.setattr(mosaics, "IMAGES", 5)
    folder = tmp_path / "data" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in readers.CIFAR10_MD5:
        records = rng.integers(0, 256, (4, 3073), dtype=np.uint8)
        records[:, 0] = rng.integers(0, 10, 4)
        (folder / name).write_bytes(records.tobytes())
    (tmp_path / "data/nb201.csv.gz").write_bytes(b"a table")
    return tmp_path / "data"


def run(main, *args):
    """The output of a command that ends well."""
    done = CliRunner().invoke(main, [str(arg) for arg in args])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def packed(data, to, mib):
    results = to.parent / "results"
    (results / "stc-begun").mkdir(parents=True, exist_ok=True)
    (results / "stc-begun/checkpoint.pt").write_bytes(b"state")
    return run(pack.main, "--to", to, "--data-dir", data, "--no-wheels", "--limit-mib", mib, "--results", results)


def test_images_arrive_part_by_part_as_they_were(data, tmp_path):
    said = packed(data, tmp_path / "packed", 0.04)
    parts = sorted((tmp_path / "packed/images").iterdir())
    assert len(parts) > 1
    assert all(sum(path.stat().st_size for path in part.iterdir()) < 0.06 * 2**20 for part in parts)
    assert f"{len(parts)} copies of at most 64 MiB" in said
    there, results = tmp_path / "there", tmp_path / "results-there"
    for number, part in enumerate(parts, start=1):  # one copy after another, each without what came before
        arrived = tmp_path / "arrived"
        shutil.rmtree(arrived, ignore_errors=True)
        shutil.copytree(part, arrived / "images" / part.name)
        if number == 1:
            shutil.copy(tmp_path / "packed/nb201.csv.gz", arrived)
            shutil.copytree(tmp_path / "packed/state", arrived / "state")
        said = run(lay.main, "--from", arrived, "--to", there, "--results", results)
        assert ("written and checked" in said) == (number == len(parts))
        assert (f"of {len(parts)} parts there are" in said) == (number < len(parts))
    for name in readers.CIFAR10_MD5:
        path = f"cifar-10-batches-bin/{name}"
        assert (there / path).read_bytes() == (data / path).read_bytes()
    assert (there / "nb201.csv.gz").read_bytes() == b"a table"
    assert (results / "stc-begun/checkpoint.pt").read_bytes() == b"state"
    assert "cifar-10-batches-bin: there" in run(lay.main, "--from", arrived, "--to", there, "--results", results)


def test_parts_are_few_and_alike():
    assert mosaics._spread([4] * 24, 44) == [0] * 8 + [1] * 8 + [2] * 8
    assert mosaics._spread([4, 4, 4], 100) == [0, 0, 0]
    assert max(np.bincount(mosaics._spread([5, 1, 1, 5, 1], 7), weights=[5, 1, 1, 5, 1])) <= 7


def test_a_mosaic_is_lossless_and_may_be_cut_short():
    pixels = np.random.default_rng(0).integers(0, 256, (53, 3, 8, 8), dtype=np.uint8)
    assert (mosaics.decode(mosaics.encode(pixels), 53, 8) == pixels).all()
    with pytest.raises(ValueError, match="images instead of 200"):
        mosaics.decode(mosaics.encode(pixels), 200, 8)


def test_damaged_and_strange_parts_are_refused(data, tmp_path):
    packed(data, tmp_path / "packed", 0.04)
    first, second, *_ = sorted((tmp_path / "packed/images").iterdir())
    manifest = json.loads((second / mosaics.MANIFEST).read_text())
    (second / mosaics.MANIFEST).write_text(json.dumps({**manifest, "set": "another"}))
    with pytest.raises(DataError, match="parts of different image sets"):
        lay.collect(tmp_path / "packed/images", tmp_path / "there")
    (second / mosaics.MANIFEST).write_text(json.dumps({**manifest, "mosaics": [{"file": "../x", "sha256": ""}]}))
    with pytest.raises(DataError, match=r"damaged, it names '\.\./x'"):
        lay.collect(tmp_path / "packed/images", tmp_path / "other")
    mosaic = next(first.glob("*.webp"))
    mosaic.write_bytes(mosaic.read_bytes()[:-1])
    with pytest.raises(DataError, match="its sha256 is another"):
        lay.collect(tmp_path / "packed/images", tmp_path / "there")
    with pytest.raises(DataError, match="no part of CIFAR-10"):
        lay.collect(tmp_path / "nothing", tmp_path / "nowhere")
    with pytest.raises(BadCallError, match="less than one mosaic"):
        mosaics.write_parts(mosaics.ImageSet(np.zeros((5, 3, 8, 8), np.uint8), np.zeros(5, int), 4), tmp_path, 10)


def test_copies_that_are_too_large_are_told(tmp_path):
    for number in (1, 2):
        (tmp_path / f"images/part{number}").mkdir(parents=True)
        with (tmp_path / f"images/part{number}/mosaic.webp").open("wb") as file:
            file.truncate(30 * pack.MIB)  # a hole, no bytes on the disk
    assert "60.0 MiB" in pack.copies(tmp_path, 30 * pack.MIB)[1]
    assert "TOO LARGE by 6.0" in pack.copies(tmp_path, 40 * pack.MIB)[2]
    (tmp_path / "state").mkdir()
    for number in (1, 2, 3):
        with (tmp_path / f"state/state-{number}.tar").open("wb") as file:
            file.truncate(14 * pack.MIB)
    told = pack.copies(tmp_path, 20 * pack.MIB)
    assert "3 copies" in told[0]
    assert all(f"state-{number}.tar (14.0)" in line for number, line in enumerate(told[1:], start=1))


def test_the_wheels_are_those_of_the_constraints():
    pinned = (pack._ROOT / "constraints.txt").read_text().lower().replace("_", "-").splitlines()
    assert all(any(line.startswith(f"{name.replace('_', '-')}==") for line in pinned) for name in pack.WHEELS)


def test_whatever_the_package_needs_is_there_or_goes_along():
    read = configparser.ConfigParser()
    read.read(pack._ROOT / "setup.cfg")
    needed = {re.split("[=>]", line)[0] for line in read["options"]["install_requires"].split()}
    assert needed <= {*pack.THERE, *pack.WHEELS}


def test_check_compares_losses():
    done = CliRunner().invoke(check.main, ["--device", "cpu", "--quick", "--no-tests"])
    assert done.exit_code == 0, done.output
    assert "losses agree" in done.output
    assert "paths" in done.output


def test_check_tells_losses_that_differ(monkeypatch):
    monkeypatch.setattr(check, "TOLERANCE", {"float32": -1.0})
    done = CliRunner().invoke(check.main, ["--device", "cpu", "--quick", "--no-tests"])
    assert done.exit_code == 1
    assert "losses DIFFER" in done.output


def test_the_compared_steps_do_not_depend_on_the_order_of_the_images():
    way = Way("plan", "float32")
    one, other = (check.losses("darts", way, "cpu", TINY) for _ in range(2))
    assert check.difference(one, other) == 0
    images = DeviceImages(check.mirrored(16, 8), torch.device("cpu"))
    flipped, _ = images.augmented(torch.arange(16), torch.Generator().manual_seed(3))
    assert (flipped == images.plain(torch.arange(16))[0]).all()


def test_check_runs_the_cuda_tests(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # skipped: it is not about them here
    assert check.run_tests(300)


def test_speed_measures_all_that_it_says(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "by_processes", lambda trial, seeds, patience: 0.5)  # starts two Pythons
    out, profiled = tmp_path / "speed.json", tmp_path / "profile.txt"
    said = run(speed.main, 600, "--device", "cpu", "--quick", "--out", out, "--profile", profiled)
    found = json.loads(out.read_text())
    assert found["left_out"] == []
    assert {step["method"] for step in found["steps"]} == set(speed.METHODS)
    assert {step["form"] for step in found["steps"]} == set(steps.FORMS)
    assert all(step["ms"] > 0 and step["mib"] > 0 for step in found["steps"])
    assert [(one["seeds"], one["by"]) for one in found["side_by_side"]] == [(2, "threads"), (2, "processes")]
    assert found["rating"]["all_cells_extrapolated"] > 0
    assert found["goals"][0][1] == "3 ms"
    assert "not measured" in said  # the peer is not here
    assert "Self CPU" in profiled.read_text()


def test_speed_leaves_out_what_does_not_fit(tmp_path):
    said = run(speed.main, 0.001, "--device", "cpu", "--quick", "--out", tmp_path / "speed.json")
    assert f"left out: stc, {steps.FORMS[0]}, float32: no time left" in said
    assert json.loads((tmp_path / "speed.json").read_text())["steps"] == []


def test_a_revision_may_be_told_where_there_is_no_history(monkeypatch):
    from nasbench_stc.runs import environment

    monkeypatch.setenv("STC_BENCH_REVISION", "abc")
    monkeypatch.setattr(environment, "__file__", os.devnull)
    environment.git_revision.cache_clear()
    try:
        assert environment.git_revision() == "abc"
        monkeypatch.delenv("STC_BENCH_REVISION")
        environment.git_revision.cache_clear()
        assert environment.git_revision() == "unknown"
    finally:
        environment.git_revision.cache_clear()


def test_data_is_looked_for_where_it_is_laid():
    assert lay.data_folder().name == "nasbench_stc-data"
    assert files.cache_dir() not in lay.data_folder().parents


def test_precompile_knows_its_kinds_of_steps():
    done = CliRunner().invoke(precompile.main, ["gdas", "stc:alhpa"])
    assert isinstance(done.exception, BadCallError)
    assert "unknown kind of step 'alhpa'" in str(done.exception)


@pytest.mark.parametrize("method", ["rsps", "enas", "darts"])  # one without alpha steps, one with closing steps
def test_reading_takes_each_kind_of_step_that_the_method_has_once(monkeypatch, method):
    monkeypatch.setattr(precompile, "TARGET", TINY)
    taken = []
    for kind in ("weight", "alpha", "closing"):
        monkeypatch.setattr(steps.Search, f"{kind}_step", lambda self, index, kind=kind: taken.append(kind))
    precompile.read(method, "cpu")
    assert taken == {"rsps": ["weight"], "enas": ["weight", "closing"], "darts": ["weight", "alpha"]}[method]
