"""Reading image sets in the layouts in which they are published, and finding out which are there.

CIFAR (Krizhevsky 2009) is read from its binary or its Python files, ImageNet16-120 (Chrabaszcz et al. 2017;
the first 120 classes, as NAS-Bench-201 takes them) from the pickles, digits from scikit-learn. Pickles go
through the admit-list unpickler. Of ImageNet itself the files are listed (`folders`), and read when they are needed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nasbench_stc import files, unpickle
from nasbench_stc.data import DATASETS, IMAGENET_FOLDER, IMAGENET_HOW_TO_GET, cache
from nasbench_stc.data.cache import Arrays
from nasbench_stc.errors import DataError
from nasbench_stc.inventory import Item
from nasbench_stc.space import NUM_CLASSES, check_dataset

if TYPE_CHECKING:
    from nasbench_stc.data.images import Images, StoredImages


@dataclass(frozen=True)
class ImageSets:
    """A data set as published: `source` is the name of its folder, or the package and its version."""

    name: str
    classes: int
    train: StoredImages
    test: StoredImages
    source: str


class Layout(NamedTuple):
    """One published form of a data set: the files of a folder, and what reads one of them."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    read: Callable[[Path, int], Arrays]
    """Of a file's path and the number of images that is expected in it."""
    record_bytes: int = 0
    """Of an image and its labels, where a file's size follows from the number of images."""


class _Published(NamedTuple):
    layouts: tuple[Layout, ...]
    images: tuple[int, int]  # train, test
    side: int  # of an image, in pixels
    mean: tuple[float, float, float]  # in units of 1/255, as NAS-Bench-201's transforms have them
    std: tuple[float, float, float]
    pad: int
    how_to_get: str
    md5: Mapping[str, str] = {}  # of files, by name, where it is known


class _Own(NamedTuple):
    """A data set that is none of a few files with many images each."""

    read: Callable[[Path], ImageSets]
    find_folder: Callable[[Path], Path | None]
    status: Callable[[Path], Item]
    how_to_get: str


def read(dataset: str, data_dir: Path) -> ImageSets:
    """The images of `dataset`, from the first of its layouts that is complete below `data_dir`.

    Its files are checked and decoded once; after that, and until they change, `cache` has what came of it.

    Raises:
        BadCallError: no such data set.
        DataError: its files are missing or damaged; the message names one and says how to get it.
    """
    check_dataset(dataset, DATASETS)
    if dataset in _OWN:
        return _OWN[dataset].read(data_dir)
    published = _PUBLISHED[dataset]
    layout = _complete_layout(dataset, data_dir)
    if layout is None:
        raise DataError(f"{_what_is_wrong(dataset, data_dir)}. {published.how_to_get}")
    folder = data_dir / layout.folder

    def decode() -> tuple[Arrays, Arrays]:
        n_train, n_test = published.images
        train = _read_files(dataset, folder, layout, layout.train, n_train)
        return train, _read_files(dataset, folder, layout, layout.test, n_test)

    form = cache.Form(*published.images, published.side, NUM_CLASSES[dataset])
    parts = cache.decoded_once(folder, [*layout.train, *layout.test], form, decode)
    train, test = (_as_images(part, published.mean, published.std, published.pad) for part in parts)
    return ImageSets(dataset, NUM_CLASSES[dataset], train, test, layout.folder)


def find_folder(dataset: str, data_dir: Path) -> Path | None:
    """The folder that `read` would read: all its files are there, and as long as published. None: there is none."""
    check_dataset(dataset, DATASETS)
    if dataset in _OWN:
        return _OWN[dataset].find_folder(data_dir)
    layout = _complete_layout(dataset, data_dir)
    return None if layout is None else data_dir / layout.folder


def how_to_get(dataset: str) -> str:
    """One sentence for those who lack the data set."""
    check_dataset(dataset, DATASETS)
    return (_OWN.get(dataset) or _PUBLISHED[dataset]).how_to_get


def status(data_dir: Path) -> list[Item]:
    """Each data set with the folder that it would be read from, and what is known of its files."""
    return [_OWN[name].status(data_dir) if name in _OWN else _status(name, data_dir) for name in DATASETS]


def _digits_folder(data_dir: Path) -> Path | None:
    package = importlib.util.find_spec("sklearn")
    return Path(package.origin).parent / "datasets" / "data" if package and package.origin else None


def _digits_status(data_dir: Path) -> Item:
    item, folder = Item("digits", how_to_get("digits")), _digits_folder(data_dir)
    if folder is None:
        return item
    version = importlib.metadata.version("scikit-learn")
    return replace(item, path=folder / "digits.csv.gz", version=version, state="as scikit-learn has it")


def _status(dataset: str, data_dir: Path) -> Item:
    item = Item(dataset, how_to_get(dataset))
    layouts, md5 = _PUBLISHED[dataset].layouts, _PUBLISHED[dataset].md5
    layout = _complete_layout(dataset, data_dir)
    if layout is None:
        begun = next((layout for layout in layouts if (data_dir / layout.folder).is_dir()), None)
        if begun is None:
            return item
        folder = data_dir / begun.folder
        state = _faults(dataset, data_dir, begun)[0].removeprefix(f"{folder}/")
        return replace(item, path=folder, state=state, usable=False)
    folder = data_dir / layout.folder
    item = replace(item, path=folder, version="binary" if layout.record_bytes else "pickles")
    names = (*layout.train, *layout.test)
    if not set(names) <= set(md5):
        return replace(item, state="sizes as published" if layout.record_bytes else "all files there, not checked")
    for name in names:
        if files.digest(folder / name, "md5") != md5[name]:
            return replace(item, state=f"{name}: damaged, its md5 is not the published one", usable=False)
    return replace(item, state="md5 as published")


def _complete_layout(dataset: str, data_dir: Path) -> Layout | None:
    return next((layout for layout in _PUBLISHED[dataset].layouts if not _faults(dataset, data_dir, layout)), None)


def _faults(dataset: str, data_dir: Path, layout: Layout) -> list[str]:
    """What is wrong with the files of a layout, as far as their names and sizes tell."""
    faults = []
    for names, images in zip((layout.train, layout.test), _PUBLISHED[dataset].images, strict=True):
        for path in (data_dir / layout.folder / name for name in names):
            size = images // len(names) * layout.record_bytes
            if not path.is_file():
                faults.append(f"{path}: missing")
            elif size and path.stat().st_size != size:
                faults.append(f"{path}: damaged, {path.stat().st_size:,} bytes instead of {size:,}")
    return faults


def _what_is_wrong(dataset: str, data_dir: Path) -> str:
    layouts = _PUBLISHED[dataset].layouts
    for layout in layouts:
        if (data_dir / layout.folder).is_dir():
            return _faults(dataset, data_dir, layout)[0]
    return f"no {dataset} in {data_dir} (looked for {' and '.join(layout.folder + '/' for layout in layouts)})"


def _read_files(dataset: str, folder: Path, layout: Layout, names: tuple[str, ...], images: int) -> Arrays:
    published, classes = _PUBLISHED[dataset], NUM_CLASSES[dataset]
    parts = []
    for path in (folder / name for name in names):
        try:
            if path.name in published.md5 and files.digest(path, "md5") != published.md5[path.name]:
                raise DataError(f"{path}: damaged, its md5 is not the published one")
            pixels, labels = layout.read(path, images // len(names))
        except DataError as error:
            raise DataError(f"{error}. {published.how_to_get}") from error
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
        if len(labels) and (labels.min() < 0 or labels.max() >= classes):
            raise DataError(f"{path}: damaged, it has labels outside 0-{classes - 1}. {published.how_to_get}")
        parts.append((pixels, labels))
    found = sum(len(labels) for _, labels in parts)
    if found != images:
        listed = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        raise DataError(
            f"{folder}: damaged, {found:,} images instead of {images:,} in {listed}. {published.how_to_get}"
        )
    return np.concatenate([pixels for pixels, _ in parts]), np.concatenate([labels for _, labels in parts])


def _read_binary(path: Path, images: int) -> Arrays:
    """CIFAR's binary files: records of one label byte (CIFAR-100: coarse, then fine) and 3,072 bytes of pixels."""
    records = np.fromfile(path, np.uint8).reshape(images, -1)
    return records[:, -3072:].reshape(-1, 3, 32, 32), records[:, -3073].astype(np.int64)


def _read_pickle(path: Path, images: int) -> Arrays:
    """CIFAR's Python files."""
    pixels, labels = _unpickled(path, ("fine_labels", "labels"), side=32)
    if len(labels) != images:
        raise DataError(f"{path}: damaged, {len(labels):,} images instead of {images:,}")
    return pixels, labels


def _read_imagenet16(path: Path, images: int) -> Arrays:
    """ImageNet16's pickles of 1,000 classes, counted from 1: the first 120 are kept, of each file another number."""
    pixels, labels = _unpickled(path, ("labels",), side=16)
    if len(labels) and (labels.min() < 1 or labels.max() > 1000):
        raise DataError(f"{path}: damaged, it has labels outside 1-1000")
    kept = labels <= NUM_CLASSES["ImageNet16-120"]
    return pixels[kept], labels[kept] - 1


def _unpickled(path: Path, label_keys: tuple[str, ...], side: int) -> Arrays:
    """A pickled dict's `data`, one image a row, and the labels under the first of `label_keys` that it has."""
    with path.open("rb") as file:
        entry = unpickle.load(file, path, unpickle.NUMPY, encoding="bytes")
    try:
        # Python 2 wrote the keys as bytes, Python 3 as text.
        fields = {key.decode() if isinstance(key, bytes) else key: value for key, value in entry.items()}
        pixels = fields["data"]
        labels = np.array(next(fields[key] for key in label_keys if key in fields))
        whole = labels.ndim == 1 and labels.dtype.kind in "iu"
        if not whole or pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3 * side**2):
            raise ValueError(f"arrays {pixels.shape} of {pixels.dtype}, {labels.shape} of {labels.dtype}")
    except (AttributeError, KeyError, StopIteration, TypeError, ValueError) as error:
        raise DataError(f"{path}: not the published file ({type(error).__name__}: {error})") from None
    return pixels.reshape(-1, 3, side, side), labels.astype(np.int64)


def _imagenet_folder(data_dir: Path) -> Path | None:
    folder = data_dir / IMAGENET_FOLDER
    return folder if all((folder / part).is_dir() for part in ("train", "val")) else None


def _imagenet_status(data_dir: Path) -> Item:
    item, folder = Item("imagenet", how_to_get("imagenet"), weighed=False), _imagenet_folder(data_dir)
    if folder is None:
        return item
    classes = sum(path.is_dir() for path in (folder / "train").iterdir())
    return replace(item, path=folder, version="JPEG", state=f"{classes:,} classes, images not looked at")


def _read_imagenet(data_dir: Path) -> ImageSets:
    from nasbench_stc.data.folders import list_imagenet  # imports torch

    train, test = list_imagenet(data_dir)
    return ImageSets("imagenet", train.classes, train, test, IMAGENET_FOLDER)


def _read_digits(data_dir: Path) -> ImageSets:
    """scikit-learn's 1,797 digits, 8x8 pixels, grey as three channels, shuffled: their order goes by writer."""
    folder = _digits_folder(data_dir)
    if folder is None:
        raise DataError(f"digits: not there. {how_to_get('digits')}")
    form = cache.Form(1797 - _DIGITS_TEST, _DIGITS_TEST, side=8, classes=10)
    train, test = cache.decoded_once(folder, ["digits.csv.gz"], form, _decode_digits)
    mean, std = float(train[0].mean()), float(train[0].std())
    train_images, test_images = (_as_images(part, (mean,) * 3, (std,) * 3, pad=1) for part in (train, test))
    source = f"scikit-learn {importlib.metadata.version('scikit-learn')}"
    return ImageSets("digits", 10, train_images, test_images, source)


def _decode_digits() -> tuple[Arrays, Arrays]:
    from sklearn.datasets import load_digits  # a second to import, so that the cache saves more than the decoding

    digits = load_digits()
    grey = np.round(digits.images * (255 / 16)).astype(np.uint8)
    order = np.random.default_rng(_DIGITS_SEED).permutation(len(grey))
    pixels = np.repeat(grey[order, None], 3, axis=1)
    labels = digits.target[order].astype(np.int64)
    return (pixels[_DIGITS_TEST:], labels[_DIGITS_TEST:]), (pixels[:_DIGITS_TEST], labels[:_DIGITS_TEST])


def _as_images(arrays: Arrays, mean: tuple[float, float, float], std: tuple[float, float, float], pad: int) -> Images:
    from nasbench_stc.data.images import Images  # imports torch, which finding folders does without

    return Images(*arrays, mean, std, pad)


_DIGITS_SEED, _DIGITS_TEST = 0, 360  # 1,437 train images and 360 test images, the same ones always

_OWN = {
    "digits": _Own(
        _read_digits, _digits_folder, _digits_status, "It comes with scikit-learn: pip install scikit-learn"
    ),
    "imagenet": _Own(_read_imagenet, _imagenet_folder, _imagenet_status, IMAGENET_HOW_TO_GET),
}

CIFAR10_MD5 = {
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
}

_PUBLISHED = {
    "cifar10": _Published(
        layouts=(
            Layout(
                "cifar-10-batches-bin",
                train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
                test=("test_batch.bin",),
                read=_read_binary,
                record_bytes=3073,
            ),
            Layout(
                "cifar-10-batches-py",
                train=tuple(f"data_batch_{number}" for number in range(1, 6)),
                test=("test_batch",),
                read=_read_pickle,
            ),
        ),
        images=(50_000, 10_000),
        side=32,
        mean=(125.3, 123.0, 113.9),
        std=(63.0, 62.1, 66.7),
        pad=4,
        how_to_get="To fetch it: stc-bench data fetch cifar10",
        md5=CIFAR10_MD5,
    ),
    "cifar100": _Published(
        layouts=(
            Layout("cifar-100-binary", train=("train.bin",), test=("test.bin",), read=_read_binary, record_bytes=3074),
            Layout("cifar-100-python", train=("train",), test=("test",), read=_read_pickle),
        ),
        images=(50_000, 10_000),
        side=32,
        mean=(129.3, 124.1, 112.4),
        std=(68.2, 65.4, 70.4),
        pad=4,
        how_to_get="To fetch it: stc-bench data fetch cifar100",
    ),
    "ImageNet16-120": _Published(
        layouts=(
            Layout(
                "ImageNet16",
                train=tuple(f"train_data_batch_{number}" for number in range(1, 11)),
                test=("val_data",),
                read=_read_imagenet16,
            ),
        ),
        images=(151_700, 6_000),
        side=16,
        mean=(122.68, 116.66, 104.01),
        std=(63.22, 61.26, 65.09),
        pad=2,
        how_to_get="It cannot be fetched from here: the README of NAS-Bench-201 in AutoDL-Projects (D-X-Y on GitHub) "
        "says where ImageNet16 is to be had; put its pickles into ImageNet16/ below --data-dir or $STC_BENCH_DATA",
    ),
}
