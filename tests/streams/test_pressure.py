"""Back-pressure: a table that refuses rows holds up its own topic, within bounds of memory, and nothing else."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator

import httpx
import pytest
from worker_process import Worker, count, until

from benchmarks.refusing import Front, refusing
from headrace.bus.kafka import KafkaProducer
from headrace.contract import ids
from headrace.contract.events import new_feedback, new_inference, pack
from headrace.contract.topics import FEEDBACK, INFERENCES, MIB
from headrace.process.readiness import health_file
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams.pressure import OF_EVENTS, POLL_BYTES, Lane, MeasuredQueue, Pressure

RECORDS, PACKED, TEXT = 340, 8, "x" * 65_000
"""170 MiB: more than a worker may hold of a topic, and more than the 256 records that once were the bound."""


@pytest.fixture
def front(settings: Settings) -> Iterator[Front]:
    with refusing(settings.clickhouse) as front:
        yield front


def test_a_topic_is_paused_at_the_high_mark_until_it_is_below_the_low_one() -> None:
    """Between the marks it stays as it is; the other topics are not touched."""
    pressure = Pressure([INFERENCES, FEEDBACK])
    lane = pressure.lanes[INFERENCES.name]
    steps = [
        (OF_EVENTS.high - 1, False),
        (OF_EVENTS.high, True),
        (OF_EVENTS.low + 1, True),
        (OF_EVENTS.low, False),
        (OF_EVENTS.high - 1, False),
    ]
    for held, paused in steps:
        lane.in_blocks = held
        assert pressure.paused() == ({INFERENCES.name} if paused else set())
    assert pressure.rested() == {INFERENCES.name} and pressure.rested() == set()


async def test_one_refusing_table_holds_up_its_own_topic_only(
    settings: Settings, front: Front, producer: KafkaProducer, warehouse: Warehouse
) -> None:
    """With 170 MiB waiting for a table that refuses, feedback is as fast as before, memory is bounded, a rebalance
    lifts no pause, no worker ends, and once the table takes rows each event is stored once."""
    behind = settings.replaced(clickhouse=front.url)
    worker = Worker(behind)
    another = None
    try:
        await store_feedback(producer, warehouse)
        before = statistics.median([await store_feedback(producer, warehouse) for _ in range(4)])
        front.refuses = frozenset({"inferences"})
        await asyncio.gather(
            *[producer.send_to(INFERENCES, number % INFERENCES.partitions, record) for number, record in records()]
        )
        await until(lambda: figure(behind, 'headrace_paused{topic="headrace.inferences"}') == 1)
        during = statistics.median([await store_feedback(producer, warehouse) for _ in range(4)])
        assert during <= 1.5 * before + 0.25
        another = Worker(behind, "streams-1")
        await until(lambda: answer(behind, "/readyz", "streams-1").startswith("ready"))
        await store_feedback(producer, warehouse)
        await until(lambda: figure(behind, 'headrace_paused{topic="headrace.inferences"}') == 1)
        held = figure(behind, 'headrace_held_bytes{topic="headrace.inferences"}')
        assert OF_EVENTS.low <= held <= OF_EVENTS.high + POLL_BYTES + 8 * MIB
        assert "headrace.inferences waits, the warehouse refuses its rows (code 252)" in answer(behind, "/livez")
        assert count(warehouse, "held") == (0, 0) and front.refused > 3
        front.refuses = frozenset()
        await until(lambda: count(warehouse, "held") == (RECORDS * PACKED, RECORDS * PACKED))
        assert worker.process.poll() is None and another.process.poll() is None
    finally:
        worker.end()
        if another is not None:
            another.end()


async def test_what_a_rebalance_forgets_is_not_held_any_more(settings: Settings) -> None:
    """Faust empties its queues in a rebalance: their bytes no longer count, and the records are read again."""
    from mode.utils.queues import FlowControlEvent

    control = FlowControlEvent(initially_suspended=False)
    queue = MeasuredQueue(flow_control=control, clear_on_resume=True)
    lane = Lane(INFERENCES)
    lane.begin(queue)
    for _ in range(3):
        queue.put_nowait(_Event(b"x" * 1000))
    assert lane.held == 3 * 2024
    queue.get_nowait()
    assert lane.held == 2 * 2024
    control.resume()
    assert lane.held == 0


def records() -> Iterator[tuple[int, bytes]]:
    """Large records, numbered."""
    for number in range(RECORDS):
        yield number, pack([new_inference("held", "r@1", session_id=str(number), input=TEXT) for _ in range(PACKED)])


class _Event:
    def __init__(self, value: bytes) -> None:
        self.message = self
        self.value = value


async def store_feedback(producer: KafkaProducer, warehouse: Warehouse) -> float:
    """Seconds from emitting a thumb until a query finds it."""
    task = f"lag-{ids.uuid7()}"
    began = time.monotonic()
    await producer.send(FEEDBACK, new_feedback(ids.uuid7(), "user", "thumb", value=1, task=task).to_json())
    while count(warehouse, task, "feedback") != (1, 1):
        assert time.monotonic() - began < 30, "feedback is held up"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


def answer(settings: Settings, path: str, name: str = "streams-0") -> str:
    try:
        url = health_file(settings.home, name).read_text().strip()
        return httpx.get(url + path, trust_env=False, timeout=2).text
    except (OSError, httpx.HTTPError):
        return ""


def figure(settings: Settings, name: str) -> float:
    """The metric of that name and labels; -1 where it is not told."""
    lines = answer(settings, "/metrics").splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.rsplit(" ", 1)[0] == name), -1.0)
