"""Plain Kafka emitters, proven by offsets on the real broker: what is in order is, and what is not is named."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Self

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from router_story import Story

from headrace.bus.kafka import KafkaProducer, ensure_topics
from headrace.bus.kafka.connection import administration, reader
from headrace.bus.kafka.identity import topic_ids
from headrace.bus.kafka.lag import Lag
from headrace.bus.kafka.security import client_options
from headrace.contract.events import Event, new_inference, pack
from headrace.contract.topics import INFERENCES
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams import housekeeping_offsets
from streams.decode import Raw
from streams.housekeeping_offsets import Offsets, Proof
from streams.rules import Rules
from streams.store import Block
from streams.tables import table_of

pytestmark = pytest.mark.stack

GROUP = "test-offsets"


class Topic:
    """One partition, an emitter of it, and a worker that can be told to lose a record."""

    def __init__(self, settings: Settings, warehouse: Warehouse, partition: int) -> None:
        self.settings, self.warehouse, self.partition = settings, warehouse, partition
        self.producer = KafkaProducer(settings)

    async def emit(self, *events: Event, lose: bool = False) -> int:
        value = pack(events)
        offset = await self.producer.send_to(INFERENCES, self.partition, value)
        if not lose:
            self.store(offset, value)
        return offset

    def store(self, offset: int, value: bytes) -> None:
        block = Block(table_of(INFERENCES), Rules())
        block.add(Raw(INFERENCES.name, self.partition, offset, value))
        for letter in block.store(self.warehouse):
            self.warehouse.insert("dead_letters", [letter.to_json()])

    async def commit(self, offset: int) -> None:
        kafka = AIOKafkaConsumer(**client_options(self.settings), group_id=GROUP, enable_auto_commit=False)
        await kafka.start()
        part = TopicPartition(INFERENCES.name, self.partition)
        kafka.assign([part])
        await kafka.commit({part: offset})
        await kafka.stop()

    async def look(self) -> list[Any]:
        found = await Offsets(self.settings, self.warehouse, GROUP).look()
        return [run for run in found if run.partition == self.partition]

    async def identity(self) -> str:
        async with reader(self.settings) as kafka:
            return (await topic_ids(kafka))[INFERENCES.name]

    async def make_again(self) -> None:
        """Delete the topic and make one of the same name, as a lost broker's successor would."""
        await self.producer.stop()
        async with administration(self.settings) as admin:
            await admin.delete_topics([INFERENCES.name])
            async with asyncio.timeout(20):
                while True:
                    if INFERENCES.name not in await admin.list_topics():
                        break
                    await asyncio.sleep(0.05)
        await ensure_topics(self.settings)
        await self.producer.start()

    async def remove_before(self, offset: int) -> None:
        """What retention does."""
        async with administration(self.settings) as admin:
            await admin.delete_records({TopicPartition(INFERENCES.name, self.partition): RecordsToDelete(offset)})

    def proven(self) -> int:
        rows = self.warehouse.query("maintenance/reconcile_proofs")
        return next(
            int(row["proven"]) for row in rows if (row["topic"], row["partition"]) == (INFERENCES.name, self.partition)
        )


@pytest.fixture
async def topic(stack: Settings, warehouse: Warehouse, request: pytest.FixtureRequest) -> AsyncIterator[Topic]:
    made = Topic(stack, warehouse, request.param)
    await made.producer.start()
    yield made
    await made.producer.stop()


def answers(n: int) -> list[Event]:
    return [new_inference("router", "router@0", emitter="plain") for _ in range(n)]


@pytest.mark.parametrize("topic", [0], indirect=True)
async def test_what_is_stored_or_dead_is_proven(topic: Topic) -> None:
    """Rows, dead letters, duplicates that became one row, tombstones, an aborted transaction: all is accounted for."""
    again = answers(3)
    await topic.emit(*again)
    await topic.emit(*answers(2))
    await topic.emit(*again)
    garbage = await topic.producer.send_to(INFERENCES, topic.partition, b"garbage")
    topic.store(garbage, b"garbage")
    async with AIOKafkaProducer(**client_options(topic.settings)) as kafka:
        for nothing in (None, b"null", b'{"after": null, "source": {}, "op": "d"}'):
            await kafka.send_and_wait(INFERENCES.name, nothing, key=b"7", partition=topic.partition)
    async with AIOKafkaProducer(**client_options(topic.settings), transactional_id="aborts") as kafka:
        await kafka.begin_transaction()
        await (await kafka.send(INFERENCES.name, pack(answers(1)), partition=topic.partition))
        await kafka.abort_transaction()
    last = await topic.emit(*answers(1))
    topic.warehouse.command("OPTIMIZE TABLE inferences FINAL")
    await topic.commit(last + 1)
    assert await topic.look() == []
    # The broker writes the mark of an aborted transaction in its own time: before the last record, or after it.
    assert topic.proven() in (last + 1, last + 2)
    assert await topic.look() == []


@pytest.mark.parametrize("topic", [1], indirect=True)
async def test_a_lost_record_is_named_until_it_is_found(topic: Topic) -> None:
    """Acknowledged and stored nowhere: its offsets, its emitter and how many events; stored later, it is explained."""
    await topic.emit(*answers(1))
    lost = answers(4)
    offset = await topic.emit(*lost, lose=True)
    last = await topic.emit(*answers(1))
    await topic.commit(last + 1)
    (run,) = await topic.look()
    assert (run.first, run.last, run.events, run.emitter, run.state) == (offset, offset, 4, "plain", "missing")
    assert [row["place"] for row in topic.warehouse.query("cli/reconcile_gaps")] == ["headrace.inferences/1"]
    assert len(await topic.look()) == 1
    topic.store(offset, pack(lost))
    assert await topic.look() == []
    assert topic.warehouse.query("cli/reconcile_gaps") == []


@pytest.mark.parametrize("topic", [2], indirect=True)
async def test_what_is_not_acknowledged_yet_is_not_missing(topic: Topic) -> None:
    """Lag is no loss: only what the workers committed has to be somewhere."""
    offset = await topic.emit(*answers(1))
    await topic.emit(*answers(5), lose=True)
    await topic.commit(offset + 1)
    assert await topic.look() == []
    assert topic.proven() == offset + 1


@pytest.mark.parametrize("topic", [3], indirect=True)
async def test_an_event_of_a_packed_record_can_be_the_one_that_is_missing(topic: Topic) -> None:
    """A gap whose record holds events that stand elsewhere, and one that does not, names the one."""
    there, lost = answers(3), answers(1)
    await topic.emit(*there)
    offset = await topic.emit(*there, *lost, lose=True)
    await topic.commit(offset + 1)
    (run,) = await topic.look()
    assert (run.first, run.events) == (offset, 1)
    assert json.loads(json.dumps(run.note)).startswith(f"offsets {offset} to {offset}")


@pytest.mark.parametrize("topic", [4], indirect=True)
async def test_what_a_pass_had_no_time_for_is_not_known(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit or a slow broker leaves a run unread, whole or from some offset on; the next pass names what is lost."""
    last = 0
    for events in [answers(1) for _ in range(6)]:
        last = await topic.emit(*events, lose=True)
    await topic.commit(last + 1)
    first = last - 5
    with monkeypatch.context() as slow:
        slow.setattr(housekeeping_offsets, "READ_WITHIN_S", 0.0)
        (run,) = await topic.look()
    assert (run.first, run.last, run.state, topic.proven()) == (first, last, "unread", last + 1)
    with monkeypatch.context() as limited:
        limited.setattr(housekeeping_offsets, "MAX_RECORDS", 2)
        runs = await topic.look()
    assert [(run.first, run.last, run.state) for run in runs] == [
        (first, first + 1, "missing"),
        (first + 2, last, "unread"),
    ]
    with monkeypatch.context() as slow:
        slow.setattr(housekeeping_offsets, "READ_WITHIN_S", 0.0)
        assert sorted(run.state for run in await topic.look()) == ["missing", "unread"]
    runs = await topic.look()
    assert sum(run.events for run in runs) == 6 and {run.state for run in runs} == {"missing"}


@pytest.mark.parametrize("topic", [7], indirect=True)
async def test_a_pass_reads_no_more_bytes_than_it_may(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that holds more is read up to there, and on from there by the next pass."""
    for events in [answers(1) for _ in range(40)]:
        last = await topic.emit(*events, lose=True)
    await topic.commit(last + 1)
    with monkeypatch.context() as limited:
        limited.setattr(housekeeping_offsets, "MAX_BYTES", 1)
        read, left = await topic.look()
    assert (read.state, left.state, read.last + 1, left.last) == ("missing", "unread", left.first, last)
    assert 0 < read.events < 40
    assert sum(run.events for run in await topic.look()) == 40


@pytest.mark.parametrize("topic", [7], indirect=True)
async def test_offsets_of_a_former_topic_are_never_judged_by_the_records_of_this_one(topic: Topic) -> None:
    """What the pass that found the topic made again had no room for is unknown to the next pass, too."""
    last = await topic.emit(*answers(1))
    await topic.commit(last + 1)
    await topic.look()
    own = {"topic": INFERENCES.name, "partition": topic.partition, "checked_at": "2026-01-01 00:00:00"}
    for first, topic_id, state in (
        (last, await topic.identity(), "unread"),
        (last, "former", "unread"),
        (last + 1, "former", "missing"),
        (last + 2, "former#2026-01-01T00:00:00", "unread"),
    ):
        row = own | {"topic_id": topic_id, "first": first, "last": first, "state": state}
        topic.warehouse.insert("offset_gaps", [json.dumps(row).encode()])
    unknown = [run for run in await topic.look() if run.first >= last]
    assert sorted((run.first, run.state) for run in unknown) == [(last + n, "unknown") for n in range(3)]
    assert all("made again" in run.note for run in unknown)
    assert [run for run in await topic.look() if run.first >= last] == []


@pytest.mark.parametrize("topic", [7], indirect=True)
async def test_proofs_follow_each_other_whatever_the_clocks_of_hosts(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass after one of a host whose clock was ahead goes on, and writes down how far it came."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(days=1)

    await topic.commit(await topic.emit(*answers(1)) + 1)
    with monkeypatch.context() as ahead:
        ahead.setattr(housekeeping_offsets, "datetime", Ahead)
        await topic.look()
    last = await topic.emit(*answers(1))
    await topic.commit(last + 1)
    await topic.look()
    rows = topic.warehouse.query("maintenance/reconcile_proofs")
    proven = {(row["topic"], row["partition"]): row["proven"] for row in rows}
    assert proven[INFERENCES.name, topic.partition] == last + 1


def test_partitions_that_a_topic_has_no_more_make_no_pass_long(warehouse: Warehouse) -> None:
    """How far back a pass looks is said by the partitions that it looks at."""
    warehouse.insert("balance_passes", [json.dumps({"until": f"{datetime.now(UTC):%F %T}"}).encode()])
    rows = [
        {"topic": "shrunk", "partition": number, "checked_at": checked_at}
        for number, checked_at in ((0, f"{datetime.now(UTC):%F %T}"), (9, "2020-01-01 00:00:00"))
    ]
    warehouse.insert("offset_proofs", [json.dumps(row).encode() for row in rows])
    origin = {"kafka_topic": "shrunk", "kafka_partition": 0, "kafka_offset": 0, "ingested_at": "2021-01-01 00:00:00"}
    stored = json.loads(answers(1)[0].model_dump_json(exclude={"proof", "extra"})) | origin
    warehouse.insert("inferences", [json.dumps(stored).encode()])
    asked = {"topic": "shrunk", "firsts": [0], "ends": [1], "sinces": ["1970-01-01 00:00:00.000"], "rows": 10}
    assert [row["last"] for row in warehouse.query("maintenance/reconcile_offsets", partitions=[0], **asked)] == [0]
    # The other one was looked at longer ago than the row came.
    asked |= {"firsts": [0, 0], "ends": [1, 0], "sinces": asked["sinces"] * 2}
    assert warehouse.query("maintenance/reconcile_offsets", partitions=[0, 9], **asked) == []


@pytest.mark.parametrize("topic", [6], indirect=True)
async def test_what_the_broker_removed_is_lost_or_not_known(topic: Topic, story: Story) -> None:
    """Removed before it was proven it is lost; to a warehouse that never looked, as after a loss, it is unknown."""
    for _ in range(6):
        last = await topic.emit(*answers(1), lose=True)
    assert await topic.look() == []
    await topic.remove_before(2)
    await topic.commit(3)
    runs = sorted(await topic.look(), key=lambda run: run.first)
    assert [(run.first, run.last, run.state) for run in runs] == [(0, 1, "lost"), (2, 2, "missing")]
    anew = await Offsets(topic.settings, story.sink, GROUP).look()
    runs = sorted([run for run in anew if run.partition == topic.partition], key=lambda run: run.first)
    assert [(run.first, run.last, run.state) for run in runs] == [(0, 1, "unknown"), (2, 2, "missing")]
    await topic.remove_before(5)
    await topic.commit(last + 1)
    runs = sorted(await topic.look(), key=lambda run: run.first)
    assert [(run.first, run.last, run.state) for run in runs] == [(2, 2, "lost"), (3, 4, "lost"), (5, 5, "missing")]
    assert (runs[0].emitter, runs[0].events) == ("plain", 1)


@pytest.mark.parametrize("topic", [5], indirect=True)
async def test_a_topic_that_is_made_again_is_not_taken_for_the_former(topic: Topic) -> None:
    """Other records under proven offsets: what the former held is unknown, what the new one lost is named by its id."""
    for _ in range(3):
        await topic.emit(*answers(1))
    await topic.commit(3)
    assert await topic.look() == [] and topic.proven() == 3
    await topic.emit(*answers(1), lose=True)
    former = await topic.identity()
    await topic.make_again()
    assert await topic.identity() != former
    stored, lost = answers(2), answers(3)
    assert await topic.emit(*stored) == 0
    offset = await topic.emit(*lost, lose=True)
    for _ in range(4):
        last = await topic.emit(*answers(1))
    await topic.commit(last + 1)
    unknown, missing = sorted(await topic.look(), key=lambda run: run.state, reverse=True)
    assert (unknown.state, unknown.first) == ("unknown", 3) and "made again" in unknown.note
    assert (missing.first, missing.last, missing.events, missing.state) == (0, last, 3, "missing")
    assert f"offsets {offset} to {offset}" in missing.note
    topic.store(offset, pack(lost))
    assert await topic.look() == [] and topic.proven() == last + 1
    assert [row["state"] for row in topic.warehouse.query("cli/reconcile_gaps") if row["place"].endswith("/5")] == [
        "unknown"
    ]


def test_offsets_that_went_back_are_another_topic() -> None:
    """Without ids from the broker a partition that is shorter than it was is not the same one."""
    former = Proof("", proven=90, begin=10, end=96)
    assert former.holds(Lag(10, 96, 96), "") and former.holds(Lag(20, 99, 99), "")
    assert not former.holds(Lag(10, 12, 95), "") and not former.holds(Lag(0, 99, 99), "")
    assert former.holds(Lag(10, 96, 96), "a") and Proof("a#2026-11-28T14:00:00").holds(Lag(0, 0, 0), "a")
    assert not Proof("a").holds(Lag(0, 0, 0), "b")
