"""Splits for a search: which images train its weights and which tune alpha, drawn in seeded halves."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.errors import choose

if TYPE_CHECKING:
    from nasbench_stc.data.images import Images
    from nasbench_stc.data.readers import ImageSets

SPLITS = ("published", "halves")

# Added to the run's seed, so that the split shares no random numbers with the search itself.
_STREAM = 201


def search_split(sets: ImageSets, how: str, seed: int) -> tuple[Images, Images, dict[str, Any]]:
    """The images for the weights, those for alpha, and what a record keeps of the split.

    `published` is what NAS-Bench-201's searches do: CIFAR-10 (and digits) trains weights on one half of the
    training set and alpha on the other; CIFAR-100 and ImageNet16-120 train weights on the whole training set
    and alpha on half of the published test set (ImageNet16-120: validation set). Sizes are the official
    ones; which images make up a half is drawn from `seed`, since the official lists do not come with this package.
    `halves` halves the training set of any data set, and leaves the test set alone.

    Args:
        sets: the data set.
        how: one of `SPLITS`.
        seed: of the run, not negative.

    Raises:
        BadCallError: `how` is none of them.
    """
    if how not in SPLITS:
        raise choose("split", how, SPLITS)
    rng = np.random.default_rng([seed, _STREAM])
    from_test = how == "published" and sets.name in ("cifar100", "ImageNet16-120")
    if from_test:
        train_index, valid_index = np.arange(len(sets.train)), _halves(len(sets.test), rng)[0]
        train, valid = sets.train, sets.test.take(valid_index)
    else:
        train_index, valid_index = _halves(len(sets.train), rng)
        train, valid = sets.train.take(train_index), sets.train.take(valid_index)
    indices = b"".join(index.astype("<i8").tobytes() for index in (train_index, valid_index))
    kept = {
        "how": how,
        "seed": seed,
        "train_images": len(train),
        "valid_images": len(valid),
        "valid_from": "test" if from_test else "train",
        "sha256": hashlib.sha256(indices).hexdigest(),
    }
    return train, valid, kept


def _halves(n: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All of `range(n)` in two random halves, each sorted; of an odd number the first gets one more."""
    order = rng.permutation(n)
    middle = (n + 1) // 2
    return np.sort(order[:middle]), np.sort(order[middle:])
