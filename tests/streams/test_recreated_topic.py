"""A topic that is deleted and made again while a worker reads it: its offsets begin at 0 again."""

from __future__ import annotations

import asyncio
import signal

import pytest
from router_story import Story
from worker_process import Worker, count, some, until

from headrace.bus.kafka import KafkaProducer, ensure_topics
from headrace.bus.kafka.connection import administration
from headrace.contract.events import pack
from headrace.contract.topics import INFERENCES
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams.decode import Raw
from streams.rules import Rules
from streams.store import store
from streams.tables import table_of


async def make_again(settings: Settings) -> None:
    async with administration(settings) as admin:
        await admin.delete_topics([INFERENCES.name])
        async with asyncio.timeout(20):
            while True:
                if INFERENCES.name not in await admin.list_topics():
                    break
                await asyncio.sleep(0.01)
    await ensure_topics(settings)


@pytest.mark.parametrize(
    ("partition", "read_before"), [(0, 30), (1, 3)], ids=["shorter than the former", "grown past it"]
)
async def test_what_comes_after_a_topic_is_made_again_is_stored(
    settings: Settings, producer: KafkaProducer, warehouse: Warehouse, partition: int, read_before: int
) -> None:
    """Where a worker does not notice the moment without the topic, all records of the new one are stored."""
    worker, former, made_again = Worker(settings), f"former-{read_before}", f"made-again-{read_before}"

    def stored() -> bool:
        nonlocal worker
        if worker.process.poll() is not None:
            worker = Worker(settings)
        return count(warehouse, made_again) == (20, 20)

    try:
        for event in some(read_before, former):
            await producer.send_to(INFERENCES, partition, pack([event]))
        await until(lambda: count(warehouse, former) == (read_before, read_before))
        worker.process.send_signal(signal.SIGSTOP)
        await make_again(settings)
        await producer.start()
        for event in some(20, made_again):
            await producer.send_to(INFERENCES, partition, pack([event]))
        worker.process.send_signal(signal.SIGCONT)
        await until(stored, within_s=40)
        assert count(warehouse, former) == (read_before, read_before)
    finally:
        worker.end()


def test_dead_letters_of_both_topics_are_kept(story: Story) -> None:
    """A dead letter of the topic that was made again does not replace the former's at the same offset."""
    for value in (b"garbage of the former", b"garbage of the new"):
        for letter in store([Raw(INFERENCES.name, 0, 7, value)], table_of(INFERENCES), story.sink, Rules()):
            story.sink.insert("dead_letters", [letter.to_json()])
    assert story.sink.rows("SELECT count() AS n FROM dead_letters FINAL") == [{"n": 2}]
