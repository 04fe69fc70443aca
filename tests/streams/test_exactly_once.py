"""Exactly one row an event: retries, a partition read again from its beginning, workers that come and go."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer
from worker_process import Worker, count, some, until

from headrace.bus.kafka import KafkaProducer
from headrace.bus.kafka.security import client_options
from headrace.client import AsyncClient
from headrace.contract.events import new_inference, pack
from headrace.contract.topics import INFERENCES
from headrace.process.readiness import ready_file
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams.decode import Raw
from streams.rules import Rules
from streams.store import store
from streams.tables import table_of

pytestmark = pytest.mark.stack


def current(warehouse: Warehouse, task: str) -> int:
    """Rows that analysts see."""
    sql = "SELECT count() AS n FROM inferences_current WHERE task = {task:String}"
    return int(warehouse.rows(sql, task=task)[0]["n"])


async def replay(settings: Settings, warehouse: Warehouse, block: int) -> int:
    """Read every partition from its beginning and store it as a worker does, in other blocks; how many records."""
    consumer = AIOKafkaConsumer(INFERENCES.name, **client_options(settings), auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        raws: list[Raw] = []
        while len(raws) < sum(ends.values()):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                raws += [Raw(one.topic, one.partition, one.offset, one.value) for one in records]
    finally:
        await consumer.stop()
    for start in range(0, len(raws), block):
        assert store(raws[start : start + block], table_of(INFERENCES), warehouse, Rules()) == []
    return len(raws)


async def test_a_retry_and_a_replay_change_nothing(
    settings: Settings, producer: KafkaProducer, warehouse: Warehouse
) -> None:
    """An event sent again with another time and packed otherwise, then every partition read anew: one row each."""
    events = some(60, "again")
    retried = [
        new_inference("again", "router@0", inference_id=event.event_id, occurred_at="2026-01-01T00:00:00Z")
        for event in events[:20]
    ]
    for number in range(6):
        await producer.send(INFERENCES, pack(events[number * 10 : number * 10 + 10]), f"k{number}".encode())
    for event in retried:
        await producer.send(INFERENCES, event.to_json(), b"k7")
    await producer.send(INFERENCES, pack(some(1, "last")), b"k7")
    worker = Worker(settings)
    try:
        await until(lambda: count(warehouse, "again") == (60, 60) and count(warehouse, "last") == (1, 1))
        sql = "SELECT count() AS n FROM inferences WHERE task = 'again'"
        before = warehouse.rows(sql)[0]["n"]
        assert await replay(settings, warehouse, 3) > 20
        assert warehouse.rows(sql)[0]["n"] > before, "the replay wrote nothing, so it proves nothing"
        assert count(warehouse, "again") == (60, 60) and current(warehouse, "again") == 60
    finally:
        worker.end()


@pytest.mark.acceptance
async def test_an_event_that_is_built_again_is_one_row(
    settings: Settings, producer: KafkaProducer, warehouse: Warehouse
) -> None:
    """Each is sent three times by the SDK and three times by a plain producer, with other times, to any partition.

    Workers are killed meanwhile. The balance counts each event of the SDK once, and its feedback finds it.
    """
    names = [f"chatcmpl-{number}" for number in range(20)] + [str(uuid4()) for _ in range(20)]
    worker = Worker(settings)
    async with AsyncClient(settings, emitter="desk") as desk:
        for turn in range(3):
            for name in names:
                assert desk.inference(task="foreign", version="router@0", inference_id=name, label="it") == name
                said = {"inference_id": name, "feedback_id": f"form-{name}", "task": "foreign", "value": 1}
                desk.feedback(source="user", signal="thumb", **said)
                at = (datetime.now(UTC) - timedelta(minutes=turn + 1)).isoformat()
                plain = {"inference_id": name.upper() if "chatcmpl" not in name else name, "occurred_at": at}
                plain |= {"task": "foreign", "version": "router@0"}
                await producer.send(INFERENCES, json.dumps(plain).encode(), f"{turn}-{name}".encode())
            assert await desk.flush(20)
            if turn < 2:
                await until(lambda turn=turn: count(warehouse, "foreign")[0] >= 10 * turn)
                worker.end(signal.SIGKILL)
                worker = Worker(settings)
    try:
        await until(lambda: count(warehouse, "foreign", "feedback") == (40, 40))
        resolved = "SELECT count() AS n FROM feedback FINAL WHERE task = 'foreign' AND resolved_by = 'id'"
        await until(lambda: warehouse.rows(resolved)[0]["n"] == 40)
        assert count(warehouse, "foreign") == (40, 40) and current(warehouse, "foreign") == 40
        found = warehouse.rows("SELECT given_id FROM inferences FINAL WHERE task = 'foreign'")
        assert {row["given_id"] for row in found} == set(names)
        balance = {row["kind"]: row for row in warehouse.query("cli/reconcile")}
        assert balance["inferences"]["emitted"] == balance["feedback"]["emitted"] == 40
        assert balance["inferences"]["missing"] == balance["feedback"]["missing"] == 0
        assert await replay(settings, warehouse, 3) > 20
        assert count(warehouse, "foreign") == (40, 40)
    finally:
        worker.end()


async def test_workers_that_come_and_go_share_the_partitions(
    settings: Settings, producer: KafkaProducer, warehouse: Warehouse
) -> None:
    """Under load a second worker joins, and is killed, and the first one leaves: every event is stored once."""
    sent, going = 0, True

    async def emit() -> None:
        nonlocal sent
        while going:
            await producer.send(INFERENCES, pack(some(50, "moved")), f"k{sent % 61}".encode())
            sent += 50
            await asyncio.sleep(0.05)

    first = Worker(settings, "streams-0")
    second = None
    load = asyncio.create_task(emit())
    try:
        await until(lambda: count(warehouse, "moved")[0] > 500)
        second = Worker(settings, "streams-1")
        await until(ready_file(settings.home, "streams-1").exists)
        joined = count(warehouse, "moved")[0]
        await until(lambda: count(warehouse, "moved")[0] > joined + 500)
        second.end(signal.SIGKILL)
        second = Worker(settings, "streams-1")
        first.end()
        first = Worker(settings, "streams-0")
        going = False
        await load
        await until(lambda: count(warehouse, "moved") == (sent, sent), 120.0)
        assert current(warehouse, "moved") == sent
    finally:
        load.cancel()
        first.end()
        if second is not None:
            second.end()
