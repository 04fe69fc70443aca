"""Partitions of the events' topics: a setting that topics, emitters and workers share, and that may grow."""

from __future__ import annotations

import asyncio
import signal

import pytest
from worker_process import Worker, count, until

from headrace.bus.kafka import ensure_topics
from headrace.bus.kafka.topics import partitions_of
from headrace.client import AsyncClient
from headrace.contract.events import new_inference
from headrace.contract.topics import EVENTS, TOPICS
from headrace.errors import SettingsError
from headrace.settings import Settings
from headrace.warehouse import Warehouse

TASK = "grown"


class Emitting:
    """A client that emits events of new sessions until it is stopped."""

    def __init__(self, settings: Settings, emitter: str) -> None:
        self._client = AsyncClient(settings, emitter=emitter)
        self.sent = 0
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        async with self._client as client:
            while not self.stopping.is_set():
                for _ in range(20):
                    self.sent += 1
                    client.inference(new_inference(TASK, "r@1", session_id=f"{id(self)}-{self.sent}", input="vpn?"))
                await asyncio.sleep(0.05)


async def test_partitions_grow_while_events_come(settings: Settings, warehouse: Warehouse) -> None:
    """From 8 to 16 with an emitter that knows of 8, and a worker that was killed and has its partitions back without
    leading the group: nothing is lost or doubled, all 16 are read."""
    worker = Worker(settings)
    grown = settings.replaced(partitions=16)
    before, after = Emitting(settings, "before"), Emitting(grown, "after")
    running = [asyncio.create_task(before.run())]
    try:
        await until(lambda: count(warehouse, TASK)[0] > 0)
        worker.end(signal.SIGKILL)
        worker, stored = Worker(settings), count(warehouse, TASK)[0]
        await until(lambda: count(warehouse, TASK)[0] > stored)
        assert await ensure_topics(grown) == []
        found = await partitions_of(grown)
        assert {found[topic.name] for topic in EVENTS} == {16}
        assert all(found[topic.name] == topic.partitions for topic in TOPICS if topic not in EVENTS)
        running.append(asyncio.create_task(after.run()))
        places = "SELECT uniqExact(kafka_partition) AS n FROM inferences WHERE task = {task:String}"
        await until(lambda: warehouse.rows(places, task=TASK)[0]["n"] == 16)
        for one in (before, after):
            one.stopping.set()
        await asyncio.gather(*running)
        sent = before.sent + after.sent
        await until(lambda: count(warehouse, TASK) == (sent, sent))
        assert worker.process.poll() is None
        # Fewer than there are is said and changes nothing: a topic cannot shrink.
        assert sorted(await ensure_topics(settings)) == sorted(
            f"{topic.name} has 16 partitions where headrace expects 8" for topic in EVENTS
        )
    finally:
        for task in running:
            task.cancel()
        worker.end()


def test_partitions_are_a_number_that_a_topic_can_have() -> None:
    """One sentence for what is no number of partitions."""
    with pytest.raises(SettingsError, match="HEADRACE_PARTITIONS is '0'; it takes a whole number from 1 to 256"):
        Settings.from_environ({"HEADRACE_PARTITIONS": "0"})
