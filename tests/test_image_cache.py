"""Decoded images are kept: read again without the published files' contents, and never when anything is wrong."""

import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import GUARD

from nasbench_stc import files
from nasbench_stc.data import cache, readers
from nasbench_stc.data.images import DeviceImages

SMALL = {"images": (20, 4), "md5": {}}
"""CIFAR-10, cut to a few images."""

IN_A_PROCESS = f"""
import os, sys
from pathlib import Path
import numpy as np
from nasbench_stc.data import cache, readers
readers._PUBLISHED["cifar10"] = readers._PUBLISHED["cifar10"]._replace(**{SMALL})
"""


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with a small CIFAR-10, and an empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(readers._PUBLISHED, "cifar10", readers._PUBLISHED["cifar10"]._replace(**SMALL))
    folder = tmp_path / "data" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for seed, name in enumerate(readers.CIFAR10_MD5):
        write(folder / name, seed)
    return folder.parent


def write(path, seed):
    """Four images and their labels, another time of change for another seed."""
    rng = np.random.default_rng(seed)
    records = rng.integers(0, 256, (4, 3073), dtype=np.uint8)
    records[:, 0] = rng.integers(0, 10, 4)
    path.write_bytes(records.tobytes())
    os.utime(path, ns=(0, 10**18 + seed))


def published(data):
    """All images' pixels and labels, as the published files have them."""
    paths = [data / "cifar-10-batches-bin" / name for name in readers.CIFAR10_MD5]
    records = np.frombuffer(b"".join(path.read_bytes() for path in paths), np.uint8).reshape(24, 3073)
    return records[:, 1:].reshape(24, 3, 32, 32), records[:, 0]


def check(sets, pixels, labels):
    """That the sets are these, in the types that they always have."""
    for part, these in ((sets.train, slice(20)), (sets.test, slice(20, None))):
        np.testing.assert_array_equal(part.pixels, pixels[these])
        np.testing.assert_array_equal(part.labels, labels[these])
        assert (part.pixels.dtype, part.labels.dtype) == (np.uint8, np.int64)
        assert (part.mean, part.std, part.pad) == ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7), 4)
    assert (sets.classes, sets.source) == (10, "cifar-10-batches-bin")


def kept(data):
    """The file in the cache folder."""
    (path,) = (data.parent / "cache" / "nasbench_stc" / "images").glob("*.npy")
    return path


def mapped(images):
    """Whether the pixels are a file's."""
    base = images.pixels
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    return base is not None


def test_what_is_kept_equals_what_was_decoded(data):
    decoded = readers.read("cifar10", data)
    again = readers.read("cifar10", data)
    check(decoded, *published(data))
    check(again, *published(data))
    assert mapped(again.train) and mapped(again.test) and not mapped(decoded.train)
    assert kept(data).name.startswith("cifar-10-batches-bin-")


def test_the_published_files_are_not_opened_again(data):
    decoded = published(data)
    readers.read("cifar10", data)
    for path in (data / "cifar-10-batches-bin").iterdir():
        stat = path.stat()
        path.write_bytes(b"\xff" * stat.st_size)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    check(readers.read("cifar10", data), *decoded)


@pytest.mark.parametrize("name", ["data_batch_1.bin", "test_batch.bin"])
def test_a_changed_file_is_decoded_anew(data, name):
    readers.read("cifar10", data)
    before = published(data)
    write(data / "cifar-10-batches-bin" / name, seed=99)
    assert not np.array_equal(before[0], published(data)[0])
    for _ in range(2):
        sets = readers.read("cifar10", data)
        check(sets, *published(data))
    assert mapped(sets.train)


@pytest.mark.parametrize("change", ["time", "version"])
def test_a_new_time_or_version_is_decoded_anew(data, monkeypatch, change):
    readers.read("cifar10", data)
    if change == "time":
        os.utime(data / "cifar-10-batches-bin" / "data_batch_3.bin", ns=(0, 10**18 + 1_000))
    else:
        monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    assert [mapped(readers.read("cifar10", data).train) for _ in range(2)] == [False, True]


def test_each_data_folder_has_a_file_of_its_own(data):
    readers.read("cifar10", data)
    other = data.parent / "other" / "cifar-10-batches-bin"
    other.mkdir(parents=True)
    for seed, name in enumerate(readers.CIFAR10_MD5):
        write(other / name, seed + 50)
    for _ in range(2):
        check(readers.read("cifar10", data), *published(data))
        check(readers.read("cifar10", other.parent), *published(other.parent))
    assert mapped(readers.read("cifar10", data).train) and mapped(readers.read("cifar10", other.parent).train)


def flip(position):
    def flipped(content):
        changed = bytearray(content)
        changed[position] ^= 1
        return bytes(changed)

    return flipped


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:60],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content[:-32],
        lambda content: content + b"\0",
        lambda content: bytes(len(content)),
        lambda content: pickle.dumps(content),
        lambda content: b"PK\x03\x04" + content,
        *map(flip, (0, 6, 8, 12, 40, 70, 5_000, -33, -40, -1)),  # magic, version, header, pixels, a label, the seal
    ],
)
def test_a_damaged_file_is_not_used_but_written_anew(data, damage):
    readers.read("cifar10", data)
    path = kept(data)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    sets = readers.read("cifar10", data)
    check(sets, *published(data))
    assert not mapped(sets.train)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("wrong", ["images", "side", "type", "label"])
def test_other_arrays_are_not_used_whatever_their_seal(data, wrong):
    readers.read("cifar10", data)
    path = kept(data)
    records = np.array(np.load(path))
    if wrong == "images":
        records = records[:-1]
    elif wrong == "side":
        records = np.zeros(24, cache.Form(20, 4, side=16, classes=10).record)
    elif wrong == "type":
        records = records.view(np.uint8)
    else:
        records["label"][7] = 10
    folder = data / "cifar-10-batches-bin"
    source = cache._identity(folder, list(readers.CIFAR10_MD5))
    with path.open("wb") as file:
        np.save(file, records)
        file.write(cache._seal(source, records))
    check(readers.read("cifar10", data), *published(data))
    check(readers.read("cifar10", data), *published(data))


def no_folder(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))


def no_home(monkeypatch, tmp_path):
    def fail():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", fail)


def no_space(monkeypatch, tmp_path):
    def fail(file, *args, **kwargs):
        file.write(b"a part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", fail)


@pytest.mark.parametrize("obstacle", [no_folder, no_home, no_space])
def test_without_a_cache_all_is_read_as_ever(data, tmp_path, monkeypatch, capfd, obstacle):
    there = sorted(data.rglob("*"))
    obstacle(monkeypatch, tmp_path)
    for _ in range(2):
        sets = readers.read("cifar10", data)
        check(sets, *published(data))
        assert not mapped(sets.train)
    assert capfd.readouterr() == ("", "")
    assert sorted(data.rglob("*")) == there  # nor is the data folder written to
    assert [path for path in (tmp_path / "cache").rglob("*.*") if path.suffix != ".lock"] == []


def test_what_is_damaged_is_not_kept(data):
    path = data / "cifar-10-batches-bin" / "data_batch_2.bin"
    path.write_bytes(b"\x0a" + path.read_bytes()[1:])
    for _ in range(2):
        with pytest.raises(readers.DataError, match=r"data_batch_2.bin: damaged, it has labels outside 0-9"):
            readers.read("cifar10", data)


def test_kept_images_go_to_the_device_without_a_warning(data):
    readers.read("cifar10", data)
    before = kept(data).read_bytes()
    sets = readers.read("cifar10", data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch, labels = DeviceImages(sets.train, torch.device("cpu")).plain(torch.arange(20))
    assert batch.shape == (20, 3, 32, 32) and labels.tolist() == published(data)[1][:20].tolist()
    sets.train.pixels[:] = 0
    assert kept(data).read_bytes() == before


def test_killed_while_writing(data):
    """Before there is a file and when a newer one is being written: what is there is whole, and the rest goes."""
    killed = f"""{IN_A_PROCESS}
def write_a_part(file, records, **kwargs):
    file.write(records.tobytes()[:10_000])
    file.flush()
    os._exit(9)
np.save = write_a_part
readers.read("cifar10", Path(sys.argv[1]))
"""

    def kill():
        assert subprocess.run([sys.executable, "-c", killed, data], check=False).returncode == 9
        return {path.suffix for path in folder.iterdir()}

    folder = files.cache_dir() / "images"
    assert kill() == {".lock", ".partial"}
    check(readers.read("cifar10", data), *published(data))
    assert {path.suffix for path in folder.iterdir()} == {".lock", ".npy"}
    before = kept(data).read_bytes()
    write(data / "cifar-10-batches-bin" / "data_batch_1.bin", seed=99)
    assert kill() == {".lock", ".npy", ".partial"}
    assert kept(data).read_bytes() == before
    check(readers.read("cifar10", data), *published(data))
    assert {path.suffix for path in folder.iterdir()} == {".lock", ".npy"}
    assert mapped(readers.read("cifar10", data).train)


def test_processes_that_read_and_write_at_once(data):
    """Each throws away again and again what the other may be reading, and both always read the same images."""
    code = f"""{IN_A_PROCESS}
seen = set()
for _ in range(40):
    sets = readers.read("cifar10", Path(sys.argv[1]))
    seen.add(b"".join(part.pixels.tobytes() + part.labels.tobytes() for part in (sets.train, sets.test)))
    for path in Path(os.environ["XDG_CACHE_HOME"]).rglob("*.npy"):
        path.unlink(missing_ok=True)
sys.exit(len(seen) != 1)
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, data]) for _ in range(2)]
    assert [process.wait(timeout=GUARD) for process in processes] == [0, 0]
    check(readers.read("cifar10", data), *published(data))


def test_digits_are_read_again_without_scikit_learn(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    decoded = readers.read("digits", tmp_path)
    monkeypatch.setattr(readers, "_decode_digits", None)
    again = readers.read("digits", tmp_path)
    assert mapped(again.train) and again.source == decoded.source
    for one, other in ((decoded.train, again.train), (decoded.test, again.test)):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        np.testing.assert_array_equal(one.labels, other.labels)
        assert (one.mean, one.std, one.pad) == (other.mean, other.std, other.pad)


def test_the_published_cifar10(images_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    decoded, again = (readers.read("cifar10", images_dir) for _ in range(2))
    assert mapped(again.train) and not mapped(decoded.train)
    for one, other in ((decoded.train, again.train), (decoded.test, again.test)):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        np.testing.assert_array_equal(one.labels, other.labels)
