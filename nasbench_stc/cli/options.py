"""Options that several commands share."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from nasbench_stc.errors import BadCallError
from nasbench_stc.space import ENCODINGS, TSS, Cell, find_space

Command = TypeVar("Command", bound=Callable[..., Any])

data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Folder of image sets and benchmarks.  [default: $STC_BENCH_DATA, else the cache folder]",
)
benchmark = click.option(
    "--benchmark",
    default="auto",
    show_default=True,
    help="What scores a cell: a path, nb201, analog, analog:CONDITION, or auto (the best at hand).",
)
space = click.option(
    "--space", default=TSS.name, show_default=True, help="Of the cells: tss (NAS-Bench-201), darts or sss."
)
table_format = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "latex", "csv", "json", "html"]),
    default="text",
    show_default=True,
)
notes = click.option("--notes", is_flag=True, help="Of text: with the notes on rows, and all that it folds.")


def launching(help: str) -> Callable[[Command], Command]:
    """Options of where runs are carried out, and how many at a time; as one argument `way`. `help`: of --jobs."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_way(
            *args: Any, jobs: int, launcher: str, slurm: tuple[str, ...], wait: bool | None, **more: Any
        ) -> Any:
            from nasbench_stc.runs.launcher import Way

            return command(*args, way=Way(jobs, launcher, _slurm_options(slurm), wait), **more)

        for option in (
            click.option(
                "--wait/--no-wait",
                default=None,
                help="Of slurm: watch until all is done, or end when jobs are submitted.  [default: no-wait]",
            ),
            click.option(
                "--slurm",
                multiple=True,
                metavar="KEY=VALUE",
                help="An option of Slurm's jobs: partition=gpu, time=120 (minutes), gpus_per_node=1; repeatable.",
            ),
            click.option(
                "--launcher",
                type=click.Choice(["local", "slurm"]),
                default="local",
                show_default=True,
                help="Processes of this machine, or an array of Slurm's jobs.",
            ),
            click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help=help),
        ):
            with_way = option(with_way)
        return with_way  # type: ignore[return-value]

    return decorate


def _slurm_options(pairs: tuple[str, ...]) -> dict[str, Any]:
    """As submitit takes them: numbers are numbers, `true` and `false` are what they say, commands are lists."""
    known = {"true": True, "false": False}
    found: dict[str, Any] = {}
    for name, value in parse_changes(pairs, "--slurm").items():
        key = name.removeprefix("slurm_").replace("-", "_")
        plain = known.get(value, int(value) if value.isdecimal() else value)
        found[key] = [value] if key in ("setup", "teardown", "srun_args") else plain
    return found


seeds_at_a_time = launching(
    "How many one-shot runs (or methods of simulated ones) at a time. Those of this machine share its threads: a seed "
    "gives the same bits again at the same number of threads only, so with the same --jobs."
)
out = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="Folder of records."
)
resume = click.option(
    "--resume/--no-resume", default=True, show_default=True, help="Continue an interrupted run; skip a finished one."
)
device = click.option("--device", default="auto", show_default=True, help="cpu, cuda, or auto.")


encoding = click.option(
    "--encoding",
    type=click.Choice(list(ENCODINGS)),
    help="CELL is a list of six operations as that tool writes it: of NASLib its numbers, quoted, "
    "'(4, 0, 3, 1, 4, 3)', of Syne Tune the operations' names for hp_x0 to hp_x5, none,skip_connect,…",
)


def parse_cells(texts: Sequence[str], encoding: str | None, space: str = TSS.name) -> list[Cell]:
    """The cells that CELL… names; what could be meant otherwise is told on stderr.

    Raises:
        UsageError: there is an encoding and no cell.
        BadCallError: as of `Cell.parse`.
    """
    if encoding is not None and not texts:
        raise click.UsageError("--encoding is of cells, and none is given")
    cells = []
    for text in texts:
        cell = Cell.parse(text, encoding, space)
        if encoding is None and (caution := cell.of.caution(text)):
            click.echo(f"Note: {caution}", err=True)
        cells.append(cell)
    return cells


def method_names(
    option: str, text: str, groups: Mapping[str, Iterable[str]], example: str = "stc,gdas,darts"
) -> list[str]:
    """`"stc,gdas"` is those two, in that order; a name of a group is all of it.

    `option` and `example` are for the message.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    names = [name for part in parts for name in groups.get(part, (part,))]
    if not names or len(set(names)) < len(names):
        raise BadCallError(f"{option} {text!r}: give names, each once ({example}), or {', '.join(groups)}")
    return names


def report_command(shows: str, space: str, out: Path) -> str:
    """The `stc-bench report` of a space's records below `out`; `shows` is its --table or --figure."""
    where = "" if out == Path("results") else f" --results {shlex.quote(str(out))}"
    return f"stc-bench report {shows}{find_space(space).option}{where}"


def parse_changes(pairs: tuple[str, ...], option: str = "--set") -> dict[str, Any]:
    """`KEY=VALUE` pairs as a dict; `option` is for the message."""
    for pair in pairs:
        if "=" not in pair:
            raise BadCallError(f"{option} {pair!r}: expected KEY=VALUE")
    found: dict[str, Any] = {}
    for key, value in (pair.split("=", 1) for pair in pairs):
        if found.setdefault(key, value) != value:
            raise BadCallError(f"{option} {key}: given as {found[key]} and as {value}")
    return found
