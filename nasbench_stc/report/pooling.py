"""Which runs count as being under the same settings, and on the same device."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def compared_settings(runs: DataFrame) -> Series:
    """The settings of each run by which it is told apart, as JSON.

    What a method got as a setting later (`setting(earlier=…)`), runs from before do not name; they are like those after
    that have its default. So a name that some runs of a method lack is left out of those that did not change it, unless
    these differ in its value.
    """
    of = ["method", "settings", "changes"]
    number = runs.groupby(of, observed=True, sort=False).ngroup()
    kinds = runs[of].assign(_number=number).drop_duplicates("_number").astype(str)
    found: dict[int, str] = {}
    for _, alike in kinds.groupby("method"):
        parts = [json.loads(text) for text in alike["settings"]]
        every = [{f"{part}.{name}": value for part in one for name, value in one[part].items()} for one in parts]
        changed = [set(json.loads(text)) for text in alike["changes"]]
        newer = set()
        for name in set().union(*every):
            named = [(one[name], but) for one, but in zip(every, changed, strict=True) if name in one]
            usual = [value for value, but in named if _bare(name) not in but]
            if len(named) < len(every) and all(value == usual[0] for value in usual):
                newer.add(name)
        for which, one, but in zip(alike["_number"], every, changed, strict=True):
            kept = {name: value for name, value in one.items() if name not in newer or _bare(name) in but}
            found[int(which)] = json.dumps(kept, sort_keys=True)
    return number.map(found)


def _bare(name: str) -> str:
    """Of a setting, without its part."""
    return name.partition(".")[2]


def over_devices(runs: DataFrame, same: Sequence[str], once: Sequence[str] = ("search_dataset", "seed")) -> DataFrame:
    """Runs that belong together on several devices are of all of these, `A and B`, unless one ran again on another.

    Seeds are independent searches, on whatever device; the same seed again is another search, but no new seed.

    Args:
        runs: no two of one device are the same.
        same: the columns that runs have in common which belong together.
        once: those that together say which run it is among these.
    """
    if runs["device"].nunique() < 2:
        return runs
    row = runs.groupby(list(same), observed=True, sort=False).ngroup()
    apart = set(row[runs[list(once)].assign(_row=row).duplicated(keep=False)])
    told = runs["device"].astype(str).groupby(row).agg(lambda devices: " and ".join(sorted(set(devices))))
    return runs.assign(device=runs["device"].astype(str).where(row.isin(apart), row.map(told)))


def without_budget(settings: str) -> str:
    """The settings of a simulated run but for its seconds, which differ from data set to data set; both as JSON."""
    found = json.loads(settings)
    found["protocol"].pop("budget", None)
    return json.dumps(found, sort_keys=True)
