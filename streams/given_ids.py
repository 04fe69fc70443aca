"""The ids that events get that bear an emitter's own instead (headrace/contract/given_ids.py).

A record is read before the warehouse is asked: its events have ids that were derived from their own times, and what
stands for an id is noted. When the block is stored, the warehouse says which ids are meant. They are the same ones for
texts that are new. Where a text is known by another time, the record is read again, with the ids that are meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from headrace.contract.given_ids import Given, given_of

Ids = Mapping[int, UUID]
"""By key of a given id the one that stands for it."""
NONE: Ids = {}
_OWN, _PARENT = attrgetter("given_id"), attrgetter("given_parent_id")


class Borne(NamedTuple):
    """A given id of an event, and the id that the event has in its place."""

    given: Given
    id: UUID | None


def borne(events: Sequence[Any]) -> list[Borne]:
    """The given ids of events."""
    # Most have none, and to look for the names of these fields in their bytes takes five times as long.
    parents = events and hasattr(events[0], "given_parent_id") and any(map(_PARENT, events))
    if not parents and not any(map(_OWN, events)):
        return []
    return [Borne(given, getattr(event, name)) for event in events for name, given in given_of(event)]


def changes(event: Any, ids: Ids) -> dict[str, Any]:
    """The fields of an event that take another id."""
    found = ((name, ids.get(given.key)) for name, given in given_of(event))
    return {name: meant for name, meant in found if meant is not None and meant != getattr(event, name)}


def differ(found: Iterable[Borne], ids: Ids) -> bool:
    """Whether the events that these are of take other ids."""
    return any(ids[one.given.key] != one.id for one in found)
