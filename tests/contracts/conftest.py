"""The two buses and the two sinks that the contract suites run on."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from formatted_storage import formatted

from headrace.bus.kafka import KafkaConsumer, KafkaProducer, ensure_topics, snapshot
from headrace.bus.memory import MemoryBus
from headrace.contract.topics import INFERENCES, Topic
from headrace.embedded.kafka import KafkaServer
from headrace.settings import Settings

CACHE = Path(__file__).parents[2] / "var" / "cache"


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A real broker without topics."""
    home = tmp_path_factory.mktemp("broker")
    with KafkaServer(formatted(home), cache=CACHE) as server:
        yield Settings(home=home, kafka=server.bootstrap)


class Bus:
    """Started producers and consumers of one kind of bus, stopped at the end of the test."""

    def __init__(self, settings: Settings | None) -> None:
        self._settings = settings
        self._memory = MemoryBus()
        self.stack = AsyncExitStack()

    async def topic(self, **changes: Any) -> Topic:
        """A new topic of two partitions, unless changed."""
        topic = dataclasses.replace(INFERENCES, **{"name": f"test.{uuid4().hex}", "partitions": 2} | changes)
        if self._settings:
            await ensure_topics(self._settings, [topic])
        return topic

    async def producer(self, transactional_id: str = "") -> Any:
        made = (
            KafkaProducer(self._settings, transactional_id=transactional_id)
            if self._settings
            else self._memory.producer(transactional_id)
        )
        return await self._started(made)

    async def consumer(self, topics: Iterable[Topic], group: str | None = None) -> Any:
        made = KafkaConsumer(self._settings, topics, group) if self._settings else self._memory.consumer(topics, group)
        return await self._started(made)

    async def snapshot(self, topic: Topic) -> dict[bytes, bytes]:
        return await (snapshot(self._settings, topic) if self._settings else self._memory.snapshot(topic))

    async def _started(self, made: Any) -> Any:
        await made.start()
        self.stack.push_async_callback(made.stop)
        return made


@pytest.fixture(params=["memory", "kafka"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    """The bus in memory, then the real one."""
    settings = request.getfixturevalue("broker") if request.param == "kafka" else None
    made = Bus(settings)
    async with made.stack:
        yield made
