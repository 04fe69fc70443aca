"""Tickets in files that have types, and what an import reads of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from headrace.contract.events import Event, Feedback
from headrace.importing import Import, Mapping, Reading, Summary, open_rows
from headrace.importing.times import Times

TICKETS = Mapping(
    "feedback",
    {"at": "occurred_at", "who": "session_id", "stars": "value"},
    {"source": "user", "signal": "rating"},
    id_column="ticket",
    times=Times(ZoneInfo("Europe/Berlin")),
)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def checked(path: Path, mapping: Mapping = TICKETS, **reading: Any) -> tuple[Summary, list[Event]]:
    """What a dry run says of a file, and its first events."""
    rows = open_rows(path, Reading(wanted=mapping.names, **reading))
    completed = mapping.completed(path.name, rows.columns)
    return Import(path, rows, completed, path.parent / "state", path.parent / "report", None).check()


def feedback(path: Path, mapping: Mapping = TICKETS, **reading: Any) -> list[tuple[Any, ...]]:
    """Time, session, value and foreign id of each row."""
    summary, events = checked(path, mapping, **reading)
    assert summary.rejected == 0, summary.reasons
    return [(one.occurred_at, one.session_id, one.value, one.extra["foreign_id"])
            for one in events if isinstance(one, Feedback)]  # fmt: skip
