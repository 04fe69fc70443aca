"""What only the real broker can show: it is away, topics differ, a transaction is left open."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from headrace.bus import Message
from headrace.bus.kafka import Hold, KafkaConsumer, KafkaProducer, ensure_topics, snapshot
from headrace.bus.kafka.connection import stop
from headrace.bus.kafka.security import client_options
from headrace.contract.topics import PROMOTIONS, ROLLOUTS, TOPICS
from headrace.embedded.server import free_port
from headrace.errors import HeadraceError
from headrace.settings import Settings


async def test_no_broker_is_one_sentence() -> None:
    """Where nobody listens, starting, ensuring and reading say so in one sentence with the address."""
    settings = Settings(kafka=f"127.0.0.1:{free_port()}")
    for attempt in (
        KafkaProducer(settings).start(),
        KafkaConsumer(settings, [PROMOTIONS]).start(),
        KafkaConsumer(settings, [PROMOTIONS], "group").start(),
        ensure_topics(settings),
        snapshot(settings, PROMOTIONS),
    ):
        with pytest.raises(HeadraceError, match=f"no Kafka broker answers at {settings.kafka}"):
            await attempt


async def test_ensure_topics_creates_what_is_missing(broker: Settings) -> None:
    """After ensure_topics every topic can be written to; a second call changes nothing and reports nothing."""
    assert await ensure_topics(broker) == []
    assert await ensure_topics(broker) == []
    producer = KafkaProducer(broker)
    await producer.start()
    for topic in TOPICS:
        await producer.send(topic, b"{}", b"key")
    await producer.stop()


async def test_ensure_topics_reports_partitions_that_differ(broker: Settings) -> None:
    """A topic with another number of partitions is reported and left alone."""
    topic = dataclasses.replace(PROMOTIONS, name=f"test.{uuid4().hex}", partitions=2)
    await ensure_topics(broker, [topic])
    wanted = dataclasses.replace(topic, partitions=5)
    assert await ensure_topics(broker, [wanted]) == [f"{topic.name} has 2 partitions where headrace expects 5"]


async def test_snapshot_of_a_topic_that_does_not_exist(broker: Settings) -> None:
    """A missing topic is one sentence, not an endless wait."""
    with pytest.raises(HeadraceError, match=r"has no topic test\.nowhere"):
        await snapshot(broker, dataclasses.replace(PROMOTIONS, name="test.nowhere"))


async def test_a_deferred_record_is_not_lost(broker: Settings) -> None:
    """What is answered after it takes it along, to the end of the topic, in one transaction; a successor reads it."""
    topic = dataclasses.replace(ROLLOUTS, name=f"test.{uuid4().hex}", partitions=1)
    group = f"g-{uuid4().hex}"
    await ensure_topics(broker, [topic])
    producer, hold = KafkaProducer(broker), Hold(broker, topic, 0, group)
    await producer.start()
    for value in (b"waits", b"answered", b"waits too"):
        await producer.send(topic, value, b"key")
    await producer.stop()
    await hold.start()
    consumer = KafkaConsumer(broker, [topic])
    await consumer.start()
    first, second, third = await read(consumer, 3)
    hold.defer(first)
    hold.defer(third)
    await hold.write([], second.offset)
    assert hold.deferred == [third]
    (again,) = await read(consumer, 1)
    assert (again.value, again.key) == (b"waits", b"key")
    await consumer.stop()
    await hold.stop()
    successor = KafkaConsumer(broker, [topic], group)
    await successor.start()
    assert [message.value for message in await read(successor, 2)] == [b"waits too", b"waits"]
    await successor.stop()


async def read(consumer: KafkaConsumer, count: int) -> list[Message]:
    found: list[Message] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            found += await consumer.read(0.2)
    return found


async def test_snapshot_does_not_wait_for_an_open_transaction(broker: Settings) -> None:
    """What an unfinished transaction wrote is neither seen nor waited for."""
    topic = dataclasses.replace(PROMOTIONS, name=f"test.{uuid4().hex}")
    await ensure_topics(broker, [topic])
    owner = KafkaProducer(broker, transactional_id=uuid4().hex)
    await owner.start()
    await owner.transact([(topic, b"committed", b"task")])
    hanging = AIOKafkaProducer(**client_options(broker), transactional_id=uuid4().hex)
    await hanging.start()
    await hanging.begin_transaction()
    await hanging.send_and_wait(topic.name, b"open", key=b"task")
    began = time.monotonic()
    assert await snapshot(broker, topic) == {b"task": b"committed"}
    assert time.monotonic() - began < 5
    await hanging.abort_transaction()
    assert await snapshot(broker, topic) == {b"task": b"committed"}
    await hanging.stop()
    await owner.stop()


async def test_a_restarted_static_member_gets_its_partitions_back_at_once(broker: Settings) -> None:
    """A member with an instance name that vanished without leaving is replaced long before its session ends."""
    topic, group = dataclasses.replace(PROMOTIONS, name=f"test.{uuid4().hex}", partitions=4), uuid4().hex
    await ensure_topics(broker, [topic])
    first = KafkaConsumer(broker, [topic], group, instance="slot-0")
    await first.start()
    assert len(first.assigned()) == 4
    began = time.monotonic()
    second = KafkaConsumer(broker, [topic], group, instance="slot-0")
    await second.start()
    assert len(second.assigned()) == 4
    assert time.monotonic() - began < 5
    await second.stop()
    await first.stop()


@pytest.mark.parametrize("client", ["producer", "consumer"])
async def test_a_cancellation_within_a_stop_is_kept(broker: Settings, client: str) -> None:
    """A loop around a client that is cancelled at any moment of its stop ends: an await of its end returns."""

    async def loop(stopping: asyncio.Event) -> None:
        kafka = KafkaProducer(broker) if client == "producer" else KafkaConsumer(broker, [PROMOTIONS])
        try:
            await kafka.start()
        finally:
            stopping.set()
            await kafka.stop()
        await asyncio.Event().wait()

    await ensure_topics(broker, [PROMOTIONS])
    lost = []
    for steps in range(16):
        stopping = asyncio.Event()
        task = asyncio.create_task(loop(stopping))
        await stopping.wait()
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=5.0)
        if not task.done():
            lost.append(steps)
            task.cancel()
    assert lost == []


async def test_a_cancellation_is_kept_where_the_stop_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that goes on after an error of the client ends all the same."""
    kafka = AIOKafkaProducer(bootstrap_servers="127.0.0.1:9")

    async def close() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(5)
        raise RuntimeError("the connection was lost")

    async def loop() -> None:
        for _ in range(2):
            with contextlib.suppress(RuntimeError):
                await stop(kafka)

    monkeypatch.setattr(kafka, "stop", close)
    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=0.5)
    assert task.cancelled()
    monkeypatch.undo()
    await kafka.stop()
