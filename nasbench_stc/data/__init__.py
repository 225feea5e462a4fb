"""Image sets: finding, fetching and reading the published files, splits, and batches augmented on the device.

`readers` reads a set and `cache` keeps what was decoded, `splits` halves it for a search, `images` puts it on the
device, `folders` reads it there an image at a time, `fetch` downloads it.
Importing this room imports no torch; `images` and `folders` do.
"""

from nasbench_stc.space import DATASETS as _BENCHMARKED

DATASETS = (*_BENCHMARKED, "digits", "imagenet")
"""What can be searched on: the benchmark's three data sets, the small one of scikit-learn, and the whole ImageNet."""

IMAGENET_FOLDER = "imagenet"
IMAGENET_HOW_TO_GET = (
    "ImageNet cannot be fetched from here: image-net.org has ILSVRC2012, whose images belong into a folder a class, "
    f"{IMAGENET_FOLDER}/train/<class>/ and {IMAGENET_FOLDER}/val/<class>/ below --data-dir or $STC_BENCH_DATA"
)

__all__ = ["DATASETS", "IMAGENET_FOLDER", "IMAGENET_HOW_TO_GET"]
