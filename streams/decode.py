"""From a Kafka record to rows: total, so that no record can stop a worker.

`decode` never raises for what a record holds. A record that is not JSON is one dead letter; an event of a packed
record that is not an Event is one dead letter with its place in the record, and the other events become rows. A record
with more than MAX_BAD of them is no emitter's work: it is one dead letter, whatever else it holds, so that neither time
nor memory depend on what a record of a few bytes an event is full of.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from headrace.contract.control import DeadLetter
from headrace.contract.elements import elements, holds_nothing
from headrace.contract.events import Event, Inference, Record
from headrace.contract.given_ids import Given
from headrace.contract.letters import WHOLE, dead_letter, named
from headrace.contract.reading import careful, record_of
from headrace.errors import EventError
from streams.given_ids import NONE, Borne, Ids, borne, changes
from streams.rules import Rules
from streams.tables import Table

MAX_BAD = 10_000


class Raw(NamedTuple):
    """A record as Kafka gave it; a value of None is a tombstone.

    events: how many it holds, once it is decoded; what cannot be taken apart counts as one
    """

    topic: str
    partition: int
    offset: int
    value: bytes | None
    events: int = 1


class InsertRow(NamedTuple):
    """What Sink.insert takes, or of an event Sink.insert_records; place is its index in the record, or WHOLE."""

    body: bytes
    raw: Raw
    place: int


class Decoded(NamedTuple):
    """What a record holds; every event of it is in exactly one of the two lists, or in the one letter of all.

    events: how many; of a record with too many bad ones, those that were looked at
    borne: the given ids of both
    """

    rows: list[InsertRow]
    letters: list[DeadLetter]
    events: int = 0
    borne: Sequence[Borne] = ()


def decode(raw: Raw, table: Table, at: datetime, rules: Rules, ids: Ids = NONE) -> Decoded:
    """Rows of `table` and dead letters from one record, with these ids in place of given ones.

    at: the time that dead letters bear
    """
    if table.packed:
        return _events(raw, table, at, rules, ids)
    if raw.value is None:
        # A tombstone of a compacted topic forgets a key; the copy in the warehouse stays.
        return Decoded([], [])
    try:
        return Decoded([InsertRow(_copied(record_of(table.model, raw.value)), raw, WHOLE)], [], 1)
    except Exception as error:
        return _refused(raw, _reason(table.model, error), at)


def _copied(message: Record) -> bytes:
    """A control message as a row; fields that are not known, or have no column, are its `extra`."""
    beside = {*(message.model_extra or {}), *getattr(message, "without_column", ())}
    if not beside:
        return message.model_dump_json().encode()
    fields = message.model_dump(mode="json")
    kept = {name: value for name, value in fields.items() if name not in beside}
    return json.dumps(kept | {"extra": {name: fields[name] for name in fields if name in beside}}, default=str).encode()


def as_record(raw: Raw, events: bytes, table: Table, rules: Rules, first: int = 0) -> bytes:
    """A JSON array of events as Sink.insert_records takes it.

    first: the place of the first of them in the record
    """
    return b'{"kafka_topic":"%b","kafka_partition":%d,"kafka_offset":%d,"first":%d%b,"events":%b}' % (
        raw.topic.encode(),
        raw.partition,
        raw.offset,
        first,
        b"," + rules.draw if table.model is Inference else b"",
        events,
    )


def _events(raw: Raw, table: Table, at: datetime, rules: Rules, ids: Ids) -> Decoded:
    assert issubclass(table.model, Event)
    if raw.value is None or holds_nothing(raw.value):
        return Decoded([], [])
    rows: list[InsertRow] = []
    letters: list[DeadLetter] = []
    given: list[Borne] = []
    try:
        for index, found in enumerate(elements(raw.value)):
            if found.is_nothing:
                continue
            try:
                event = rules.held(table.topic, raw.partition, raw.offset, careful(found, table.model))
                given += borne([event])
                if changed := changes(event, ids):
                    event = event.model_copy(update=changed)
                rows.append(_row(raw, event, index, table, rules))
            except Exception as error:
                why = _reason(table.model, error)
                if len(letters) == MAX_BAD:
                    return _refused(
                        raw, f"more than {MAX_BAD} events of the record are bad, such as: {why}", at, index + 1
                    )
                name = named(found)
                given += [Borne(name, name.id)] if isinstance(name, Given) else []
                letters.append(dead_letter(raw, found.original, why, at, index, ids=ids))
    except Exception as error:
        return _refused(raw, _reason(table.model, error), at)
    return Decoded(rows, letters, len(rows) + len(letters), given)


def _refused(raw: Raw, reason: str, at: datetime, events: int = 1) -> Decoded:
    """A record that is one dead letter."""
    return Decoded([], [dead_letter(raw, raw.value or b"", reason, at)], events)


def _row(raw: Raw, event: Event, place: int, table: Table, rules: Rules) -> InsertRow:
    return InsertRow(as_record(raw, b"[%b]" % event.model_dump_json().encode(), table, rules, place), raw, place)


def _reason(model: type[Record], error: Exception) -> str:
    if isinstance(error, EventError):
        return str(error)
    return f"{model.__name__}: {' '.join(str(error).split()) or type(error).__name__}"
