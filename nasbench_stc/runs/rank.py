"""Ranking cells by the supernet that a finished run left in its folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from nasbench_stc import files, settings
from nasbench_stc.engine import checkpoint
from nasbench_stc.engine.evaluation import rate
from nasbench_stc.engine.loop import build_supernet
from nasbench_stc.engine.precision import kept_in
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.errors import BadCallError, DataError, RunError
from nasbench_stc.models import Supernet
from nasbench_stc.records import ranking, record
from nasbench_stc.records.ranking import CellChoice, Ranking
from nasbench_stc.runs import environment, launch
from nasbench_stc.space import TSS, Cell, Space, find_space

IMAGES = 1024
"""Validation images that rate a cell where nothing else is asked for: two batches of the protocols."""

_AGAIN = "run the search again with --no-resume"


def find_runs(paths: Iterable[Path], space: str = TSS.name) -> list[Path]:
    """The folders of runs that `paths` name: such folders, or folders above them, then all in `space` with a supernet.

    Raises:
        BadCallError: a path is no folder, it is that of a run in another space, or no run below it has a supernet.
        DataError: a run's record is damaged.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            raise BadCallError(f"{path} is no folder; give the folder of a finished run, or one of several")
        below = sorted(file.parent for file in path.rglob(checkpoint.SUPERNET_NAME))
        spaces = {
            run: record.read(run / record.FILE_NAME).space
            for run in (path, *below)
            if (run / record.FILE_NAME).exists()
        }
        runs = [run for run, of in spaces.items() if of == space]
        if not spaces:
            raise BadCallError(f"{path}: no finished run below it has a {checkpoint.SUPERNET_NAME}; {_AGAIN}")
        if not runs:
            others = " or ".join(f"--space {of}" for of in sorted(set(spaces.values())))
            raise BadCallError(f"{path}: no finished run in the space {space}; there are some for {others}")
        found |= {run.resolve(): run for run in runs}
    return list(found.values())


def rank_cells(
    run_folder: str | Path,
    cells: CellChoice = 500,
    images: int = IMAGES,
    data_dir: str | Path | None = None,
    device: str = "auto",
    *,
    resume: bool = True,
    tick: Callable[[int, int], None] = lambda done, cells: None,
) -> Ranking:
    """Rate cells by a finished run's supernet on its validation images; the result is kept in the run's folder.

    Args:
        run_folder: the folder of a finished search; it holds its record and its supernet.
        cells: how many (a fixed random sample), `classes` (one of each isomorphism class), `all`, or which.
        images: how many validation images rate a cell; 0: all.
        data_dir: where images are; see `files.data_dir`.
        device: a torch device, or `auto`.
        resume: return what the same call has found before.
        tick: is told how many cells' worth of work is done, of how many.

    Raises:
        BadCallError: something is unknown or out of range.
        DataError: the run's record or its images are missing, damaged or others than they were; it left no supernet.
        RunError: the supernet's file is damaged, or the ranking cannot be written.
    """
    folder = Path(run_folder)
    run, supernet_path = record.read(folder / record.FILE_NAME), folder / checkpoint.SUPERNET_NAME
    if not supernet_path.exists():
        raise DataError(f"{folder}: the run left no {checkpoint.SUPERNET_NAME} to rank cells with; {_AGAIN}")
    if images < 0:
        raise BadCallError(f"images={images}: it has to be at least 1, or 0 for all")
    space = find_space(run.space)
    chosen = ranking.choose_cells(cells, space).tolist()
    available: int = run.split["valid_images"]
    n_images = min(images or available, available)
    try:
        sha256 = files.digest(supernet_path)
    except OSError as error:
        raise RunError(f"{supernet_path}: cannot be read ({error.strerror or error})") from None
    kept = folder / ranking.file_name(chosen, n_images, sha256)
    if resume and kept.exists():
        return ranking.read(kept)
    device = environment.choose_device(device)
    engine = settings.changed(Protocol(), run.settings["protocol"])
    halves = launch.read_halves(run.search_dataset, engine, run.seed, data_dir)
    if halves.split["sha256"] != run.split["sha256"]:
        raise DataError(
            f"{folder}: its validation images were others than {halves.split['source']} gives now; {_AGAIN}"
        )
    supernet = _load(supernet_path, engine, halves.classes, torch.device(device), space)
    valid = halves.for_alpha.on(torch.device(device), kept_in(engine.precision))
    begin = time.perf_counter()
    rating = rate(
        supernet,
        [Cell.from_index(index, run.space) for index in chosen],
        valid,
        engine.eval_batch,
        n_images,
        engine.precision,
        lambda done: tick(done, len(chosen)),
    )
    found = Ranking(
        method=run.method,
        search_dataset=run.search_dataset,
        seed=run.seed,
        protocol=run.protocol,
        changes=run.changes,
        space=run.space,
        supernet_sha256=sha256,
        cells=chosen,
        images=n_images,
        loss=rating.loss.round(6).tolist(),
        accuracy=rating.accuracy.round(4).tolist(),
        seconds=round(time.perf_counter() - begin, 3),
        threads=torch.get_num_threads(),
        **environment.made_by(device=device),
    )
    try:
        found.write(folder)
    except OSError as error:
        raise RunError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return found


def _load(path: Path, engine: Protocol, classes: int, device: torch.device, space: Space) -> Supernet:
    supernet = build_supernet(engine, classes, device, 0, space)
    state = checkpoint.load(path)
    try:
        supernet.load_state_dict(state)
    except RuntimeError as error:
        raise RunError(f"{path}: is no supernet of this run's protocol ({error}); {_AGAIN}") from None
    return supernet
