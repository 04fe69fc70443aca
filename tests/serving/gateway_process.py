"""`python -m serving` as a process, and what it left in Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx
from aiokafka import TopicPartition
from warm_processes import Popen

from headrace.bus import Message
from headrace.bus.kafka.connection import reader
from headrace.contract.topics import Topic
from headrace.embedded.server import free_port
from headrace.settings import Settings


class Process:
    """`python -m serving` on a port of its own."""

    def __init__(self, settings: Settings, name: str = "gateway-a") -> None:
        self.name = name
        addresses = {"gateway": f"http://127.0.0.1:{free_port()}", "otlp_grpc": f"127.0.0.1:{free_port()}"}
        self.settings = settings.replaced(**addresses)
        self.client = httpx.AsyncClient(base_url=self.settings.gateway, timeout=30, trust_env=False)
        self._process: Popen | None = None

    async def start(self, ready: bool = True) -> None:
        """Return when it is ready, or at least lives."""
        argv = ["-m", "serving", "--name", self.name]
        self._process = Popen("serving", argv, env=os.environ | self.settings.environ())
        await self.turns("/readyz" if ready else "/healthz", 200)

    async def turns(self, path: str, status: int) -> None:
        """Return when the probe answers with a status."""
        assert self._process is not None
        async with asyncio.timeout(180):
            while await self.status(path) != status:
                assert self._process.poll() is None
                await asyncio.sleep(0.05)

    async def status(self, path: str) -> int:
        try:
            return (await self.client.get(path)).status_code
        except httpx.TransportError:
            return 0

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it, and its exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return await asyncio.to_thread(self._process.wait, 60)

    async def route(self, **fields: Any) -> dict[str, Any]:
        response = await self.client.post("/v1/route", json={"text": "How do I reset my password?"} | fields)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found


@contextlib.asynccontextmanager
async def running(settings: Settings, ready: bool = True) -> AsyncIterator[Process]:
    process = Process(settings)
    try:
        await process.start(ready)
        yield process
    finally:
        await process.stop()
        await process.client.aclose()


async def everything(settings: Settings, topic: Topic) -> list[Message]:
    """All records of a topic, up to its end now; those of a partition in their order."""
    found: list[Message] = []
    async with reader(settings) as kafka:
        numbers = (await kafka._client.fetch_all_metadata()).partitions_for_topic(topic.name)
        partitions = [TopicPartition(topic.name, number) for number in sorted(numbers)]
        kafka.assign(partitions)
        ends = await kafka.end_offsets(partitions)
        while behind := [part for part in partitions if ends[part] and await kafka.position(part) < ends[part]]:
            for part, records in (await kafka.getmany(*behind, timeout_ms=200)).items():
                found += [Message(part.topic, part.partition, one.offset, one.key, one.value) for one in records]
    return found


def events(messages: list[Message], model: Any) -> list[Any]:
    """The events of packed records."""
    return [model.strict(fields) for message in messages for fields in json.loads(message.value or b"[]")]
