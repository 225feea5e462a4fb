"""`stc-bench report` and `methods`: commands that look at what is there and never import torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nasbench_stc.cli import options
from nasbench_stc.errors import choose

if TYPE_CHECKING:
    from nasbench_stc.report import Inputs


@click.command()
@click.option(
    "--table",
    metavar="NAME",
    help="The paper's table 1 or 3 to 8; summary, trainings, differences, ranking, supernets, study or records.  "
    "[default: summary]",
)
@click.option(
    "--figure",
    metavar="NAME",
    help="The paper's figure 2, 3 or 5 to 12; summary, supernets, genotypes, anytime or pareto.",
)
@click.option("--all", "everything", is_flag=True, help="Every table and figure, or the command that it waits for.")
@click.option("--metric", metavar="NAME", help="Of the figure pareto; `stc-bench metrics` lists what there is.")
@click.option(
    "--regret", is_flag=True, help="Of the figure anytime: how far below the best cell, on a logarithmic axis."
)
@click.option(
    "--against",
    metavar="METHOD",
    help="Of the table differences: what the other methods are compared with.  [default: stc; without a supernet rs]",
)
@click.option("--dataset", help="Of the figures pareto and anytime: of accuracy and metric.  [default: cifar10]")
@click.option("--split", help="Of these figures: of accuracy, test or valid.  [default: test]")
@options.notes
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    multiple=True,
    default=(Path("results"),),
    show_default=True,
    help="Folder of records; may be given several times.",
)
@click.option(
    "--format",
    "form",
    help="text, markdown, latex, csv, json or html; of a figure's numbers csv or json; of --all html, text or "
    "markdown.  [default: as --out ends, else text; of a figure a picture]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file: a picture as .pdf, .svg or .png, a table as .txt, .md, .tex, .csv, .json or .html.  "
    "[default: the terminal]",
)
@click.option(
    "--space",
    help="Of the records: tss (NAS-Bench-201), darts or sss.  [default: tss; of what is of another space alone that]",
)
@options.benchmark
@options.data_dir
def report(
    table: str | None,
    figure: str | None,
    everything: bool,
    metric: str | None,
    regret: bool,
    against: str | None,
    dataset: str | None,
    split: str | None,
    notes: bool,
    results: tuple[Path, ...],
    form: str | None,
    out: Path | None,
    space: str | None,
    benchmark: str,
    data_dir: Path | None,
) -> None:
    """A table or a figure of the paper from records, beside what was published; or all of them.

    Without an option: what was found, in short. What there are no records of is named with the command that makes them.
    """
    from nasbench_stc.report import gather, make_table, render
    from nasbench_stc.report.registry import space_of
    from nasbench_stc.space import check_dataset

    if (figure is not None) + (table is not None) + everything > 1:
        raise click.UsageError("--table, --figure and --all exclude each other")
    if form is None and figure is None and out is not None:
        form = _form_of(out)
    if (dataset or split) is not None and figure not in ("pareto", "anytime"):
        raise click.UsageError("--dataset and --split are of the figures pareto and anytime")
    dataset, split = dataset or "cifar10", split or "test"
    if metric is not None and figure is None:
        raise click.UsageError("--metric is of a figure: give --figure pareto, too")
    if regret and figure != "anytime":
        raise click.UsageError("--regret is of the figure anytime: give --figure anytime, too")
    if metric is not None and figure not in (None, "pareto"):
        raise click.UsageError(f"--metric is of the figure pareto; {figure} has none")
    if against is not None and table != "differences":
        raise click.UsageError("--against is of the table differences: give --table differences, too")
    if notes and (figure is not None or form not in (None, "text")):
        raise click.UsageError("--notes is of a table as text; other formats have them anyway")
    if figure is not None and form is None and out is None:
        raise click.UsageError(f"--out is missing: a file for the figure, like {figure}.pdf; or --format csv or json")
    check_dataset(dataset)
    if space is None:
        space = space_of("table" if figure is None else "figure", figure or table or "summary")
    if lost := [str(folder) for folder in results if not folder.is_dir() and folder != Path("results")]:
        raise click.BadParameter(f"there is no folder {', '.join(lost)}", param_hint="--results")
    inputs = gather(results, benchmark, data_dir, space)
    for problem in inputs.problems:
        click.echo(f"left out: {problem}", err=True)
    if against is not None:
        inputs = replace(inputs, against=_known(against, inputs.runs["method"].unique()))
    if everything:
        _deliver(_all(inputs, form or "text", notes), out)
        return
    if figure is None:
        _deliver(render(make_table(table or "summary", inputs), form or "text", notes=notes), out)
        return
    from nasbench_stc.benchmark import find_metric
    from nasbench_stc.report import chart, make_figure, style

    named = None if metric is None else find_metric(metric, inputs.benchmark, data_dir, dataset)
    made = make_figure(figure, replace(inputs, dataset=dataset, split=split, metric=named, regret=regret))
    if form is not None:
        _deliver(chart.render(made, form), out)
    elif out is not None:
        _write(out, style.save(made.draw(), out))
        for line in (f"{out}: {made.caption}", *made.missing):
            click.echo(line)


_FORMS = {
    **{".html": "html", ".csv": "csv", ".json": "json", ".tex": "latex", ".md": "markdown"},
    **{ending: "text" for ending in (".txt", "")},
}


def _form_of(out: Path) -> str:
    """Of a table in a file that ends so.

    Raises:
        BadParameter: it is no table's.
    """
    if out.suffix not in _FORMS:
        known = ", ".join(filter(None, _FORMS))
        raise click.BadParameter(f"{out}: a table ends in {known}; or say --format", param_hint="--out")
    return _FORMS[out.suffix]


def _all(inputs: Inputs, form: str, notes: bool) -> str:
    """Every table and figure, while a terminal is told what is being made."""
    from rich.console import Console

    from nasbench_stc.report import make_all, page

    if form not in page.FORMATS:
        raise choose("format of all tables and figures", form, page.FORMATS)
    with Console(stderr=True).status("tables and figures") as status:
        entries = make_all(inputs, status.update)
        return page.render_all(entries, inputs, form, tick=status.update, notes=notes)


def _known(method: str, there: Iterable[str]) -> str:
    """A method's name as it is.

    Raises:
        BadCallError: no record is of it, and it is none of ours.
    """
    from nasbench_stc.methods import ours

    names = list(dict.fromkeys([*ours(), *there]))
    if method not in names:
        raise choose("method", method, names)
    return method


def _deliver(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text.rstrip("\n"))
    else:
        _write(out, (text.rstrip("\n") + "\n").encode())


def _write(out: Path, content: bytes) -> None:
    from nasbench_stc import files

    try:
        files.write_atomic(out, content)
    except OSError as error:
        raise click.BadParameter(f"{out}: cannot be written ({error.strerror})", param_hint="--out") from None


@click.command()
@click.argument("name", required=False)
def methods(name: str | None) -> None:
    """What can be searched with; with NAME, its settings and the reason for each default.

    NAME may be a class in a file, path/to/file.py:Name, or a sampler of Optuna, optuna:TPESampler.
    """
    from nasbench_stc.methods import KINDS, installed, of_kind, ours
    from nasbench_stc.methods.optuna_sampler import INSTALL, SAMPLERS, is_installed

    if name is not None:
        _settings(name)
        return
    offered = installed()
    width = max(map(len, (*ours(), *offered)))
    for kind, about in KINDS.items():
        click.echo(f"{kind}: {about}")
        for key in of_kind(kind):
            click.echo(f"  {key:<{width}}  {ours()[key].listing.about}")
    if offered:
        click.echo("of other packages:")
        for key, point in offered.items():
            click.echo(f"  {key:<{width}}  {point.value} ({point.dist.name if point.dist else 'unknown package'})")
    if is_installed():
        click.echo("black-box, samplers of Optuna:")
        for key, about in SAMPLERS.items():
            click.echo(f"  {f'optuna:{key}':<{len('optuna:') + max(map(len, SAMPLERS))}}  {about}")
    else:
        click.echo(f"Optuna's samplers, optuna:TPESampler and others: {INSTALL}")
    click.echo("Your own: --method path/to/file.py:Name; `stc-bench methods NAME` lists settings.")


def _settings(name: str) -> None:
    from nasbench_stc import settings
    from nasbench_stc.methods import find
    from nasbench_stc.runs.search import protocols

    found = find(name)
    parts: list[tuple[str, object]] = [
        (f"method {found.name} ({found.kind}{', ' * bool(found.origin)}{found.origin})", found.make_settings())
    ]
    if found.kind == "one-shot":
        from nasbench_stc.engine.protocol import PROTOCOLS

        parts.append(("every protocol (values: paper)", PROTOCOLS["paper"].settings))
    if found.kind == "black-box":
        from nasbench_stc.engine.simulation import SIMULATIONS

        parts.append(("every protocol (values: nats-bench)", SIMULATIONS["nats-bench"].settings))
    if getattr(found.cls, "scored", False):
        from nasbench_stc.engine.scoring import Scoring  # imports torch

        parts.append(("scores", Scoring()))
    if found.listing.about:
        click.echo(found.listing.about)
    for title, values in parts:
        click.echo(f"{title}:")
        for key, value, why in settings.described(values):
            click.echo(f"  {key}={value}\n      {why}")
    click.echo(f"protocols: {', '.join(protocols(found.kind))}")
