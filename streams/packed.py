"""The short way of a record of events: checked once, its original bytes passed on to ClickHouse.

It is taken where headrace/contract reads it exactly, so that ClickHouse is known to read the same values: the model in
strict mode (no numbers in text, no floats for integers, no 0 and 1 for booleans, no null), nothing unknown; and where
every event may be stored as it is (streams/rules.py). One that names a label otherwise than by its id
(streams/label_ids.py) is written anew with ids.
The forms that remain in doubt are refused by the insert itself
(headrace/warehouse/inserts): then its block goes event by event. How the text of an `extra` stands is part of the row:
a record of which one may not stand as pydantic writes it is written anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from msgspec import UNSET
from pydantic import AfterValidator
from pydantic_core import to_json

from headrace.contract import fast_reading
from headrace.contract.elements import elements
from headrace.contract.events import Event
from headrace.contract.framing import PADDING, payload
from headrace.contract.given_ids import Given
from headrace.contract.letters import named
from headrace.contract.reading import careful, exactly, written
from headrace.errors import EventError
from streams.decode import Raw, as_record
from streams.given_ids import NONE, Borne, Ids, borne
from streams.given_ids import changes as id_changes
from streams.rules import Rules
from streams.tables import Table

# The values of one record that are looked for in it, each by reading it once.
MAX_NAMES = 16


class Packed(NamedTuple):
    """A record as Sink.insert_records takes it; events: how many it holds; borne: their given ids."""

    body: bytes
    events: int
    borne: list[Borne]


def packed(raw: Raw, table: Table, rules: Rules, ids: Ids = NONE) -> Packed | None:
    """The record with these ids in place of given ones; None where it goes event by event."""
    if not table.packed or not raw.value:
        return None
    assert issubclass(table.model, Event)
    value = payload(raw.value)
    many = value.lstrip(PADDING).startswith(b"[")
    events: Sequence[Any] | None = _plain(value, table.model, many)
    if events is None:
        events = exactly(table.model, value, many)
        if events is None:
            events = _named(value, table.model)
            if events is None:
                return None
            value, many = written(table.model, events), True
        elif not _as_written(value, events):
            value, many = written(table.model, events), True
    if not rules.hold(table.topic, raw.partition, raw.offset, events):
        return None
    found = borne(events)
    changes = [rules.label_ids.changes(event) for event in events] if rules.label_ids.ids else []
    if found and ids:
        changes = [
            said | id_changes(event, ids) for said, event in zip(changes or [{}] * len(events), events, strict=True)
        ]
    if any(changes):
        if not isinstance(events[0], Event) and fast_reading.rounded(value):
            # As ClickHouse would read the value itself.
            events = exactly(table.model, value, many)
            if events is None:
                return None
        value, many = _with(table.model, events, changes), True
    return Packed(as_record(raw, value if many else b"[%b]" % value, table, rules), len(events), found)


def _plain(value: bytes, model: type[Event], many: bool) -> Sequence[Any] | None:
    """The events where the bytes may pass on as they are, as far as the fast reading can tell."""
    found = fast_reading.read(model, value, many)
    if found is None:
        return None
    # Most have none, and counting those takes a record of one event as long as checking it.
    extras = [event.extra.emitter for event in found if event.extra.emitter is not UNSET]
    return None if extras and not _stand(value, Counter(extras)) else found


def _named(value: bytes, model: type[Event]) -> Sequence[Event] | None:
    """The events of a value whose first is called by another id than a UUIDv7; None where one of them is bad."""
    try:
        found = elements(value)
        first = next(found, None)
        if first is None or not isinstance(named(first), Given):
            return None
        return [careful(one, model) for one in (first, *found)]
    except (EventError, ValueError, RecursionError):
        return None


def _as_written(value: bytes, events: Sequence[Event]) -> bool:
    """Whether the bytes may pass on as they are, of events that a model has read."""
    # A model may spell these otherwise than their bytes do.
    spelled = _spelled(type(events[0])) if events else frozenset()
    if any(event.model_fields_set & spelled for event in events):
        return False
    extras = [event.extra for event in events if event.extra]
    return (
        fast_reading.plain(value)
        and all(len(extra) == 1 and isinstance(extra.get("emitter"), str) for extra in extras)
        and _stand(value, Counter([extra["emitter"] for extra in extras]))
    )


@cache
def _spelled(model: type[Event]) -> frozenset[str]:
    """Fields of text that a model changes."""
    return frozenset(
        name
        for name, field in model.model_fields.items()
        if field.annotation is str and any(isinstance(found, AfterValidator) for found in field.metadata)
    )


def _with(model: type[Event], events: Sequence[Any], changes: Sequence[dict[str, Any]]) -> bytes:
    """A record of the events with the changes to each."""
    pairs = zip(events, changes, strict=True)
    if isinstance(events[0], Event):
        return written(model, [event.model_copy(update=each) for event, each in pairs])
    return fast_reading.written([event.but(each) for event, each in pairs])


def _stand(value: bytes, names: Counter[Any]) -> bool:
    """Whether every `extra` is written as pydantic would; of those that are not empty this is said of one form alone.

    It is the collector's, where an event's emitter had another name. Quotes within a string are escaped, so the form
    stands as often in the value as events have it, or some of them have another. With too many names the record is
    written anew: looking for each would take the square of its length.
    """
    return len(names) <= MAX_NAMES and all(
        value.count(b'"extra":{"emitter":%b}' % to_json(name)) == count for name, count in names.items()
    )
