"""The import: rows become events, which are sent month by month, and only then the checkpoint moves on."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from headrace.access.events import attributed
from headrace.access.roles import Forbidden, Principal
from headrace.client.transport import Refused, SomeRefused
from headrace.contract import ids
from headrace.contract.events import Event, Inference
from headrace.errors import EventError, HeadraceError
from headrace.importing.checkpoint import Checkpoint, OpenRow
from headrace.importing.mapping import Mapping
from headrace.importing.months import Batch, Months
from headrace.importing.repeats import Repeats
from headrace.importing.sources import FileRow, Rows
from headrace.importing.survey import surveyed
from headrace.places import AHEAD, BEFORE, place_of

BATCH = 1000
# Rows are gathered while they mix more months than this, up to so many bytes.
FEW_MONTHS, HELD_BYTES = 2, 128 * 1024 * 1024
FIRST_RETRY_S, LAST_RETRY_S, RETRIES = 0.2, 5.0, 8
MAX_SHOWN = 5

Store = Callable[[Sequence[Event]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """share: of the file, 0 to 1; the others as in Checkpoint; looking: nothing is sent yet"""

    share: float
    rows: int
    events: int
    rejected: int
    looking: bool = False


@dataclass(slots=True)
class Summary:
    """What an import did, the runs before this one included.

    resumed_after: the row after which this run went on, 0 where it began with the first
    nothing_new: the file was imported before and has not changed
    before, ahead: events of this run whose time is long ago or not yet come (headrace/places.py)
    apart: answers of this run whose id is of another day: they are in no window (headrace.contract.ids.FITS)
    reasons: the first rejected rows, a sentence each
    replaced: rows of another file that was imported under this name before
    left: what is at the end of the file and no row yet, a sentence; empty where nothing is
    found: how the file is read, for people
    repeated: rows of this run that have the id and the time of another, and replace it (headrace/importing/repeats.py)
    """

    rows: int = 0
    events: int = 0
    rejected: int = 0
    resumed_after: int = 0
    nothing_new: bool = False
    before: int = 0
    ahead: int = 0
    apart: int = 0
    reasons: list[str] = field(default_factory=list)
    replaced: int = 0
    left: str = ""
    found: list[str] = field(default_factory=list)
    repeated: int = 0


@dataclass(slots=True)
class Gathered:
    """What is sent next.

    rows: looked at, with those before; rejected: of these; known: of these, stored before; open_row: as in Checkpoint
    refused: events that the gateway will never take
    """

    rows: int
    rejected: int = 0
    known: int = 0
    refused: int = 0
    open_row: OpenRow | None = None
    events: Months = field(default_factory=Months)


@dataclass(frozen=True, slots=True)
class Import:
    """One file on its way.

    mapping: completed for the file's columns
    state: the checkpoint's path; report: of rejected rows, JSON lines
    principal: whose events the rows become; None where the gateway that they are sent to knows that
    decimal: the mark before fractions, by an option; empty: as the columns show it
    """

    file: Path
    rows: Rows
    mapping: Mapping
    state: Path
    report: Path
    principal: Principal | None
    decimal: str = ""

    async def run(
        self, store: Store, again: bool = False, seen: Callable[[ImportProgress], None] = lambda _: None
    ) -> Summary:
        """Send what is not sent yet. Raises HeadraceError where storing keeps failing; a later run goes on there.

        again: begin with the first row; the same rows are the same events
        """
        start, replaced = self._start(again)
        summary = Summary(start.rows, start.events, start.rejected, start.rows, start.finished, replaced=replaced)
        if start.finished:
            return summary
        mapping, summary.found = surveyed(self.mapping, self.rows, self.decimal, _looked(seen))
        self.state.parent.mkdir(parents=True, exist_ok=True)
        self.report.parent.mkdir(parents=True, exist_ok=True)
        with self.report.open("r+b" if self.report.exists() else "w+b") as report:
            # What a killed run noted after its last checkpoint is noted anew.
            report.truncate(start.report_bytes)
            report.seek(0, 2)
            done = start
            rows, repeats = iter(self.rows.read(start.rows)), Repeats(mapping.names_ids)
            while (gathered := self._gathered(mapping, rows, done, report, summary, repeats)).rows > done.rows:
                # Where the file grows before the next run, what is sent now is still the same.
                done = replace(done, upto=gathered.rows)
                for batch in gathered.events.batches(BATCH, (done.sent_month, done.sent_row)):
                    for place, reason in (await _stored(store, batch.events)).items():
                        self._refused(gathered, batch, place, reason, report, summary)
                    done = replace(done, sent_month=batch.last[0], sent_row=batch.last[1])
                    if not gathered.refused:
                        # What was refused is known to this run alone until its round is noted as a whole.
                        done.save(self.state)
                done = replace(
                    done,
                    rows=gathered.rows,
                    events=done.events + len(gathered.events) + gathered.known - gathered.refused,
                    rejected=done.rejected + gathered.rejected + gathered.refused,
                    report_bytes=report.tell(),
                    upto=0,
                    sent_month="",
                    sent_row=0,
                    open_row=gathered.open_row,
                )
                done.save(self.state)
                seen(ImportProgress(self.rows.done(), done.rows, done.events, done.rejected))
            replace(done, finished=True).save(self.state)
        summary.rows, summary.events, summary.rejected = done.rows, done.events, done.rejected
        summary.repeated = repeats.count
        return summary

    def check(self, seen: Callable[[ImportProgress], None] = lambda _: None) -> tuple[Summary, list[Event]]:
        """Map every row and send nothing; with the first events."""
        mapping, found = surveyed(self.mapping, self.rows, self.decimal, _looked(seen))
        summary = Summary(found=found)
        first: list[Event] = []
        repeats = Repeats(mapping.names_ids)
        for row in self.rows.read():
            if row.left:
                summary.left = _left(row)
                break
            summary.rows += 1
            try:
                event = self._event(mapping, row)
                summary.events += 1
                repeats.add(event)
                _count(summary, event)
                first += [event] if len(first) < MAX_SHOWN else []
            except (EventError, Forbidden) as error:
                summary.rejected += 1
                _remember(summary, row, str(error))
            if summary.rows % BATCH == 0:
                seen(ImportProgress(self.rows.done(), summary.rows, summary.events, summary.rejected))
        summary.repeated = repeats.count
        return summary, first

    def _start(self, again: bool) -> tuple[Checkpoint, int]:
        """Where to begin, and how many rows of another file were imported before."""
        before = None if again else Checkpoint.load(self.state)
        going_on = before.continued(self.file, self.rows.appendable) if before else None
        return going_on or Checkpoint.fresh(self.file), before.rows if before and not going_on else 0

    def _gathered(
        self,
        mapping: Mapping,
        rows: Iterator[FileRow],
        done: Checkpoint,
        report: BinaryIO,
        summary: Summary,
        repeats: Repeats,
    ) -> Gathered:
        """The events of the next rows: of a batch, of more where they mix months, or of what a run began to send."""
        found = Gathered(done.rows, open_row=done.open_row)
        for row in rows:
            if row.left:
                summary.left = _left(row)
                break
            found.rows = row.number
            reported, event = report.tell(), None
            try:
                event = self._event(mapping, row)
                was = done.open_row if row.number == done.rows + 1 else None
                event = _closed(event, was) if was else event
                if was and _digest(event) == was.digest:
                    found.known += 1
                else:
                    found.events.add(row.number, event)
                repeats.add(event)
                _count(summary, event)
            except (EventError, Forbidden) as error:
                found.rejected += 1
                _remember(summary, row, str(error))
                _note(report, row, str(error))
            found.open_row = _open(row, event, reported) if row.torn else None
            if done.upto:
                if row.number == done.upto:
                    break
            elif (row.number - done.rows) % BATCH == 0 and (
                found.events.months <= FEW_MONTHS or found.events.size >= HELD_BYTES
            ):
                break
        report.flush()
        return found

    def _refused(
        self, gathered: Gathered, batch: Batch, place: int, reason: str, report: BinaryIO, summary: Summary
    ) -> None:
        """Note an event that the gateway will never take as its row's rejection."""
        gathered.refused += 1
        row = FileRow(batch.rows[place], json.loads(batch.events[place].to_json()))
        _remember(summary, row, reason)
        _note(report, row, reason)
        report.flush()

    def _event(self, mapping: Mapping, row: FileRow) -> Event:
        if row.fault:
            raise EventError(row.fault)
        event = mapping.event(row.cells)
        return event if self.principal is None else attributed(event, self.principal)


def _left(row: FileRow) -> str:
    return f"row {row.number} has no end yet ({row.fault}) and is left for the next run; if it is whole, end its line"


def _open(row: FileRow, event: Event | None, reported: int) -> OpenRow:
    if event is None:
        return OpenRow(row.number, "", "", reported)
    return OpenRow(row.number, str(event.event_id), _digest(event), reported)


def _closed(event: Event, was: OpenRow) -> Event:
    """The event of a row that was sent before its line had an end: the same, revised where it says something else."""
    if not was.event_id or _digest(event) == was.digest:
        return event
    return event.model_copy(update={event.id_field: UUID(was.event_id), "revision": event.revision + 1})


def _digest(event: Event) -> str:
    return hashlib.sha256(event.to_json()).hexdigest()


def _looked(seen: Callable[[ImportProgress], None]) -> Callable[[float], None]:
    return lambda share: seen(ImportProgress(share, 0, 0, 0, looking=True))


async def _stored(store: Store, events: Sequence[Event]) -> dict[int, str]:
    """Store events but for those that are refused for good: their places, and why.

    Raises Refused where that is so of all at once, HeadraceError where storing keeps failing.
    """
    try:
        await _tried(store, events)
    except SomeRefused as error:
        return await _parted(store, events, str(error))
    return {}


async def _parted(store: Store, events: Sequence[Event], reason: str) -> dict[int, str]:
    """Finds who is refused by halves; an event that is sent again is the same one."""
    if len(events) == 1:
        return {0: reason}
    found: dict[int, str] = {}
    middle = len(events) // 2
    for begin, part in ((0, events[:middle]), (middle, events[middle:])):
        try:
            await _tried(store, part)
        except Refused as error:
            found |= {begin + place: why for place, why in (await _parted(store, part, str(error))).items()}
    return found


async def _tried(store: Store, events: Sequence[Event]) -> None:
    delay_s = FIRST_RETRY_S
    for attempt in range(RETRIES):
        try:
            await store(events)
            return
        except (EventError, Refused):
            raise
        except HeadraceError:
            if attempt + 1 == RETRIES:
                raise
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, LAST_RETRY_S)


def _count(summary: Summary, event: Event) -> None:
    place = place_of(event.event_id, datetime.now(UTC))
    summary.before += place == BEFORE
    summary.ahead += place == AHEAD
    if isinstance(event, Inference) and not event.given_id:
        summary.apart += not ids.fits(event.inference_id, event.occurred_at)


def _remember(summary: Summary, row: FileRow, reason: str) -> None:
    if len(summary.reasons) < MAX_SHOWN:
        summary.reasons.append(f"row {row.number}: {reason}")


def _note(report: BinaryIO, row: FileRow, reason: str) -> None:
    line = {"row": row.number, "line": row.line, "reason": reason, "cells": row.cells}
    report.write(json.dumps(line, default=str, ensure_ascii=False).encode(errors="replace") + b"\n")
