"""How far runs are, as a table: a row each that is not done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from nasbench_stc.report.table import Column, Row, Table, Value
from nasbench_stc.runs.status import STATES, Seen

_COLUMNS = (
    Column("run", "run"),
    Column("state", "state", align="left"),
    Column("host", "host", align="left", drop=3),
    Column("job", "job", align="left", drop=4),
    Column("epoch", "epoch", drop=1),
    Column("loss", "loss", drop=5, form=".3f"),
    Column("seconds", "s", drop=2, form=",.0f"),
    Column("expected_end", "expected end\n(UTC)", drop=2),
    Column("error", "why", below=True),
)


def build_status(runs: Sequence[Seen]) -> Table:
    """Those that are not done by state, then how many there are in each."""
    counts = Counter(run.state for run in runs)
    caption = ", ".join(f"{counts[state]:,} {state}" for state in STATES if counts[state]) or "No runs"
    rows = [_row(run) for state in STATES if state != "done" for run in runs if run.state == state]
    more = " The command that started a lost, stopped or failed run continues it." * bool(
        counts["lost"] + counts["stopped"] + counts["failed"]
    )
    return Table(None, "Runs that are not done", _COLUMNS, tuple(rows), (f"{caption}.{more}",))


def _row(run: Seen) -> Row:
    at = run.status
    end = at.expected_end if run.state == "running" else None
    values: dict[str, Value] = {
        "run": run.folder.name,
        "state": run.state,
        **{name: getattr(at, name) or None for name in ("host", "job", "error")},
        "epoch": f"{at.epoch}/{at.epochs}" if at.epochs else None,
        "loss": at.loss,
        "seconds": at.seconds if at.epoch else None,
        "expected_end": end and end[:16].replace("T", " "),
    }
    return Row("", values, (), {"pid": at.pid or None, "step": at.step, "steps": at.steps, "folder": str(run.folder)})
