"""Where the sender finds events: in memory, or in a journal of the spool."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Protocol

from headrace.client.buffer import Buffer
from headrace.client.packing import Entry, kind_of, topic_of_source
from headrace.contract.events import Source as Sayer
from headrace.contract.topics import FEEDBACK, INFERENCES, Topic
from headrace.spool import KINDS, Frame, Journal

ROUND_EVENTS = 20_000
_INFERENCES = KINDS.index(kind_of(INFERENCES))
_VOLUNTEERED = [b'"source":"%b"' % source.encode() for source in FEEDBACK.sources or ()]


class Source(Protocol):
    """Events that wait, in order. What was taken is settled before the next is taken."""

    def take(self) -> list[Entry]:
        """The oldest that were not taken yet."""

    def settle(self, entries: list[Entry], refused: Counter[str]) -> None:
        """These are stored, but for so many of each kind that the other side will never take."""


class InMemory:
    """The bounded buffer. Beside a spool it holds what that had no room for, and its journal counts those apart."""

    def __init__(self, buffer: Buffer, journal: Journal | None = None) -> None:
        self._buffer = buffer
        self._journal = journal

    def take(self) -> list[Entry]:
        """See Source.take."""
        return self._buffer.take(ROUND_EVENTS)

    def settle(self, entries: list[Entry], refused: Counter[str]) -> None:
        """See Source.settle."""
        self._buffer.release(entries)
        if self._journal is not None:
            for kind in KINDS:
                counted = sum(one.counted for one in entries if kind_of(one.topic) == kind)
                if counted:
                    self._journal.count(kind, acknowledged=counted - refused[kind], dropped=refused[kind])


class Spooled:
    """A journal: this process's own, or a dead one's."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def take(self) -> list[Entry]:
        """See Source.take."""
        return [entry for frame in self._journal.take() for entry in _entries(frame)]

    def settle(self, entries: list[Entry], refused: Counter[str]) -> None:
        """See Source.settle."""
        self._journal.settle(Counter({KINDS.index(kind): events for kind, events in refused.items()}))


def frames(entries: Iterable[Entry]) -> list[Frame]:
    """Entries as a journal keeps them."""
    return [Frame(KINDS.index(kind_of(one.topic)), one.bucket, one.events, one.counted, one.body) for one in entries]


def _entries(frame: Frame) -> Iterator[Entry]:
    """A journal knows kinds, not topics; one that an older program left may hold feedback of both topics together."""
    if frame.kind == _INFERENCES:
        yield _entry(INFERENCES, frame)
    elif sum(map(frame.body.count, _VOLUNTEERED)) == frame.events:
        yield _entry(FEEDBACK, frame)
    else:
        events = json.loads(b"[%b]" % frame.body)
        topics = [topic_of_source(Sayer(event["source"])) for event in events]
        if len(set(topics)) == 1:
            yield _entry(topics[0], frame)
            return
        # Of a frame's events those that were counted before come first.
        again = frame.events - frame.counted
        for place, (event, topic) in enumerate(zip(events, topics, strict=True)):
            yield _entry(topic, frame._replace(body=json.dumps(event).encode(), events=1, counted=int(place >= again)))


def _entry(topic: Topic, frame: Frame) -> Entry:
    return Entry(topic, frame.bucket, frame.body, frame.events, frame.counted)
