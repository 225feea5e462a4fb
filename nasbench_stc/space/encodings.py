"""Cells as lists of six operations, as other tools write them: each has its own order of edges, and numbers or names.

NASLib (automl/NASLib, `OP_NAMES_NB201` and `EDGE_LIST` in naslib/search_spaces/nasbench201/conversions.py): numbers,
and edges by their source. The keys of its zero-cost files are such lists, `(4, 0, 3, 1, 4, 3)`.

Syne Tune (syne-tune/syne-tune, `CONFIG_KEYS` and `str_to_list` in nasbench201_import.py, a conversion script of its
blackbox repository): the operations' names as parameters hp_x0 to hp_x5, in the order of the official string. It has no
numbers for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from nasbench_stc.errors import BadCallError, choose

_NAMES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


class Encoding(NamedTuple):
    """How a tool writes a cell down."""

    edges: tuple[tuple[int, int], ...]
    """(source node, target node), in the order of its list."""
    words: Mapping[str, str]
    """What stands in the list, to the official name of the operation."""
    keys: tuple[str, ...]
    """Names that it has for the edges, in the same order; empty: none."""
    example: str


ENCODINGS = {
    "naslib": Encoding(
        ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)),
        dict(zip("01234", ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3"), strict=True)),
        (),
        "(4, 0, 3, 1, 4, 3)",
    ),
    "syne-tune": Encoding(
        ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)),
        {name: name for name in _NAMES},
        ("hp_x0", "hp_x1", "hp_x2", "hp_x3", "hp_x4", "hp_x5"),
        "nor_conv_3x3,none,skip_connect,none,none,avg_pool_3x3",
    ),
}


def is_list(text: str) -> bool:
    """Whether the text looks like a list of operations."""
    return "|" not in text and (text.startswith(("(", "[", "{")) or "," in text)


def decode(cell: str | Iterable[object], encoding: str) -> dict[tuple[int, int], str]:
    """The official name of the operation on each edge.

    Args:
        cell: the list, as text or not; of Syne Tune also a mapping from `hp_x0` to `hp_x5`.
        encoding: one of `ENCODINGS`.

    Raises:
        BadCallError: there is no such encoding, or the list is none in it.
    """
    if encoding not in ENCODINGS:
        raise choose("encoding", encoding, ENCODINGS)
    of = ENCODINGS[encoding]
    parts = _parts(cell)
    wrong = f"{cell!r} is no cell in the encoding {encoding}: "
    if len(parts) != len(of.edges):
        raise BadCallError(f"{wrong}it has {len(parts)} entries, not {len(of.edges)} (like {of.example})")
    keys = [key for key, _ in parts if key]
    if keys and sorted(keys) != sorted(of.keys):
        raise BadCallError(f"{wrong}its edges are named {', '.join(keys)}, not {', '.join(of.keys) or 'at all'}")
    for _, word in parts:
        if word not in of.words:
            allowed = ", ".join(word if word == name else f"{word} {name}" for word, name in of.words.items())
            raise BadCallError(f"{wrong}{word!r} is none of {allowed} (like {of.example})")
    order = [of.keys.index(key) for key in keys] or range(len(parts))
    return {of.edges[place]: of.words[word] for place, (_, word) in zip(order, parts, strict=True)}


def _parts(cell: str | Iterable[object]) -> list[tuple[str, str]]:
    """(name of the edge, if any, operation) of each entry."""
    if isinstance(cell, Mapping):
        return [(str(key), str(word)) for key, word in cell.items()]
    if not isinstance(cell, str):
        return [("", str(word)) for word in cell]
    text = re.sub(r"""^[(\[{]|[)\]}]$|["']""", "", cell.strip())
    entries = [entry.strip() for entry in text.split("," if "," in text else None) if entry.strip()]
    halves = [re.split(r"\s*[:=]\s*", entry, maxsplit=1) for entry in entries]
    return [(half[0] if len(half) > 1 else "", half[-1]) for half in halves]
