"""Records as pandas frames: one row a run, an epoch of a run, or a best cell so far.

Columns have the names of `Record`'s fields where they are the same thing. Accuracies are in percent, losses in nats,
times in seconds, memory in MiB (2^20 bytes). What a run does not have is NaN, or empty text.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nasbench_stc.benchmark import COLUMNS
from nasbench_stc.errors import DamagedFileWarning
from nasbench_stc.methods import Listing, ours
from nasbench_stc.runs import Record, SimulatedRun, SimulatedRuns, Source, read_each
from nasbench_stc.runs.ablation import Search, is_of_ablation
from nasbench_stc.runs.simulated import NO_QUERIES
from nasbench_stc.space import EDGES, OPS, Cell

if TYPE_CHECKING:
    from pandas import Categorical, DataFrame

T = TypeVar("T")

Folders = str | Path | Iterable[str | Path]

TEXTS = (
    *("method", "title", "kind", "search_dataset", "protocol", "changes", "settings", "device", "origin", "versions"),
    *("benchmark", "benchmark_sha256", "benchmark_file", "benchmark_about", "clock", "told", "memory_of"),
    *("git_revision", "path"),
)
"""Columns of `load_runs` that are categories: few different texts in many rows."""
_WHOLE = dict.fromkeys(("seed", "cell_index", "evaluations", "threads", "side_by_side"), np.int64)
_TYPES: Mapping[str, Any] = {**_WHOLE, "of_ablation": np.bool_, "finished": np.str_}  # the others are numbers
SECONDS = ("weights", "alpha", "evaluation", "simulated", "scores")
ALPHA = tuple(f"alpha_{source}-{target}_{op}" for source, target in EDGES for op in OPS)
"""Columns of `load_trajectories` that alpha is in: edge by edge, and there operation by operation."""
_WHOSE = ("path", "method", "search_dataset", "protocol")
_OF_EPOCH = ("train_loss", "valid_loss", "seconds")
_CELL = ("cell", "digits", "isomorphism_class")


def load_runs(folders: Folders = "results") -> DataFrame:
    """All runs below folders, a row each.

    What was searched: `method`, its `title` in tables and `kind` (one-shot, black-box or training-free),
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

    Args:
        folders: one or several; those that are not there have no runs.

    Warns:
        DamagedFileWarning: a file is damaged, and left out.
    """
    return _runs_frame(_read(folders, _of_file))  # a trajectory is most of a record, and needed no longer


def load_trajectories(folders: Folders = "results") -> DataFrame:
    """All epochs of the weight-sharing runs below folders, a row each.

    `path` and `seed` name the run as in `load_runs`, and `method`, `search_dataset`, `protocol` are its own. `epoch`
    counts from 1; `cell`, `cell_index`, `digits` and `isomorphism_class` are of the cell that would have resulted after
    it (of methods that have none before the end: empty, -1); `train_loss`, `valid_loss` and `seconds` are of the epoch.
    `alpha_0-1_none` to `alpha_2-3_avg_pool_3x3` are the architecture parameters after it, edge by edge.

    `seed`, `epoch` and `cell_index` are int64, other numbers float64, and all texts categories.

    Args:
        folders: as of `load_runs`.

    Warns:
        DamagedFileWarning: a file is damaged, and left out.
    """
    return trajectories_frame(_read(folders, _itself))


def load_incumbents(folders: Folders = "results") -> DataFrame:
    """Each time that the best cell of a simulated run below folders changed, a row.

    `path` and `seed` name the run as in `load_runs`, and `method`, `search_dataset`, `protocol` are its own.
    `evaluation`: after which answer, from 1; `seconds`: simulated, since the run began; `cell_index`: the best cell
    from then on, by what the method was told. `seconds` are float64, other numbers int64, and all texts categories.

    Args:
        folders: as of `load_runs`.

    Warns:
        DamagedFileWarning: a file is damaged, and left out.
    """
    return incumbents_frame(_read(folders, _itself))


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
    from pandas import DataFrame, to_datetime

    from nasbench_stc.runs import status

    paths = [folders] if isinstance(folders, (str, Path)) else list(folders)
    names = [item.name for item in fields(status.Status) if item.name not in ("state", "schema")]
    lines = [
        (str(run.folder), run.state, *(getattr(run.status, name) for name in names))
        for run in status.find(map(Path, paths))
    ]
    times, whole = ("expected_end", "written"), ("pid", "epoch", "epochs", "step", "steps")
    types = {**dict.fromkeys(("path", "state", *names), "category"), "loss": np.float64, "seconds": np.float64}
    types |= dict.fromkeys(whole, np.int64) | dict.fromkeys(times, object)
    frame = DataFrame(lines, columns=["path", "state", *names]).astype(types)
    utc = {name: to_datetime(frame[name], utc=True, format="ISO8601").dt.as_unit("us") for name in times}
    return frame.assign(**utc)


def _read(folders: Folders, keep: Callable[[Path, Source], T]) -> dict[Path, T]:
    """Of each file what `keep` makes of it."""
    paths = [folders] if isinstance(folders, (str, Path)) else list(folders)
    found, problems = read_each([Path(path) for path in paths], keep)
    for problem in problems:
        warnings.warn(f"left out: {problem}", DamagedFileWarning, stacklevel=3)
    return found


def _itself(path: Path, source: Source) -> Source:
    return source


def runs_frame(sources: Mapping[Path, Source]) -> DataFrame:
    """What `load_runs` says, of files that were read.

    Args:
        sources: by the path of the file.
    """
    return _runs_frame({path: _of_file(path, source) for path, source in sources.items()})


def _runs_frame(files: Mapping[Path, Mapping[str, Any]]) -> DataFrame:
    """Of what `_of_file` makes of each file."""
    from pandas import DataFrame, to_datetime

    parts = list(files.values()) or [_of_file(Path(), _NO_RUNS)]
    lengths = [len(part["cell_index"]) for part in parts]
    columns = {}
    for name in parts[0]:
        values = [part[name] for part in parts]
        # A value that a file has only one of counts for each of its runs.
        columns[name] = (
            _categories(values, lengths)
            if name in TEXTS
            else np.concatenate(
                [np.broadcast_to(value, length) for value, length in zip(values, lengths, strict=True)]
            ).astype(_TYPES.get(name, np.float64))
        )
    frame = DataFrame(columns)
    # A file may say what looks like a time and is none, like the 30th of February.
    finished = to_datetime(frame["finished"], utc=True, format="ISO8601", errors="coerce").dt.as_unit("us")
    return _with_cells(frame.assign(finished=finished))


_NO_RUNS = SimulatedRuns(
    method="",
    origin="",
    search_dataset="",
    protocol="",
    settings={"protocol": {}},
    changes={},
    benchmark={"name": "", "sha256": "", "file": ""},
    told="",
    clock="seconds",
    seeds=[],
    seconds=[],
    scoring=[],
    incumbents=[],
    scores={},
    queries=NO_QUERIES,
    sessions=[],
)
"""Of which a frame without rows has its columns and their types."""


def _of_file(path: Path, source: Source) -> dict[str, Any]:
    """Columns of its runs: a list, or one value for all of them."""
    own = _simulated(source) if isinstance(source, SimulatedRuns) else _recorded(source)
    listing = _listing(source, own["origin"])
    return {
        "method": source.method,
        "title": listing.title,
        "search_dataset": source.search_dataset,
        "protocol": source.protocol,
        "changes": _json(source.changes),
        **own,
        "benchmark": source.benchmark["name"],
        "benchmark_sha256": source.benchmark["sha256"],
        "benchmark_file": source.benchmark["file"],
        "benchmark_about": source.benchmark.get("about", ""),
        "settings": _json(source.settings),
        "order": math.inf if listing.order is None else float(listing.order),
        "of_ablation": is_of_ablation(Search(source.method, source.search_dataset, source.protocol, source.changes)),
        "path": str(path),
    }


def _recorded(run: Record) -> dict[str, Any]:
    return {
        "kind": _kind(run.trained) if isinstance(run, SimulatedRun) else "one-shot",
        "seed": [run.seed],
        "cell_index": [Cell.parse(run.cell).index],
        **{column: run.scores.get(column, math.nan) for column in COLUMNS},
        "seconds": run.total_seconds,
        **{f"{part}_seconds": run.seconds.get(part, math.nan) for part in SECONDS},
        "evaluations": run.evaluations if isinstance(run, SimulatedRun) else 0,
        **{f"supernet_{name}": run.supernet.get(name, math.nan) for name in ("loss", "accuracy")},
        **{f"super_cell_{name}": run.supernet.get(f"super_cell_{name}", math.nan) for name in ("loss", "accuracy")},
        "memory_mib": _number(run.peak_memory.get("mib")),
        "memory_of": run.peak_memory.get("of", ""),
        "clock": run.clock if isinstance(run, SimulatedRun) else "",
        "told": run.told if isinstance(run, SimulatedRun) else "",
        "device": run.device,
        "threads": run.threads,
        "side_by_side": run.side_by_side,
        "origin": run.versions.get(run.method, ""),
        "versions": _json(run.versions),
        "git_revision": run.git_revision,
        "finished": run.finished,
    }


def _simulated(runs: SimulatedRuns) -> dict[str, Any]:
    cells = [incumbents[-1][2] for incumbents in runs.incumbents]
    places = {seed: place for place, session in enumerate(runs.sessions) for seed in session["seeds"]}
    of_run = [runs.sessions[places[seed]] for seed in runs.seeds]
    versions = [_json(session["versions"]) for session in runs.sessions]
    none = math.nan
    return {
        "kind": _kind(runs.trained),
        "seed": runs.seeds,
        "cell_index": cells,
        **{column: _looked_up(runs.scores.get(column), cells) for column in COLUMNS},
        "seconds": np.add(runs.seconds, runs.scoring),
        **{f"{part}_seconds": none for part in ("weights", "alpha", "evaluation")},
        "simulated_seconds": runs.seconds,
        "scores_seconds": runs.scoring,
        "evaluations": runs.queries["lengths"],
        **dict.fromkeys(("supernet_loss", "supernet_accuracy", "super_cell_loss", "super_cell_accuracy"), none),
        "memory_mib": none,
        "memory_of": "",
        "clock": runs.clock,
        "told": runs.told,
        "device": runs.timed_by or [session["device"] for session in of_run],
        "threads": 1,
        "side_by_side": 1,
        "origin": runs.origin,
        "versions": [versions[places[seed]] for seed in runs.seeds],
        "git_revision": [session["git_revision"] for session in of_run],
        "finished": [session["finished"] for session in of_run],
    }


def _looked_up(scores: Mapping[str, float] | None, cells: Sequence[int]) -> Any:
    return math.nan if scores is None else [scores[str(cell)] for cell in cells]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _kind(trained: bool) -> str:
    return "black-box" if trained else "training-free"


def _listing(source: Source, origin: str) -> Listing:
    """How its method is shown: one of ours as its class says now, any other as the record says."""
    if source.method in ours() and not origin:  # else a file's or a package's, of that name
        return ours()[source.method].listing
    return Listing(source.title or source.method, order=source.order)


def _json(value: Mapping[str, Any]) -> str:
    return sys.intern(json.dumps(value, sort_keys=True, ensure_ascii=False))  # few different ones in many files


def _categories(values: Sequence[str | Sequence[str]], lengths: Sequence[int]) -> Categorical:
    """Of a column, file by file: a text for each of so many runs, or one for all of them."""
    from pandas import Categorical

    known: dict[str, int] = {}
    codes = [
        np.full(length, known.setdefault(value, len(known)))
        if isinstance(value, str)
        else [known.setdefault(one, len(known)) for one in value]
        for value, length in zip(values, lengths, strict=True)
    ]
    return Categorical.from_codes(np.concatenate([*codes, np.empty(0, dtype=np.int64)]), list(known))


def _with_cells(frame: DataFrame) -> DataFrame:
    """The frame with what `cell_index` (-1: none) means, in categories."""
    from pandas import Categorical

    known, codes = np.unique(frame["cell_index"].to_numpy(), return_inverse=True)
    cells = [Cell.from_index(int(index)) if index >= 0 else None for index in known]
    for name in _CELL:
        texts = ["" if cell is None else str(cell) if name == "cell" else getattr(cell, name) for cell in cells]
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        frame[name] = Categorical.from_codes(
            np.array([places[text] for text in texts], dtype=np.int64)[codes], list(places)
        )
    return frame


def trajectories_frame(sources: Mapping[Path, Source]) -> DataFrame:
    """What `load_trajectories` says, of files that were read."""
    from pandas import DataFrame

    lines = [
        (
            *(str(path), run.method, run.search_dataset, run.protocol, run.seed, epoch),
            Cell.parse(entry["cell"]).index if entry.get("cell") else -1,
            *(_number(entry.get(name)) for name in _OF_EPOCH),
            *(itertools.chain(*entry["alpha"]) if "alpha" in entry else itertools.repeat(math.nan, len(ALPHA))),
        )
        for path, run in sources.items()
        if isinstance(run, Record) and not isinstance(run, SimulatedRun)
        for epoch, entry in enumerate(run.trajectory, 1)
    ]
    frame = DataFrame(lines, columns=[*_WHOSE, "seed", "epoch", "cell_index", *_OF_EPOCH, *ALPHA])
    types: dict[str, Any] = {
        **dict.fromkeys(_WHOSE, "category"),
        **dict.fromkeys(("seed", "epoch", "cell_index"), np.int64),
        **dict.fromkeys((*_OF_EPOCH, *ALPHA), np.float64),
    }
    return _with_cells(frame.astype(types))


def incumbents_frame(sources: Mapping[Path, Source]) -> DataFrame:
    """What `load_incumbents` says, of files that were read."""
    from pandas import DataFrame

    parts = [(path, source, _incumbents(source)) for path, source in sources.items()]
    lengths = [sum(map(len, incumbents)) for _, _, incumbents in parts]
    whose = [(str(path), source.method, source.search_dataset, source.protocol) for path, source, _ in parts]
    changes = [change for _, _, incumbents in parts for of_run in incumbents for change in of_run]
    evaluation, seconds, cells = np.array(changes, dtype=np.float64).reshape(-1, 3).T
    seeds = [
        np.repeat(
            source.seeds if isinstance(source, SimulatedRuns) else [source.seed], [len(one) for one in incumbents]
        )
        for _, source, incumbents in parts
        if incumbents
    ]
    return DataFrame(
        {
            **{
                name: _categories(values, lengths)
                for name, values in zip(_WHOSE, zip(*whose, strict=True) if whose else [()] * len(_WHOSE), strict=True)
            },
            "seed": np.concatenate(seeds or [np.empty(0, dtype=np.int64)]),
            "evaluation": evaluation.astype(np.int64),
            "seconds": seconds,
            "cell_index": cells.astype(np.int64),
        }
    )


def _incumbents(source: Source) -> list[list[tuple[int, float, int]]]:
    """Of each run each change; none of a run that trained a supernet."""
    if isinstance(source, SimulatedRuns):
        return source.incumbents
    if not isinstance(source, SimulatedRun):
        return []
    return [[(at["evaluation"], at["seconds"], Cell.parse(at["cell"]).index) for at in source.trajectory]]
