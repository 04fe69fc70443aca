"""How many events an emitter has sent: what `headrace reconcile` compares with what was stored."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from headrace.contract.control import Counter
from headrace.contract.events import Event, Feedback

if TYPE_CHECKING:
    from headrace.contract.fast_reading import Read

REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Count:
    """Of one kind of event, since the client was made.

    emitted: distinct events given to the client; acknowledged: stored by Kafka or taken by the gateway
    dropped: of the emitted ones, given up: the buffer was full, the gateway refused them, the time was up
    """

    emitted: int = 0
    acknowledged: int = 0
    dropped: int = 0


class Counts:
    """Counts by kind; safe in threads. An event that is given again (a retry) is counted once.

    remembered: how many of the last events are known again
    inherited: of events that a dead process left, by identity, whose they are: given again they stay its own
    """

    def __init__(self, emitter: str, remembered: int = REMEMBERED, inherited: Mapping[int, str] | None = None) -> None:
        self.emitter = emitter
        self._remembered = remembered
        self._inherited = inherited or {}
        self._lock = threading.Lock()
        self._counts = {"inferences": Count(), "feedback": Count()}
        self._published = dict(self._counts)
        self._sequence = 0
        self._recent: dict[int, None] = {}

    def of(self, kind: str) -> Count:
        """The count of `inferences` or of `feedback`."""
        return self._counts[kind]

    def owner(self, event: Event | Read) -> str:
        """The emitter whose counts an event is in: a dead one whose event was given again, or else this one."""
        return (self._inherited and self._inherited.get(identity_of(event))) or self.emitter

    def first(self, event: Event | Read) -> bool:
        """Whether this event is not one of those last counted; it is from now on."""
        return self.firsts([event])[0]

    def firsts(self, events: Sequence[Event | Read]) -> list[bool]:
        """See `first`, for each."""
        with self._lock:
            known, found = self._recent, []
            for event in events:
                key = identity_of(event)
                found.append(key not in known and key not in self._inherited)
                known[key] = None
            while len(known) > self._remembered:
                del known[next(iter(known))]
            return found

    def forget(self, event: Event | Read) -> None:
        """The event was given up; given again it counts again."""
        with self._lock:
            self._recent.pop(identity_of(event), None)

    def add(self, kind: str, emitted: int = 0, acknowledged: int = 0, dropped: int = 0) -> None:
        """Count further events."""
        with self._lock:
            old = self._counts[kind]
            self._counts[kind] = Count(old.emitted + emitted, old.acknowledged + acknowledged, old.dropped + dropped)

    def changed(self) -> list[Counter]:
        """A record for each kind that changed since `published` was told of it; cumulative, so the last one is all."""
        with self._lock:
            changed = {kind: count for kind, count in self._counts.items() if count != self._published[kind]}
            self._sequence += bool(changed)
            now = datetime.now(UTC)
            return [
                Counter(emitter=self.emitter, kind=kind, sequence=self._sequence, at=now, **asdict(count))
                for kind, count in changed.items()
            ]

    def published(self, counter: Counter) -> None:
        """This record is stored."""
        with self._lock:
            self._published[counter.kind] = Count(counter.emitted, counter.acknowledged, counter.dropped)


def identity_of(event: Event | Read) -> int:
    """What makes an event the same event; of this process alone."""
    # A revised feedback is a row of its own; a revised inference replaces the earlier one.
    name = event.given_id or event.event_id.int
    return identity(event.tenant or "default", name, event.revision if event.id_field == Feedback.id_field else -1)


def identity(tenant: str, name: int | str, revision: int) -> int:
    """See `identity_of`. name: its id, or the text that its emitter gave it; revision: -1 for an inference"""
    # 64 bits keep 200,000 of them small, and two of them differ but once in a billion runs.
    return hash((tenant, name, revision))
