"""The short way of a record of events: checked once by pydantic, its original bytes passed on to ClickHouse.

It is taken where ClickHouse is known to read what pydantic accepted as the same values: the model in strict mode (no
numbers in text, no floats for integers, no 0 and 1 for booleans), nothing unknown. The forms that remain in doubt are
refused by the insert itself (headrace/warehouse/inserts): then its block goes event by event. A record of which an
event has an `extra` is written anew by pydantic: how that text stands is part of the row.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from headrace.events import Event
from streams.decode import PADDING, Raw
from streams.tables import Table


def packed(raw: Raw, table: Table) -> bytes | None:
    """The record as Sink.insert_records takes it; None where it has to go event by event."""
    value = raw.value
    if not table.packed or not value:
        return None
    many = value.lstrip(PADDING).startswith(b"[")
    adapter = _adapter(table.model, many)
    try:
        found = adapter.validate_json(value, strict=True)
    except ValidationError:
        return None
    if any(event.extra for event in found) if many else found.extra:
        value = adapter.dump_json(found)
    return b'{"kafka_topic":"%b","kafka_partition":%d,"kafka_offset":%d,"events":%b}' % (
        raw.topic.encode(),
        raw.partition,
        raw.offset,
        value if many else b"[%b]" % value,
    )


@cache
def _adapter(model: type[Event], many: bool) -> TypeAdapter[Any]:
    return TypeAdapter(list[model] if many else model)  # type: ignore[valid-type]
