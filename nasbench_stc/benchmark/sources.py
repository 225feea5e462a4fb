"""Finding a benchmark: by name, by path, or the best one at hand."""

from __future__ import annotations

from pathlib import Path

from nasbench_stc import files
from nasbench_stc.benchmark import analog, table
from nasbench_stc.benchmark.base import Benchmark
from nasbench_stc.errors import BadCallError, DataError

NAMES = ("auto", "nb201", "analog")


def open_benchmark(source: str | Path = "auto", data_dir: str | Path | None = None) -> Benchmark:
    """The benchmark that `source` names.

    Args:
        source: a path; or `nb201`, the table in the data folder; `analog`, the one that comes with pip; or
            `auto`, the first of these that is there.
        data_dir: the data folder; see `files.data_dir`.

    Raises:
        BadCallError: no such name or path.
        DataError: what is named is not there or damaged; the message says how to get it.
    """
    folder = files.data_dir(data_dir)
    found = files.find(folder, [table.FILE_NAME])
    if source == "analog":
        return analog.read_analog()
    if source == "nb201":
        if found is None:
            raise DataError(f"no {table.FILE_NAME} in {folder}; {table.HOW_TO_GET}")
        return table.read_table(found)
    if source == "auto":
        if found is not None:
            return table.read_table(found)
        if analog.find_file() is not None:
            return analog.read_analog()
        raise DataError(f"no benchmark found in {folder}: {table.HOW_TO_GET}; or {analog.HOW_TO_GET}")
    path = Path(source)
    if not path.exists():
        raise BadCallError(f"benchmark {str(source)!r} is neither a path that exists nor one of {', '.join(NAMES)}")
    if path.name.endswith(".csv.gz"):
        return table.read_table(path)
    raise DataError(f"{path} is no benchmark that this version reads (a table, {table.FILE_NAME})")
