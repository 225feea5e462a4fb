"""Reports: records of runs as frames, and tables and figures beside the numbers that the paper printed.

`frames` makes pandas frames of records; `tables` and `figures` have a file for each table and figure, made from
`Inputs`; `writers` writes a table, and `page` all of them. Adding a table or a figure is one file. Nothing here imports
torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasbench_stc.report.chart import Chart
    from nasbench_stc.report.inputs import Inputs, Missing, MissingRecords, gather, opened_for
    from nasbench_stc.report.page import Entry, make_all, render_all
    from nasbench_stc.report.registry import Maker, make_figure, make_table
    from nasbench_stc.report.table import Table
    from nasbench_stc.report.tables.scores import Scores, make_agreement_table, make_score_table
    from nasbench_stc.report.writers import FORMATS, render

    TABLES: dict[str, Maker[Table]]
    FIGURES: dict[str, Maker[Chart]]

__all__ = [
    "FIGURES",
    "FORMATS",
    "TABLES",
    "Chart",
    "Entry",
    "Inputs",
    "Missing",
    "MissingRecords",
    "Scores",
    "Table",
    "gather",
    "make_agreement_table",
    "make_all",
    "make_figure",
    "make_score_table",
    "make_table",
    "opened_for",
    "render",
    "render_all",
]

_HOMES = {
    "chart": ["Chart"],
    "inputs": ["Inputs", "Missing", "MissingRecords", "gather", "opened_for"],
    "page": ["Entry", "make_all", "render_all"],
    "registry": ["make_figure", "make_table"],
    "table": ["Table"],
    "tables.scores": ["Scores", "make_agreement_table", "make_score_table"],
    "writers": ["FORMATS", "render"],
}


def __getattr__(name: str) -> Any:
    # Imported when they are asked for: `stc-bench query`, which has to answer at once, needs a writer alone.
    if name in ("TABLES", "FIGURES"):
        from nasbench_stc.report.registry import makers

        return makers(name.lower())
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__doc__"]
