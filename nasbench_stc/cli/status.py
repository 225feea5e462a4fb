"""`stc-bench status`: how far runs are, wherever they were started. Nothing here imports torch."""

from __future__ import annotations

from pathlib import Path

import click

from nasbench_stc.cli import options


@click.command()
@click.argument("results", nargs=-1, type=click.Path(path_type=Path), metavar="[RESULTS]...")
@options.table_format
def status(results: tuple[Path, ...], form: str) -> None:
    """How far the runs below folders are: running, waiting, failed, lost, stopped, and how many are done.

    RESULTS are folders of records (`--out` of a search).  [default: results] Each run tells it in its own folder, so
    it does not matter on which machine that sees the folder it was started, or how.
    """
    from nasbench_stc.errors import BadCallError
    from nasbench_stc.report.status import build_status
    from nasbench_stc.report.writers import render
    from nasbench_stc.runs.status import find

    folders = results or (Path("results"),)
    for folder in folders:
        if not folder.is_dir():
            raise BadCallError(f"{folder} is no folder; give that of records, which is --out of a search")
    table = build_status(find(folders))
    alone = form == "text" and not table.rows
    click.echo(table.caption[0] if alone else render(table, form).rstrip("\n"))
