"""The worker as a process, on the real Kafka and ClickHouse: nothing lost, nothing twice, a place for what is bad."""

from __future__ import annotations

import json
import os
import signal
import time
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from router_story import Story
from slowness import slowness
from warm_processes import run
from worker_process import Worker, count, some, until

from headrace.bus.kafka import KafkaProducer
from headrace.bus.kafka.connection import administration
from headrace.bus.kafka.security import client_options
from headrace.contract import ids
from headrace.contract.control import DeadLetter, Job, JobState, Promotion, Served, Step, Trigger
from headrace.contract.events import new_feedback, pack
from headrace.contract.excerpt import Excerpt
from headrace.contract.topics import ACTIONS, DEAD_LETTERS, FEEDBACK, INFERENCES, JOBS, LABELS, PROMOTIONS
from headrace.embedded.clickhouse import ClickHouseServer
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams.monitor import recorded

pytestmark = pytest.mark.stack


@pytest.fixture
def worker(settings: Settings) -> Iterator[Worker]:
    child = Worker(settings)
    yield child
    if child.process.poll() is None:
        child.end()


async def test_packed_and_single_events_become_rows(
    worker: Worker, producer: KafkaProducer, warehouse: Warehouse
) -> None:
    """Two hundred events in a record, and one event a record, are all stored with their origin."""
    events = some(200, "packed")
    await producer.send(INFERENCES, pack(events), b"7")
    for event in some(5, "single"):
        await producer.send(INFERENCES, event.to_json(), b"7")
    await producer.send(FEEDBACK, pack([new_feedback(events[0].event_id, "user", "thumb", value=1, task="packed")]))
    await until(lambda: count(warehouse, "packed") == (200, 200) and count(warehouse, "single") == (5, 5))
    await until(lambda: count(warehouse, "packed", "feedback") == (1, 1))
    rows = warehouse.rows(
        "SELECT kafka_topic, kafka_index FROM inferences FINAL WHERE task = 'packed' ORDER BY kafka_index"
    )
    assert [row["kafka_index"] for row in rows] == list(range(200))
    assert rows[0]["kafka_topic"] == INFERENCES.name


async def test_what_cannot_be_stored_is_a_dead_letter(
    worker: Worker, producer: KafkaProducer, warehouse: Warehouse
) -> None:
    """Garbage, one bad event among good ones, and a dead letter that is none: each is kept with origin and reason."""
    good = some(3, "mended")
    bad = b'{"inference_id": 7, "note": "kept as it was"}'
    await producer.send(INFERENCES, b"\xff not json", b"9")
    await producer.send(INFERENCES, pack(good[:2])[:-1] + b"," + bad + b"," + good[2].to_json() + b"]", b"9")
    await producer.send(DEAD_LETTERS, b"neither", b"x")
    sql = "SELECT * FROM dead_letters FINAL ORDER BY topic, offset, record_index"
    await until(lambda: len(warehouse.rows(sql)) == 3 and count(warehouse, "mended") == (3, 3))
    own, garbage, event = warehouse.rows(sql)
    assert (own["topic"], b64decode(own["original"])) == (DEAD_LETTERS.name, b"neither")
    assert (garbage["record_index"], b64decode(garbage["original"])) == (-1, b"\xff not json")
    assert (event["record_index"], b64decode(event["original"])) == (2, bad)
    assert "Inference" in event["reason"] and event["topic"] == INFERENCES.name


async def test_a_dead_letter_fits_its_topic(
    settings: Settings, worker: Worker, producer: KafkaProducer, warehouse: Warehouse
) -> None:
    """Thirty megabytes that were sent compressed, and a topic of letters that takes little: the worker goes on."""
    async with administration(settings) as admin:
        little = {"max.message.bytes": "65536"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, DEAD_LETTERS.name, little)])
    large, random = b"[" + b"x" * 30_000_000, os.urandom(1_000_000)
    options = client_options(settings)
    async with AIOKafkaProducer(**options, compression_type="gzip", max_request_size=2**30) as kafka:
        for value in (large, random):
            await kafka.send_and_wait(INFERENCES.name, value, partition=3)
    await producer.send_to(INFERENCES, 3, pack(some(3, "behind")))
    sql = "SELECT original, excerpt FROM dead_letters FINAL WHERE excerpt != '' ORDER BY offset"
    await until(lambda: count(warehouse, "behind") == (3, 3) and len(warehouse.rows(sql)) == 2)
    for value, row in zip((large, random), warehouse.rows(sql), strict=True):
        assert row["original"] == "" and Excerpt.model_validate_json(row["excerpt"]) == Excerpt.of(value)
    assert worker.process.poll() is None


async def test_a_row_that_clickhouse_refuses_does_not_hold_up_the_others(
    worker: Worker, producer: KafkaProducer, warehouse: Warehouse
) -> None:
    """A partition number that no column holds is set aside with ClickHouse's code or stored; what follows is stored."""
    broken = DeadLetter(topic="elsewhere", partition=-(2**70), offset=1, at=datetime.now(UTC), reason="broken")
    fine = DeadLetter(topic="elsewhere", partition=1, offset=2, at=datetime.now(UTC), reason="fine")
    await producer.send(DEAD_LETTERS, broken.to_json())
    await producer.send(DEAD_LETTERS, fine.to_json())
    sql = "SELECT * FROM dead_letters FINAL WHERE reason = 'fine' OR code != 0 ORDER BY code"
    await until(lambda: len(warehouse.rows(sql)) == 2)
    assert warehouse.rows(sql)[1]["topic"] == DEAD_LETTERS.name


async def test_control_messages_become_rows(worker: Worker, producer: KafkaProducer, warehouse: Warehouse) -> None:
    """A promotion and a job are copied, what they hold as JSON; a tombstone changes nothing."""
    now = datetime.now(UTC)
    promotion = Promotion(
        task="other", generation=1, step=Step.STEADY, live=Served(version="other@1", artifact="a"), since=now, at=now
    )
    trigger = Trigger(
        trigger_id=ids.uuid7(), task="other", kind="manual", decided_at=now, reason="asked", test_from=now
    )
    job = Job(
        job_id=ids.uuid7(), trigger_id=trigger.trigger_id, task="other", number=1, state=JobState.CLAIMED,
        at=now, heartbeat_at=now, trigger=trigger,
    )  # fmt: skip
    await producer.send(PROMOTIONS, promotion.to_json(), b"other")
    await producer.send(JOBS, job.to_json(), str(job.job_id).encode())
    await producer.send(JOBS, None, str(job.job_id).encode())
    await producer.send(JOBS, job.model_copy(update={"state": JobState.RUNNING}).to_json(), b"k")
    await until(lambda: len(warehouse.rows("SELECT * FROM jobs FINAL WHERE task = 'other'")) == 2)
    row = warehouse.rows("SELECT * FROM promotions FINAL WHERE task = 'other'")[0]
    assert Served.model_validate_json(row["live"]).artifact == "a" and row["canary"] == ""
    stored = warehouse.rows("SELECT trigger FROM jobs FINAL WHERE task = 'other' LIMIT 1")[0]["trigger"]
    assert Trigger.model_validate_json(stored) == trigger
    done = recorded(trigger)
    for _ in range(2):
        await producer.send(ACTIONS, recorded(trigger).to_json(), done.kind.encode())
    sql = "SELECT by, via, task, subject, detail FROM actions FINAL WHERE task = 'other'"
    await until(lambda: bool(warehouse.rows(sql)))
    (told,) = warehouse.rows(sql)
    assert (told["by"], told["via"], told["subject"]) == ("monitor", "part", str(trigger.trigger_id))
    assert json.loads(told["detail"]) == {"reason": "asked"}


async def test_aborted_claims_are_not_copied(
    worker: Worker, producer: KafkaProducer, settings: Settings, warehouse: Warehouse
) -> None:
    """A record of a transaction that was aborted never becomes a row."""
    now = datetime.now(UTC)
    promotion = Promotion(task="ghost", generation=1, step=Step.STEADY, live=Served(version="g"), since=now, at=now)
    async with AIOKafkaProducer(**client_options(settings), transactional_id="ghost") as client:
        await client.begin_transaction()
        await (await client.send(PROMOTIONS.name, promotion.to_json(), b"ghost"))
        await client.abort_transaction()
    await producer.send(PROMOTIONS, promotion.model_copy(update={"task": "real"}).to_json(), b"real")
    await until(lambda: bool(warehouse.rows("SELECT 1 FROM promotions WHERE task = 'real'")))
    assert not warehouse.rows("SELECT 1 FROM promotions WHERE task = 'ghost'")


async def test_a_kill_in_the_middle_loses_and_doubles_nothing(
    settings: Settings, producer: KafkaProducer, warehouse: Warehouse
) -> None:
    """SIGKILL three times under load: every event is stored once, and a restarted worker goes on within seconds."""
    records = [some(50, "killed") for _ in range(300)]
    child = Worker(settings)
    resumed: list[float] = []
    try:
        for number, events in enumerate(records):
            await producer.send(INFERENCES, pack(events), str(number % 64).encode())
            if number in (80, 160, 240):
                await until(lambda: count(warehouse, "killed")[0] > 0)
                child.end(signal.SIGKILL)
                child, started = Worker(settings), time.monotonic()
                marker = some(1, f"marker-{number}")
                await producer.send(INFERENCES, pack(marker), b"1")
                await until(lambda task=f"marker-{number}": count(warehouse, task) == (1, 1))  # type: ignore[misc]
                resumed.append(time.monotonic() - started)
        await until(lambda: count(warehouse, "killed") == (15_000, 15_000))
    finally:
        child.end()
    # The group's session timeout is 45 s; a static member does not wait for it.
    assert max(resumed) < min(20 * slowness(time.monotonic), 44), resumed
    print(resumed)


async def test_a_warehouse_that_is_away_is_waited_for(stack: Settings, settings: Settings, tmp_path: Path) -> None:
    """While ClickHouse is down nothing is acknowledged or dead-lettered; when it is back everything is stored."""
    server = ClickHouseServer(tmp_path)
    server.start()
    elsewhere = settings.replaced(home=tmp_path, **server.login(), database="away")
    Warehouse.connect(elsewhere).prepare()
    child = Worker(elsewhere)
    client = KafkaProducer(elsewhere)
    await client.start()
    try:
        reading = Warehouse.connect(elsewhere)
        await client.send(INFERENCES, pack(some(10, "before")))
        await until(lambda: count(reading, "before") == (10, 10))
        server.kill()
        for _ in range(20):
            await client.send(INFERENCES, pack(some(50, "while")))
        await until(lambda: b"waiting for it" in child.log.read_bytes())
        server.start()
        reading = Warehouse.connect(elsewhere)
        await until(lambda: count(reading, "while") == (1000, 1000))
        assert child.process.poll() is None
        assert not reading.rows("SELECT 1 FROM dead_letters WHERE topic = {topic:String}", topic=INFERENCES.name)
    finally:
        child.end()
        await client.stop()
        server.stop()


async def test_a_table_that_is_not_there_is_waited_for(
    worker: Worker, producer: KafkaProducer, warehouse: Warehouse
) -> None:
    """Without its table a topic waits, none of it becomes a dead letter, others go on; mended it goes on, too."""
    warehouse.command("RENAME TABLE feedback TO hidden")
    feedback = new_feedback(ids.uuid7(), "user", "thumb", value=1, task="mended")
    try:
        await producer.send(FEEDBACK, feedback.to_json())
        await until(lambda: b"does not take rows of headrace.feedback" in worker.log.read_bytes())
        await producer.send(INFERENCES, pack(some(5, "beside")))
        await until(lambda: count(warehouse, "beside") == (5, 5))
    finally:
        warehouse.command("RENAME TABLE hidden TO feedback")
    await until(lambda: count(warehouse, "mended", "feedback") == (1, 1))
    assert worker.process.poll() is None
    assert not warehouse.rows("SELECT 1 FROM dead_letters WHERE topic = {topic:String}", topic=FEEDBACK.name)


async def test_a_trigger_is_published_when_audits_go_bad_and_not_before(
    worker: Worker, producer: KafkaProducer, warehouse: Warehouse
) -> None:
    """Events in, a drift trigger out: through both topics, both agents and the monitor's timer."""
    story = Story(warehouse)
    story.now = datetime.now(UTC) - timedelta(hours=1)
    live = Served(version="router@5", artifact="a", errors=50, labelled=1000)
    promotion = Promotion(task="router", generation=7, step=Step.STEADY, live=live, since=story.now, at=story.now)
    await producer.send(PROMOTIONS, promotion.to_json(), b"router")
    triggers = "SELECT * FROM triggers FINAL WHERE task = 'router'"
    looked = "SELECT max(n) AS n FROM evaluations WHERE detector = 'policy' AND version = 'router@5'"

    async def tell(n: int, error_rate: float) -> None:
        inferences, feedback = story.answers(n, error_rate, "router@5")
        await producer.send(INFERENCES, pack(inferences))
        await producer.send(LABELS, pack(feedback))

    await tell(300, 0.05)
    await until(lambda: warehouse.rows(looked)[0]["n"] == 300)
    assert warehouse.rows(triggers) == []
    await tell(200, 0.4)
    await until(lambda: len(warehouse.rows(triggers)) == 1)
    row: dict[str, Any] = warehouse.rows(triggers)[0]
    assert (row["kind"], row["detector"], row["generation"]) == ("drift", "shiryaev_roberts", 7)
    assert 0 < row["labels_since_change"] <= 250


def test_a_wrong_plan_is_one_sentence(stack: Settings, tmp_path: Path) -> None:
    """Without a plan the worker says where it looked and exits with 2."""
    lost = stack.replaced(plan=tmp_path / "nowhere.toml")
    code, _, error = run("streams", ["-m", "streams"], env=os.environ | lost.environ())
    assert code == 2
    assert "nowhere.toml" in error and len(error.strip().splitlines()) == 1
