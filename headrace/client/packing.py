"""Events into records: bucketed so that a session stays in order, packed so that a record is worth its overhead.

A consumer spends about 70 µs on a record whatever is in it, so packing decides throughput.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from headrace.contract.events import Event, Feedback, Inference, Source
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS, Topic
from headrace.errors import EventError

if TYPE_CHECKING:
    from headrace.contract.fast_reading import Read

BUCKETS = 8
"""Where nobody knows how many partitions there are: behind a gateway, which packs again."""
MAX_RECORD_EVENTS = 200
MAX_RECORD_BYTES = 512 * 1024
MAX_EVENT_BYTES = 1024 * 1024
_EMPTY = b'"extra":{}'
_FEEDBACK = {source: topic for topic in (FEEDBACK, LABELS) for source in topic.sources or ()}
_KINDS = {Inference: "inferences", Feedback: "feedback"}


class Entry(NamedTuple):
    """An event on its way, or several of one topic and bucket.

    bucket: entries of one bucket and topic keep their order
    body: JSON objects, joined by commas; events: how many
    counted: how many of them were not counted before; an event that is sent again counts once
    """

    topic: Topic
    bucket: int
    body: bytes
    events: int = 1
    counted: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A record: a JSON array of events of one topic and bucket.

    events: how many; again: places of those that were counted before
    """

    topic: Topic
    bucket: int
    value: bytes
    events: int
    again: frozenset[int] = frozenset()

    @property
    def counted(self) -> int:
        """How many of its events are counted."""
        return self.events - len(self.again)


def entry(
    event: Event | Read, emitter: str = "", counted: bool = True, given: bytes = b"", buckets: int = BUCKETS
) -> Entry:
    """An event on its way, as `emitter`'s where one is named; what it said of another emitter it keeps in `extra`.

    buckets: how many there are, best as many as the topic has partitions
    given: the JSON object that the event was read from in strict mode, to pass on instead of a new one; a Read has one
    Raises EventError for an event larger than MAX_EVENT_BYTES.
    """
    topic = topic_of(event)
    body = _passed_on(given, event, emitter or event.said_emitter or "") if given else b""
    if not body:
        whole = event if isinstance(event, Event) else event.whole(given)
        body = _signed(whole, emitter) if emitter and whole.emitter != emitter else whole.to_json()
    if len(body) > MAX_EVENT_BYTES:
        raise EventError(f"{kind_of(topic)}: an event takes at most {MAX_EVENT_BYTES} bytes, this has {len(body)}")
    return Entry(topic, bucket_of(event, buckets), body, 1, int(counted))


def topic_of(event: Event | Read) -> Topic:
    """Where an event goes: feedback by its source, so that ground truth travels apart from what users say."""
    kind = getattr(event, "id_field", "")
    if kind == Inference.id_field:
        return INFERENCES
    if kind == Feedback.id_field:
        return topic_of_source(event.source)  # type: ignore[union-attr]
    raise EventError(f"an event is an Inference or a Feedback, not a {type(event).__name__}")


def topic_of_source(source: Source) -> Topic:
    """Where feedback of a source goes."""
    return _FEEDBACK[source]


def kind_of(topic: Topic) -> str:
    """What counters call the events of a topic: inferences or feedback."""
    return _KINDS[topic.model]


def bucket_of(event: Event | Read, buckets: int) -> int:
    """The same for all of a tenant's session, or of an answer outside one, whichever process emits it."""
    return zlib.crc32(f"{event.tenant}\x1f{event.thread}".encode()) % buckets


def pack(entries: Iterable[Entry]) -> list[list[Packed]]:
    """Records by bucket, in the order of the entries."""
    return [[_record(chunk) for chunk in _chunks(bucket)] for bucket in _by_bucket(entries)]


def merge(entries: Iterable[Entry]) -> list[Entry]:
    """The same events in as few entries as records would hold them."""
    return [
        Entry(
            chunk[0].topic,
            chunk[0].bucket,
            b",".join([one.body for one in chunk]),
            sum([one.events for one in chunk]),
            sum([one.counted for one in chunk]),
        )
        for bucket in _by_bucket(entries)
        for chunk in _chunks(bucket)
    ]


def counted_of(entries: Iterable[Entry]) -> Counter[str]:
    """How many events of each kind count."""
    found: Counter[str] = Counter()
    for one in entries:
        found[kind_of(one.topic)] += one.counted
    return found


def _by_bucket(entries: Iterable[Entry]) -> Iterable[list[Entry]]:
    waiting: dict[tuple[str, int], list[Entry]] = {}
    for one in entries:
        waiting.setdefault((one.topic.name, one.bucket), []).append(one)
    return waiting.values()


def _chunks(entries: list[Entry]) -> Iterator[list[Entry]]:
    """As many at once as one record holds."""
    chunk: list[Entry] = []
    events = size = 0
    for one in entries:
        if chunk and (events + one.events > MAX_RECORD_EVENTS or size + len(one.body) > MAX_RECORD_BYTES):
            yield chunk
            chunk, events, size = [], 0, 0
        chunk.append(one)
        events += one.events
        size += len(one.body) + 1
    yield chunk


def _record(chunk: list[Entry]) -> Packed:
    value = b"[" + b",".join([one.body for one in chunk]) + b"]"
    events = sum([one.events for one in chunk])
    return Packed(chunk[0].topic, chunk[0].bucket, value, events, frozenset(_again(chunk)))


def _again(chunk: list[Entry]) -> Iterator[int]:
    place = 0
    for one in chunk:
        # Where several events are one entry nobody remembers which of them were counted before.
        yield from range(place, place + one.events - one.counted)
        place += one.events


def _signed(event: Event, emitter: str) -> bytes:
    """An event's JSON as `emitter`'s."""
    if event.emitter and event.extra:
        extra = event.extra | {"emitter": event.emitter}
        return event.model_copy(update={"emitter": emitter, "extra": extra}).to_json()
    # A copy of the event costs as much as its JSON. Within a string quotes are escaped, so these are the fields.
    body = event.to_json().replace(_field(event.emitter), _field(emitter), 1)
    return body.replace(b',"extra":{},', b',"extra":{%b},' % _field(event.emitter)[1:-1], 1) if event.emitter else body


def _passed_on(given: bytes, event: Event | Read, emitter: str) -> bytes:
    """What was given, as `emitter`'s; nothing where it is not certain which of its bytes name the emitter.

    Within a string quotes are escaped, so what stands here in quotes is a key or a value of its own. A key with an
    escaped letter (\\u0065mitter) would be a second one.
    """
    said = event.said_emitter
    if given[:1] != b"{":
        return b""
    if said is None:
        return b"{%b%b" % (_field(emitter)[1:], given[1:])
    if said == emitter:
        return given
    was, now = _field(said)[1:], _field(emitter)[1:]
    # The first look for a backslash takes a twentieth of the second one.
    escaped = b"\\" in given and b"\\u00" in given
    if escaped or event.extra or given.count(b'"emitter"') != 1 or was not in given:
        return b""
    if not said:
        return given.replace(was, now, 1)
    kept = b'"extra":{%b}' % was[:-1]
    extras = given.count(b'"extra"')
    if not extras:
        return given.replace(was, now + kept + b",", 1)
    if extras != 1 or _EMPTY not in given:
        return b""
    return given.replace(was, now, 1).replace(_EMPTY, kept, 1)


@lru_cache(maxsize=1024)
def _field(emitter: str) -> bytes:
    return b',"emitter":%b,' % json.dumps(emitter, ensure_ascii=False).encode()


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
