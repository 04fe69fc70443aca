"""The short way of a record of events: checked once, its original bytes passed on to ClickHouse.

It is checked by contract/reading.py or, where there is anything odd about it, by pydantic. It is taken where ClickHouse
is known to read what pydantic accepted as the same values: the model in strict mode (no numbers in text, no floats for
integers, no 0 and 1 for booleans), nothing unknown; and where every event may be stored as it is (streams/rules.py).
The forms that remain in doubt are refused by the insert itself
(headrace/warehouse/inserts): then its block goes event by event. How the text of an `extra` stands is part of the row:
a record of which one may not stand as pydantic writes it is written anew, and so is one that names a label otherwise
than by its id (streams/label_ids.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import FailFast, TypeAdapter, ValidationError
from pydantic_core import to_json

from headrace.contract import reading
from headrace.contract.elements import PADDING
from headrace.contract.events import Event
from streams.decode import Raw, as_record
from streams.rules import Rules
from streams.tables import Table

# The values of one record that are looked for in it, each by reading it once.
MAX_NAMES = 16


def packed(raw: Raw, table: Table, rules: Rules) -> tuple[bytes, int] | None:
    """The record as Sink.insert_records takes it, and how many events it holds; None where it goes event by event."""
    value = raw.value
    if not table.packed or not value:
        return None
    assert issubclass(table.model, Event)
    many = value.lstrip(PADDING).startswith(b"[")
    events: Sequence[Any] | None = _plain(value, table.model, many)
    if events is None:
        found = _validated(value, table.model, many)
        if found is None:
            return None
        events, value = found
    if not rules.hold(table.topic, raw.partition, raw.offset, events):
        return None
    changes = [rules.label_ids.changes(event) for event in events] if rules.label_ids.ids else []
    if any(changes):
        value = _with(events, changes, table.model, many)
    return as_record(raw, value if many else b"[%b]" % value, table, rules), len(events)


def _plain(value: bytes, model: type[Event], many: bool) -> Sequence[Any] | None:
    """The events where the bytes may pass on as they are, as far as the fast reading can tell."""
    found = reading.read(model, value, many)
    if found is None or not _stand(value, Counter([event.extra.emitter for event in found if event.extra])):
        return None
    return found


def _validated(value: bytes, model: type[Event], many: bool) -> tuple[Sequence[Any], bytes] | None:
    """The events and the bytes to pass on, as the model reads them; None where it does not in strict mode."""
    adapter = _adapter(model, many)
    try:
        found = adapter.validate_json(value, strict=True)
    except ValidationError:
        return None
    events = found if many else [found]
    extras = [event.extra for event in events if event.extra]
    if (
        reading.plain(value)
        and all(len(extra) == 1 and isinstance(extra.get("emitter"), str) for extra in extras)
        and _stand(value, Counter([extra["emitter"] for extra in extras]))
    ):
        return events, value
    return events, adapter.dump_json(found)


def _with(events: Sequence[Any], changes: Sequence[dict[str, Any]], model: type[Event], many: bool) -> bytes:
    """A record of the events with the changes to each."""
    pairs = zip(events, changes, strict=True)
    if isinstance(events[0], Event):
        changed = [event.model_copy(update=each) for event, each in pairs]
        return _adapter(model, many).dump_json(changed if many else changed[0])
    return reading.written([event.but(each) for event, each in pairs], many)


def _stand(value: bytes, names: Counter[Any]) -> bool:
    """Whether every `extra` is written as pydantic would; of those that are not empty this is said of one form alone.

    It is the collector's, where an event's emitter had another name. Quotes within a string are escaped, so the form
    stands as often in the value as events have it, or some of them have another. With too many names the record is
    written anew: looking for each would take the square of its length.
    """
    return len(names) <= MAX_NAMES and all(
        value.count(b'"extra":{"emitter":%b}' % to_json(name)) == count for name, count in names.items()
    )


@cache
def _adapter(model: type[Event], many: bool) -> TypeAdapter[Any]:
    # One bad event decides: complaints about all of them would cost more than the events.
    kind: Any = Annotated[list[model], FailFast()] if many else model  # type: ignore[valid-type]
    return TypeAdapter(kind)
