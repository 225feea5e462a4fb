"""Finding a benchmark: by name, by path, or the best one at hand."""

from __future__ import annotations

from pathlib import Path

from nasbench_stc import files
from nasbench_stc.benchmark import analog, columnar, official, table
from nasbench_stc.benchmark.base import Benchmark, NoBenchmark
from nasbench_stc.errors import BadCallError, DataError, NotAtHandError
from nasbench_stc.space import TSS, Space, find_space, names

NAMES = ("auto", "nb201", "analog", "analog:CONDITION")


def open_benchmark(source: str | Path = "auto", data_dir: str | Path | None = None, space: str = TSS.name) -> Benchmark:
    """The benchmark that `source` names.

    Args:
        source: a path to a table or an official file or folder; or `nb201`, the fetched table in the data folder;
            `analog`, the one that comes with pip, or another of its `analog.CONDITIONS`, like `analog:noisy`; or
            `auto`, the first that the data folder has for the space, of NATS-Bench (imported table, fetched table),
            NAS-Bench-201 (imported table), NATS-Bench's own folder and pickle, and NAS-Bench-201's .pth, else of
            NAS-Bench-201's cells `analog`.
        data_dir: the data folder; see `files.data_dir`.
        space: whose cells it is to have, by name.

    Raises:
        BadCallError: no such name, path, space or data folder; or it is of another space.
        DataError: what is named is not there or damaged; the message says how to get it.
    """
    folder = files.data_dir(data_dir)
    if data_dir is not None and not folder.exists():
        raise BadCallError(f"there is no data folder {data_dir}; `stc-bench data fetch nb201 --data-dir …` makes one")
    return _opened(source, folder, space)


def reopen(source: str, data_dir: str, space: str, name: str, sha256: str) -> Benchmark:
    """As `open_benchmark`, in another process: the same one.

    Raises:
        DataError: what is found there is another one.
    """
    found = _opened(source, Path(data_dir), space)
    if (found.name, found.sha256) != (name, sha256):
        raise DataError(
            f"benchmark {source} is {found.name} (sha256 {found.sha256[:12]}) here, where the command was given it was "
            f"{name} ({sha256[:12]}); name the file by --benchmark"
        )
    return found


def _opened(source: str | Path, folder: Path, space: str) -> Benchmark:
    found = _find(source, folder, find_space(space))
    path = Path(source).absolute()
    where = str(path if path.exists() else source), str(folder.absolute()), space
    found.opened_by = (reopen, *where)
    return found


def _find(source: str | Path, folder: Path, space: Space) -> Benchmark:
    name, colon, condition = str(source).partition(":")
    whose = next((of for of in map(find_space, names()) if name in of.benchmarks), space)
    _check(str(source), whose, space)
    if name == "analog":
        return analog.read_analog(condition if colon else "digital")
    if source == "nb201":
        found = files.find(folder, [table.FILE_NAME])
        if found is None:
            raise DataError(f"no {table.FILE_NAME} in {folder}; {table.HOW_TO_GET}")
        return table.read_table(found)
    if source == "auto":
        best = find_best(folder, space)
        if best is not None:
            return _open(best)
        if "analog" in space.benchmarks and analog.find_file() is not None:
            return analog.read_analog()
        lacking = _lacking(space)
        if not lacking:
            return NoBenchmark(space)
        raise NotAtHandError(f"no benchmark of {space.title} found in {folder}: {lacking}")
    path = Path(source)
    if not path.exists():
        raise BadCallError(f"benchmark {str(source)!r} is neither a path that exists nor one of {', '.join(NAMES)}")
    _check(str(source), space_of(path), space)
    return _open(path)


def _lacking(space: Space) -> str:
    """How to get a benchmark of the space: those with a name, which are quicker to get, else official files."""
    how_to_get = {"nb201": table.HOW_TO_GET, "analog": analog.HOW_TO_GET}
    if space.benchmarks:
        return "; or ".join(how_to_get[name] for name in space.benchmarks)
    files_of = " and no ".join(official.names_of(space))
    return f"no {files_of}: {official.HOW_TO_GET}" if files_of else ""


def _check(source: str, its: Space, asked: Space) -> None:
    if its.name != asked.name:
        raise BadCallError(
            f"benchmark {source!r} is of {its.title}, where one of {asked.title} is asked for: name another one, or "
            f"ask for the space {its.name} (--space {its.name})"
        )


def space_of(path: Path) -> Space:
    """The space of the benchmark at `path`."""
    return columnar.describe(path).of if columnar.is_table(path) else official.space_of(path)


def find_best(folder: Path, space: Space = TSS) -> Path | None:
    """The best benchmark in the data folder: quick before slow, NATS-Bench before NAS-Bench-201, newer before older.

    What was cut to some cells would fail at the end of a search, for most of them: it is passed over.
    """
    whole = [path for path in columnar.find(folder) if _is_whole_table(path, space)]
    nats = [path for path in whole if path.name.startswith("NATS")]
    if nats:
        return nats[0]
    fetched = files.find(folder, [table.FILE_NAME]) if "nb201" in space.benchmarks else None
    if fetched is not None:
        return fetched
    if whole:
        return whole[0]
    for name in official.names_of(space):
        found = files.find(folder, [name])
        if found is not None and (not found.is_dir() or official.is_whole_folder(found)):
            return found
    return None


def _is_whole_table(folder: Path, space: Space) -> bool:
    try:
        about = columnar.describe(folder)
    except DataError:
        return False
    return about.is_whole and about.space == space.name


def _open(path: Path) -> Benchmark:
    if path.is_dir():
        return columnar.open_table(path) if columnar.is_table(path) else official.open_nats_folder(path)
    for ending, opener in (
        (".csv.gz", table.read_table),
        (".pickle.pbz2", official.open_nats_pickle),
        (".pth", official.open_nas_bench_201),
    ):
        if path.name.endswith(ending):
            return opener(path)
    raise DataError(
        f"{path} is no benchmark that this version reads: a fetched or imported table ({table.FILE_NAME}, "
        f"…{columnar.ENDING}), NATS-Bench's folder or .pickle.pbz2, NAS-Bench-201's .pth"
    )
