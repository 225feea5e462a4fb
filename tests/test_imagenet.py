"""Searches on ImageNet's folders: which images take part, how they are read, and that a stopped one ends the same."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nasbench_stc import open_benchmark, search
from nasbench_stc.data import folders, readers, splits
from nasbench_stc.engine.loop import build_supernet
from nasbench_stc.engine.protocol import PROTOCOLS
from nasbench_stc.errors import BadCallError, DataError, blamed
from nasbench_stc.records import record
from nasbench_stc.runs import launch
from nasbench_stc.runs.rank import rank_cells
from nasbench_stc.space import find_space

CPU = torch.device("cpu")
SMOKE = {"dataset": "imagenet", "protocol": "smoke", "device": "cpu", "space": "darts"}
ARGUMENTS = ["search", *(part for name, value in SMOKE.items() for part in (f"--{name}", value))]
ALL = {"share": 1.0, "batch_size": 4}
"""All of the twenty images."""


def untimed(entries):
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in entries]


@pytest.fixture
def copied(imagenet, tmp_path):
    """The made-up images, to be damaged."""
    shutil.copytree(imagenet, tmp_path / "data")
    return tmp_path / "data"


# --- which images ---


def of_classes(*images):
    """A listing of so many images of each class; there are no such files."""
    labels = np.repeat(np.arange(len(images)), images)
    listed = folders.Listed([Path(f"{number}.JPEG") for number in range(len(labels))], labels, len(images))
    return readers.ImageSets("imagenet", len(images), listed, listed.take(np.arange(4)), "imagenet")


@pytest.mark.parametrize("how", splits.SPLITS)
def test_a_tenth_of_each_class_is_halved(how):
    images = [1300, 732, 1005, 14, 3]  # ImageNet has 732 to 1,300 of a class
    sets = of_classes(*images)
    for_weights, for_alpha, kept = splits.search_split(sets, how, 3, 0.1)
    assert np.bincount(for_weights.labels).tolist() == [65, 37, 50, 1, 1]
    assert np.bincount(for_alpha.labels).tolist() == [65, 36, 50, 1, 1]  # of an odd number the weights have one more
    assert not {*for_weights.paths} & {*for_alpha.paths} and len({*for_weights.paths}) == len(for_weights)
    numbers = [int(path.stem) for path in for_weights.paths]
    assert numbers == sorted(numbers) and [sets.train.labels[number] for number in numbers] == [*for_weights.labels]
    assert (kept["train_images"], kept["valid_images"], kept["share"], kept["seed"]) == (154, 153, 0.1, 3)
    again, other = (splits.search_split(sets, how, seed, 0.1) for seed in (3, 4))
    assert (again[0].paths, again[1].paths, again[2]) == (for_weights.paths, for_alpha.paths, kept)
    assert other[0].paths != for_weights.paths and other[2]["sha256"] != kept["sha256"]


def test_a_share_is_taken_of_images_in_memory_too():
    digits = readers.read("digits", Path())
    for_weights, for_alpha, _ = splits.search_split(digits, "published", 0, 0.1)
    taken = np.bincount(for_weights.labels) + np.bincount(for_alpha.labels)
    assert taken.tolist() == [round(0.1 * number) for number in np.bincount(digits.train.labels)]
    hundred = replace(digits, name="cifar100")  # whose alpha learns on half of the test set
    for_weights, for_alpha, kept = splits.search_split(hundred, "published", 0, 0.1)
    assert np.bincount(for_weights.labels).tolist() == taken.tolist() and kept["valid_from"] == "test"
    assert abs(len(for_alpha) - 0.05 * len(digits.test)) <= 5


def test_a_class_of_one_image_is_told():
    with pytest.raises(DataError, match=r"class number 1 \(counted from 0\) has 1 image\(s\): a search needs one for"):
        splits.search_split(of_classes(10, 1), "published", 0, 0.1)


# --- reading them ---


def test_batches_are_those_of_the_streams(imagenet):
    images = readers.read("imagenet", imagenet).train.shrink(16).on(CPU)
    index = torch.tensor([9, 0, 4])
    generators = [torch.Generator().manual_seed(5) for _ in range(2)]
    alone = images.augmented(index, generators[0])
    (streamed,) = images.stream([index], generators[1])
    assert alone[0].shape == (3, 3, 16, 16) and alone[0].is_contiguous(memory_format=torch.channels_last)
    assert alone[1].tolist() == [1, 0, 0]
    assert all(torch.equal(one, other) for one, other in zip(alone, streamed, strict=True))
    assert torch.equal(generators[0].get_state(), generators[1].get_state())
    plain = images.plain(torch.arange(6))
    assert not torch.equal(plain[0][[0, 4]], alone[0][1:])
    parts = list(images.batches(4, 6))
    assert [len(labels) for _, labels in parts] == [4, 2]
    assert all(torch.equal(torch.cat(part), whole) for part, whole in zip(zip(*parts, strict=True), plain, strict=True))


def test_a_batch_that_is_expected_is_the_same(imagenet):
    images = readers.read("imagenet", imagenet).train.shrink(16).on(CPU)
    first, second = torch.tensor([9, 0, 4]), torch.tensor([1, 2])
    alone, ahead = (torch.Generator().manual_seed(5) for _ in range(2))
    expected = [images.augmented(index, alone) for index in (first, second)]
    found = []
    for index in (first, second):
        images.expect(index, ahead)
        found.append(images.augmented(index, ahead))
    assert all(torch.equal(one, other) for one, other in zip(sum(expected, ()), sum(found, ()), strict=True))
    assert torch.equal(alone.get_state(), ahead.get_state())


@pytest.mark.parametrize("method", ["stc", "rsps"])  # rsps: has no alpha, and so draws no images for it
def test_a_batch_is_read_while_another_is_learned_from(imagenet, method):
    """With the same result as one after the other."""
    todo = launch.plan(method, "imagenet", 0, "smoke", ALL | {"epochs": 1}, "cpu", space="darts")
    halves = launch.read_halves("imagenet", todo.engine, 0, imagenet)
    ahead, alone = (launch._begin(todo, halves) for _ in range(2))
    for images in (alone.train, alone.valid):
        images.expect = lambda index, generator: None
    learn, begun = ahead.weight_step, []

    def watched(index):
        begun.append(ahead.valid._expected is not None)
        return learn(index)

    ahead.weight_step = watched
    assert untimed([ahead.run_epoch()]) == untimed([alone.run_epoch()])
    assert begun == [method == "stc"] * 3
    states = [search.generators["augmentation"].get_state() for search in (ahead, alone)]
    assert torch.equal(*states) and ahead.train._expected is None and ahead.valid._expected is None


def test_images_are_read_when_a_batch_has_them(imagenet, monkeypatch):
    found, read = [], folders._read

    def seen(path, made):
        found.append(path)
        return read(path, made)

    monkeypatch.setattr(folders, "_read", seen)
    half = readers.read("imagenet", imagenet).train.take(np.arange(3, 9)).shrink(16)
    images = half.on(CPU)
    assert len(images) == 6 and found == []
    images.plain(torch.tensor([1, 5]))
    assert sorted(found) == [half.paths[1], half.paths[5]]


# --- the protocol ---


def test_the_papers_search_on_imagenet():
    """Sec. 4.3; what it leaves open has its reason in `space/darts.py`."""
    paper = launch.plan("stc", "imagenet", 0, "paper", device="cpu", space="darts")
    engine, method = paper.engine, paper.parts["method"]
    assert (engine.channels, 3 * engine.cells_per_stage + 2, engine.epochs, engine.share) == (48, 14, 50, 0.1)
    assert (engine.lr, engine.lr_min, engine.momentum, engine.weight_decay) == (0.5, 0.001, 0.9, 3e-4)
    assert (method.alpha_lr, method.alpha_beta1, method.alpha_beta2, method.noise) == (3e-4, 0.5, 0.999, 0.3)
    assert (engine.stem, engine.resolution, engine.batch_size) == ("imagenet", 0, 256) and not paper.changes
    elsewhere = launch.plan("stc", "cifar10", 0, "paper", device="cpu", space="darts").engine
    assert (elsewhere.stem, elsewhere.share, elsewhere.cells_per_stage, elsewhere.lr) == ("plain", 1.0, 2, 0.025)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_has_the_stem_for_imagenet(protocol):
    engine = launch.plan("darts", "imagenet", 0, protocol, device="cpu", space="darts").engine
    supernet = build_supernet(replace(engine, channels=4, cells_per_stage=1), 3, CPU, 0, find_space("darts"))
    side = engine.resolution or folders.SIDE
    first, second = supernet.stem(torch.zeros(2, 3, side, side))
    assert (first.shape[-1], second.shape[-1]) == (side // 4, side // 8)
    assert side // 8 >= 4  # so that the two reductions have something to reduce


def test_spaces_without_that_stem_search_imagenet_without(imagenet):
    with pytest.raises(BadCallError, match="stem=imagenet: the supernet of NAS-Bench-201 has the stem plain alone"):
        search("stc", **SMOKE | {"space": "tss"}, stem="imagenet", data_dir=imagenet)
    for form in ("plan", "static"):
        found = search("stc", **SMOKE | {"space": "tss"}, batch_size=4, form=form, data_dir=imagenet)
        assert (found.split["train_images"], found.split["valid_images"]) == (7, 7) and "share" not in found.split


# --- the search ---


def test_search_from_the_command_line(stc_bench, imagenet, tmp_path):
    where = ["--data-dir", imagenet, "--out", tmp_path]
    status, out, err = stc_bench(*ARGUMENTS, "--method", "stc,darts", "--seeds", "1", *where)
    assert (status, err) == (0, "")
    assert "here with stem=imagenet, share=0.002, resolution=32, batch_size=2, which takes another time" in out
    records = [record.read(path) for path in sorted(tmp_path.glob("*/record.json"))]
    assert [(found.method, found.seed) for found in records] == [("darts", 0), ("stc", 0)]
    for found in records:
        assert found.cell in out and found.search_dataset == "imagenet"
        assert found.split.pop("sha256") != ""
        numbers = {"train_images": 2, "valid_images": 2, "share": 0.002, "seed": 0}
        assert found.split == numbers | {"how": "published", "valid_from": "train", "source": "imagenet"}
        assert found.settings["protocol"]["stem"] == "imagenet" and not found.changes
    rating = rank_cells(next(tmp_path.glob("stc*")), 3, data_dir=imagenet, device="cpu")
    assert len(rating.accuracy) == 3 and rating.images == 2


@pytest.mark.parametrize("method", ["stc", "enas"])  # enas: has steps on images as they are, and rates cells
def test_a_stopped_search_ends_as_if_it_had_not_been(imagenet, tmp_path, method):
    todo = launch.plan(method, "imagenet", 1, "smoke", ALL, "cpu", space="darts")
    nothing = open_benchmark("auto", space="darts")

    def stop(epoch, epochs, step, steps):
        if (epoch, step) == (1, 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch.run(todo, nothing, tmp_path / "stopped", imagenet, on_step=stop)
    done, whole = (launch.run(todo, nothing, tmp_path / name, imagenet) for name in ("stopped", "whole"))
    assert untimed(done.trajectory) == untimed(whole.trajectory)
    assert (done.cell, done.supernet, done.split) == (whole.cell, whole.supernet, whole.split)
    assert (done.split["train_images"], done.split["valid_images"]) == (7, 7)
    first, second = (
        torch.load(next((tmp_path / name).glob("*/supernet.pt")), weights_only=True) for name in ("stopped", "whole")
    )
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# --- what is wrong with the images ---


def said_of(stc_bench, data, *more):
    """The one line of a search that fails at once, and its status."""
    status, _, err = stc_bench(*ARGUMENTS, "--seeds", "1", "--data-dir", data, "--out", data / "out", *more)
    assert err.count("\n") == 1 and not list((data / "out").glob("*/record.json"))
    return status, err


def test_where_there_is_no_imagenet_it_is_said_how_to_get_it(stc_bench, tmp_path):
    status, err = said_of(stc_bench, tmp_path)
    assert status == 1
    assert "imagenet/train/<class>/*.JPEG. ImageNet cannot be fetched from here: image-net.org has ILSVRC2012" in err
    status, _, err = stc_bench("data", "fetch", "imagenet", "--data-dir", tmp_path)
    assert status == 1 and "no imagenet in" in err and "image-net.org" in err


def test_a_class_without_images_is_named(stc_bench, copied):
    for path in (copied / "imagenet/train/n00000001").glob("*"):
        path.unlink()
    status, err = said_of(stc_bench, copied)
    assert status == 1 and "imagenet/train/n00000001: no images *.JPEG of that class. ImageNet cannot be" in err


def test_too_few_images_are_told(stc_bench, copied):
    status, err = said_of(stc_bench, copied, "--set", "batch_size=3")
    assert status == 2 and "batch_size=3 is more than the 2 images for weights or alpha" in err
    for path in sorted((copied / "imagenet/train/n00000000").glob("*"))[1:]:
        path.unlink()
    status, err = said_of(stc_bench, copied)
    assert status == 1 and "class number 0 (counted from 0) has 1 image(s)" in err


@pytest.mark.parametrize("method", ["stc", "enas"])
def test_a_damaged_image_is_named_and_is_nobody_elses_mistake(stc_bench, copied, method):
    damaged = copied / "imagenet/train/n00000001/n00000001_3.JPEG"
    damaged.write_bytes(damaged.read_bytes()[:100])
    more = [f"{name}={value}" for name, value in ALL.items()]
    status, err = said_of(stc_bench, copied, "--method", method, "--set", more[0], "--set", more[1])
    assert status == 1 and "n00000001_3.JPEG: cannot be read as an image" in err and "method" not in err


def test_a_damaged_file_is_not_the_mistake_of_the_method_that_is_rated():
    with pytest.raises(DataError, match=r"^a\.JPEG: cannot"), blamed("mine", "after the last epoch, result"):
        raise DataError("a.JPEG: cannot be read as an image")


def test_status_does_not_weigh_a_million_files(stc_bench, imagenet):
    (item,) = (item for item in readers.status(imagenet) if item.name == "imagenet")
    assert (item.path, item.size, item.state) == (imagenet / "imagenet", None, "2 classes, images not looked at")
    status, out, _ = stc_bench("data", "status", "--data-dir", imagenet)
    assert status == 0 and "2 classes, images not looked at" in out
