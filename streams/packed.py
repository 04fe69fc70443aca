"""The short way of a record of events: checked once by pydantic, its original bytes passed on to ClickHouse.

It is taken where ClickHouse is known to read what pydantic accepted as the same values: the model in strict mode (no
numbers in text, no floats for integers, no 0 and 1 for booleans), nothing unknown. The forms that remain in doubt are
refused by the insert itself (headrace/warehouse/inserts): then its block goes event by event. How the text of an
`extra` stands is part of the row: a record of which one may not stand as pydantic writes it is written anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

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
    if not _extras_stand(value, found if many else [found]):
        value = adapter.dump_json(found)
    return b'{"kafka_topic":"%b","kafka_partition":%d,"kafka_offset":%d,"events":%b}' % (
        raw.topic.encode(),
        raw.partition,
        raw.offset,
        value if many else b"[%b]" % value,
    )


def _extras_stand(value: bytes, events: Iterable[Event]) -> bool:
    """Whether every `extra` is written as pydantic would; of those that are not empty this is said of one form alone.

    It is the collector's, where an event's emitter had another name. Quotes within a string are escaped, so the form
    stands as often in the value as events have it, or some of them have another.
    """
    forms = Counter[str]()
    for event in events:
        if event.extra:
            name = event.extra.get("emitter")
            if len(event.extra) > 1 or not isinstance(name, str):
                return False
            forms[name] += 1
    return all(value.count(b'"extra":{"emitter":%b}' % to_json(name)) == count for name, count in forms.items())


@cache
def _adapter(model: type[Event], many: bool) -> TypeAdapter[Any]:
    return TypeAdapter(list[model] if many else model)  # type: ignore[valid-type]
