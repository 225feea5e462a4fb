"""Records as pandas frames: a row a run, an epoch of a run, a best cell so far, a training, or a cell as rated.

Columns have the names of `Record`'s fields where they are the same thing. Accuracies are in percent, losses in nats,
times in seconds, memory in MiB (2^20 bytes). What a run does not have is NaN, or empty text.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.errors import DamagedFileWarning
from nasbench_stc.methods import Listing, ours
from nasbench_stc.records import (
    Ranking,
    Record,
    SimulatedRun,
    SimulatedRuns,
    Source,
    ranking,
    read_each,
    read_sources,
    training,
)
from nasbench_stc.records.ablation import Search, is_of_ablation
from nasbench_stc.records.record import read_below
from nasbench_stc.records.training import TrainingRecord
from nasbench_stc.report.cache import Cache, Part
from nasbench_stc.space import TSS, Cell, Space, find_space

if TYPE_CHECKING:
    from pandas import Categorical, DataFrame

T = TypeVar("T")
Types = Mapping[str, type[Any]]
"""Of a frame's columns, in their order: `str` is a category, `np.datetime64` a time (UTC)."""
Folders = str | Path | Iterable[str | Path]


def _typed(*columns: tuple[type[Any], str]) -> Types:
    return {name: of for of, names in columns for name in names.split()}


def alpha_columns(space: Space) -> list[str]:
    """Columns of `load_trajectories` that alpha is in: edge by edge, and there operation by operation."""
    return [f"alpha_{edge.replace('→', '-')}_{op}" for edge in space.edges for op in space.ops]


_RUNS = _typed(
    (str, "method title space search_dataset protocol changes kind"),
    (np.int64, "seed cell_index"),
    (np.float64, " ".join(COLUMNS)),
    (np.float64, "seconds weights_seconds alpha_seconds evaluation_seconds simulated_seconds scores_seconds"),
    (np.int64, "evaluations"),
    (np.float64, "supernet_loss supernet_accuracy super_cell_loss super_cell_accuracy memory_mib"),
    (str, "memory_of clock told device"),
    (np.int64, "threads side_by_side"),
    (str, "origin versions git_revision"),
    (np.datetime64, "finished"),
    (str, "benchmark benchmark_sha256 benchmark_file benchmark_about settings"),
    (np.float64, "order"),
    (np.bool_, "of_ablation"),
    (str, "path"),
)
_WHOSE = (str, "path method space search_dataset protocol")
_EPOCHS = _typed(_WHOSE, (np.int64, "seed epoch cell_index"), (np.float64, "train_loss valid_loss seconds"))
_INCUMBENTS = _typed(_WHOSE, (np.int64, "seed evaluation"), (np.float64, "seconds"), (np.int64, "cell_index"))
_TRAININGS = _typed(
    (str, "space dataset protocol changes"),
    (np.int64, "seed cell_index epochs"),
    (np.float64, "test_accuracy test_top5 test_loss train_accuracy train_loss"),
    (np.int64, "params"),
    (np.float64, "mflops seconds training_seconds evaluation_seconds memory_mib"),
    (str, "memory_of device"),
    (np.int64, "threads side_by_side"),
    (str, "versions git_revision"),
    (np.datetime64, "finished"),
    (str, "settings method title search_folder search_dataset search_protocol"),
    (np.int64, "search_seed"),
    (np.float64, "order"),
    (str, "path"),
)
_RATINGS = _typed(
    (str, "method space search_dataset protocol changes"),
    (np.int64, "seed images cell_index"),
    (np.float64, "accuracy loss"),
    (str, "supernet_sha256 path"),
)
_STATUS = _typed(
    (str, "path state host"),
    (np.int64, "pid"),
    (str, "job"),
    (np.int64, "epoch epochs step steps"),
    (np.float64, "loss seconds"),
    (np.datetime64, "expected_end written"),
    (str, "error"),
)
_NOTHING = {str: "", np.float64: math.nan, np.int64: 0, np.datetime64: None, np.bool_: False}
"""What a run has in a column that is not of it, by the column's type."""


def load_runs(folders: Folders = "results") -> DataFrame:
    """All runs below folders, a row each.

    What was searched: `method`, its `title` in tables and `kind` (one-shot, black-box or training-free), `space`,
    `search_dataset`, `protocol`, `seed`, `changes` (settings that differ from the protocol's and the method's own) and
    all `settings`, both as JSON; `of_ablation`: whether it is of an arm that changes a setting. What was found: `cell`
    (official string), `cell_index` (official), `digits`, `isomorphism_class`, and by report column (`cifar10-valid` to
    `ImageNet16-120-test`) what `benchmark` says of it, in percent, at its full budget; `benchmark_sha256`,
    `benchmark_file` and `benchmark_about` say which one that is. What a black-box method was `told` of a cell, and in
    what its budget was (`clock`: seconds or evaluations). What it cost: `seconds` in all and by part
    (`weights_seconds`, `alpha_seconds`, `evaluation_seconds`; `simulated_seconds` by the benchmark's clock,
    `scores_seconds` of training-free scores), `evaluations` of black-box methods, `memory_mib` at the peak (of what:
    `memory_of`). What the supernet said of the cell: `supernet_loss`, `supernet_accuracy` (and of the super-cell before
    it: `super_cell_loss`, `super_cell_accuracy`). Where it comes from: `device`, `threads`, `side_by_side` (how many
    searches shared the device: if more than one, its seconds are not those of a run alone), `origin` (of a method that
    is not ours its package or file), `order` (the method's among the rows of tables; infinite: after all others),
    `versions` (JSON), `git_revision`, `finished` (UTC), `path` of the file.

    `seed`, `cell_index`, `evaluations`, `threads` and `side_by_side` are int64, `of_ablation` is bool, `finished` a
    time; other numbers are float64, and all texts categories.

        runs = load_runs("results")
        runs.groupby(["title", "protocol"], observed=True)["cifar10-test"].agg(["mean", "std", "count"])

    Where there are many records, what was made of them is kept in a file beside them, so that those that did not change
    are not read again.

    Args:
        folders: one or several; those that are not there have no runs.

    Warns:
        DamagedFileWarning: a file is damaged, and left out.
    """
    paths = _paths(folders)
    cache = Cache(paths, _RUNS)

    def keep(path: Path, source: Source) -> Part:  # a trajectory is most of a record, and needed no longer
        part = _of_file(path, source)
        return part if isinstance(source, SimulatedRuns) else cache.note(path, part)

    found = _warned(read_each(paths, keep, cache.known))
    cache.write()
    return _with_cells(_frame(_RUNS, found.values()))


def load_trajectories(folders: Folders = "results") -> DataFrame:
    """All epochs of the weight-sharing runs below folders, a row each.

    `path` and `seed` name the run as in `load_runs`; `method`, `space`, `search_dataset` and `protocol` are its own.
    `epoch` counts from 1; `cell`, `cell_index`, `digits` and `isomorphism_class` are of the cell that would have
    resulted after it, of Duel-LS before its local search (of methods that have none before the end: empty, -1);
    `train_loss`, `valid_loss` and `seconds` are of the epoch. `alpha_0-1_none` to `alpha_2-3_avg_pool_3x3` are the
    architecture parameters after it, edge by edge; of other spaces than tss likewise, by their edges and operations,
    where there are runs in them.

    `seed`, `epoch` and `cell_index` are int64, other numbers float64, and all texts categories.

    Args:
        folders: as of `load_runs`.

    Warns:
        DamagedFileWarning: a file is damaged, and left out.
    """
    return trajectories_frame(_warned(read_sources(_paths(folders))))


def load_incumbents(folders: Folders = "results") -> DataFrame:
    """Each time that the best cell of a simulated run below folders changed, a row.

    `path` and `seed` name the run as in `load_runs`; `method`, `space`, `search_dataset`, `protocol` are its own.
    `evaluation`: after which answer, from 1; `seconds`: simulated, since the run began; `cell_index`: the best cell
    from then on, by what the method was told. `seconds` are float64, other numbers int64, and all texts categories.

    Args:
        folders: as of `load_runs`.

    Warns:
        DamagedFileWarning: a file is damaged, and left out.
    """
    return incumbents_frame(_warned(read_sources(_paths(folders))))


def load_trainings(folders: Folders = "results") -> DataFrame:
    """All trainings of single cells below folders (`stc-bench train`), a row each.

    What was trained: the cell (`cell`, `cell_index`, `digits` and `isomorphism_class`, of its `space`) on `dataset`, by
    `protocol`, over `epochs`, with `seed`; `changes` (settings that differ from the protocol's) and all `settings`,
    both as JSON. What it reached after the last epoch: of the whole test set `test_accuracy`, `test_top5` (the class is
    among the five likeliest), in percent, and `test_loss`; of augmented images as it learned `train_accuracy` and
    `train_loss`.
    What it is and cost: `params`, `mflops` (multiply-adds of an image, in millions), `seconds` in all and by part
    (`training_seconds`, `evaluation_seconds`), `memory_mib` at the peak (of what: `memory_of`). Which search found the
    cell: its `method` (`title` and `order` as in `load_runs`), `search_dataset`, `search_protocol`, `search_seed`, and
    the name of its folder, `search_folder`; of a cell that was given they are empty, -1 and infinite. Where it comes
    from: `device`, `threads`, `side_by_side`, `versions` (JSON), `git_revision`, `finished` (UTC), `path` of the file.

    `seed`, `cell_index`, `epochs`, `params`, `threads`, `side_by_side` and `search_seed` are int64, `finished` a time,
    other numbers float64, and all texts categories.

    Args:
        folders: as of `load_runs`.

    Warns:
        DamagedFileWarning: a file is damaged, and left out.
    """
    return trainings_frame(_warned(read_below(_paths(folders), training.FILE_NAME, training.read)))


def load_ratings(folders: Folders = "results") -> DataFrame:
    """What supernets below folders say of cells (`stc-bench rank`), a row for each cell of each ranking.

    Whose supernet: of a search with `method` on `search_dataset` in `space`, by `protocol` with `changes` (as in
    `load_runs`), with `seed`; `supernet_sha256`. Which cell: `cell`, `cell_index`, `digits` and `isomorphism_class`.
    What it says of it, on so many validation `images`: `accuracy` in percent and `loss`. `path` of the file.

    `seed`, `images` and `cell_index` are int64, other numbers float64, and all texts categories.

        ratings = load_ratings("results")
        ratings["truth"] = open_benchmark("auto").accuracy(ratings["cell_index"].to_numpy())
        ratings.groupby("path", observed=True)[["accuracy", "truth"]].corr("kendall")

    Args:
        folders: as of `load_runs`.

    Warns:
        DamagedFileWarning: a file is damaged, and left out.
    """
    found = _warned(read_below(_paths(folders), ranking.PATTERN, ranking.read))
    return _with_cells(_frame(_RATINGS, [_ratings(path, one) for path, one in found.items()]))


def load_status(folders: Folders = "results") -> DataFrame:
    """How far the runs below folders are, a row each, as they tell it themselves on whatever machine they run.

    `path` of the run's folder; `state`: running, waiting (for a cluster), failed, lost (its process ended without a
    word), stopped or done, of which nothing more is told. `host`, `pid` and `job` (of Slurm) of its process; `epoch`
    (from 1; of simulated runs which run) of `epochs`, `step` of `steps`; `loss` of training in the last whole epoch;
    `seconds` so far; `expected_end` and `written` (when it told this) in UTC; `error`: why it failed.

    `pid`, `epoch`, `epochs`, `step` and `steps` are int64, `loss` and `seconds` float64, and all texts categories.

    Args:
        folders: as of `load_runs`.
    """
    from nasbench_stc.runs import status

    found = status.find(_paths(folders))
    return _frame(_STATUS, [{**asdict(run.status), "path": str(run.folder), "state": run.state} for run in found])


def _paths(folders: Folders) -> list[Path]:
    return [Path(path) for path in ([folders] if isinstance(folders, (str, Path)) else folders)]


def _warned(read: tuple[dict[Path, T], list[str]]) -> dict[Path, T]:
    """What was read, after a warning for each file that could not be."""
    found, problems = read
    for problem in problems:
        warnings.warn(f"left out: {problem}", DamagedFileWarning, stacklevel=3)
    return found


def runs_frame(sources: Mapping[Path, Source]) -> DataFrame:
    """What `load_runs` says, of files that were read, by their paths."""
    return _with_cells(_frame(_RUNS, [_of_file(path, source) for path, source in sources.items()]))


def trajectories_frame(sources: Mapping[Path, Source]) -> DataFrame:
    """What `load_trajectories` says, likewise."""
    trained = [(path, run) for path, run in sources.items() if not isinstance(run, (SimulatedRun, SimulatedRuns))]
    spaces = dict.fromkeys([TSS.name, *(run.space for _, run in trained)])
    alpha = [name for space in spaces for name in alpha_columns(find_space(space))]
    return _with_cells(_frame({**_EPOCHS, **dict.fromkeys(alpha, np.float64)}, [_epochs(*one) for one in trained]))


def incumbents_frame(sources: Mapping[Path, Source]) -> DataFrame:
    """What `load_incumbents` says, likewise."""
    return _frame(_INCUMBENTS, [_incumbents(path, source) for path, source in sources.items()])


def trainings_frame(records: Mapping[Path, TrainingRecord]) -> DataFrame:
    """What `load_trainings` says, likewise."""
    return _with_cells(_frame(_TRAININGS, [_training(path, record) for path, record in records.items()]))


def _frame(types: Types, parts: Iterable[Part]) -> DataFrame:
    """A part has a row, or as many as its list `cell_index` is long: of each column a list, or one value for all."""
    from pandas import DataFrame, to_datetime

    parts = list(parts)
    cells = [part.get("cell_index") for part in parts]
    lengths = [len(of_part) if isinstance(of_part, list) else 1 for of_part in cells]
    columns: dict[str, Any] = {}
    for name, of in types.items():
        values: list[Any] = []
        for part, length in zip(parts, lengths, strict=True):
            value = part.get(name, _NOTHING[of])
            values.extend(value if isinstance(value, list) else repeat(value, length))
        if of is str:
            columns[name] = _categories(values)
        elif of is np.datetime64:  # a file may say what looks like a time and is none, like the 30th of February
            columns[name] = to_datetime(values, utc=True, format="ISO8601", errors="coerce").as_unit("us")
        else:
            columns[name] = np.array(values, dtype=of)
    return DataFrame(columns)


def _categories(texts: Sequence[str]) -> Categorical:
    from pandas import Categorical, Index

    known: dict[str, int] = {}
    codes = np.array([known.setdefault(text, len(known)) for text in texts], dtype=np.int64)
    return Categorical.from_codes(codes, Index(list(known), dtype=str))


def _with_cells(frame: DataFrame) -> DataFrame:
    """The frame with what `cell_index` (-1: none) means."""
    pairs = list(zip(frame["space"], frame["cell_index"], strict=True))
    known = {pair: code for code, pair in enumerate(dict.fromkeys(pairs))}
    codes = [known[pair] for pair in pairs]
    cells = [Cell.from_index(index, space) if index >= 0 else None for space, index in known]
    texts = {
        "cell": [str(cell or "") for cell in cells],
        "digits": [cell.digits if cell else "" for cell in cells],
        "isomorphism_class": [cell.isomorphism_class if cell else "" for cell in cells],
    }
    return frame.assign(**{name: _categories(of_cells).take(codes) for name, of_cells in texts.items()})


def _of_file(path: Path, source: Source) -> Part:
    """Columns of its runs: a list, or one value for all of them."""
    own = _simulated(source) if isinstance(source, SimulatedRuns) else _recorded(source)
    listing = _listing(source, own["origin"])
    seed = None if isinstance(source, SimulatedRuns) else source.seed
    search = Search(source.method, source.search_dataset, source.protocol, source.changes, seed)
    return {
        **{name: _NOTHING[of] for name, of in _RUNS.items()},
        **_whose(path, source),
        **_shown(listing),
        "kind": _kind(source),
        "changes": _json(source.changes),
        "settings": _json(source.settings),
        "benchmark": source.benchmark["name"],
        **{f"benchmark_{name}": source.benchmark.get(name, "") for name in ("sha256", "file", "about")},
        "of_ablation": is_of_ablation(search),
        **own,
    }


def _shown(listing: Listing) -> dict[str, Any]:
    """How a method is called in tables, and its place among their rows."""
    return {"title": listing.title, "order": math.inf if listing.order is None else float(listing.order)}


def _whose(path: Path, source: Source) -> dict[str, Any]:
    names = ("method", "space", "search_dataset", "protocol")
    return {"path": str(path), **{name: getattr(source, name) for name in names}}


def _recorded(run: Record) -> dict[str, Any]:
    same = ("seed", "device", "threads", "side_by_side", "git_revision", "finished")
    answered = ("clock", "told", "evaluations") if isinstance(run, SimulatedRun) else ()
    return {
        **{name: getattr(run, name) for name in (*same, *answered)},
        "cell_index": Cell.parse(run.cell, space=run.space).index,
        **run.scores,
        "seconds": run.total_seconds,
        **{f"{part}_seconds": seconds for part, seconds in run.seconds.items()},
        **{f"supernet_{name}": run.supernet.get(name, math.nan) for name in ("loss", "accuracy")},
        **{name: run.supernet.get(name, math.nan) for name in ("super_cell_loss", "super_cell_accuracy")},
        "memory_mib": _number(run.peak_memory.get("mib")),
        "memory_of": run.peak_memory.get("of", ""),
        "origin": run.versions.get(run.method, ""),
        "versions": _json(run.versions),
    }


def _simulated(runs: SimulatedRuns) -> dict[str, Any]:
    cells = [incumbents[-1][2] for incumbents in runs.incumbents]
    sessions = [{**session, "versions": _json(session["versions"])} for session in runs.sessions]
    of_seed = {seed: told for told, session in zip(sessions, runs.sessions, strict=True) for seed in session["seeds"]}
    made_by = ("versions", "device", "git_revision", "finished")
    return {
        **{name: [of_seed[seed][name] for seed in runs.seeds] for name in made_by},
        **({"device": runs.timed_by} if runs.timed_by else {}),
        "seed": runs.seeds,
        "cell_index": cells,
        **{column: [scores[str(cell)] for cell in cells] for column, scores in runs.scores.items()},
        "seconds": np.add(runs.seconds, runs.scoring).tolist(),
        "simulated_seconds": runs.seconds,
        "scores_seconds": runs.scoring,
        "evaluations": runs.queries["lengths"],
        **{name: getattr(runs, name) for name in ("clock", "told", "origin")},
        **dict.fromkeys(("threads", "side_by_side"), 1),
    }


def _epochs(path: Path, run: Record) -> Part:
    entries = run.trajectory
    names = alpha_columns(find_space(run.space))
    alpha = [np.ravel(entry.get("alpha", [math.nan] * len(names))) for entry in entries]
    cells = [Cell.parse(entry["cell"], space=run.space).index if entry.get("cell") else -1 for entry in entries]
    return {
        **_whose(path, run),
        "seed": run.seed,
        "epoch": list(range(1, len(entries) + 1)),
        "cell_index": cells,
        **{name: [_number(entry.get(name)) for entry in entries] for name in ("train_loss", "valid_loss", "seconds")},
        **dict(zip(names, np.reshape(alpha, (-1, len(names))).T.tolist(), strict=True)),
    }


def _incumbents(path: Path, source: Source) -> Part:
    """Of each of its runs each change; none of a run that trained a supernet."""
    of_runs: Mapping[int, Sequence[tuple[int, float, int]]] = {}
    if isinstance(source, SimulatedRuns):
        of_runs = dict(zip(source.seeds, source.incumbents, strict=True))
    elif isinstance(source, SimulatedRun):
        entries = source.trajectory
        cells = [Cell.parse(at["cell"], space=source.space).index for at in entries]
        of_runs = {
            source.seed: [(at["evaluation"], at["seconds"], cell) for at, cell in zip(entries, cells, strict=True)]
        }
    changes = [(seed, *change) for seed, of_run in of_runs.items() for change in of_run]
    names = ("seed", "evaluation", "seconds", "cell_index")
    return {**_whose(path, source), **{name: [change[at] for change in changes] for at, name in enumerate(names)}}


def _training(path: Path, run: TrainingRecord) -> Part:
    same = ("space", "dataset", "protocol", "seed", "params", "mflops")
    made_by = ("device", "threads", "side_by_side", "git_revision", "finished")
    last = {name: value for name, value in run.trajectory[-1].items() if name not in ("epoch", "seconds")}
    search: dict[str, Any] = {"search_seed": -1, "order": math.inf}
    if run.found_by is not None:
        method = run.found_by["method"]
        listing = ours()[method].listing if method in ours() else Listing(method)
        search = {f"search_{name.removeprefix('search_')}": value for name, value in run.found_by.items()}
        search |= {"method": method, **_shown(listing)}
    return {
        **{name: getattr(run, name) for name in (*same, *made_by)},
        **last,
        "epochs": len(run.trajectory),
        "cell_index": Cell.parse(run.cell, space=run.space).index,
        "seconds": run.total_seconds,
        **{f"{part}_seconds": seconds for part, seconds in run.seconds.items()},
        "memory_mib": _number(run.peak_memory.get("mib")),
        "memory_of": run.peak_memory.get("of", ""),
        **{name: _json(getattr(run, name)) for name in ("changes", "versions", "settings")},
        **search,
        "path": str(path),
    }


def _ratings(path: Path, one: Ranking) -> Part:
    same = ("method", "space", "search_dataset", "protocol", "seed", "images", "accuracy", "loss", "supernet_sha256")
    whose = {name: getattr(one, name) for name in same}
    return {**whose, "changes": _json(one.changes), "cell_index": one.cells, "path": str(path)}


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _kind(source: Source) -> str:
    if not isinstance(source, (SimulatedRun, SimulatedRuns)):
        return "one-shot"
    return "black-box" if source.trained else "training-free"


def _listing(source: Source, origin: str) -> Listing:
    """How its method is shown: one of ours as its class says now, any other as the record says."""
    if source.method in ours() and not origin:  # else a file's or a package's, of that name
        return ours()[source.method].listing
    return Listing(source.title or source.method, order=source.order)


def _json(value: Mapping[str, Any]) -> str:
    return sys.intern(json.dumps(value, sort_keys=True, ensure_ascii=False))  # few different ones in many files
