"""The data sets' names, and what to type where another spelling or another tool's name was typed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nasbench_stc.errors import BadCallError, choose

NUM_CLASSES = {"cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}
DATASETS = tuple(NUM_CLASSES)


def check_dataset(name: str, allowed: Iterable[str] = DATASETS, kind: str = "data set") -> None:
    """That `name` is one of the `allowed` ones, in their one spelling, by which folders and records are named.

    Args:
        name: as it was typed.
        allowed: the names.
        kind: what they are of, for the message.

    Raises:
        BadCallError: it is none. Of other spellings (`CIFAR-10`), and of names that NATS-Bench and its files have for
            these data sets (`cifar10-valid`, `ImageNet16`), it says what to type.
    """
    allowed = tuple(allowed)
    if name in allowed:
        return
    meant = _meant(name, allowed)
    if meant is not None:
        raise BadCallError(f"unknown {kind} {name!r}: type {meant}")
    stem, _, split = name.rpartition("-")
    meant = _meant(stem, allowed) if split in ("valid", "test") else None
    if meant is not None:
        raise BadCallError(
            f"unknown {kind} {name!r}: type {meant}; {split} is a split, in query and report --split {split}"
        )
    raise choose(kind, name, allowed)


def _meant(name: str, allowed: Iterable[str]) -> str | None:
    """The one that differs in capitals, hyphens and the like alone; of ImageNet16 there is one subset here."""
    letters = _letters(name)
    spelled = {_letters(one): one for one in allowed}
    return spelled.get("imagenet16120" if letters == "imagenet16" else letters)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
