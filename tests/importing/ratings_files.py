"""Ratings of a German company as text, and what an import reads of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from headrace.contract.events import Event, Feedback
from headrace.importing import Import, Mapping, Reading, Summary, open_rows
from headrace.importing.times import Times

HEADER = ["Ticket", "Erledigt", "Gespräch", "Zufriedenheit"]
ROWS = [["T-1", "02.03.2026 13:00", "gespräch-7", "4,5"], ["T-2", "02.03.2026 13:20", "gespräch-8", "1,0"]]
RATING = Mapping(
    "feedback",
    {"Erledigt": "occurred_at", "Gespräch": "session_id", "Zufriedenheit": "value"},
    {"source": "user", "signal": "rating"},
    id_column="Ticket",
    times=Times(ZoneInfo("Europe/Berlin")),
)


def checked(path: Path, mapping: Mapping = RATING, decimal: str = "", **reading: Any) -> tuple[Summary, list[Event]]:
    """What a dry run says of a file, and its first events."""
    rows = open_rows(path, Reading(wanted=mapping.names, **reading))
    completed = mapping.completed(path.name, rows.columns)
    return Import(path, rows, completed, path.parent / "state", path.parent / "report", None, decimal).check()


def ratings(path: Path, mapping: Mapping = RATING, decimal: str = "", **reading: Any) -> list[tuple[str, float | None]]:
    """Sessions and values of a file whose rows are all right."""
    summary, events = checked(path, mapping, decimal, **reading)
    assert summary.rejected == 0 and not summary.left, summary
    return [(event.session_id, event.value) for event in events if isinstance(event, Feedback)]


def text(rows: list[list[str]] = ROWS, delimiter: str = ";", end: str = "\r\n", header: list[str] = HEADER) -> str:
    return "".join(delimiter.join(row) + end for row in [header, *rows])
