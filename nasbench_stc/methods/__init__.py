"""The methods by name: ours, those that installed packages offer, and classes in files. Listing them loads none.

Ours are the classes in this folder's files that have a `listing` (`listing.py`). A package offers a method through the
entry-point group `nasbench_stc.methods`; a file's class is named by `path/to/file.py:Name`. Each of them is a subclass
of `OneShotMethod` (`base.py`) or `BlackBoxMethod` (`blackbox.py`). A sampler
of Optuna is named by `optuna:Name` (`optuna_sampler.py`).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType, NoneType
from typing import Any, NamedTuple

from nasbench_stc.errors import BadCallError, MethodError, blamed, choose
from nasbench_stc.methods import listing
from nasbench_stc.methods.listing import KINDS, Entry, Listing
from nasbench_stc.space import Space

__all__ = ["GROUP", "KINDS", "Entry", "Listing", "Method", "find", "installed", "load", "of_kind", "ours", "title_of"]

GROUP = "nasbench_stc.methods"


class Method(NamedTuple):
    """A method that was found and loaded."""

    name: str
    """As records and reports have it."""
    kind: str
    """That of `KINDS` which its class is of: `area` is black-box, though it is listed with the scores that guide it."""
    cls: Any
    """Its class."""
    origin: str
    """Where it is from, with its version or checksum; empty for ours."""
    spec: str
    """By which it is found again: its name, or `path/to/file.py:Name`."""

    @property
    def listing(self) -> Listing:
        """How it is shown: as its class says, that itself and not one above it; else by its name, after all others."""
        own: Listing | None = vars(self.cls).get("listing")
        return own or Listing(self.name)

    def make_settings(self) -> Any:
        """Its settings, all at their defaults.

        Raises:
            MethodError: they cannot be made.
        """
        with blamed(self.name, "its Settings"):
            made = self.cls.Settings()
            if not is_dataclass(made):
                raise TypeError("they have to be a dataclass, a field a setting")
            return made

    def make(self, space: Space, *args: Any) -> Any:
        """An instance, which knows the space before its `__init__` is called with `args`."""
        made = self.cls.__new__(self.cls)
        made.space = space
        made.__init__(*args)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return find, (self.spec,)  # another process finds it anew: it has not imported the file yet


@cache
def ours() -> Mapping[str, Entry]:
    """Our methods by name, in order.

    Raises:
        MethodError: a file of this folder, or what a class in it says of itself, cannot be read.
    """
    return MappingProxyType(listing.read(Path(__file__).parent))


def of_kind(kind: str) -> list[str]:
    """Our methods that are listed under one of `KINDS`."""
    return [name for name, entry in ours().items() if entry.listing.kind == kind]


def title_of(name: str) -> str:
    """How the method of that name is shown: one of ours as its class says, any other by its name."""
    return ours()[name].listing.title if name in ours() else name


def installed() -> dict[str, EntryPoint]:
    """The methods that installed packages offer, by name, but for names that ours have."""
    return {found.name: found for found in sorted(entry_points(group=GROUP)) if found.name not in ours()}


def find(spec: str) -> Method:
    """The method that is called so, the class in a file, `path/to/file.py:Name`, or Optuna's sampler, `optuna:Name`.

    Raises:
        BadCallError: there is none; the message says what there is.
        MethodError: its module cannot be imported, or it is no method.
    """
    if spec in ours():
        entry = ours()[spec]
        return _method(spec, getattr(importlib.import_module(f"{__name__}.{entry.module}"), entry.class_name), "", spec)
    path, _, name = spec.rpartition(":")
    if path.endswith(".py"):
        own_module, digest = _imported(Path(path))
        if not hasattr(own_module, name):
            methods = {key: value for key, value in vars(own_module).items() if _kind(value)}
            own = [key for key, value in methods.items() if value.__module__ == own_module.__name__]
            raise choose(f"method of {path}", name, own or ["none: the file has no class of a method"])
        origin = f"{Path(path).name}, sha256 {digest[:12]}"
        return _method(name, getattr(own_module, name), origin, spec)
    offered = installed()
    if spec not in offered:
        if spec.endswith(".py"):
            raise BadCallError(f"{spec}: say which class of the file is the method: {spec}:Name")
        if sampler := re.fullmatch("optuna[:-](.+)", spec):  # with a hyphen in records
            from nasbench_stc.methods import optuna_sampler

            name, cls, origin = optuna_sampler.find_sampler(sampler[1])
            return _method(name, cls, origin, name)
        raise BadCallError(
            f"{choose('method', spec, (*ours(), *offered))}; or a class in a file: path/to/file.py:Name; "
            "or a sampler of Optuna: optuna:TPESampler"
        )
    point = offered[spec]
    origin = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    with blamed(f"{spec} of {origin}", "cannot be loaded"):
        loaded = point.load()
    return _method(spec, loaded, origin, spec)


def load(name: str) -> Any:
    """The class of the method; see `find`."""
    return find(name).cls


def _method(name: str, loaded: Any, origin: str, spec: str) -> Method:
    kind = _kind(loaded)
    if not kind:
        raise MethodError(
            f"method {name} of {origin}: it is no subclass of OneShotMethod (nasbench_stc.methods.base) or "
            "BlackBoxMethod (nasbench_stc.methods.blackbox)"
        )
    if not isinstance(vars(loaded).get("listing"), (Listing, NoneType)):
        raise MethodError(f"method {name} of {origin}: its listing is no Listing (nasbench_stc.methods.listing)")
    if not isinstance(loaded.presets, Mapping):
        raise MethodError(f"method {name} of {origin}: its presets are no settings by protocol")
    return Method(name, kind, loaded, origin, spec)


def _kind(loaded: Any) -> str:
    """One of `KINDS`; empty for what is no method."""
    from nasbench_stc.methods.base import OneShotMethod
    from nasbench_stc.methods.blackbox import BlackBoxMethod
    from nasbench_stc.methods.training_free import TrainingFree

    above = getattr(loaded, "__mro__", ())
    bases = {TrainingFree: "training-free", BlackBoxMethod: "black-box", OneShotMethod: "one-shot"}
    return next((kind for base, kind in bases.items() if base in above), "")


def _imported(path: Path) -> tuple[ModuleType, str]:
    """The file as a module, and its sha256; the same content is imported once."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadCallError(f"method file {path}: cannot be read ({error.strerror})") from None
    name = f"nasbench_stc_method_{digest[:12]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None  # a .py file has both
        module = importlib.util.module_from_spec(spec)
        with blamed(f"file {path}", "cannot be imported"):
            sys.modules[name] = module
            try:
                spec.loader.exec_module(module)
            except BaseException as error:
                del sys.modules[name]
                if isinstance(error, SystemExit):
                    raise RuntimeError(f"it ends the program (exit status {error.code})") from None
                raise
    return sys.modules[name], digest
