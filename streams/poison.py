"""A partition that is mostly poison stops, rather than drain into dead letters; a person lets it go on.

    open ──limit crossed──▶ stopped ──`headrace deadletters accept`──▶ open, without limits below an offset

A stop is a row in `stopped_partitions`, and so is a permission; the newest row of a partition is its state, which a
restarted worker and the next owner of the partition read before they take a record. Rows are ordered by the warehouse's
clock, since they come from several hosts. What a stopped partition holds is not acknowledged: it is all read again when
the partition goes on. Other partitions are not held up.

A permission is for what stopped the partition and what came after it, so it begins a window before the stop: a topic
that is made again has offsets from 0 on, and a former one's permission says nothing of them.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter

from headrace.contract import topics
from headrace.contract.control import DeadLetter
from headrace.contract.letters import WHOLE
from headrace.warehouse import Sink, clickhouse_time
from streams.decode import Raw
from streams.queries import Queries

EVENTS = frozenset(topic.name for topic in topics.EVENTS)
"""Topics that limits hold for: control messages come from headrace's own parts, and few at a time."""

Place = tuple[str, int]
"""A topic and a partition."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much poison a partition takes, in events: a record may hold one or thousands.

    window: the last so many events are looked at, and the rest of the record that the first of them is in
    least: fewer bad events than this never stop a partition
    share: of the window's events that may be bad
    """

    window: int = 2000
    least: int = 500
    share: float = 0.5


@dataclass(frozen=True, slots=True)
class Stop:
    """A partition that stops, and why.

    offset: the first record that was not taken
    events: events looked at; poison: how many of them were bad
    """

    topic: str
    partition: int
    offset: int
    events: int
    poison: int
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.topic}/{self.partition} is stopped at offset {self.offset}: {self.poison} of its last"
            f" {self.events} events were bad, such as: {self.reason}; mend the emitter, then let it go on with"
            f" `headrace deadletters accept {self.topic}/{self.partition}`"
        )


class Window:
    """The last events of one partition: how many of them were bad.

    events, poison: in the window; bad ones among them
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._records: deque[tuple[int, int]] = deque()
        self.events = self.poison = 0

    def add(self, bad: int, events: int) -> None:
        """A record came that holds so many events, of which so many are bad."""
        if not events:
            return
        self._records.append((bad, events))
        self.poison += bad
        self.events += events
        while self.events - self._records[0][1] >= self._limits.window:
            bad, events = self._records.popleft()
            self.poison -= bad
            self.events -= events

    @property
    def crossed(self) -> bool:
        """Whether the partition takes no more."""
        return self.poison >= max(self._limits.least, self._limits.share * self.events)


@dataclass(frozen=True, slots=True)
class Judged:
    """What may go on of a block.

    letters: dead letters to publish
    refused: by partition, the first offset that may not be acknowledged
    stops: partitions that stop now
    """

    letters: list[DeadLetter]
    refused: Mapping[Place, int]
    stops: list[Stop]

    def takes(self, record: Raw) -> bool:
        """Whether the record may be acknowledged."""
        first = self.refused.get((record.topic, record.partition))
        return first is None or record.offset < first


class Gate:
    """Which partitions a worker takes records of. Pure but for `tell` and `read`, which block.

    name: the worker's, for the record
    counter: counts the dead letters that go on, by topic; empty: records that hold no event
    """

    def __init__(
        self,
        sink: Sink,
        queries: Queries,
        name: str,
        counter: Counter | None = None,
        empty: Counter | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._sink, self._queries, self._name, self._counter, self._empty = sink, queries, name, counter, empty
        self._limits = limits or Limits()
        self._windows: dict[Place, Window] = {}
        self._permitted: dict[Place, range] = {}
        self._stopped: dict[Place, int] = {}

    @property
    def stopped(self) -> Set[Place]:
        """Partitions that stand still until a person lets them go on."""
        return self._stopped.keys()

    def judge(self, records: Sequence[Raw], letters: Sequence[DeadLetter]) -> Judged:
        """Look at a block that was stored, in its order: which of its dead letters and records may go on."""
        by_record: dict[tuple[Place, int], list[DeadLetter]] = {}
        for letter in letters:
            by_record.setdefault(((letter.topic, letter.partition), letter.offset), []).append(letter)
        stops: list[Stop] = []
        refused: dict[Place, int] = {}
        kept: list[DeadLetter] = []
        for record in records:
            place = (record.topic, record.partition)
            if place in self._stopped:
                refused.setdefault(place, record.offset)
                continue
            found = by_record.get((place, record.offset), [])
            window = self._windows.setdefault(place, Window(self._limits))
            bad = bad_events(record, found)
            window.add(bad, max(bad, record.events))
            over = found and window.crossed and record.topic in EVENTS
            if over and record.offset not in self._permitted.get(place, ()):
                stop = Stop(*place, record.offset, window.events, window.poison, found[0].reason)
                self._stopped[place] = refused[place] = record.offset
                stops.append(stop)
                continue
            kept += found
            if self._counter is not None and found:
                self._counter.labels(record.topic).inc(len(found))
            if self._empty is not None and not record.events:
                self._empty.labels(record.topic).inc()
        return Judged(kept, refused, stops)

    def tell(self, stops: Iterable[Stop]) -> None:
        """Write the stops down. Raises WarehouseError."""
        rows: list[dict[str, Any]] = []
        for stop in stops:
            place = {"topic": stop.topic, "partition": stop.partition}
            at = clickhouse_time(self._queries.query("shared/deadletters_next", **place)[0]["next"])
            rows.append(
                {**place, "at": at, "state": "stopped", "offset": stop.offset,
                 "events": stop.events, "poison": stop.poison, "reason": stop.reason, "by": self._name}
            )  # fmt: skip
        self._sink.insert("stopped_partitions", [json.dumps(row).encode() for row in rows])

    def read(self) -> list[Place]:
        """Take over what the table says; returns the partitions that a person has let go on. Raises WarehouseError."""
        accepted: list[Place] = []
        permitted: dict[Place, range] = {}
        for row in self._queries.query("shared/deadletters_stopped"):
            place = (str(row["topic"]), int(row["partition"]))
            if row["state"] == "stopped":
                self._stopped.setdefault(place, int(row["offset"]))
            else:
                permitted[place] = range(int(row["offset"]) - self._limits.window, int(row["through"]))
                if self._stopped.pop(place, None) is not None:
                    self._windows.pop(place, None)
                    accepted.append(place)
        self._permitted = permitted
        return accepted


def bad_events(record: Raw, letters: Sequence[DeadLetter]) -> int:
    """How many of a record's events are dead letters; all of them where the record is one."""
    return record.events if any(letter.record_index == WHOLE for letter in letters) else len(letters)
