"""Image sets: finding, fetching and reading the published files, splits, and batches augmented on the device.

`readers` reads a set and `cache` keeps what was decoded, `splits` halves it for a search, `images` puts it on the
device, `fetch` downloads it.
Importing this room imports no torch; `images` does.
"""

from nasbench_stc.space import DATASETS as _BENCHMARKED

DATASETS = (*_BENCHMARKED, "digits")
"""What can be searched on: the benchmark's three data sets, and the small one that comes with scikit-learn."""

__all__ = ["DATASETS"]
