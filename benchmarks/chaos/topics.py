"""What chaos asks of Kafka's topics and of the proof by offsets, and what it does to them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from headrace.bus.kafka import ensure_topics
from headrace.bus.kafka.connection import administration, reader
from headrace.bus.kafka.identity import topic_ids
from headrace.bus.kafka.lag import lag_reader
from headrace.bus.kafka.topics import partitions_of
from headrace.contract.topics import Topic
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from streams.housekeeping_offsets import Offsets
from streams.worker import GROUP

GONE_WITHIN_S = 30.0


async def drained(settings: Settings, topics: Iterable[Topic]) -> bool:
    """Whether the workers have acknowledged all there is."""
    async with lag_reader(settings, GROUP) as lags:
        return not any(lag.records for lag in (await lags.read(topics)).values())


async def identities(settings: Settings, topics: Iterable[Topic]) -> dict[str, str]:
    """The broker's ids of topics, by name."""
    async with reader(settings) as kafka:
        known = await topic_ids(kafka)
    return {topic.name: known[topic.name] for topic in topics}


async def make_again(settings: Settings, topics: Iterable[Topic]) -> None:
    """Delete topics and make others of the same names, with as many partitions."""
    topics = list(topics)
    partitions = (await partitions_of(settings))[topics[0].name]
    names = {topic.name for topic in topics}
    async with administration(settings) as admin:
        await admin.delete_topics(sorted(names))
        async with asyncio.timeout(GONE_WITHIN_S):
            while True:
                if not names & set(await admin.list_topics()):
                    break
                await asyncio.sleep(0.05)
    await ensure_topics(settings.replaced(partitions=partitions), topics)


async def prove(settings: Settings) -> None:
    """A pass of the proof by offsets, as the worker that keeps house makes it now and then."""
    await Offsets(settings, Warehouse.connect(settings), GROUP).look()
