"""Mistakes of methods: whatever one raises becomes an error that names the method and where it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nasbench_stc.errors import MethodError, StcBenchError


@contextmanager
def blamed(method: str, where: str) -> Iterator[None]:
    """Raise what the block raises as the method's mistake.

    Args:
        method: its name.
        where: what it was asked, and when: `ask, query 3 of seed 0`.

    Raises:
        MethodError: the block raised something.
    """
    try:
        yield
    except MethodError:
        raise
    except Exception as error:
        said = str(error) if isinstance(error, StcBenchError) else f"{type(error).__name__}: {error}"
        raise MethodError(f"method {method}: {where}: {said}") from error
