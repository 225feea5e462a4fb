"""Reading pickles from strangers: only the classes that the caller names are built, anything else is refused.

A pickle can name any function of any module and call it. This unpickler looks every name up in a list
instead of importing it, so a planted payload ends in an error before anything of it runs.
"""

from __future__ import annotations

import gc
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy._core import multiarray, numeric
from numpy.typing import NDArray

from nasbench_stc.errors import DataError


class _Array:
    """Stands for `numpy.ndarray`, which pickles only hand on: if called, it could lay objects over raw bytes."""


def _reconstruct(kind: type, shape: tuple[int, ...], dtype: str | bytes) -> NDArray[Any]:
    """The empty array that an array's pickle starts from; its state fills it."""
    if kind is not _Array:
        raise ValueError("an array of an unknown class")
    return np.ndarray((0,), "b")


def _encode(text: str, encoding: str) -> bytes:
    """`_codecs.encode`, for the one thing old protocols use it for: bytes, written as Latin-1 text."""
    if encoding != "latin1":
        raise ValueError(f"bytes written as {encoding!r} text")
    return text.encode("latin1")


# What pickles of numpy arrays refer to: under numpy 1 and 2, by Python 2 and by every protocol of Python 3.
NUMPY: dict[str, Any] = {"numpy.ndarray": _Array, "numpy.dtype": np.dtype, "_codecs.encode": _encode} | {
    f"numpy.{core}.{name}": stand_in
    for core in ("core", "_core")
    for name, stand_in in {
        "multiarray._reconstruct": _reconstruct,
        "multiarray.scalar": multiarray.scalar,
        "numeric._frombuffer": numeric._frombuffer,  # type: ignore[attr-defined]
    }.items()
}


class _AdmitListUnpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], admitted: Mapping[str, Any], encoding: str) -> None:
        super().__init__(file, encoding=encoding)
        self._admitted = admitted

    def find_class(self, module: str, name: str) -> Any:
        return admit(self._admitted, module, name)


class _Refused(Exception):
    pass


def admit(admitted: Mapping[str, Any], module: str, name: str) -> Any:
    """What stands here for a module's `name`; if nothing does, an error that `refusing` reports."""
    try:
        return admitted[f"{module}.{name}"]
    except KeyError:
        raise _Refused(f"{module}.{name}") from None


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Whatever unpickling the file at `path` raises becomes a `DataError`."""
    try:
        yield
    except _Refused as refused:
        raise DataError(
            f"{path}: refused. This file should hold plain data, but its pickle asks for {refused}; "
            "nothing was run. Fetch it again from where it is published"
        ) from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise DataError(f"{path}: damaged ({type(error).__name__}: {error}). Fetch it again") from error


def load(file: IO[bytes], path: Path, admitted: Mapping[str, Any], encoding: str = "ASCII") -> Any:
    """The object pickled in `file`, built from plain containers and the `admitted` names alone.

    Args:
        file: open for reading.
        path: its name for error messages.
        admitted: "module.name" as the pickle has it, to the class or function that stands for it here.
        encoding: for strings pickled by Python 2.

    Raises:
        DataError: where the pickle names anything else, or is damaged.
    """
    collecting = gc.isenabled()
    gc.disable()  # it would walk the growing pile of objects again and again
    try:
        with refusing(path):
            return _AdmitListUnpickler(file, admitted, encoding).load()
    finally:
        if collecting:
            gc.enable()
