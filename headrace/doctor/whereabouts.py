"""Did my event arrive: what the warehouse has of an id, or else where it may still be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from headrace.contract import ids
from headrace.contract.given_ids import is_id, uuid_of
from headrace.doctor.findings import Finding, ok, problem, warning
from headrace.settings import Settings
from headrace.warehouse import Warehouse

ABOUT = "event"
CHUNK_BYTES = 1 << 20
APART = "let its emitter make the id when the answer is given, of the same time as occurred_at"


def called(settings: Settings, warehouse: Warehouse, name: str) -> Iterator[Finding]:
    """The findings of the event that an id, or its emitter's own text for it, names; of all where these are several."""
    known = uuid_of(name)
    if known is not None and is_id(known):
        yield from of(settings, warehouse, known)
        return
    rows = warehouse.query("cli/doctor_given", text=str(known or name.strip()))
    for row in rows:
        yield from of(settings, warehouse, row["id"])
    if not rows:
        text = f"{name!r} is nowhere: no event is called so by its emitter"
        yield problem(ABOUT, text, "search the columns response_id, span_id and session_id for it")


def of(settings: Settings, warehouse: Warehouse, event_id: UUID) -> Iterator[Finding]:
    """One finding for each mention of the id; where there is none, what that may mean."""
    rows = warehouse.query("cli/doctor_event", id=event_id)
    yield from map(_told, rows)
    yield from (_apart(event_id, row["at"]) for row in rows if _is_apart(event_id, row))
    if rows:
        return
    for file in _spooled(settings.home, event_id):
        text = f"it is on this machine's disk in {file}, and Kafka does not have it yet"
        yield warning(ABOUT, text, "it is shipped when Kafka answers")
        return
    yield _nowhere(event_id)


def _told(row: dict[str, Any]) -> Finding:
    where = f", from {row['place']}" if row["place"] else ""
    by = f" by {row['emitter']}" if row["emitter"] else ""
    text = (
        f"{row['what']}: {row['words']} (at {row['at']:%Y-%m-%d %H:%M:%S} UTC{by}, revision {row['revision']}{where})"
    )
    if row["what"] == "dead letter":
        return problem(ABOUT, text, f"headrace deadletters show {row['place']}")
    return ok(ABOUT, text)


def _is_apart(event_id: UUID, row: dict[str, Any]) -> bool:
    # Another emitter's sending of it is a row without a place, and its time that of its arrival.
    return row["what"] == "answer" and bool(row["place"]) and not ids.fits(event_id, row["at"])


def _apart(event_id: UUID, occurred_at: datetime) -> Finding:
    text = (
        f"its id is of {ids.time_of(event_id):%Y-%m-%d %H:%M:%S} and it occurred at {occurred_at:%Y-%m-%d %H:%M:%S},"
        " more than a day apart: it is in no window and no accuracy"
    )
    return warning(ABOUT, text, APART)


def _nowhere(event_id: UUID) -> Finding:
    at = ids.time_of(event_id)
    ahead = at > datetime.now(UTC)
    text = f"{event_id} is nowhere; it was made {'' if not ahead else 'in the future, '}at {at:%Y-%m-%d %H:%M:%S} UTC"
    advice = (
        "ask its emitter what the gateway answered, `headrace status` what still waits, `headrace reconcile` for losses"
    )
    return problem(ABOUT, text, advice)


def _spooled(home: Path, event_id: UUID) -> Iterator[Path]:
    """Segments of the spools below this home that hold the id."""
    wanted = str(event_id).encode()
    for file in sorted(home.glob("**/spool/**/*")):
        if file.is_file() and _holds(file, wanted):
            yield file


def _holds(file: Path, wanted: bytes) -> bool:
    tail = b""
    with file.open("rb") as opened:
        while piece := opened.read(CHUNK_BYTES):
            if wanted in tail + piece:
                return True
            tail = piece[-len(wanted) :]
    return False
