"""A transport that keeps what it gets, and one broker for the tests that want the real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from formatted_storage import formatted

from headrace.bus.kafka import ensure_topics
from headrace.client.packing import Packed
from headrace.client.transport import Rejected
from headrace.contract.control import Counter
from headrace.embedded.kafka import KafkaServer
from headrace.settings import Settings

CACHE = Path(__file__).parents[2] / "var" / "cache"


class Recording:
    """Keeps records and counters; nothing returns while `open` is clear.

    fail: errors to raise first; reject: what the next records that arrive are told about their events
    """

    def __init__(self) -> None:
        self.records: list[Packed] = []
        self.counters: list[Counter] = []
        self.fail: list[Exception] = []
        self.reject: list[Rejected] = []
        self.closed = False
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, record: Packed) -> Rejected:
        await self.open.wait()
        if self.fail:
            raise self.fail.pop(0)
        self.records.append(record)
        return self.reject.pop(0) if self.reject else {}

    async def count(self, counter: Counter) -> None:
        await self.open.wait()
        self.counters.append(counter)

    async def close(self) -> None:
        self.closed = True

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for record in self.records for event in json.loads(record.value)]


@pytest.fixture
def transport() -> Recording:
    return Recording()


@pytest.fixture(scope="package")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A real broker with every topic."""
    home = tmp_path_factory.mktemp("broker")
    with KafkaServer(formatted(home), cache=CACHE) as server:
        settings = Settings(home=home, kafka=server.bootstrap)
        asyncio.run(ensure_topics(settings))
        yield settings
