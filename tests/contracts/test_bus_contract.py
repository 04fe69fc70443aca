"""What every bus must do, run on the one in memory and on the real Kafka."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import pytest

from headrace.bus import Message
from headrace.errors import Fenced, HeadraceError

DEADLINE_S = 30.0


async def take(consumer: Any, count: int, deadline_s: float = DEADLINE_S) -> list[Message]:
    """Read until there are `count` records."""
    found: list[Message] = []
    until = time.monotonic() + deadline_s
    while len(found) < count:
        assert time.monotonic() < until, f"only {len(found)} of {count} records came"
        found.extend(await consumer.read(0.5))
    return found


async def test_what_is_sent_is_read(bus: Any) -> None:
    """A record arrives with its topic, key and value; a value of None arrives as a tombstone."""
    topic = await bus.topic()
    producer, consumer = await bus.producer(), await bus.consumer([topic])
    await producer.send(topic, b"one", b"k")
    await producer.send(topic, None, b"k")
    first, second = await take(consumer, 2)
    assert (first.topic, first.key, first.value, first.offset) == (topic.name, b"k", b"one", 0)
    assert (second.value, second.offset, second.partition) == (None, 1, first.partition)


async def test_same_key_same_partition_in_order(bus: Any) -> None:
    """Records of one key share a partition and keep their order; several keys use several partitions."""
    topic = await bus.topic(partitions=4)
    producer, consumer = await bus.producer(), await bus.consumer([topic])
    for number in range(40):
        await producer.send(topic, str(number).encode(), str(number % 8).encode())
    found = await take(consumer, 40)
    for key in {message.key for message in found}:
        own = [message for message in found if message.key == key]
        assert len({message.partition for message in own}) == 1
        assert [int(message.value or b"") for message in own] == sorted(int(message.value or b"") for message in own)
    assert len({message.partition for message in found}) > 1


async def test_read_is_empty_after_its_timeout(bus: Any) -> None:
    """Reading an empty topic returns nothing once the time is up."""
    topic = await bus.topic()
    consumer = await bus.consumer([topic])
    began = time.monotonic()
    assert list(await consumer.read(0.2)) == []
    assert 0.15 < time.monotonic() - began < 5


async def test_read_keeps_to_its_limit(bus: Any) -> None:
    """No more than `limit` records come at once, and none is skipped."""
    topic = await bus.topic(partitions=1)
    producer, consumer = await bus.producer(), await bus.consumer([topic])
    for number in range(10):
        await producer.send(topic, str(number).encode())
    found: list[Message] = []
    until = time.monotonic() + DEADLINE_S
    while len(found) < 10 and time.monotonic() < until:
        some = await consumer.read(0.5, limit=3)
        assert len(some) <= 3
        found.extend(some)
    assert [message.value for message in found] == [str(number).encode() for number in range(10)]


async def test_what_is_not_committed_is_read_again(bus: Any) -> None:
    """The next member of a group starts at the committed offsets, not at what was read."""
    topic, group = await bus.topic(partitions=1), f"group-{uuid4().hex}"
    producer = await bus.producer()
    for number in range(4):
        await producer.send(topic, str(number).encode())
    first = await bus.consumer([topic], group)
    assert len(await take(first, 4)) == 4
    await first.commit({(topic.name, 0): 2})
    await first.stop()
    second = await bus.consumer([topic], group)
    assert [message.value for message in await take(second, 2)] == [b"2", b"3"]
    await second.commit()
    await second.stop()
    third = await bus.consumer([topic], group)
    assert list(await third.read(0.5)) == []


async def test_rewind_reads_uncommitted_records_again(bus: Any) -> None:
    """After a rewind a member reads on from the committed offsets, or from the beginning where there are none."""
    topic = await bus.topic(partitions=1)
    producer = await bus.producer()
    for number in range(3):
        await producer.send(topic, str(number).encode())
    consumer = await bus.consumer([topic], f"group-{uuid4().hex}")
    await take(consumer, 3)
    await consumer.rewind()
    assert len(await take(consumer, 3)) == 3
    await consumer.commit({(topic.name, 0): 1})
    await consumer.rewind()
    assert [message.value for message in await take(consumer, 2)] == [b"1", b"2"]


async def test_members_share_partitions(bus: Any) -> None:
    """Two members of a group own disjoint partitions, and the one that stays takes over from the one that leaves."""
    topic, group = await bus.topic(partitions=4), f"group-{uuid4().hex}"
    first = await bus.consumer([topic], group)
    assert len(first.assigned()) == 4
    second = await bus.consumer([topic], group)
    await _until(lambda: len(first.assigned()) == 2 and len(second.assigned()) == 2, first, second)
    assert not first.assigned() & second.assigned()
    await second.stop()
    await _until(lambda: len(first.assigned()) == 4, first)


async def test_a_paused_member_reads_nothing_and_skips_nothing(bus: Any) -> None:
    """While paused nothing is read, also after a rebalance; after it everything is."""
    topic, group = await bus.topic(partitions=2), f"group-{uuid4().hex}"
    producer, consumer = await bus.producer(), await bus.consumer([topic], group)
    consumer.pause()
    other = await bus.consumer([topic], group)
    await _until(lambda: len(consumer.assigned()) == 1 and len(other.assigned()) == 1, consumer, other)
    await other.stop()
    await _until(lambda: len(consumer.assigned()) == 2, consumer)
    for key in (b"a", b"b", b"c", b"d"):
        await producer.send(topic, key, key)
    assert list(await consumer.read(1.0)) == []
    consumer.resume()
    assert {message.value for message in await take(consumer, 4)} == {b"a", b"b", b"c", b"d"}


async def test_snapshot_of_an_empty_topic(bus: Any) -> None:
    """A compacted topic without a record is an empty snapshot."""
    assert await bus.snapshot(await bus.topic(compact=True)) == {}


async def test_snapshot_keeps_the_last_value(bus: Any) -> None:
    """A snapshot has the last value of each key, over all partitions, without the deleted ones."""
    topic = await bus.topic(compact=True, partitions=3)
    producer = await bus.producer()
    for key in (b"a", b"b", b"c", b"d"):
        await producer.send(topic, b"old", key)
        await producer.send(topic, b"new " + key, key)
    await producer.send(topic, None, b"c")
    assert await bus.snapshot(topic) == {b"a": b"new a", b"b": b"new b", b"d": b"new d"}


async def test_snapshot_ends_behind_transaction_markers(bus: Any) -> None:
    """A topic whose last offsets are transaction markers is read to its end."""
    topic = await bus.topic(compact=True, partitions=2)
    producer = await bus.producer(f"owner-{uuid4().hex}")
    await producer.transact([(topic, b"1", b"a"), (topic, b"2", b"b")])
    await producer.transact([(topic, b"3", b"a")])
    assert await bus.snapshot(topic) == {b"a": b"3", b"b": b"2"}


async def test_a_transaction_commits_records_and_offsets_together(bus: Any) -> None:
    """Offsets committed in a transaction are where the group's next member starts."""
    source, target, group = await bus.topic(partitions=1), await bus.topic(), f"group-{uuid4().hex}"
    producer = await bus.producer()
    await producer.send(source, b"first")
    await producer.send(source, b"second")
    consumer = await bus.consumer([source], group)
    await take(consumer, 2)
    owner = await bus.producer(f"owner-{uuid4().hex}")
    await owner.transact([(target, b"claim", b"job")], {(source.name, 0): 1}, group)
    await consumer.stop()
    following = await bus.consumer([source], group)
    assert [message.value for message in await take(following, 1)] == [b"second"]
    assert [message.value for message in await take(await bus.consumer([target]), 1)] == [b"claim"]


async def test_a_zombie_is_fenced(bus: Any) -> None:
    """A second producer of the same transactional id fences the first, whose records nobody sees."""
    topic, name = await bus.topic(compact=True), f"owner-{uuid4().hex}"
    zombie = await bus.producer(name)
    await zombie.transact([(topic, b"old", b"job")])
    successor = await bus.producer(name)
    with pytest.raises(Fenced):
        await zombie.transact([(topic, b"zombie", b"job")])
    await successor.transact([(topic, b"new", b"job")])
    assert await bus.snapshot(topic) == {b"job": b"new"}


async def test_a_record_too_large_is_refused(bus: Any) -> None:
    """A record larger than its topic takes is refused by one sentence, and the next one goes through."""
    topic = await bus.topic(max_record_bytes=1000)
    producer, consumer = await bus.producer(), await bus.consumer([topic])
    with pytest.raises(HeadraceError, match=f"1001 bytes is too large for {topic.name}"):
        await producer.send(topic, b"x" * 1001)
    await producer.send(topic, b"small")
    assert [message.value for message in await take(consumer, 1)] == [b"small"]


async def test_a_consumer_without_a_group_cannot_commit(bus: Any) -> None:
    """Committing without a group is an error, not a silent nothing."""
    consumer = await bus.consumer([await bus.topic()])
    with pytest.raises(HeadraceError, match="without a group"):
        await consumer.commit()


async def _until(condition: Any, *members: Any) -> None:
    """Keep the members reading until the condition holds."""
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until, [sorted(member.assigned()) for member in members]
        for member in members:
            await member.read(0.1)
