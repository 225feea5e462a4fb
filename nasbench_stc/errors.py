"""The errors that users see: one clear sentence, and the exit status the command line ends with."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class StcBenchError(Exception):
    """Something went wrong that the user can act on; `str(error)` says what happened and what to do."""

    exit_status = 1


class BadCallError(StcBenchError, ValueError):
    """The call itself is wrong: an unknown name, a value out of range, a cell that is none."""

    exit_status = 2


class UnknownScoreError(BadCallError):
    """There is no training-free score of that name."""


class DataError(StcBenchError):
    """A file is missing, damaged or does not hold what was asked of it."""


class NotAtHandError(DataError):
    """There is no benchmark of the space; the message says how to get one."""


class RunError(StcBenchError):
    """A search could not be run or continued."""


class MethodError(RunError):
    """A method made a mistake: it raised an error, or said what cannot be. The message names it and the step."""


class OfficialPickleWarning(UserWarning):
    """An official benchmark file is opened, whose API unpickles what it reads. Python shows it once."""


class DamagedFileWarning(UserWarning):
    """A file of records is damaged and left out; the message names it and says why."""


def choose(kind: str, name: str, allowed: Iterable[str]) -> BadCallError:
    """The error for a `name` that is none of the `allowed` ones."""
    return BadCallError(f"unknown {kind} {name!r}: choose from {', '.join(allowed)}")


def describe(error: Exception) -> str:
    """What a user is told of an error, ours or unexpected."""
    if isinstance(error, StcBenchError):
        return str(error)
    return f"{type(error).__name__}: {error} (unexpected; stc-bench --debug … shows where)"


@contextmanager
def blamed(method: str, where: str) -> Iterator[None]:
    """Raise what the block raises as the method's mistake, unless it is a damaged file.

    Args:
        method: its name.
        where: what it was asked, and when: `ask, query 3 of seed 0`.

    Raises:
        MethodError: the block raised something.
        DataError: it raised that: a file that was read for the method, as an image that it is rated on.
    """
    try:
        yield
    except (MethodError, DataError):
        raise
    except Exception as error:  # not SystemExit, by which a job of Slurm gives up its place in time
        said = str(error) if isinstance(error, StcBenchError) else f"{type(error).__name__}: {error}"
        raise MethodError(f"method {method}: {where}: {said}") from error
