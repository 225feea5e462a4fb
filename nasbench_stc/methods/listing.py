"""How a method is listed and shown: said by its class, and read from its file without importing it.

Listing methods and making reports must not import torch, which files of methods do. So what a class of ours says is
written in literals, and `read` takes it from the source.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nasbench_stc.errors import MethodError

KINDS = {
    "one-shot": "a supernet is trained, all cells share its weights",
    "black-box": "cell after cell is trained alone, which a benchmark simulates",
    "training-free": "untrained networks are scored, to choose a cell or to guide a black-box search (area)",
}


@dataclass(frozen=True)
class Listing:
    """What a method's class says of itself, as its attribute `listing`; it is of that class alone, not of subclasses.

    Raises:
        TypeError: a value is of another type than its field.
    """

    title: str
    """In tables and figures."""
    about: str = ""
    """What it is, in one line."""
    order: int | None = None
    """Of rows and lists: ascending, equal ones by name. None: after all that have one. Ours have steps of ten."""
    name: str = ""
    """By which it is found. Of ours alone: another method has its class's name, or that of the entry point."""
    kind: str = ""
    """Under which of `KINDS` it is listed. Of ours alone: another method's follows from its class."""

    def __post_init__(self) -> None:
        if not all(isinstance(text, str) for text in (self.title, self.about, self.name, self.kind)):
            raise TypeError("title, about, name and kind of a Listing have to be strings")
        if self.order is not None and not isinstance(self.order, int):
            raise TypeError(f"order of a Listing has to be a whole number or None, not {self.order!r}")


class Entry(NamedTuple):
    """A method in a file that was read, not imported."""

    module: str
    """The file's name without its ending."""
    class_name: str
    listing: Listing


def read(folder: Path) -> dict[str, Entry]:
    """The methods in the files of `folder` whose classes have a listing, by name, in their order. None is imported.

    Raises:
        MethodError: a file cannot be read, a listing is not written in literals or lacks something, or two classes have
            one name.
    """
    found: dict[str, Entry] = {}
    for path in sorted(folder.glob("*.py")):
        for class_name, listing in _listings(path):
            if listing.name in found:
                first = found[listing.name]
                raise MethodError(
                    f"method {listing.name}: both {first.class_name} in {first.module}.py and {class_name} in "
                    f"{path.name} are listed by that name; give one of them another"
                )
            found[listing.name] = Entry(path.stem, class_name, listing)
    return dict(sorted(found.items(), key=lambda item: (item[1].listing.order, item[0])))


def _listings(path: Path) -> Iterator[tuple[str, Listing]]:
    """Classes of the file, by name, and what they say of themselves."""
    try:
        source = path.read_text(encoding="utf-8")
        # Parsing takes most of the time: a file without a listing is not parsed.
        body = ast.parse(source).body if "Listing(" in source else []
    except (OSError, SyntaxError, ValueError) as error:
        raise MethodError(f"methods in {path}: it cannot be read ({error})") from None
    for node in body:
        for statement in node.body if isinstance(node, ast.ClassDef) else ():
            call = _assigned(statement)
            if isinstance(node, ast.ClassDef) and call is not None:
                yield node.name, _evaluated(call, f"{path}, line {statement.lineno}: listing of {node.name}")


def _assigned(statement: ast.stmt) -> ast.expr | None:
    """The value that the statement gives to `listing`; None where it gives none, or the value None."""
    if not isinstance(statement, (ast.Assign, ast.AnnAssign)):
        return None
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    named = any(isinstance(target, ast.Name) and target.id == "listing" for target in targets)
    none = isinstance(statement.value, ast.Constant) and statement.value.value is None
    return statement.value if named and not none else None


def _evaluated(call: ast.expr, where: str) -> Listing:
    """What `Listing(...)` with these literals is; it has all that ours need."""
    if not isinstance(call, ast.Call):
        raise MethodError(f"{where}: it has to be written as Listing(...)")
    try:
        positional = [ast.literal_eval(value) for value in call.args]
        listing = Listing(*positional, **{str(item.arg): ast.literal_eval(item.value) for item in call.keywords})
    except ValueError:
        raise MethodError(
            f"{where}: its arguments have to be literals: it is read without importing the file"
        ) from None
    except TypeError as error:
        raise MethodError(f"{where}: {error}") from None
    if not listing.title or not listing.name or listing.order is None or listing.kind not in KINDS:
        raise MethodError(f"{where}: it needs a title, a name, an order, and a kind of {', '.join(KINDS)}")
    return listing
