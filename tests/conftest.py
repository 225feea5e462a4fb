"""What the tests share: one torch thread a worker, a cache folder of their own, the real data where it is at hand."""

from __future__ import annotations

import gc
import importlib.util
import itertools
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # torch's; in subprocesses, too: on a busy machine threads wait for each other

import numpy as np
import pytest
import torch
from filelock import FileLock
from hypothesis import HealthCheck, settings
from PIL import Image

from nasbench_stc import cli
from nasbench_stc.benchmark import Benchmark, analog, importing, official, open_benchmark, table
from nasbench_stc.benchmark.base import Key
from nasbench_stc.benchmark.metrics import FILES
from nasbench_stc.benchmark.table import TableBenchmark
from nasbench_stc.data import readers
from nasbench_stc.errors import OfficialPickleWarning
from nasbench_stc.space import DATASETS, NUM_CELLS

torch.set_num_threads(1)
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")  # how long an example takes says how busy the machine is

SHARED = Path(__file__).parents[2] / "shared/data"


def pytest_collection_finish() -> None:
    """What was imported by now stays: it need not be looked through whenever garbage is collected."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder for this session: the user's is neither read nor written, in subprocesses neither."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(_of_all_workers(tmp_path_factory) / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def read_once() -> Iterator[None]:
    """Each of the two benchmarks that most tests open is read once, as long as its file stays the same one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analog, "Records", _remembered(analog.Records, lambda: analog.find_file()))
        patch.setattr(table, "Columns", _remembered(table.Columns, lambda path, *_, **__: path))
        yield


def _remembered(own: Callable[..., Any], file_of: Callable[..., Path | None]) -> Callable[..., Any]:
    known: dict[Any, Any] = {}

    def read(*args: Any, **more: Any) -> Any:
        path = file_of(*args, **more)
        if path is None or not path.is_file():
            return own(*args, **more)
        stat = path.stat()
        key = path, stat.st_ino, stat.st_size, stat.st_mtime_ns
        if key not in known:
            known[key] = own(*args, **more)
        return known[key]

    return read


def _of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = tmp_path_factory.getbasetemp()
    return own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own


def _table_path() -> Path | None:
    named = os.environ.get("STC_BENCH_DATA")
    candidates = [Path(named) / "nb201.csv.gz", Path(named) / "nb201/nb201.csv.gz"] if named else []
    return next((path for path in [*candidates, SHARED / "nb201/nb201.csv.gz"] if path.is_file()), None)


@pytest.fixture(scope="session")
def table_path() -> Path:
    """The real table of all cells."""
    path = _table_path()
    if path is None:
        pytest.skip("needs nb201.csv.gz, in $STC_BENCH_DATA or ../shared/data/nb201")
    return path


@pytest.fixture(scope="session")
def metrics_dir(table_path: Path) -> Path:
    """A data folder with the real table and the files of hardware and training-free columns."""
    if not all((table_path.parent / name).is_file() for name in FILES):
        pytest.skip(f"needs {' and '.join(FILES)} beside nb201.csv.gz, in $STC_BENCH_DATA or ../shared/data/nb201")
    return table_path.parent


@pytest.fixture(scope="session")
def nats_folder(table_path: Path) -> Path:
    """NATS-Bench's real folder, cut to the cells 0, 11 and 284."""
    folder = table_path.parent / official.FOLDER_NAME
    if not folder.is_dir():
        pytest.skip(f"needs {official.FOLDER_NAME} beside the table, with cells 0, 11 and 284")
    return folder


@pytest.fixture(scope="session")
def nats_table(nats_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `stc-bench data import` makes of it."""
    common = _of_all_workers(tmp_path_factory)  # one imports, the other finds the table there
    with FileLock(common / "nats_table.lock"), warnings.catch_warnings():
        warnings.simplefilter("ignore", OfficialPickleWarning)
        return importing.import_official(nats_folder, common / "nats_table").path


@pytest.fixture(scope="session")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with twenty made-up images of two classes; of the first class they are green, of the other red."""
    top = tmp_path_factory.mktemp("imagenet")
    rng = np.random.default_rng(0)
    for part, images in (("train", 7), ("val", 3)):
        for number, colour in ((0, (0, 200, 0)), (1, (200, 0, 0))):
            folder = top / "imagenet" / part / f"n0000000{number}"
            folder.mkdir(parents=True)
            for image in range(images):
                width, height = rng.integers(30, 90, 2).tolist()
                Image.new("RGB", (width, height), colour).save(folder / f"n0000000{number}_{image}.JPEG", quality=100)
    return top


@pytest.fixture(scope="session")
def nb201(table_path: Path) -> Benchmark:
    """The real table as a benchmark."""
    return open_benchmark(table_path)


@pytest.fixture(scope="session")
def timed() -> Benchmark:
    """A made-up table that holds what the real one does: means after 12 and 200 epochs, and seconds of training."""
    draws = np.random.default_rng(201)
    seconds = draws.uniform(4, 13, NUM_CELLS)
    columns = {}
    for dataset, split, epochs in itertools.product(DATASETS, ("valid", "test"), (12, 200)):
        key = Key(dataset, split, epochs, None)
        columns[key, "accuracy"] = draws.uniform(10, 95, NUM_CELLS)
        columns[key, "train-seconds"] = epochs * seconds
    return TableBenchmark("made up", "numbers made up for tests", Path("made-up.csv.gz"), "0" * 64, columns)


@pytest.fixture(scope="session")
def images_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the real CIFAR-10 and CIFAR-100."""
    named = os.environ.get("STC_BENCH_DATA")
    if named and all(readers.find_folder(name, Path(named)) for name in ("cifar10", "cifar100")):
        return Path(named)
    if not (SHARED / "unpack.py").is_file():
        pytest.skip("needs CIFAR-10 and CIFAR-100, in $STC_BENCH_DATA or ../shared/data")
    common = _of_all_workers(tmp_path_factory)  # one unpacks, the other finds the files there
    with FileLock(common / "images.lock"):
        subprocess.run([sys.executable, SHARED / "unpack.py", common / "images"], check=True, stdout=subprocess.DEVNULL)
    return common / "images"


@pytest.fixture
def stc_bench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs `stc-bench ARGS`: (exit status, stdout, stderr)."""

    def run(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["stc-bench", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run


@pytest.fixture(scope="session")
def regenerate() -> ModuleType:
    """docs/regenerate.py, which is no module of the package."""
    spec = importlib.util.spec_from_file_location("regenerate", Path(__file__).parents[1] / "docs/regenerate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
