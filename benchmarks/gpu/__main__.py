"""The commands, each imported when it is called: packing needs no GPU, and unpacking no torch."""

from __future__ import annotations

import importlib
import sys

import click

from nasbench_stc.errors import StcBenchError, describe

from . import BEGIN

COMMANDS = {
    "pack": "Here: lay what the machine lacks into .gpu/.",
    "lay": "There: collect what has arrived, below the temporary folder.",
    "precompile": "There: what torch.compile makes of a cell, in processes side by side.",
    "check": "There: the CUDA tests, and the losses of first steps beside the CPU's.",
    "speed": "There: milliseconds, memory and ratings beside their goals.",
    "queue": "There: searches in order of value, until the seconds are over.",
    "unpack": "Here: put what came back into results/.",
}


class Commands(click.Group):
    """A group whose commands are modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they are used."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Its module's `main`."""
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"{__package__}.{name}").main
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line a command, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A prepared run on a rented GPU."""


def run() -> None:
    """`main`, with the project's own errors as one sentence."""
    try:
        main(prog_name="python -m benchmarks.gpu", obj=BEGIN)
    except StcBenchError as error:
        click.echo(f"error: {describe(error)}", err=True)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    run()
