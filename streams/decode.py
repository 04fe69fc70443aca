"""From a Kafka record to rows: total, so that no record can stop a worker.

`decode` never raises for what a record holds. A record that is not JSON is one dead letter; an event of a packed
record that is not an Event is one dead letter with its place in the record, and the other events become rows.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from headrace.control import DeadLetter
from headrace.errors import EventError
from headrace.events import Event, Inference, Record, sentence
from streams.rules import Rules
from streams.tables import Table

WHOLE = -1
MAX_REASON = 1000

_PADDING = re.compile(r"[ \t\r\n]*")
PADDING = b" \t\r\n"
_SCANNER = json.JSONDecoder()


class Raw(NamedTuple):
    """A record as Kafka gave it; a value of None is a tombstone."""

    topic: str
    partition: int
    offset: int
    value: bytes | None


class Row(NamedTuple):
    """What Sink.insert takes, or of an event Sink.insert_records; place is its index in the record, or WHOLE."""

    body: bytes
    raw: Raw
    place: int


class Decoded(NamedTuple):
    """What a record holds; every event of it is in exactly one of the two lists."""

    rows: list[Row]
    letters: list[DeadLetter]


def decode(raw: Raw, table: Table, at: datetime, rules: Rules) -> Decoded:
    """Rows of `table` and dead letters from one record; `at` is the time that dead letters bear."""
    if table.packed:
        return _events(raw, table, at, rules)
    if raw.value is None:
        # A tombstone of a compacted topic forgets a key; the copy in the warehouse stays.
        return Decoded([], [])
    try:
        message = table.model.model_validate_json(raw.value)
        return Decoded([Row(_copied(message), raw, WHOLE)], [])
    except Exception as error:
        return Decoded([], [dead_letter(raw, WHOLE, _reason(table.model, error), at)])


def _copied(message: Record) -> bytes:
    """A control message as a row; fields that are not known are its `extra`."""
    if not message.model_extra:
        return message.model_dump_json().encode()
    fields = message.model_dump(mode="json", exclude=set(message.model_extra))
    return json.dumps({**fields, "extra": message.model_extra}, default=str).encode()


def dead_letter(raw: Raw, index: int, reason: str, at: datetime, code: int = 0) -> DeadLetter:
    """The dead letter of a record or of one event of it; code is ClickHouse's, 0 where decoding refused."""
    original = _original(raw.value or b"", index)
    return DeadLetter(
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        record_index=index,
        at=at,
        # A lone surrogate in a reason could not be sent.
        reason=reason.encode(errors="backslashreplace").decode()[:MAX_REASON],
        code=code,
        original=b64encode(original).decode(),
        event_id=_event_id(original),
    )


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


def _events(raw: Raw, table: Table, at: datetime, rules: Rules) -> Decoded:
    if not raw.value:
        return Decoded([], [dead_letter(raw, WHOLE, "the record has no value", at)])
    try:
        if raw.value.lstrip(PADDING).startswith(b"["):
            events = _array_of(table.model).validate_json(raw.value)
        else:
            events = [table.model.model_validate_json(raw.value)]
        return Decoded([_row(raw, event, index, table, rules) for index, event in enumerate(events)], [])
    except Exception:
        # Not all of it is as it should be, or a newer emitter wrote it: event by event, and tolerant.
        return _one_by_one(raw, table, at, rules)


def _one_by_one(raw: Raw, table: Table, at: datetime, rules: Rules) -> Decoded:
    assert raw.value is not None and issubclass(table.model, Event)
    try:
        values = [value for value, _ in elements(raw.value)]
    except Exception as error:
        return Decoded([], [dead_letter(raw, WHOLE, f"the record is not JSON: {error}", at)])
    rows: list[Row] = []
    letters: list[DeadLetter] = []
    for index, value in enumerate(values):
        try:
            if not isinstance(value, dict):
                raise EventError(f"an event is a JSON object, but it was {_brief(value)}")
            rows.append(_row(raw, table.model.tolerant(value), index, table, rules))
        except Exception as error:
            letters.append(dead_letter(raw, index, _reason(table.model, error), at))
    return Decoded(rows, letters)


def _row(raw: Raw, event: Record, place: int, table: Table, rules: Rules) -> Row:
    assert isinstance(event, Event)
    held = rules.held(table.topic, raw.partition, raw.offset, event)
    return Row(as_record(raw, b"[%b]" % held.model_dump_json().encode(), table, rules, place), raw, place)


def elements(value: bytes) -> Iterator[tuple[Any, bytes]]:
    """The events of a record's value, each decoded and as its original bytes. Raises ValueError or RecursionError."""
    text = value.decode()
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        parsed, end = _SCANNER.raw_decode(text, at)
        if _skip(text, end) != len(text):
            raise ValueError(f"something follows the object at character {end}")
        yield parsed, text[at:end].encode()
        return
    at = _skip(text, at + 1)
    closed = text[at : at + 1] == "]"
    while not closed:
        parsed, end = _SCANNER.raw_decode(text, at)
        yield parsed, text[at:end].encode()
        at = _skip(text, end)
        if text[at : at + 1] not in (",", "]"):
            raise ValueError(f"an array goes on with a comma or ends, but not so at character {at}")
        closed = text[at] == "]"
        at = _skip(text, at + 1) if not closed else at
    if _skip(text, at + 1) != len(text):
        raise ValueError(f"something follows the array at character {at + 1}")


@cache
def _array_of(model: type[Record]) -> TypeAdapter[list[Record]]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]


def _skip(text: str, at: int) -> int:
    found = _PADDING.match(text, at)
    assert found is not None
    return found.end()


def _original(value: bytes, index: int) -> bytes:
    if index == WHOLE:
        return value
    return next(body for place, (_, body) in enumerate(elements(value)) if place == index)


def _event_id(original: bytes) -> UUID | None:
    try:
        fields = json.loads(original)
        return UUID(fields.get("inference_id" if "feedback_id" not in fields else "feedback_id"))
    except Exception:
        return None


def _reason(model: type[Record], error: Exception) -> str:
    if isinstance(error, EventError):
        return str(error)
    if isinstance(error, ValidationError):
        return sentence(model.__name__, error)
    return f"{model.__name__}: {' '.join(str(error).split()) or type(error).__name__}"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
