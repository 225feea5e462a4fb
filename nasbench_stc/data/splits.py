"""Splits for a search: which images train its weights and which tune alpha, drawn in seeded halves.

Of a data set that is too large to search on, a share of each class's images takes part (STC-NAS Sec. 4.3).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.errors import DataError, choose

if TYPE_CHECKING:
    from nasbench_stc.data.images import StoredImages
    from nasbench_stc.data.readers import ImageSets

SPLITS = ("published", "halves")

# Added to the run's seed, so that the split shares no random numbers with the search itself.
_STREAM = 201


def search_split(
    sets: ImageSets, how: str, seed: int, share: float = 1.0
) -> tuple[StoredImages, StoredImages, dict[str, Any]]:
    """The images for the weights, those for alpha, and what a record keeps of the split.

    `published` is what NAS-Bench-201's searches do: CIFAR-10 (and digits and ImageNet) trains weights on one half of
    the training set and alpha on the other; CIFAR-100 and ImageNet16-120 train weights on the whole training set
    and alpha on half of the published test set (ImageNet16-120: validation set). Sizes are the official
    ones; which images make up a half is drawn from `seed`, since the official lists do not come with this package.
    `halves` halves the training set of any data set, and leaves the test set alone.

    Of images that come class by class, as ImageNet's do, those for alpha are put in random order.

    A `share` below 1 takes so many images of each class, to the nearest whole number, two at least; where they are
    halved, this is done class by class, too.

    Args:
        sets: the data set.
        how: one of `SPLITS`.
        seed: of the run, not negative.
        share: of the images of each class, 0 to 1; 1: all.

    Raises:
        BadCallError: `how` is none of them.
        DataError: a class has a single image, which cannot be halved.
    """
    if how not in SPLITS:
        raise choose("split", how, SPLITS)
    rng = np.random.default_rng([seed, _STREAM])
    from_test = how == "published" and sets.name in ("cifar100", "ImageNet16-120")
    if from_test:
        valid_index = _halves(sets.test.labels, share, rng)[0]
        whole = np.arange(len(sets.train))
        train_index = whole if share == 1 else np.sort(np.concatenate(_halves(sets.train.labels, share, rng)))
        train, valid = sets.train if share == 1 else sets.train.take(train_index), sets.test.take(valid_index)
    else:
        train_index, valid_index = _halves(sets.train.labels, share, rng)
        if (np.diff(sets.train.labels) >= 0).all():  # ratings take the first images, which are to be of all classes
            valid_index = rng.permutation(valid_index)
        train, valid = sets.train.take(train_index), sets.train.take(valid_index)
    indices = b"".join(index.astype("<i8").tobytes() for index in (train_index, valid_index))
    kept = {
        "how": how,
        "seed": seed,
        "train_images": len(train),
        "valid_images": len(valid),
        "valid_from": "test" if from_test else "train",
        "sha256": hashlib.sha256(indices).hexdigest(),
        **({"share": share} if share < 1 else {}),
    }
    return train, valid, kept


def _halves(
    labels: NDArray[np.int64], share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of images in two random halves, each sorted: all images, or a share of each class.

    Of an odd number (of a class, where a share is taken) the first half gets one more.
    """
    if share == 1:
        groups = [np.arange(len(labels))]
    else:
        order = np.argsort(labels, kind="stable")
        groups = np.split(order, np.cumsum(np.bincount(labels))[:-1])
    halves: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
    for number, group in enumerate(groups):
        taken = len(group) if share == 1 else max(2, round(share * len(group)))
        if taken > len(group):
            raise DataError(
                f"class number {number} (counted from 0) has {len(group)} image(s): a search needs one for weights and "
                "one for alpha"
            )
        drawn, middle = group[rng.permutation(len(group))[:taken]], (taken + 1) // 2
        for half, part in zip(halves, (drawn[:middle], drawn[middle:]), strict=True):
            half.append(part)
    first, second = (np.sort(np.concatenate(half)) for half in halves)
    return first, second
