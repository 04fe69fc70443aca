"""How many bytes of each topic a worker holds, and which topics it leaves at the broker until it holds fewer.

    reading ──held >= high──▶ paused ──held <= low──▶ reading

Held is a record from the moment it was polled until its block is stored: what waits for the topic's agent and what is
in its two blocks. A pause holds for all partitions of the topic. It is a rule of the next poll (streams.transport), not
a state of the consumer, so a rebalance cannot lift it, and heartbeats and commits go on.

Memory: the marks of all topics together and one poll bound what a worker holds, 200 MiB of records. Each record in a
block is there twice, as it came and as it is sent, and an insert joins its block (16 MiB at most) once more.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mode.utils.queues import ThrowableQueue

from headrace.contract.topics import EVENTS, Topic
from streams.store import BLOCK_BYTES, RECORD_BYTES
from streams.threads import own_thread

MIB = 1024 * 1024
POLL_BYTES = 8 * MIB
"""A poll ends with the record that reaches it."""


@dataclass(frozen=True, slots=True)
class Watermarks:
    """Bytes of records at which a topic is paused, and at which it is read again."""

    high: int
    low: int


# At the low mark both blocks are full, so a pause never leaves ClickHouse without work.
OF_EVENTS = Watermarks(2 * BLOCK_BYTES + POLL_BYTES, 2 * BLOCK_BYTES)
OF_CONTROL = Watermarks(8 * MIB, 4 * MIB)


def weight(value: bytes | None) -> int:
    """What a record counts: its bytes, and what holding it costs beside them."""
    return len(value or b"") + RECORD_BYTES


class MeasuredQueue(ThrowableQueue[Any]):
    """Faust's queue of a topic's events, which knows how many bytes wait in it.

    held: the sum of the records' weights
    """

    held = 0

    def _put(self, item: Any) -> None:
        self.held += weight(item.message.value)
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self.held -= weight(item.message.value)
        return item

    def clear(self) -> None:
        """Forget what waits, as Faust does in a rebalance: it is read again."""
        super().clear()
        self.held = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """The warehouse refused a block: what it said, ClickHouse's code (0: it did not answer), and when (monotonic)."""

    said: str
    code: int
    at: float

    def __str__(self) -> str:
        return f"the warehouse refuses its rows (code {self.code})" if self.code else "the warehouse does not answer"


class Lane:
    """A topic's records on their way through a worker.

    name: the topic's
    run: runs a blocking step in the lane's own thread: a table that hangs keeps no other topic's thread
    in_blocks: bytes of the records in the copier's blocks, which the copier keeps
    refusal: why the block on its way is not stored yet; None where it was not refused
    paused: whether the topic is left at the broker
    """

    def __init__(self, topic: Topic) -> None:
        self.name = topic.name
        self._marks = OF_EVENTS if topic in EVENTS else OF_CONTROL
        self.run = own_thread(topic.name)
        self._queue: MeasuredQueue | None = None
        self.in_blocks = 0
        self.refusal: Refusal | None = None
        self.paused = False

    def begin(self, queue: MeasuredQueue) -> None:
        """A reader of the topic starts, with no block yet; its records wait in `queue`."""
        self._queue, self.in_blocks, self.refusal = queue, 0, None

    @property
    def held(self) -> int:
        """Bytes of records in this worker."""
        return self.in_blocks + (0 if self._queue is None else self._queue.held)

    def look(self) -> bool:
        """Whether the topic is paused now."""
        self.paused = self.held > self._marks.low if self.paused else self.held >= self._marks.high
        return self.paused


class Pressure:
    """The lanes of a worker's topics."""

    def __init__(self, topics: Iterable[Topic]) -> None:
        self.lanes = {topic.name: Lane(topic) for topic in topics}
        self._rested: set[str] = set()

    def paused(self) -> frozenset[str]:
        """Names of the topics that the next poll leaves at the broker."""
        found = frozenset(name for name, lane in self.lanes.items() if lane.look())
        self._rested |= found
        return found

    def rested(self) -> frozenset[str]:
        """Names of the topics that were paused at any time since this was asked last."""
        found, self._rested = frozenset(self._rested), set()
        return found

    def is_paused(self, topic: str) -> bool:
        """Whether the last poll left the topic at the broker."""
        return topic in self.lanes and self.lanes[topic].paused

    def refused(self, within_s: float) -> dict[str, str]:
        """Topics whose block the warehouse refused so recently, and why: they wait for it and do not hang."""
        now = time.monotonic()
        return {
            name: str(lane.refusal)
            for name, lane in self.lanes.items()
            if lane.refusal is not None and now - lane.refusal.at < within_s
        }
