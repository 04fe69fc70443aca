"""Runs of Kafka offsets that no row accounts for: read again from the broker, as far as time and limits allow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from headrace.contract import ids
from headrace.contract.elements import Element, elements, holds_nothing
from headrace.contract.given_ids import Given
from headrace.contract.letters import id_of, named
from headrace.errors import EventError

# How much later than the deadline an answer may come.
ANSWER_WITHIN_S = 5.0
# So many records are taken at once: what a broker sent packed may be many times as large.
PIECE_RECORDS = 32
NOT_YET = "not looked into yet"


class State(StrEnum):
    """What is known of a run."""

    UNREAD = "unread"  # not known yet: the next pass reads on
    EXPLAINED = "explained"  # other records hold the same events, or a transaction was aborted
    MISSING = "missing"  # the broker has events that are nowhere else
    LOST = "lost"  # the broker removed it before it was proven
    UNKNOWN = "unknown"  # never to be known: its topic was made again


@dataclass(frozen=True, slots=True)
class Run:
    """Offsets from first to last, both included, and what became of them (see the table offset_gaps)."""

    topic: str
    partition: int
    topic_id: str
    first: int
    last: int
    state: State = State.UNREAD
    events: int = 0
    emitter: str = ""
    hour: datetime = ids.EPOCH
    note: str = NOT_YET

    def upto(self, offset: int) -> tuple[Run | None, Run | None]:
        """The part below an offset, and the rest."""
        if offset <= self.first:
            return None, self
        if offset > self.last:
            return self, None
        return replace(self, last=offset - 1), replace(self, first=offset)


class Seen(NamedTuple):
    """An event of a record that was read again.

    event_id: None where it bears none that can be looked for
    given: what its emitter called it, from which the id is derived; a worker may know it by an earlier one
    revision: which correction of it; -1 where that cannot be read: any explains it
    """

    offset: int
    place: int
    event_id: str | None
    emitter: str
    at: datetime
    given: Given | None = None
    tenant: str = "default"
    revision: int = -1


@dataclass(frozen=True, slots=True)
class Known:
    """Events of one kind that are somewhere, by tenant and id.

    upto: the greatest revision that is a row or expired, which replaced the lesser ones
    dead: revisions that are dead letters
    """

    upto: dict[tuple[str, str], int] = field(default_factory=dict)
    dead: set[tuple[str, str, int]] = field(default_factory=set)

    def add(self, tenant: str, event_id: str, revision: int, replaces: bool) -> None:
        """replaces: whether it explains lesser revisions, too"""
        if replaces:
            name = tenant, event_id
            self.upto[name] = max(revision, self.upto.get(name, 0))
        else:
            self.dead.add((tenant, event_id, revision))

    def explains(self, event: Seen) -> bool:
        """Whether the event, or a greater revision of it, is somewhere."""
        name = event.tenant, event.event_id or ""
        return event.revision <= self.upto.get(name, -2) or (*name, max(0, event.revision)) in self.dead


class Reading(NamedTuple):
    """What the broker gave of a run: all its records below `reached`; size: bytes of their values."""

    records: Sequence[ConsumerRecord]
    reached: int
    size: int = 0


async def read(kafka: AIOKafkaConsumer, run: Run, limit: int, most_bytes: int, deadline: float) -> Reading:
    """Read a run from its beginning: at most `limit` records, until `deadline` (time.monotonic).

    It also ends with the piece of records that makes `most_bytes`.
    Aborted records are passed over. Where the broker fails or removes records meanwhile nothing is reached.
    """
    part = TopicPartition(run.topic, run.partition)
    records: list[ConsumerRecord] = []
    reached, size = run.first, 0
    nothing = Reading([], run.first)
    if limit <= 0 or most_bytes <= 0 or time.monotonic() >= deadline:
        return nothing
    try:
        async with asyncio.timeout(deadline - time.monotonic() + ANSWER_WITHIN_S):
            kafka.assign([part])
            kafka.seek(part, run.first)
            while run.first <= reached <= run.last and time.monotonic() < deadline:
                if len(records) >= limit or size >= most_bytes:
                    break
                found = await kafka.getmany(part, timeout_ms=200, max_records=min(PIECE_RECORDS, limit - len(records)))
                more = [record for record in found.get(part, []) if run.first <= record.offset <= run.last]
                size += sum(len(record.value or b"") for record in more)
                records += more
                reached = await kafka.position(part)
            # The consumer skips what is gone, and begins again where the offset is not there at all.
            begin = (await kafka.beginning_offsets([part]))[part]
    except (KafkaError, OSError, TimeoutError):
        return nothing
    return Reading(records, reached, size) if begin <= run.first else nothing


def events_of(record: ConsumerRecord) -> list[Seen]:
    """The events of a record, none of a tombstone; one where it cannot be taken apart."""
    if record.value is None or holds_nothing(record.value):
        return []
    at = ids.EPOCH + timedelta(milliseconds=record.timestamp)
    try:
        return [
            _seen(record.offset, place, found, at)
            for place, found in enumerate(elements(record.value))
            if not found.is_nothing
        ]
    except EventError:
        return [Seen(record.offset, 0, None, "", at)]


def _seen(offset: int, place: int, found: Element, at: datetime) -> Seen:
    name = named(found)
    event_id = id_of(name)
    fields = found.value if isinstance(found.value, dict) else {}
    given = name if isinstance(name, Given) else None
    tenant, emitter = str(fields.get("tenant") or "default"), str(fields.get("emitter") or "")
    return Seen(offset, place, str(event_id) if event_id else None, emitter, at, given, tenant, _revision(fields))


def _revision(fields: dict[str, Any]) -> int:
    """-1 where it cannot be read."""
    try:
        return int(fields.get("revision") or 0)
    except (TypeError, ValueError, OverflowError):
        return -1
