"""Events into records: bucketed so that a session stays in order, packed so that a record is worth its overhead.

A consumer spends about 70 µs on a record whatever is in it, so packing decides throughput.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from headrace.errors import EventError
from headrace.events import Event, Feedback, Inference
from headrace.topics import FEEDBACK, INFERENCES, Topic

MAX_RECORD_EVENTS = 200
MAX_RECORD_BYTES = 512 * 1024
MAX_EVENT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """An event on its way.

    bucket: entries of one bucket and topic keep their order
    counted: False for an event that was counted before and is sent again
    """

    topic: Topic
    bucket: int
    body: bytes
    counted: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A record: a JSON array of events of one topic and bucket.

    counted: how many of its events are counted
    """

    topic: Topic
    bucket: int
    value: bytes
    counted: int


def entry(event: Event) -> Entry:
    """Raises EventError for an event larger than MAX_EVENT_BYTES."""
    topic = topic_of(event)
    body = event.to_json()
    if len(body) > MAX_EVENT_BYTES:
        raise EventError(
            f"{type(event).__name__}: an event takes at most {MAX_EVENT_BYTES} bytes, this has {len(body)}"
        )
    return Entry(topic, bucket_of(event, topic.partitions), body)


def topic_of(event: Event) -> Topic:
    """Where an event goes."""
    if isinstance(event, Inference):
        return INFERENCES
    if isinstance(event, Feedback):
        return FEEDBACK
    raise EventError(f"an event is an Inference or a Feedback, not a {type(event).__name__}")


def kind_of(topic: Topic) -> str:
    """What counters call the events of a topic: inferences or feedback."""
    return topic.name.rsplit(".", 1)[1]


def bucket_of(event: Event, buckets: int) -> int:
    """The same for all of a tenant's session, or of an answer outside one, whichever process emits it."""
    session = event.session_id if isinstance(event, Inference) else ""
    owner = session or getattr(event, "inference_id", "")
    return zlib.crc32(f"{event.tenant}\x1f{owner}".encode()) % buckets


def pack(entries: Iterable[Entry]) -> list[list[Packed]]:
    """Records by bucket, in the order of the entries."""
    waiting: dict[tuple[str, int], list[Entry]] = {}
    for one in entries:
        waiting.setdefault((one.topic.name, one.bucket), []).append(one)
    return [_records(bucket) for bucket in waiting.values()]


def _records(entries: list[Entry]) -> list[Packed]:
    records: list[Packed] = []
    chunk: list[Entry] = []
    size = 0
    for one in entries:
        if chunk and (len(chunk) == MAX_RECORD_EVENTS or size + len(one.body) > MAX_RECORD_BYTES):
            records.append(_record(chunk))
            chunk, size = [], 0
        chunk.append(one)
        size += len(one.body) + 1
    return [*records, _record(chunk)]


def _record(chunk: list[Entry]) -> Packed:
    value = b"[" + b",".join(one.body for one in chunk) + b"]"
    return Packed(chunk[0].topic, chunk[0].bucket, value, sum(one.counted for one in chunk))


@cache
def bucket_keys(buckets: int) -> tuple[bytes, ...]:
    """A record key for each bucket, chosen so that Kafka's partitioner spreads them over as many partitions."""
    from aiokafka.partitioner import murmur2

    keys: dict[int, bytes] = {}
    number = 0
    while len(keys) < buckets:
        key = b"%d" % number
        keys.setdefault((murmur2(key) & 0x7FFFFFFF) % buckets, key)
        number += 1
    return tuple(keys[bucket] for bucket in range(buckets))
