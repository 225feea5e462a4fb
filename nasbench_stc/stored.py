"""Files that the package writes and reads back: JSON, described by a dataclass with types and ranges.

msgspec checks them while it reads. (pydantic would do as well; its import takes more than twice as long, which every
report would wait for.) What is read from a file is checked before it reaches a number: a field of another type, a
percentage above 100 or no number at all makes a file a damaged one, which is named with the reason.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import MISSING, asdict, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from nasbench_stc import files
from nasbench_stc.errors import BadCallError, DataError

T = TypeVar("T")

Percent = Annotated[float, Meta(ge=0, le=100)]
NotNegative = Annotated[float, Meta(ge=0)]
_LARGEST = 2**63 - 1  # that a column of whole numbers holds
Count = Annotated[int, Meta(ge=0, le=_LARGEST)]
Positive = Annotated[int, Meta(ge=1, le=_LARGEST)]
Plain = bool | int | float | str | None
"""A setting's value."""
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$")]
"""UTC, ISO 8601."""


def read(of: type[T], what: str, remedy: str, path: Path, *, check: Callable[[T], T] = lambda found: found) -> T:
    """What the JSON file at `path` says, as the dataclass `of`; fields that have a default may be left out.

    A kind of file is read by `partial(stored.read, of, what, remedy)`.

    Args:
        of: the dataclass; its annotations say what is allowed, and the default of its `schema` what this version reads.
        what: it is, in few words.
        remedy: what to do where the file has another schema, or is damaged.
        path: of the file.
        check: raises ValueError, BadCallError or msgspec's ValidationError for what annotations cannot say, and returns
            what it was given, completed.

    Raises:
        DataError: it cannot be read, is damaged, or has another schema.
    """
    try:
        content = path.read_bytes()
        named = msgspec.json.decode(content, type=dict[str, msgspec.Raw])  # of large files twice as fast as all of it
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except msgspec.ValidationError:
        raise DataError(f"{path}: no {what} (it has no schema)") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: damaged, no JSON ({error}); {remedy}") from None
    schema = next(item.default for item in fields(of) if item.name == "schema")  # type: ignore[arg-type]
    if "schema" not in named:
        raise DataError(f"{path}: no {what} (it has no schema)")
    if bytes(named["schema"]) != str(schema).encode():
        there = bytes(named["schema"]).decode()
        raise DataError(f"{path}: is a {what} of schema {there}, this version reads {schema}; {remedy}")
    try:
        check_names(of, named)
        return check(msgspec.json.decode(content, type=of))
    except (msgspec.ValidationError, BadCallError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error}); {remedy}") from None


def made(of: type[T], content: dict[str, Any]) -> T:
    """The dataclass `of` with that content.

    Raises:
        ValueError: a field is missing, unknown, or not as its annotation says.
    """
    check_names(of, content)
    return msgspec.convert(content, of)


def check_names(of: type[Any], content: Collection[str]) -> None:
    """Raises ValueError where a field of the dataclass `of` that has no default is missing, or one is unknown."""
    items = fields(of)
    needed = {item.name for item in items if item.default is MISSING and item.default_factory is MISSING}
    missing, unknown = needed - set(content), set(content) - {item.name for item in items}
    if missing or unknown:
        raise ValueError(f"missing: {sorted(missing) or 'nothing'}; unknown: {sorted(unknown) or 'nothing'}")


def key(*values: Any) -> str:
    """Eight hexadecimal digits, by which files and folders are named: the same for the same (JSON) values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def write(path: Path, value: Any, lines: bool = False) -> Path:
    """Write the dataclass to `path` as JSON, whole or not at all.

    Args:
        lines: a line a field, for long lists; else a line a value.

    Raises:
        ValueError: something in it is not as its annotation says: what is written can be read back.
    """
    content = asdict(value)
    made(type(value), content)
    dumps = partial(json.dumps, ensure_ascii=False, allow_nan=False)
    if lines:
        text = "{\n" + ",\n".join(f"{dumps(name)}: {dumps(of)}" for name, of in content.items()) + "\n}"
    else:
        text = dumps(content, indent=1)
    files.write_atomic(path, (text + "\n").encode())
    return path
