"""Seeds in words, one spelling everywhere (`seeds 0-99`), and the same read back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

from nasbench_stc.errors import BadCallError

MOST = 100_000
"""Seeds of one command; more are a slip of the hand, and would fill the memory before the first run."""
_HIGHEST = 2**63 - 1


def ranges(seeds: Iterable[int]) -> str:
    """`3`, `0, 1`, or `0-2, 5`: ascending, each once, three or more in a row as a range."""
    ordered = sorted(set(seeds))
    # Neighbours have the same distance to their place in the order.
    parts = [[seed for _, seed in part] for _, part in groupby(enumerate(ordered), lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in parts)


def told(seeds: Iterable[int]) -> str:
    """`seed 3`, or `seeds 0-2, 5`; see `ranges`."""
    different = set(seeds)
    return f"seed{'s' * (len(different) != 1)} {ranges(different)}"


def parse(text: str) -> list[int]:
    """The seeds that `--seeds` names, in the order in which it does.

    A number alone is how many, from 0 on. With a comma or a range in it the text names them: `"100,"` is the seed 100,
    `"100-104"` five, `"0,5,100-104"` seven.

    Raises:
        BadCallError: it names none, one twice, more than `MOST`, or what is no seed.
    """
    wrong = f"--seeds {text!r}: "
    usage = "give how many (3 is 0, 1, 2), or which, each once: 777,888 or 100-104 or 0,5,100-104; one alone is 100,"
    parts = [part.strip() for part in text.split(",") if part.strip()]
    matches = [re.fullmatch(r"(\d{1,19})(?:\s*-\s*(\d{1,19}))?", part, re.ASCII) for part in parts]
    bounds = [(int(match[1]), int(match[2] or match[1])) for match in matches if match]
    if not parts or len(bounds) < len(parts):
        raise BadCallError(wrong + usage)
    if len(parts) == 1 and "," not in text and "-" not in text:
        bounds = [(0, bounds[0][0] - 1)]
    if any(low > high for low, high in bounds):
        raise BadCallError(wrong + usage)
    if sum(high - low + 1 for low, high in bounds) > MOST:
        raise BadCallError(f"{wrong}these are more than {MOST:,} runs; {usage}")
    if max(high for _, high in bounds) > _HIGHEST:
        raise BadCallError(f"{wrong}a seed is at most {_HIGHEST}")
    seeds = [seed for low, high in bounds for seed in range(low, high + 1)]
    if len(set(seeds)) < len(seeds):
        raise BadCallError(wrong + usage)
    return seeds
