"""Training alone: the recipe is what it says, a stopped run ends as if it had not been, and records are checked."""

import copy
import io
import json
import math
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from nasbench_stc import search
from nasbench_stc.data import folders, readers
from nasbench_stc.data.images import DeviceImages, cut_out
from nasbench_stc.engine.recipe import RECIPES, Recipe, choose_recipe
from nasbench_stc.engine.training import Training, measure_size
from nasbench_stc.errors import BadCallError, DataError, RunError
from nasbench_stc.records import training
from nasbench_stc.runs import status
from nasbench_stc.runs.train import find_cell, plan, run, train
from nasbench_stc.space import Cell, flops, params

CPU = torch.device("cpu")
SMOKE = RECIPES["smoke"].settings
WHOLE = replace(SMOKE, epochs=4, cutout=4, auxiliary=0.4, drop_path=0.3)
"""All that DARTS trains with, on little."""
TSS = Cell.parse("333133")
DARTS_V2 = Cell.parse("DARTS_V2", space="darts")
GENOTYPE = str(DARTS_V2)
ARGUMENTS = ["--dataset", "digits", "--protocol", "smoke", "--device", "cpu"]


def begun(cell=TSS, recipe=SMOKE, seed=0, dtype=torch.float32):
    sets = readers.read("digits", Path())
    return Training(cell, recipe, *(DeviceImages(part, CPU, dtype) for part in (sets.train, sets.test)), 10, seed)


def untimed(entries):
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in entries]


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# --- the recipe ---


def test_the_papers_recipe():
    paper = RECIPES["paper"].settings
    assert (paper.channels, paper.epochs, paper.batch_size) == (36, 600, 96)
    assert (paper.lr, paper.lr_min, paper.momentum, paper.weight_decay) == (0.025, 0.0, 0.9, 3e-4)
    assert (paper.cutout, paper.auxiliary, paper.drop_path, paper.grad_clip) == (16, 0.4, 0.2, 5.0)
    assert [paper.lr_at(done) for done in (0, 1)] == [0.025, 0.0]
    assert paper.lr_at(0.25) == pytest.approx(0.025 * (1 + math.sqrt(0.5)) / 2)
    assert [paper.drop_path_at(epoch) for epoch in (0, 300, 599)] == pytest.approx([0, 0.1, 0.2 * 599 / 600])


def test_auto_is_the_spaces_own_where_there_is_a_gpu():
    assert choose_recipe("auto", "darts", "cifar10", "cuda") == "paper"
    assert choose_recipe("auto", "tss", "cifar10", "cuda:1") == "nats-bench"
    assert choose_recipe("auto", "tss", "cifar10", "cpu") == "cpu"
    assert choose_recipe("auto", "darts", "digits", "cuda") == "digits"
    assert choose_recipe("auto", "darts", "imagenet", "cuda") == "imagenet"


def test_the_learning_rate_falls_step_by_step_and_path_dropout_rises_epoch_by_epoch():
    one = begun(DARTS_V2, WHOLE)
    seen = []
    while not one.done:
        one.run_epoch(lambda epoch, step: seen.append((one.sgd.param_groups[0]["lr"], one.network.drop_path)))
    rates, dropped = zip(*seen, strict=True)
    assert rates == pytest.approx([0.05 * (1 + math.cos(math.pi * step / 12)) for step in range(12)])
    assert dropped == pytest.approx([0.3 * epoch / 4 for epoch in range(4) for _ in range(3)])


@pytest.mark.parametrize("side", [1, 4, 5, 16, 40])
def test_cutout_is_the_plain_one(side):
    images = torch.rand(50, 3, 12, 16) + 1
    generator, same_draws = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    rows, columns = (torch.randint(length, (50, 1), generator=same_draws).flatten().tolist() for length in (12, 16))
    expected = images.clone()
    for number, (row, column) in enumerate(zip(rows, columns, strict=True)):
        for y in range(row - side // 2, row - side // 2 + side):
            for x in range(column - side // 2, column - side // 2 + side):
                if 0 <= y < 12 and 0 <= x < 16:
                    expected[number, :, y, x] = 0
    assert (expected == 0).any()
    assert torch.equal(cut_out(images, side, generator), expected)


def test_a_step_is_a_plain_one():
    """Cutout, both losses, smoothed labels, clipping and SGD, by hand."""
    smooth = 0.1
    recipe = replace(WHOLE, precision="float64", drop_path=0.0, grad_clip=0.1, momentum=0.0, label_smoothing=smooth)
    one = begun(DARTS_V2, recipe, dtype=torch.float64)
    one.network.train()
    images, labels = one.train.plain(torch.arange(20))
    draws = torch.Generator()
    draws.set_state(one.generators["cutout"].get_state())
    cut = cut_out(images.clone(), 4, draws)
    network = copy.deepcopy(one.network)
    logits, auxiliary = network(cut)
    shares = (1 - smooth) * F.one_hot(labels, 10) + smooth / 10
    whole = sum(
        weight * -(shares * scores.log_softmax(dim=1)).sum(dim=1).mean()
        for weight, scores in ((1.0, logits), (0.4, auxiliary))
    )
    weights = list(network.parameters())
    gradients = torch.autograd.grad(whole, weights)
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    assert norm > 0.1
    score = one.step(images, labels)
    assert score.loss.item() == pytest.approx(20 * F.cross_entropy(logits, labels).item())
    assert score.right == (logits.argmax(dim=1) == labels).sum()
    ranks = (logits > logits.gather(1, labels[:, None])).sum(dim=1)
    assert score.among_five == (ranks < 5).sum()
    for weight, gradient, after in zip(weights, gradients, one.network.parameters(), strict=True):
        by_hand = weight - 0.1 * (gradient * 0.1 / (norm + 1e-6) + 3e-4 * weight)
        torch.testing.assert_close(after, by_hand, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size, sizes", [(400, [400, 400, 400, 237]), (718, [718, 718]), (479, [479] * 3)])
def test_an_epoch_is_one_pass(size, sizes):
    """All 1,437 images once; but for a single one, which has no batch statistics."""
    one = begun(recipe=replace(SMOKE, steps=0, batch_size=size))
    batches = list(one._batches())
    assert [len(batch) for batch in batches] == sizes
    assert one.ticks == len(sizes)
    assert len(torch.cat(batches).unique()) == sum(sizes)
    assert not torch.equal(torch.cat(batches), torch.cat(list(one._batches())))


def test_the_test_is_on_all_images_with_running_statistics():
    one = begun(recipe=replace(SMOKE, eval_batch=100))
    entry = one.run_epoch()
    one.network.eval()
    with torch.no_grad():
        images, labels = one.test.plain(torch.arange(360))
        logits = one.network(images)
    assert entry["test_loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert entry["test_accuracy"] == pytest.approx(100 * (logits.argmax(dim=1) == labels).float().mean().item())
    assert not one.network.training


def test_bfloat16_is_another_rounding():
    entries = [begun(DARTS_V2, replace(WHOLE, precision=name)).run_epoch() for name in ("bfloat16", "float32")]
    assert entries[0]["train_loss"] == pytest.approx(entries[1]["train_loss"], rel=0.05)
    assert entries[0]["train_loss"] != entries[1]["train_loss"]


def test_a_training_that_diverges_says_so():
    with pytest.raises(RunError, match=r"epoch \d: the loss is no number.*--set lr="):
        train(TSS, "digits", 0, "smoke", device="cpu", lr=1e30, grad_clip=0)


@pytest.mark.parametrize("index", [0, 11, 284, 9930])
def test_sizes_are_those_of_the_benchmark(index):
    cell = Cell.from_index(index)
    recipe = RECIPES["nats-bench"].settings
    for dataset, classes, side in (("cifar10", 10, 32), ("ImageNet16-120", 120, 16)):
        size = measure_size(cell, recipe, classes, side)
        assert size.params == params([cell], dataset)[0]
        assert size.mflops == pytest.approx(flops([cell], dataset)[0], abs=2e-4)  # there the biases count, too


def test_the_sizes_of_darts_v2():
    """3.3 M parameters, and on ImageNet 4.7 M (Liu et al. 2019); an auxiliary head is no part of what is tested."""
    size = measure_size(DARTS_V2, RECIPES["paper"].settings, 10, 32)
    assert size.params == 3_349_342
    assert size == measure_size(DARTS_V2, replace(RECIPES["paper"].settings, auxiliary=0.0), 10, 32)
    large = measure_size(DARTS_V2, RECIPES["imagenet"].settings, 1000, 224)
    assert round(large.params / 1e6, 1) == 4.7
    assert large == (params([DARTS_V2], "imagenet")[0], pytest.approx(flops([DARTS_V2], "imagenet")[0]))


def test_average_pooling_is_no_multiply_add():
    """Which on a CPU is a convolution."""
    cells = [Cell.parse(digits) for digits in ("444444", "111111")]
    assert len({measure_size(cell, SMOKE, 10, 8) for cell in cells}) == 1
    averages, maxima = (Cell(tuple(op if old else 0 for old in DARTS_V2.ops), "darts") for op in (2, 1))
    assert measure_size(averages, SMOKE, 10, 8) == measure_size(maxima, SMOKE, 10, 8)


# --- stopped and continued ---


@pytest.mark.parametrize("cell, recipe", [(TSS, replace(SMOKE, epochs=4)), (DARTS_V2, WHOLE)], ids=["tss", "darts"])
def test_a_continued_training_is_the_same_bit_for_bit(cell, recipe):
    """Also where torch's own generator, which path dropout draws from, stands elsewhere."""
    whole = begun(cell, recipe)
    while not whole.done:
        whole.run_epoch()
    torch.manual_seed(1)
    first = begun(cell, recipe)
    for _ in range(2):
        first.run_epoch()
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    torch.manual_seed(2)
    own = torch.get_rng_state()
    second = begun(cell, recipe)
    second.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    while not second.done:
        second.run_epoch()
    assert same(second.network.state_dict(), whole.network.state_dict())
    assert untimed(second.progress.trajectory) == untimed(whole.progress.trajectory)
    assert torch.equal(torch.get_rng_state(), own)  # and it is left where it stood


def test_seeds_differ_in_everything_random():
    first, second = (begun(DARTS_V2, WHOLE, seed) for seed in (0, 1))
    assert not same(first.network.state_dict(), second.network.state_dict())
    drawn = [tuple(torch.rand(3, generator=g).tolist()) for one in (first, second) for g in one.generators.values()]
    assert len(set(drawn)) == 8


def test_a_stopped_run_continues_to_the_same_record(tmp_path):
    todo = plan(DARTS_V2, "digits", 3, "smoke", {"epochs": 3, "auxiliary": 0.4, "drop_path": 0.3}, "cpu")

    def stop(epoch, epochs, step, steps):
        if (epoch, step) == (1, 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(todo, tmp_path / "stopped", on_step=stop)
    folder = tmp_path / "stopped" / todo.folder_name
    assert {path.name for path in folder.iterdir()} == {"checkpoint.pt", "status.json"}
    assert status.read(folder).state == "stopped"
    done, whole = run(todo, tmp_path / "stopped"), run(todo, tmp_path / "whole")
    assert untimed(done.trajectory) == untimed(whole.trajectory)
    weights = [torch.load(tmp_path / name / todo.folder_name / "network.pt") for name in ("stopped", "whole")]
    assert same(*weights)
    assert {path.name for path in folder.iterdir()} == {"network.pt", "training.json"}
    assert training.read(folder / training.FILE_NAME) == done
    assert status.look(folder).state == "done"


def test_a_finished_run_is_not_run_again(tmp_path):
    first = train("333133", "digits", 0, "smoke", out=tmp_path, device="cpu")
    assert train(TSS, "digits", 0, "smoke", out=tmp_path, device="cpu") == first
    again = train(TSS, "digits", 0, "smoke", out=tmp_path, device="cpu", resume=False)
    assert again.seconds != first.seconds
    assert untimed(again.trajectory) == untimed(first.trajectory)
    assert len(list(tmp_path.iterdir())) == 1
    train(TSS, "digits", 0, "smoke", out=tmp_path, device="cpu", lr=0.05)
    train(Cell.parse("333333"), "digits", 0, "smoke", out=tmp_path, device="cpu")
    assert len(list(tmp_path.iterdir())) == 3  # another setting or cell is another run


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(TSS, "digits", 0, "smoke", device="cpu")
    assert list(tmp_path.iterdir()) == []


# --- the record ---


def test_a_record_holds_the_training(tmp_path):
    done = train(TSS, "digits", 5, "smoke", out=tmp_path, device="cpu", steps=4)
    assert (done.space, done.cell, done.dataset, done.seed, done.protocol) == ("tss", str(TSS), "digits", 5, "smoke")
    assert done.settings["steps"] == 4 and done.settings["precision"] == "float32"
    assert done.changes == {"steps": 4}
    assert [entry["epoch"] for entry in done.trajectory] == [0, 1]
    assert done.test_accuracy == done.trajectory[-1]["test_accuracy"]
    assert done.images == {"train": 1437, "test": 360, "side": 8, "source": done.images["source"]}
    assert (done.params, done.mflops) == measure_size(TSS, replace(SMOKE, steps=4), 10, 8)
    assert set(done.seconds) == {"training", "evaluation"}
    assert done.found_by is None


BAD = {
    "test_accuracy": [101.0, 50.0, "x"],
    "cell": ["|x|", ""],
    "space": ["darts", "none"],
    "seed": [-1, 0.5],
    "params": [0, None],
    "settings": [{"lr": -1.0}, {"epochs": "x"}],
    "trajectory": [[], [{"epoch": 0}], None],
    "found_by": [{}, {"folder": "x"}],
    "finished": ["yesterday"],
}


@pytest.mark.parametrize("name, value", [(name, value) for name, values in BAD.items() for value in values])
def test_a_record_is_checked_when_it_is_read(name, value, written):
    content = json.loads(written.read_text())
    assert training.read(written)
    written.with_name("other.json").write_text(json.dumps({**content, name: value}))
    with pytest.raises(DataError, match=r"other\.json: damaged"):
        training.read(written.with_name("other.json"))


def test_epochs_are_counted(written):
    content = json.loads(written.read_text())
    content["trajectory"][0]["epoch"] = 1
    written.with_name("other.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="epochs are not counted"):
        training.read(written.with_name("other.json"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("written")
    train(TSS, "digits", 0, "smoke", out=out, device="cpu")
    (path,) = out.glob(f"*/{training.FILE_NAME}")
    return path


# --- the command ---


@pytest.mark.parametrize(
    "genotype, title", [("333133", "NAS-Bench-201"), (GENOTYPE, "DARTS"), (f"NEW = {GENOTYPE}", "DARTS")]
)
def test_the_command_trains_and_tells(stc_bench, tmp_path, genotype, title):
    command = ["train", genotype, *ARGUMENTS, "--seeds", "2", "--out", tmp_path]
    ended, said, _ = stc_bench(*command)
    assert ended == 0
    first, *_ = said.splitlines()
    assert first == f"{title} on digits, protocol smoke: {RECIPES['smoke'].about}"
    assert "seeds 0, 1; device cpu" in said
    records = [training.read(path) for path in sorted(tmp_path.glob(f"*/{training.FILE_NAME}"))]
    assert sorted(record.seed for record in records) == [0, 1]
    for record in records:
        assert f"seed {record.seed}" in said and f"{record.test_accuracy:.2f}" in said
        assert f"{record.params:,} parameters" in " ".join(said.split())
    mean = np.mean([record.test_accuracy for record in records])
    assert f"{mean:.2f}±" in said
    ended, again, _ = stc_bench(*command)
    assert ended == 0 and again.count("done before, its record is kept") == 2
    assert [training.read(path) for path in sorted(tmp_path.glob(f"*/{training.FILE_NAME}"))] == records
    assert stc_bench("status", tmp_path)[1] == "2 done.\n"


def test_the_cell_of_a_search_is_trained(stc_bench, tmp_path):
    found = search("rsps", "digits", 4, "smoke", out=tmp_path / "searches", benchmark="analog", device="cpu")
    (folder,) = (tmp_path / "searches").iterdir()
    ended, said, _ = stc_bench("train", folder, *ARGUMENTS, "--out", tmp_path / "out")
    assert ended == 0 and "(found by rsps, seed 4)" in said
    (path,) = (tmp_path / "out").glob(f"*/{training.FILE_NAME}")
    done = training.read(path)
    assert done.cell == found.cell
    assert done.found_by == {
        "folder": folder.name,
        "method": "rsps",
        "search_dataset": "digits",
        "seed": 4,
        "protocol": "smoke",
    }


def test_the_settings_are_listed_with_their_reasons(stc_bench):
    ended, said, _ = stc_bench("train", "--settings")
    assert ended == 0
    assert "cutout=16\n      open: side in pixels" in said
    assert all(f"protocol {name}: " in said for name in RECIPES)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nonsense"], "'nonsense' is no cell: give an official string"),
        (["nonsense", "--space", "darts"], "'nonsense' is no cell of DARTS"),
        (["Genotype(normal=[])"], "is no genotype: it has to be written like"),
        (
            ["8:8:8:8:8", "--space", "sss", "--set", "auxiliary=0.4"],
            "networks of NATS-Bench's size space have no auxil",
        ),
        (["333133", "--space", "nds"], "unknown space 'nds'"),
        (["333133", "--protocol", "paper"], "networks of NAS-Bench-201 have no auxiliary head: --set auxiliary=0"),
        (["333133", "--set", "stem=imagenet"], "networks of NAS-Bench-201 have no stem for ImageNet"),
        (["333133", "--set", "drop_path=0.1"], "networks of NAS-Bench-201 drop no paths"),
        (["333133", "--set", "batch_size=5000"], "batch_size=5000 is more than the 1437 images for training"),
        (["333133", "--set", "resolution=5"], "resolution 5 does not fit images of 8 pixels"),
        (["333133", "--protocol", "search"], "unknown protocol 'search': choose from auto, paper"),
        (["333133", "--dataset", "CIFAR-10"], "unknown data set 'CIFAR-10': type cifar10"),
        (["333133", "--set", "epoch=3"], "unknown setting 'epoch'"),
        (["333133", "--seeds", "0"], "--seeds '0'"),
    ],
)
def test_a_bad_call_ends_in_one_line(stc_bench, tmp_path, arguments, message):
    usual = {"--dataset": "digits", "--protocol": "smoke", "--device": "cpu"}
    given = [part for name, value in usual.items() if name not in arguments for part in (name, value)]
    ended, _, said = stc_bench("train", *arguments, *given, "--out", tmp_path / "out")
    assert ended == 2
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_search_is_said_to_be_one(tmp_path):
    with pytest.raises(DataError, match=r"no record\.json there; give that of a search"):
        find_cell(str(tmp_path))
    (tmp_path / "training.json").touch()
    with pytest.raises(DataError, match=r"a training's folder; give that of a search"):
        find_cell(str(tmp_path))
    with pytest.raises(BadCallError, match=r"there is no folder .*/nothing"):
        find_cell(str(tmp_path / "nothing"))


def test_networks_of_the_size_space_are_trained_too():
    cell = Cell.parse("8:24:40:16:64", space="sss")
    done = train(cell, "digits", 0, "smoke", device="cpu")
    assert done.params == params([cell], "cifar10")[0]
    assert measure_size(cell, SMOKE, 10, 32).mflops == pytest.approx(flops([cell], "cifar10")[0], abs=2e-4)


def test_a_space_without_networks_is_told(monkeypatch):
    monkeypatch.setattr(type(TSS.of), "networks", "")
    with pytest.raises(BadCallError, match="cells of NAS-Bench-201 are not trained here"):
        plan(TSS, "digits", 0, "smoke", device="cpu")


def test_every_protocol_is_a_recipe_of_its_own():
    assert len({recipe.settings for recipe in RECIPES.values()}) == len(RECIPES)
    assert RECIPES["paper"].settings == Recipe()
    with pytest.raises(BadCallError, match="unknown protocol"):
        choose_recipe("search", "darts", "cifar10", "cpu")


# --- ImageNet ---

SMALL = {"resolution": 32, "channels": 4, "cells_per_stage": 1, "batch_size": 4, "epochs": 2, "precision": "float32"}


def test_imagenet_is_read_from_its_folders(imagenet):
    sets = readers.read("imagenet", imagenet)
    listed, tested = sets.train, sets.test
    assert (len(listed), len(tested), sets.classes, sets.source) == (14, 6, 2, "imagenet")
    assert listed.labels.tolist() == [0] * 7 + [1] * 7 and tested.labels.tolist() == [0] * 3 + [1] * 3
    images, labels = next(tested.shrink(16).on(CPU).batches(6))
    assert images.shape == (6, 3, 16, 16) and images.is_contiguous(memory_format=torch.channels_last)
    pixels = images * torch.tensor(folders.STD)[:, None, None] + torch.tensor(folders.MEAN)[:, None, None]
    for number, colour in ((0, (0, 200, 0)), (1, (200, 0, 0))):
        torch.testing.assert_close(
            pixels[labels == number], torch.tensor(colour)[:, None, None].expand(3, 3, 16, 16) * 1.0, rtol=0, atol=3
        )


def test_augmented_images_do_not_depend_on_the_number_of_threads(imagenet):
    listed = readers.read("imagenet", imagenet).train
    batches = torch.arange(14).split(4)
    first, second, other = (
        list(
            folders.FolderImages(listed.shrink(16), CPU, workers=workers).stream(
                batches, torch.Generator().manual_seed(seed)
            )
        )
        for workers, seed in ((1, 3), (5, 3), (1, 4))
    )
    assert [len(labels) for _, labels in first] == [4, 4, 4, 2]
    assert torch.cat([labels for _, labels in first]).tolist() == listed.labels.tolist()
    assert all(torch.equal(one, same) for (one, _), (same, _) in zip(first, second, strict=True))
    assert not any(torch.equal(one, another) for (one, _), (another, _) in zip(first, other, strict=True))


def test_who_stops_does_not_wait_for_what_was_read_ahead(imagenet, monkeypatch):
    listed = readers.read("imagenet", imagenet).train
    begun, read, go_on = [], folders._read, threading.Event()

    def held(path, made):
        begun.append(path)
        assert len(begun) <= 2 or go_on.wait(60)
        return read(path, made)

    monkeypatch.setattr(folders, "_read", held)
    images = folders.FolderImages(listed.shrink(16), CPU, workers=1)
    batches = images.stream(torch.arange(14).split(2), torch.Generator())
    assert len(next(batches)[1]) == 2
    batches.close()
    go_on.set()
    images._pool.shutdown()
    assert len(begun) <= 3  # the one that was being read ends; two batches were ahead


def test_a_random_part_is_within_the_image():
    rng = np.random.default_rng(0)
    for _ in range(500):
        width, height = rng.integers(5, 600, 2).tolist()
        left, top, right, bottom = folders._part(width, height, rng.uniform(size=4 * folders._TRIES).tolist())
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        if min(width, height) > 100:
            assert 0.07 < (right - left) * (bottom - top) / (width * height) <= 1
            assert 0.7 < (right - left) / (bottom - top) < 1.4 or min(right - left, bottom - top) == min(width, height)


def test_colours_are_changed_as_far_as_they_should():
    grey = Image.new("RGB", (8, 8), (100, 100, 100))
    part = [0.99, 0.5, 0.0, 0.0] * folders._TRIES  # nearly all of it
    for how_far, value in (([1.0, 0.5, 0.5, 0.5], 140), ([0.0, 0.5, 0.5, 0.5], 60), ([0.5] * 4, 100)):
        changed = folders._augmented(grey, 8, [*part, 0.9, *how_far, 0.1, 0.2, 0.3, 0.4])
        assert set(changed.get_flattened_data()) == {(value,) * 3}
    red = Image.new("RGB", (8, 8), (200, 0, 0))
    assert set(folders._shifted_hue(red, 1 / 3).get_flattened_data()) == {(0, 200, 0)}


def test_half_of_the_images_are_flipped():
    left_is_white = Image.new("RGB", (8, 8))
    left_is_white.paste((255, 255, 255), (0, 0, 4, 8))
    for flip, white in ((0.4, 7), (0.6, 0)):
        made = folders._augmented(left_is_white, 8, [0.99, 0.5, 0.0, 0.0] * folders._TRIES + [flip] + [0.5] * 8)
        assert made.getpixel((white, 4))[0] > 200 and made.getpixel((7 - white, 4))[0] < 50


def test_training_on_imagenet_continues_to_the_same_end(imagenet, tmp_path):
    todo = plan(DARTS_V2, "imagenet", 0, "auto", SMALL, "cpu")
    assert todo.protocol == "imagenet"

    def stop(epoch, epochs, step, steps):
        if (epoch, step) == (1, 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(todo, tmp_path / "stopped", imagenet, on_step=stop)
    done, whole = run(todo, tmp_path / "stopped", imagenet), run(todo, tmp_path / "whole", imagenet)
    assert untimed(done.trajectory) == untimed(whole.trajectory)
    assert done.images == {"train": 14, "test": 6, "side": 32, "source": "imagenet"}
    assert done.trajectory[-1]["test_top5"] == 100  # of two classes


def test_where_there_is_no_imagenet_it_is_said_how_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r"imagenet/train/<class>/\*\.JPEG\. ImageNet cannot be fetched from here"):
        train(DARTS_V2, "imagenet", data_dir=tmp_path, device="cpu")


def test_a_damaged_image_is_named(imagenet, tmp_path):
    shutil.copytree(imagenet, tmp_path, dirs_exist_ok=True)
    damaged = tmp_path / "imagenet/train/n00000001/n00000001_3.JPEG"
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(DataError, match=r"n00000001_3\.JPEG: cannot be read as an image"):
        train(DARTS_V2, "imagenet", data_dir=tmp_path, device="cpu", **SMALL)


def test_classes_of_train_and_val_are_the_same(imagenet, tmp_path):
    shutil.copytree(imagenet, tmp_path, dirs_exist_ok=True)
    (tmp_path / "imagenet/val/n00000001").rename(tmp_path / "imagenet/val/n00000002")
    with pytest.raises(DataError, match="train has 2 classes, val 2, or others"):
        readers.read("imagenet", tmp_path)
