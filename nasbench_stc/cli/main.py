"""The `stc-bench` group, and the one place where errors become a line on stderr and an exit status."""

from __future__ import annotations

import io
import math
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from nasbench_stc import __version__
from nasbench_stc.cli.ablate import ablate
from nasbench_stc.cli.data import data, doctor
from nasbench_stc.cli.look import methods, report
from nasbench_stc.cli.profile import profile
from nasbench_stc.cli.query import metrics, query
from nasbench_stc.cli.rank import rank
from nasbench_stc.cli.score import score
from nasbench_stc.cli.search import search
from nasbench_stc.cli.status import status
from nasbench_stc.cli.train import train
from nasbench_stc.errors import OfficialPickleWarning, StcBenchError, describe


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """A benchmarking harness for cell-based neural architecture search on NAS-Bench-201, built around STC-NAS.

    \b
    stc-bench search --dataset cifar10 --seeds 3     search for cells and look them up
    stc-bench train results/FOLDER                   train the cell of a search alone
    stc-bench ablate noise                           run one of the paper's ablations
    stc-bench rank results                           how well their supernets rank cells
    stc-bench score --cells 500                      how well scores without training do
    stc-bench status                                 how far runs are, wherever they were started
    stc-bench report --table 6                       the paper's table, with ours below
    stc-bench query 9930                             what a cell scores
    """


for command in (search, train, ablate, rank, score, profile, status, report, query, metrics, methods, data, doctor):
    cli.add_command(command)


def main() -> None:
    """Run `stc-bench`: exit status 0, 2 for a bad call, 1 for a run that failed, 130 for Ctrl-C, 143 for SIGTERM."""
    debug = "--debug" in sys.argv[1:]
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a letter that the terminal lacks ends nothing
    try:
        with _sigterm_heeded():
            sys.exit(cli(standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} -h)" if context else ""
        _end(f"{error.format_message()}{hint}", error.exit_code)
    except StcBenchError as error:
        if debug:
            raise
        _end(str(error), error.exit_status)
    except (KeyboardInterrupt, click.Abort) as error:
        terminated = isinstance(error.__cause__ or error, _Terminated)  # click raises Abort from what it caught
        what, status = ("terminated", 143) if terminated else ("interrupted", 130)
        _end(f"{what}; the same command continues where it stood", status)
    except OSError as error:
        if debug:
            raise
        _end(f"{error.filename or 'output'}: {error.strerror or error}", 1)
    except Exception as error:
        if debug:
            raise
        _end(describe(error), 1)


class _Terminated(KeyboardInterrupt):
    """SIGTERM came: what Ctrl-C ends in order, it ends in order."""


_ONCE = 10.0  # seconds in which SIGTERM counts as one: `timeout` sends it twice, and what it ends shall end in order


@contextmanager
def _sigterm_heeded() -> Iterator[None]:
    """SIGTERM raises `_Terminated` in the block, unless it was ignored when the process was started.

    SIGINT is left as it was found. Python makes it raise KeyboardInterrupt, but not where the process was started with
    it ignored, as a shell's background jobs are: there only SIGTERM ends a command.
    """
    last = -math.inf

    def end(*_: object) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > _ONCE:  # later ones are heeded, for Python drops what is raised in a destructor
            last = now
            raise _Terminated

    usual = signal.getsignal(signal.SIGTERM)
    if usual is not signal.SIG_DFL or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if last == -math.inf:  # else another one would end the process before it said how it ended
            signal.signal(signal.SIGTERM, usual)


_show_as_ever = warnings.showwarning


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Ours in one line, as they are for users; others as ever."""
    if issubclass(category, OfficialPickleWarning):
        click.echo(f"Note: {message}", err=True)
    else:
        _show_as_ever(message, category, *where, **more)


def _end(message: str, status: int) -> None:
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    sys.exit(status)
