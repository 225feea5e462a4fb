"""Named settings: frozen dataclasses whose fields carry their reason, changed by name with a checked value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from nasbench_stc.errors import BadCallError, choose

S = TypeVar("S")


def setting(
    default: Any,
    why: str,
    *,
    choices: tuple[str, ...] = (),
    low: float = 0.0,
    high: float = math.inf,
    earlier: Any = None,
) -> Any:
    """A dataclass field: its default, the reason for it, and what is allowed (for a number its range, inclusive).

    `earlier` is of a setting that was added when there were records: the value by which it does what was done before.
    """
    return field(
        default=default, metadata={"why": why, "choices": choices, "low": low, "high": high, "earlier": earlier}
    )


def described(settings: Any) -> Iterator[tuple[str, Any, str]]:
    """(name, value, reason) of each setting, in order."""
    for item in fields(settings):
        yield item.name, getattr(settings, item.name), item.metadata.get("why", "")


def names(settings: Any) -> tuple[str, ...]:
    """The settings' names, in order."""
    return tuple(item.name for item in fields(settings))


def earlier(settings: Any) -> dict[str, Any]:
    """What was done before these were settings, by name: records of then lack them."""
    return {
        item.name: item.metadata["earlier"] for item in fields(settings) if item.metadata.get("earlier") is not None
    }


def named(settings: Any) -> dict[str, Any]:
    """The settings by which files are named: without those that are as `earlier`, so that files of then are found."""
    before = earlier(settings)
    return {name: value for name, value, _ in described(settings) if before.get(name) != value}


def distributed(parts: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Several settings by part, each `changed` by those of `values` that are its own; the first one that has a name.

    Raises:
        BadCallError: a name that no part has, or as `changed`.
    """
    owner: dict[str, str] = {}
    for part, own in parts.items():
        owner = {**dict.fromkeys(names(own), part), **owner}
    for name in values:
        if name not in owner:
            raise BadCallError(
                f"unknown setting {name!r}: "
                + "; ".join(f"{part} has {', '.join(names(own)) or 'none'}" for part, own in parts.items())
            )
    return {
        part: changed(own, {name: value for name, value in values.items() if owner[name] == part})
        for part, own in parts.items()
    }


def differing(usual: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `asked` that differ from those of `usual`, both settings by part, by name."""
    return {
        name: value
        for part, own in asked.items()
        for name, value, _ in described(own)
        if value != getattr(usual[part], name)
    }


def check_seed(seed: Any) -> None:
    """That it is a seed.

    Raises:
        BadCallError: it is not.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise BadCallError(f"seed {seed!r}: it has to be a whole number, not negative, below 2^63")


def changed(settings: S, values: Mapping[str, Any]) -> S:
    """`settings` with `values` in place, each a value of the field's type or text that says one.

    Raises:
        BadCallError: an unknown name, a value of the wrong type or out of range.
    """
    known = {item.name: item for item in fields(settings)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise choose("setting", name, known)
    return replace(settings, **{name: _value(known[name], value) for name, value in values.items()})  # type: ignore[type-var]


def _value(item: Any, value: Any) -> Any:
    kind = type(item.default)
    try:
        parsed = _BOOLEANS[str(value).lower()] if kind is bool else kind(value)
    except (ValueError, TypeError, KeyError, OverflowError):
        meant = {bool: "true or false", int: "a whole number", float: "a number"}.get(kind, kind.__name__)
        raise BadCallError(f"setting {item.name}={value!r}: expected {meant}") from None
    choices, low, high = (item.metadata.get(key, usual) for key, usual in _ANYTHING.items())
    if choices and parsed not in choices:
        raise choose(f"value of setting {item.name}:", str(parsed), choices)
    if kind is float and not math.isfinite(parsed):
        raise BadCallError(f"setting {item.name}={value!r}: it has to be a finite number")
    if kind in (int, float) and not low <= parsed <= high:
        bound = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
        raise BadCallError(f"setting {item.name}={value!r}: it has to be {bound}")
    return parsed


_ANYTHING: dict[str, Any] = {"choices": (), "low": -math.inf, "high": math.inf}  # of a field not made by `setting`
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Ramp:
    """A value that goes from `start` in the first epoch to `end` in the last one."""

    start: float
    end: float
    shape: str = "linear"

    def at(self, epoch: int, epochs: int) -> float:
        """The value in `epoch` of `epochs`; a single epoch has the starting value."""
        done = epoch / (epochs - 1) if epochs > 1 else 0.0
        if self.shape == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        return self.start + (self.end - self.start) * done
