"""The topic of labels on the real Kafka: where it began, and what a worker takes of either topic from then on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from worker_process import Worker, until

from headrace.access.proofs import Proofs
from headrace.bus.kafka import KafkaProducer, ensure_topics
from headrace.bus.kafka.security import client_options
from headrace.client import AsyncClient
from headrace.contract import ids
from headrace.contract.bounds import keep_bounds
from headrace.contract.events import Arm, new_feedback, new_inference, pack
from headrace.contract.topics import FEEDBACK, INFERENCES, LABELS, TOPICS
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack


@pytest.fixture
def worker(settings: Settings) -> Iterator[Worker]:
    child = Worker(settings)
    yield child
    if child.process.poll() is None:
        child.end()


async def remove(settings: Settings, *names: str) -> None:
    """Delete topics, and wait until they are gone."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        await admin.delete_topics(list(names))
        async with asyncio.timeout(20):
            while set(names) & set(await admin.list_topics()):  # noqa: ASYNC110 - Kafka tells nobody
                await asyncio.sleep(0.1)
    finally:
        await admin.close()


def bounds(warehouse: Warehouse) -> dict[int, int]:
    rows = warehouse.query("shared/topic_bounds", topic=FEEDBACK.name)
    return {int(row["partition"]): int(row["bound"]) for row in rows}


def say(source: str) -> bytes:
    return pack([new_feedback(ids.uuid7(), source, "label", label="it")])


async def test_the_bound_is_where_the_topic_of_labels_began(
    settings: Settings, producer: KafkaProducer, warehouse: Warehouse
) -> None:
    """Older labels are read once; a kill, a repetition and a new broker never move the bound to later records."""
    await remove(settings, LABELS.name)
    for _ in range(3):
        await producer.send_to(FEEDBACK, 5, say("audit"))
    assert await keep_bounds(settings, warehouse) == ""
    # Killed before the topics were created, and run again later.
    await producer.send_to(FEEDBACK, 5, say("reviewer"))
    assert await keep_bounds(settings, warehouse) == ""
    await ensure_topics(settings)
    await producer.send_to(FEEDBACK, 5, say("audit"))
    assert await keep_bounds(settings, warehouse) == ""
    assert bounds(warehouse) == dict.fromkeys(range(8), 0) | {5: 3}

    child = Worker(settings)
    try:
        await until(lambda: warehouse.rows("SELECT count() AS n FROM feedback FINAL")[0]["n"] == 3)
        dead = "SELECT offset FROM dead_letters FINAL WHERE topic = {topic:String} ORDER BY offset"
        await until(lambda: [row["offset"] for row in warehouse.rows(dead, topic=FEEDBACK.name)] == [3, 4])
    finally:
        child.end()

    lost = settings.replaced(database=f"{settings.database}_lost")
    anew = Warehouse.connect(lost)
    anew.prepare()
    assert "does not know where headrace.labels began" in await keep_bounds(lost, anew)
    assert set(bounds(anew).values()) == {0}
    anew.close()
    await remove(settings, FEEDBACK.name, LABELS.name)
    await keep_bounds(settings, warehouse)
    await ensure_topics(settings, TOPICS)
    assert set(bounds(warehouse).values()) == {0}


async def test_each_topic_takes_its_own_and_neighbours_are_unharmed(
    worker: Worker, producer: KafkaProducer, warehouse: Warehouse, settings: Settings
) -> None:
    """Through a real worker: the SDK's events find their topics; what stands on the wrong one is refused alone."""
    task = "apart"
    async with AsyncClient(settings, emitter="desk") as client:
        for source in ("user", "implicit", "outcome", "judge", "reviewer", "audit"):
            client.feedback(new_feedback(ids.uuid7(), source, "label", label="it", task=task))
    mixed = [new_feedback(ids.uuid7(), source, "label", task=task) for source in ("user", "audit", "user", "outcome")]
    await producer.send(FEEDBACK, pack(mixed), b"1")
    await producer.send(LABELS, pack(mixed), b"1")
    arms = [new_inference(task, "router@0", arm=Arm.CANARY, audited=True), new_inference(task, "router@0")]
    signed = Proofs.of(settings).sign(new_inference(task, "router@1", arm=Arm.CANARY))
    await producer.send(INFERENCES, pack([*arms, signed]), b"1")
    sql = "SELECT source, count() AS n FROM feedback FINAL WHERE task = 'apart' GROUP BY source ORDER BY source"
    wanted = {"audit": 2, "implicit": 1, "judge": 1, "outcome": 2, "reviewer": 1, "user": 3}
    await until(lambda: {row["source"]: row["n"] for row in warehouse.rows(sql)} == wanted)
    letters = "SELECT topic, record_index FROM dead_letters FINAL WHERE toString(event_id) IN {ids:Array(String)}"
    mine = [str(one.event_id) for one in mixed]
    refused = [(FEEDBACK.name, 1), (FEEDBACK.name, 3), (LABELS.name, 0), (LABELS.name, 2)]

    def found() -> list[tuple[str, int]]:
        return sorted((row["topic"], row["record_index"]) for row in warehouse.rows(letters, ids=mine))

    await until(lambda: found() == refused)
    stored = "SELECT version, arm, signed FROM inferences FINAL WHERE task = 'apart' ORDER BY version, signed"
    await until(lambda: len(warehouse.rows(stored)) == 3)
    assert [tuple(row.values()) for row in warehouse.rows(stored)] == [
        ("router@0", "live", False), ("router@0", "live", False), ("router@1", "canary", True),
    ]  # fmt: skip
