"""How many events an emitter has sent: what `headrace reconcile` compares with what was stored."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from headrace.control import Counter
from headrace.events import Event, Feedback

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
    """Counts by kind; safe in threads. An event that is given again (a retry) is counted once."""

    def __init__(self, emitter: str) -> None:
        self.emitter = emitter
        self._lock = threading.Lock()
        self._counts = {"inferences": Count(), "feedback": Count()}
        self._published = dict(self._counts)
        self._sequence = 0
        self._recent: dict[tuple[str, bytes, int], None] = {}

    def of(self, kind: str) -> Count:
        """The count of `inferences` or of `feedback`."""
        return self._counts[kind]

    def first(self, event: Event) -> bool:
        """Whether this event is not one of those last counted; it is from now on."""
        key = _identity(event)
        with self._lock:
            if key in self._recent:
                return False
            self._recent[key] = None
            if len(self._recent) > REMEMBERED:
                del self._recent[next(iter(self._recent))]
            return True

    def forget(self, event: Event) -> None:
        """The event was given up; given again it counts again."""
        with self._lock:
            self._recent.pop(_identity(event), None)

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


def _identity(event: Event) -> tuple[str, bytes, int]:
    # A revised feedback is a row of its own; a revised inference replaces the earlier one.
    return event.tenant, event.event_id.bytes, event.revision if isinstance(event, Feedback) else 0
