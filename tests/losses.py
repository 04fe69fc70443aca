"""Control topics that lose what they hold, the warehouse's copy of them, and the command line."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from warm_processes import HEADRACE, run

from headrace.bus.kafka import KafkaConsumer, KafkaProducer, ensure_topics, snapshot
from headrace.bus.kafka.security import client_options
from headrace.contract.compacted import Unreadable, reading
from headrace.contract.control import Promotion
from headrace.contract.topics import PROMOTIONS, Topic
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams.decode import Raw
from streams.rules import Rules
from streams.store import store
from streams.tables import table_of


async def put(settings: Settings, topic: Topic, value: bytes, key: str) -> None:
    producer = KafkaProducer(settings)
    await producer.start()
    await producer.send(topic, value, key.encode())
    await producer.stop()


async def written(settings: Settings, task: str) -> dict[str, Any]:
    """The task's promotion on the topic, with every field that it has; {} where it cannot be read."""
    found = reading(task.encode(), (await snapshot(settings, PROMOTIONS))[task.encode()], PROMOTIONS, Promotion)
    return {} if isinstance(found, Unreadable) else found.model_dump(mode="json", exclude_none=True)


async def copy(settings: Settings, warehouse: Warehouse, topic: Topic) -> None:
    """Copy the topic as a worker does."""
    consumer = KafkaConsumer(settings, [topic])
    await consumer.start()
    raws: list[Raw] = []
    while messages := await consumer.read(0.3):
        raws += [Raw(message.topic, message.partition, message.offset, message.value) for message in messages]
    await consumer.stop()
    store(raws, table_of(topic), warehouse, Rules())


async def empty(settings: Settings, topic: Topic, how: str) -> None:
    """Recreate the topic, or truncate it at its end."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    if how == "recreated":
        await admin.delete_topics([topic.name])
        while topic.name in await admin.list_topics():  # noqa: ASYNC110 (the broker's)
            await asyncio.sleep(0.02)
        await ensure_topics(settings)
    else:
        # A compacted topic refuses to be truncated by hand: its policy is another one meanwhile.
        for policy in ("delete", "compact"):
            changed = ConfigResource(ConfigResourceType.TOPIC, topic.name, {"cleanup.policy": policy})
            await admin.alter_configs([changed])
            if policy == "delete":
                await _until_truncated(admin, topic)
    await admin.close()


async def _until_truncated(admin: AIOKafkaAdminClient, topic: Topic) -> None:
    parts = {
        TopicPartition(topic.name, number): RecordsToDelete(before_offset=-1) for number in range(topic.partitions)
    }
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(Exception):  # the new policy takes a moment
                await admin.delete_records(parts)
                return
            await asyncio.sleep(0.1)


def headrace(settings: Settings, *arguments: str) -> tuple[int, str]:
    """The command line: its exit code and what it said."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    environ = clean | settings.environ()
    code, out, err = run("headrace", [*HEADRACE, *arguments], env=environ, cwd=Path(__file__).parents[1])
    return code, out + err
