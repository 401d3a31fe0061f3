"""How sweeps are shown: a line for each unit that ends, and how long the others will take."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from vaekit.display.messages import say, table
from vaekit.display.progress import clock, console
from vaekit.text import escaped

if TYPE_CHECKING:
    from vaekit.engine.tables import Table
    from vaekit.engine.work import SweepProgress


def swept(reports: Iterable["SweepProgress"], quiet: bool = False) -> Iterator["SweepProgress"]:
    """Pass on the reports of a sweep, and print a line for each unit that ends."""
    for report in reports:
        if not quiet:
            for unit, error in report.finished:
                left = "" if report.left is None else f", {clock(report.left)} left"
                how = f"failed: {error}" if error else "finished"
                where = f"[{report.done + report.failed}/{report.total}]"
                line = f"{where} {unit.label} {how}  ({clock(report.seconds)} spent{left})"
                console.print(Text(escaped(line)), soft_wrap=True)
        yield report


def planned(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the units of a sweep with their expected times."""
    shown = [
        {
            "unit": row["unit"],
            "digest": row["digest"],
            "weights": f"{row['weights']:,}",
            "expected": "finished" if row["finished"] else f"{row['seconds']:,.0f} s",
        }
        for row in rows
    ]
    table(shown, ("unit", "digest", "weights", "expected"))
    left = sum(row["seconds"] for row in rows)
    waiting = sum(not row["finished"] for row in rows)
    say(f"{waiting} of {len(rows)} units to go, {left / 60:,.1f} minutes, one at a time")


def tabulated(found: "Table") -> None:
    """Print the table of a sweep; a star marks the combination that is surely the best."""
    header, rows = found.cells("{} *")
    table([dict(zip(header, row, strict=True)) for row in rows], header)
    say(found.note)
