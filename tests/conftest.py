"""What the tests share: one torch thread a worker, and the real data where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from nasbench_stc.benchmark import Benchmark, open_benchmark

torch.set_num_threads(1)

SHARED_TABLE = Path(__file__).parents[2] / "shared/data/nb201/nb201.csv.gz"


def _table_path() -> Path | None:
    named = os.environ.get("STC_BENCH_DATA")
    candidates = [Path(named) / "nb201.csv.gz", Path(named) / "nb201/nb201.csv.gz"] if named else []
    return next((path for path in [*candidates, SHARED_TABLE] if path.is_file()), None)


@pytest.fixture(scope="session")
def table_path() -> Path:
    """The real table of all cells."""
    path = _table_path()
    if path is None:
        pytest.skip("needs nb201.csv.gz, in $STC_BENCH_DATA or ../shared/data/nb201")
    return path


@pytest.fixture(scope="session")
def nb201(table_path: Path) -> Benchmark:
    """The real table as a benchmark."""
    return open_benchmark(table_path)
