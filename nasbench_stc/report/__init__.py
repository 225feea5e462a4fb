"""Reports: records of runs beside the numbers that the paper printed. Nothing here imports torch.

A table of the paper is one module, a pure function from records to a `Table`; `render` writes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from nasbench_stc.errors import BadCallError
from nasbench_stc.report import table6
from nasbench_stc.report.render import FORMATS, Table, render
from nasbench_stc.runs import Record

__all__ = ["FORMATS", "TABLES", "Table", "make_table", "render"]

TABLES = {6: table6.build}
"""By the paper's number."""


def make_table(number: int, records: Sequence[Record]) -> Table:
    """The paper's table of that number, with a row for every group of `records`.

    Raises:
        BadCallError: there is no such table here.
    """
    if number not in TABLES:
        raise BadCallError(f"no table {number!r}: there is {', '.join(f'table {known}' for known in TABLES)}")
    return TABLES[number](records)
