"""Whole topics: create the missing ones, read a compacted one to its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.protocol.admin import CreateAclsRequest, DescribeAclsRequest

from headrace.access.acls import EMITS, Acl, Kind, Operation
from headrace.access.logins import embedded_broker
from headrace.bus.kafka.connection import explained, reader, translated
from headrace.bus.kafka.security import client_options
from headrace.errors import HeadraceError
from headrace.settings import Settings
from headrace.topics import TOPICS, Topic

MAX_REPLICAS = 3
ANONYMOUS = "User:ANONYMOUS"
# Kafka's numbers.
ANY, ALLOW, LITERAL, PREFIXED = 1, 3, 3, 4
READY_TIMEOUT_S = 30.0


async def ensure_topics(settings: Settings, topics: Iterable[Topic] = TOPICS) -> list[str]:
    """Create the topics that are missing and return once they can be written to.

    On the embedded broker, anonymous clients are then allowed to emit events; a foreign broker's ACLs are its owner's.
    Returns one sentence for each existing topic whose number of partitions differs from the table's. They are left
    as they are: adding partitions would move keys, and with them the order within a session or a job.
    """
    async with _admin(settings) as admin:
        brokers = len((await admin.describe_cluster())["brokers"])
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in existing]
        if missing:
            _raise_on_error(await admin.create_topics([_described(topic, brokers) for topic in missing]))
        found = await _wait_until_led(admin, [topic.name for topic in topics])
        if embedded_broker(settings):
            await _allow(admin, ANONYMOUS, EMITS)
    return [
        f"{topic.name} has {found[topic.name]} partitions where headrace expects {topic.partitions}"
        for topic in topics
        if found[topic.name] != topic.partitions
    ]


async def partitions_of(settings: Settings) -> dict[str, int]:
    """The number of partitions of every topic of the broker, by name. Raises HeadraceError where none answers."""
    async with reader(settings) as kafka:
        # aiokafka's own topics() returns these names and keeps their partitions to itself.
        metadata = await kafka._client.fetch_all_metadata()
        return {name: len(metadata.partitions_for_topic(name) or ()) for name in metadata.topics()}


async def grant(settings: Settings, rights: Mapping[str, Iterable[Acl]]) -> None:
    """Give principals (`User:name`) rights at the broker and return once it knows them; what they have already stays.

    Raises HeadraceError where this login may not do that.
    """
    async with _admin(settings) as admin:
        for principal, acls in rights.items():
            await _allow(admin, principal, acls)


@contextlib.asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options(settings), request_timeout_ms=15_000)
    try:
        try:
            await admin.start()
        except (KafkaError, OSError) as error:
            raise await explained(error, settings) from error
        yield admin
    except (KafkaError, TimeoutError, OSError) as error:
        raise translated(error, settings) from error
    finally:
        await admin.close()


async def _allow(admin: AIOKafkaAdminClient, principal: str, acls: Iterable[Acl]) -> None:
    wanted = set(acls)
    for acl in wanted:
        pattern = PREFIXED if acl.prefixed else LITERAL
        request = CreateAclsRequest(acl.kind, acl.name, pattern, principal, "*", acl.operation, ALLOW)
        for code, message in (await admin._send_to_controller(request)).creation_responses:
            if code:
                why = message or for_code(code).__name__
                raise HeadraceError(f"Kafka gave {principal} no {acl.operation.name} on {acl.name}: {why}")
    async with asyncio.timeout(READY_TIMEOUT_S):
        while True:
            if wanted <= await _allowed(admin, principal):
                return
            await asyncio.sleep(0.02)


async def _allowed(admin: AIOKafkaAdminClient, principal: str) -> set[Acl]:
    """What a broker lets the principal do: the controller answers before its brokers have heard."""
    found: set[Acl] = set()
    for kind in Kind:
        described = await admin._send_request(DescribeAclsRequest(kind, None, ANY, principal, None, ANY, ALLOW))
        found |= {
            Acl(kind, name, Operation(operation), pattern == PREFIXED)
            for _, name, pattern, acls in described.resources
            for _, _, operation, _ in acls
            if operation in set(Operation)
        }
    return found


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


def _described(topic: Topic, brokers: int) -> NewTopic:
    replicas = min(MAX_REPLICAS, brokers)
    # An acknowledged record then stands on two machines at least, wherever there are three.
    config = topic.config() | {"min.insync.replicas": str(max(1, replicas - 1))}
    return NewTopic(topic.name, topic.partitions, replicas, topic_configs=config)


def _raise_on_error(response: object) -> None:
    for name, code, *message in response.topic_errors:  # type: ignore[attr-defined]
        error = for_code(code)
        # Two processes may ensure the topics at the same moment.
        if code and error is not TopicAlreadyExistsError:
            raise HeadraceError(f"Kafka did not create the topic {name}: {message[0] if message else error.__name__}")


async def _wait_until_led(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    """Partitions by topic, once each partition has a leader."""
    async with asyncio.timeout(READY_TIMEOUT_S):
        while True:
            described = {entry["topic"]: entry["partitions"] for entry in await admin.describe_topics(names)}
            if all(described.get(name) and all(p["leader"] >= 0 for p in described[name]) for name in names):
                return {name: len(described[name]) for name in names}
            await asyncio.sleep(0.05)
