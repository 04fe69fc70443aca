"""The Faust worker: one agent a topic, which acknowledges a record only after its rows are stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import faust
from faust.types import TP

from headrace.settings import Settings
from headrace.topics import DEAD_LETTERS
from headrace.warehouse import Sink
from streams.budget import ByteBudget
from streams.decode import Raw
from streams.patience import Patience
from streams.store import blocks, store
from streams.tables import TABLES, Table
from streams.transport import CommittedApp
from streams.watchdog import LOOK_EVERY_S, Watchdog

GROUP = "headrace-streams"
# An agent takes what came within this time, at most so many records (one holds 1 to some 200 events) and bytes.
TAKE_WITHIN_S = 0.2
TAKE_RECORDS = 400
TAKE_BYTES = 32 * 1024 * 1024
# Records that wait between Faust's consumer and an agent.
BUFFER_RECORDS = 64


def build(settings: Settings, name: str, sink: Sink, patience: Patience) -> faust.App:
    """The app of the worker called `name`; starting it needs the topics to exist.

    name: the worker's slot: a worker restarted under the same name takes its partitions back at once
    """
    folder = settings.home / "streams"
    folder.mkdir(parents=True, exist_ok=True)
    app = CommittedApp(
        GROUP,
        broker=[f"kafka://{server}" for server in settings.kafka.split(",")],
        consumer_group_instance_id=name,
        datadir=folder / name,
        store="memory://",
        table_standby_replicas=0,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_commit_interval=1.0,
        broker_session_timeout=45.0,
        broker_rebalance_timeout=60.0,
        stream_wait_empty=False,
        stream_buffer_maxsize=BUFFER_RECORDS,
        producer_acks=-1,
        producer_compression_type="lz4",
        producer_max_request_size=DEAD_LETTERS.max_record_bytes,
        worker_redirect_stdouts=False,
    )
    busy: set[str] = set()
    for table in TABLES:
        _agent(app, table, sink, patience, busy)
    app.timer(LOOK_EVERY_S, name="watchdog")(Watchdog(app, busy).look)
    return app


def when_consuming(app: faust.App, report: Callable[[], None]) -> None:
    """Call `report` each time the worker has its partitions and reads them."""

    async def rebalanced(app: faust.App, **_: Any) -> None:
        report()

    # Faust keeps weak references to receivers.
    app.on_rebalance_complete.connect(rebalanced, weak=False)


def owns(app: faust.App, topic: str, partition: int = 0) -> bool:
    """Whether this worker reads that partition now."""
    return TP(topic, partition) in app.consumer.assignment()


async def publish(app: faust.App, topic: str, key: str, value: bytes) -> None:
    """Returns when every in-sync replica has the record."""
    channel = app.topic(topic, key_serializer="raw", value_serializer="raw")
    await (await channel.send(key=key.encode(), value=value))


def _agent(app: faust.App, table: Table, sink: Sink, patience: Patience, busy: set[str]) -> None:
    name = table.topic.name
    topic = app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def copy(stream: Any) -> AsyncIterator[None]:
        budget = ByteBudget(TAKE_BYTES)
        stream.add_processor(budget.admit)
        # `take` acknowledges in `finally`, so an exception would lose the batch; noack_take leaves it to us.
        async for events in stream.noack_take(TAKE_RECORDS, within=TAKE_WITHIN_S):
            busy.add(name)
            try:
                await _copy(app, table, sink, patience, stream, events, budget)
            except Exception as error:
                # Nothing more is acknowledged: the supervisor starts the worker again and it rereads from here.
                await app.crash(error)
                await asyncio.Event().wait()
            busy.discard(name)
            yield

    app.agent(topic, name=f"copy-{table.name}")(copy)


async def _copy(
    app: faust.App,
    table: Table,
    sink: Sink,
    patience: Patience,
    stream: Any,
    events: Sequence[Any],
    budget: ByteBudget,
) -> None:
    """Store a batch block by block; acknowledge each block once its rows and its dead letters are safe."""
    raws = [_raw(event) for event in events]
    done = 0
    for block in blocks(raws):
        letters = await patience.keep_trying(partial(store, block, table, sink))
        for letter in letters:
            await publish(app, DEAD_LETTERS.name, letter.topic, letter.to_json())
        for event in events[done : done + len(block)]:
            await stream.ack(event)
        done += len(block)
        budget.release(sum(len(raw.value or b"") for raw in block))


def _raw(event: Any) -> Raw:
    message = event.message
    return Raw(message.topic, message.partition, message.offset, message.value)
