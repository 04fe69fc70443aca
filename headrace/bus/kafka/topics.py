"""Whole topics: create the missing ones, read a compacted one to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from headrace.access.acls import EMITS
from headrace.access.logins import embedded_broker
from headrace.bus.kafka.connection import administration, reader
from headrace.bus.kafka.rights import ANONYMOUS, allow
from headrace.contract.topics import EVENTS, TOPICS, Topic, partitions_in
from headrace.errors import HeadraceError
from headrace.settings import Settings

MAX_REPLICAS = 3
READY_TIMEOUT_S = 30.0


async def ensure_topics(settings: Settings, topics: Iterable[Topic] = TOPICS) -> list[str]:
    """Create the topics that are missing, and partitions that topics of events lack; return once all can be written to.

    More partitions move an event's session to another partition, which costs nothing: rows are ordered by what events
    say. Control topics stay as they are: adding partitions would move keys, and with them the owner of a task or job.

    On the embedded broker, anonymous clients are then allowed to emit events; a foreign broker's ACLs are its owner's.
    Returns one sentence for each existing topic that has another number of partitions in the end.
    """
    async with administration(settings) as admin:
        brokers = len((await admin.describe_cluster())["brokers"])
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in existing]
        if missing:
            wanted = [_described(topic, partitions_in(topic, settings), brokers) for topic in missing]
            _raise_on_error(await admin.create_topics(wanted))
        found = await _wait_until_led(admin, {topic.name: 1 for topic in topics})
        growing = {
            topic.name: partitions_in(topic, settings)
            for topic in topics
            if topic in EVENTS and found[topic.name] < partitions_in(topic, settings)
        }
        if growing:
            await admin.create_partitions({name: NewPartitions(total) for name, total in growing.items()})
            found |= await _wait_until_led(admin, growing)
        if embedded_broker(settings):
            await allow(admin, ANONYMOUS, EMITS)
    return [
        f"{topic.name} has {found[topic.name]} partitions where headrace expects {partitions_in(topic, settings)}"
        for topic in topics
        if found[topic.name] != partitions_in(topic, settings)
    ]


async def partitions_of(settings: Settings) -> dict[str, int]:
    """The number of partitions of every topic of the broker, by name. Raises HeadraceError where none answers."""
    async with reader(settings) as kafka:
        # aiokafka's own topics() returns these names and keeps their partitions to itself.
        metadata = await kafka._client.fetch_all_metadata()
        return {name: len(metadata.partitions_for_topic(name) or ()) for name in metadata.topics()}


async def snapshot(settings: Settings, topic: Topic) -> dict[bytes, bytes]:
    """The last value of each key of a compacted topic, up to its end at the time of the call; tombstones are gone.

    The end is that of committed transactions: one that is still open is not waited for. Raises HeadraceError where
    the broker does not answer or the topic does not exist.
    """
    values: dict[bytes, bytes] = {}
    async with reader(settings) as kafka:
        # aiokafka's own topics() returns these names and keeps their partitions to itself.
        numbers = (await kafka._client.fetch_all_metadata()).partitions_for_topic(topic.name)
        if not numbers:
            raise HeadraceError(f"Kafka at {settings.kafka} has no topic {topic.name}; `headrace up` creates it")
        partitions = [TopicPartition(topic.name, number) for number in sorted(numbers)]
        kafka.assign(partitions)
        ends = await kafka.end_offsets(partitions)
        behind = {part for part in partitions if ends[part] > 0}
        while behind:
            # Transaction markers and compacted-away records return nothing and yet move the position.
            found = await kafka.getmany(*behind, timeout_ms=200)
            for records in found.values():
                for record in records:
                    if record.value is None:
                        values.pop(record.key, None)
                    elif record.key is not None:
                        values[record.key] = record.value
            behind = {part for part in behind if await kafka.position(part) < ends[part]}
    return values


def _described(topic: Topic, partitions: int, brokers: int) -> NewTopic:
    replicas = min(MAX_REPLICAS, brokers)
    # An acknowledged record then stands on two machines at least, wherever there are three.
    config = topic.config() | {"min.insync.replicas": str(max(1, replicas - 1))}
    return NewTopic(topic.name, partitions, replicas, topic_configs=config)


def _raise_on_error(response: object) -> None:
    for name, code, *message in response.topic_errors:  # type: ignore[attr-defined]
        error = for_code(code)
        # Two processes may ensure the topics at the same moment.
        if code and error is not TopicAlreadyExistsError:
            raise HeadraceError(f"Kafka did not create the topic {name}: {message[0] if message else error.__name__}")


async def _wait_until_led(admin: AIOKafkaAdminClient, least: Mapping[str, int]) -> dict[str, int]:
    """Partitions by topic, once there are at least so many and each has a leader."""
    names = list(least)
    async with asyncio.timeout(READY_TIMEOUT_S):
        while True:
            described = {entry["topic"]: entry["partitions"] for entry in await admin.describe_topics(names)}
            if all(
                len(described.get(name, ())) >= least[name] and all(p["leader"] >= 0 for p in described[name])
                for name in names
            ):
                return {name: len(described[name]) for name in names}
            await asyncio.sleep(0.05)
