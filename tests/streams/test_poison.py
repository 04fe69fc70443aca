"""When a partition is mostly poison: the decision, and the worker that stops it, stays stopped and goes on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from router_story import PLAN
from warm_processes import HEADRACE, Popen, run

from headrace.bus.kafka import KafkaProducer
from headrace.contract.control import DeadLetter
from headrace.contract.events import Event, new_inference, pack
from headrace.contract.topics import INFERENCES
from headrace.settings import Settings
from headrace.warehouse import MemorySink, Warehouse
from streams.decode import Raw
from streams.health import Metrics
from streams.poison import Gate, Limits, Window, bad_events
from streams.rules import Rules
from streams.store import Block
from streams.tables import table_of

TOPIC = INFERENCES.name
LIMITS = Limits(window=20, least=5, share=0.5)


class Rows:
    """What people and workers wrote down, as the warehouse would answer; its clock."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = list(rows)

    def query(self, name: str, **_: Any) -> list[dict[str, Any]]:
        return [{"next": datetime.now(UTC)}] if name == "shared/deadletters_next" else self.rows


def letter(record: Raw, index: int = -1) -> DeadLetter:
    return DeadLetter(
        topic=record.topic, partition=record.partition, offset=record.offset, record_index=index,
        at=datetime.now(UTC), reason="not JSON", original=b64encode(record.value or b"").decode(),
    )  # fmt: skip


def records(n: int, partition: int = 0, first: int = 0, value: bytes = b"bad") -> list[Raw]:
    return [Raw(TOPIC, partition, first + number, value) for number in range(n)]


def gate(*rows: dict[str, Any]) -> Gate:
    made = Gate(MemorySink(), Rows(*rows), "streams-0", limits=LIMITS)
    made.read()
    return made


def test_a_few_bad_events_stop_nothing() -> None:
    """Below the least number of bad events, and below the share, a partition goes on."""
    window = Window(LIMITS)
    for _ in range(4):
        window.add(1, 1)
    assert not window.crossed
    steady = Window(LIMITS)
    for number in range(1000):
        steady.add(int(number % 3 == 0), 1)
    assert not steady.crossed


def test_limits_count_events() -> None:
    """A record of thousands of bad events is as much poison as thousands of records; good events weigh as much."""
    bad, good = Raw(TOPIC, 0, 0, b"", events=3000), Raw(TOPIC, 0, 1, b"", events=2000)
    letters = [letter(bad, index) for index in range(3000)]
    (stop,) = Gate(MemorySink(), Rows(), "streams-0").judge([bad], letters).stops
    assert (stop.offset, stop.events, stop.poison) == (0, 3000, 3000)
    fewer = bad._replace(events=1500)
    assert Gate(MemorySink(), Rows(), "streams-0").judge([good, fewer], letters[:1500]).stops == []


def test_an_old_record_leaves_the_window_whole() -> None:
    """The window covers the last events: what came before them counts no longer."""
    window = Window(LIMITS)
    window.add(30, 30)
    for _ in range(19):
        window.add(0, 1)
    assert (window.poison, window.events) == (30, 49)
    window.add(0, 1)
    assert (window.poison, window.events) == (0, 20)


def test_mostly_poison_stops_the_partition_where_it_crosses_the_limit() -> None:
    """The letters before the limit go on; the record that crosses it and those after it do not."""
    bad, fine = records(8), records(3, partition=1, value=b"{}")
    judged = gate().judge([*bad, *fine], [letter(record) for record in bad])
    assert [one.offset for one in judged.letters] == [0, 1, 2, 3]
    assert [judged.takes(record) for record in bad] == [True] * 4 + [False] * 4
    assert all(judged.takes(record) for record in fine)
    (stop,) = judged.stops
    assert (stop.partition, stop.offset, stop.reason) == (0, 4, "not JSON")
    assert "headrace deadletters accept headrace.inferences/0" in str(stop)


def test_a_record_counts_by_its_bad_events() -> None:
    """A packed record counts by its events that are bad, and by all of them where it is one dead letter."""
    record = Raw(TOPIC, 0, 0, json.dumps([{}] * 50).encode(), events=50)
    assert bad_events(record, [letter(record, 7)]) == 1
    assert bad_events(record, [letter(record)]) == 50
    assert bad_events(record, []) == 0


def test_records_that_hold_no_event_are_no_poison() -> None:
    """A thousand tombstones stop nothing and are no event of the window; they are counted."""
    metrics = Metrics()
    made = Gate(MemorySink(), Rows(), "streams-0", metrics.dead, metrics.empty, LIMITS)
    block = Block(table_of(INFERENCES), Rules())
    deleted = b'{"before": null, "after": null, "source": {}, "op": "d"}'
    for number in range(1000):
        block.add(Raw(TOPIC, 0, number, (None, b"null", deleted)[number % 3]))
    judged = made.judge(block.records, block.store(MemorySink()))
    assert (judged.letters, judged.stops, judged.refused) == ([], [], {})
    assert metrics.registry.get_sample_value("headrace_records_without_events_total", {"topic": TOPIC}) == 1000


def test_a_stopped_partition_stays_stopped_for_the_next_worker() -> None:
    """What the table says holds from the start, and a stop of this worker stays until somebody accepts it."""
    stopped = gate({"topic": TOPIC, "partition": 3, "state": "stopped", "offset": 9, "through": 0})
    assert (TOPIC, 3) in stopped.stopped
    judged = stopped.judge(records(2, partition=3, first=9), [])
    assert not any(judged.takes(record) for record in records(2, partition=3, first=9))
    assert judged.stops == []


def test_an_accepted_partition_goes_on_without_limits_below_an_offset() -> None:
    """A person's permission covers the offsets it names, and not one more."""
    rows = Rows({"topic": TOPIC, "partition": 0, "state": "stopped", "offset": 0, "through": 0})
    made = Gate(MemorySink(), rows, "streams-0", limits=LIMITS)
    made.read()
    rows.rows[0] |= {"state": "accepted", "through": 100}
    assert made.read() == [(TOPIC, 0)] and not made.stopped and made.read() == []
    below, above = records(100), records(5, first=100)
    assert made.judge(below, [letter(record) for record in below]).stops == []
    judged = made.judge(above, [letter(record) for record in above])
    assert judged.stops[0].offset == 100 and judged.letters == []


def test_a_stop_is_written_down() -> None:
    """The row says where it stopped and why, for the person who will let it go on."""
    sink = MemorySink()
    made = Gate(sink, Rows(), "streams-0", limits=LIMITS)
    bad = records(6)
    made.tell(made.judge(bad, [letter(record) for record in bad]).stops)
    (row,) = [json.loads(line) for line in sink.tables["stopped_partitions"]]
    assert (row["topic"], row["offset"], row["state"], row["by"]) == (TOPIC, 4, "stopped", "streams-0")


def test_the_last_word_counts_whatever_the_clocks_of_hosts(empty_warehouse: Warehouse) -> None:
    """A stop that follows a permission from a host whose clock is ahead holds, for this worker and for the next one."""
    write(empty_warehouse, state="accepted", at=datetime.now(UTC) + timedelta(minutes=5), offset=5, through=10)
    made = Gate(empty_warehouse, empty_warehouse, "streams-0", limits=LIMITS)
    made.read()
    for first in (10, 40):
        bad = records(20, first=first)
        judged = made.judge(bad, [letter(record) for record in bad])
        made.tell(judged.stops)
        assert made.read() == [] and made.stopped == {(TOPIC, 0)}
    assert stopped(empty_warehouse) == ["stopped"]
    after = Gate(empty_warehouse, empty_warehouse, "streams-1", limits=LIMITS)
    after.read()
    assert after.stopped == {(TOPIC, 0)}


def test_a_permission_is_of_the_topic_that_it_was_given_for(empty_warehouse: Warehouse) -> None:
    """Where the topic was made again, records from 0 on are held to the limits; so are all once that is known."""
    write(empty_warehouse, state="accepted", at=datetime.now(UTC), offset=9_000, through=10_000)
    made = Gate(empty_warehouse, empty_warehouse, "streams-0", limits=LIMITS)
    made.read()
    permitted, below = records(30, first=9_000 - LIMITS.window), records(30)
    assert made.judge(permitted, [letter(record) for record in permitted]).stops == []
    assert made.judge(below, [letter(record) for record in below]).stops != []
    since = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    proof = {"topic": TOPIC, "partition": 0, "since": since, "checked_at": since}
    empty_warehouse.insert("offset_proofs", [json.dumps(proof).encode()])
    made = Gate(empty_warehouse, empty_warehouse, "streams-0", limits=LIMITS)
    made.read()
    assert made.judge(permitted, [letter(record) for record in permitted]).stops != []
    write(empty_warehouse, state="accepted", at=datetime.now(UTC) + timedelta(seconds=2), offset=9_000, through=10_000)
    made = Gate(empty_warehouse, empty_warehouse, "streams-0", limits=LIMITS)
    made.read()
    assert made.judge(permitted, [letter(record) for record in permitted]).stops == []


@pytest.mark.stack
async def test_a_partition_of_poison_waits_for_a_person_and_the_others_go_on(
    stack: Settings, warehouse: Warehouse
) -> None:
    """Stopped through a SIGKILL and a restart, alarmed; accepted, all of it is stored or a dead letter."""
    plan = stack.home / "flywheel.toml"
    plan.write_text(PLAN)
    settings = stack.replaced(plan=plan)
    producer = KafkaProducer(settings)
    await producer.start()
    good = [new_inference("router", "router@0", session_id=str(number)) for number in range(40)]
    child = start(settings)
    try:
        # Without an id each element is a dead letter of its own: few records, many events.
        poison = b"[" + b",".join([b"7"] * 1000) + b"]"
        for _ in range(3):
            await producer.send_to(INFERENCES, 2, poison)
        await producer.send_to(INFERENCES, 2, pack(good[:20]))
        await until(lambda: stopped(warehouse) == ["stopped"])
        await producer.send_to(INFERENCES, 5, pack(good[20:]))
        await until(lambda: stored(warehouse, good[20:]) == 20)
        assert dead(warehouse) < 1000
        child.send_signal(signal.SIGKILL)
        child.wait(30)
        more: list[Event] = [new_inference("router", "router@0")]
        child = start(settings)
        await producer.send_to(INFERENCES, 5, pack(more))
        await until(lambda: stored(warehouse, more) == 1)
        assert dead(warehouse) < 1000
        done = await asyncio.to_thread(command, settings, "deadletters", "accept", f"{TOPIC}/2")
        assert "goes on" in done, done
        supervisor = asyncio.create_task(asyncio.to_thread(child.wait, 60))
        await supervisor
        child = start(settings)
        await until(lambda: stored(warehouse, good[:20]) == 20 and dead(warehouse) == 3000)
        assert stopped(warehouse) == ["accepted"]
        assert "is not stopped" in await asyncio.to_thread(command, settings, "deadletters", "accept", f"{TOPIC}/2")
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)
        await producer.stop()


def start(settings: Settings) -> Popen:
    with (settings.home / "poison.log").open("ab") as log:
        argv = ["-m", "streams", "--name", "streams-0"]
        return Popen("streams", argv, env=os.environ | settings.environ(), stdout=log, stderr=log)


def command(settings: Settings, *arguments: str) -> str:
    _, out, err = run("headrace", [*HEADRACE, *arguments], env=os.environ | settings.environ())
    return out + err


def write(warehouse: Warehouse, at: datetime, **fields: Any) -> None:
    """A row on partition 0, as a worker or a person left it."""
    row = {"topic": TOPIC, "partition": 0, "at": at.isoformat(), "reason": "not JSON", "by": "ann", **fields}
    warehouse.insert("stopped_partitions", [json.dumps(row).encode()])


def stopped(warehouse: Warehouse) -> list[str]:
    return [row["state"] for row in warehouse.query("shared/deadletters_stopped")]


def dead(warehouse: Warehouse) -> int:
    return int(warehouse.rows("SELECT count() AS n FROM dead_letters FINAL")[0]["n"])


def stored(warehouse: Warehouse, events: list[Any]) -> int:
    ids = [str(event.event_id) for event in events]
    sql = "SELECT count() AS n FROM inferences FINAL WHERE toString(inference_id) IN {ids:Array(String)}"
    return int(warehouse.rows(sql, ids=ids)[0]["n"])


async def until(holds: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < deadline, f"not within {within_s} s"
        await asyncio.sleep(0.1)
