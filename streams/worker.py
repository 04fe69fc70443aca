"""The Faust worker: one agent a topic, which acknowledges a record only after its rows are stored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import faust
from faust.types import TP

from headrace.contract.control import DeadLetter
from headrace.contract.topics import DEAD_LETTERS, TOPICS
from headrace.settings import Settings
from headrace.warehouse import Sink
from streams import unowned
from streams.copier import Copier
from streams.decode import Raw
from streams.patience import Patience
from streams.poison import Gate, Judged
from streams.pressure import Pressure
from streams.rules import Rules
from streams.tables import TABLES, Table
from streams.transport import CommittedApp, broker_options
from streams.watchdog import LOOK_EVERY_S, Watchdog

log = logging.getLogger(__name__)

GROUP = "headrace-streams"
METADATA_MS = 5_000
"""How soon a worker that leads the group sees that a topic has more partitions, and the group shares them out."""


def build(settings: Settings, name: str, rules: Rules, sink: Sink, patience: Patience, gate: Gate) -> CommittedApp:
    """The app of the worker called `name`; starting it needs the topics to exist.

    name: the worker's slot: a worker restarted under the same name takes its partitions back at once
    rules: what events must meet
    gate: knows the partitions that stand still because of poison
    """
    folder = settings.home / "streams"
    folder.mkdir(parents=True, exist_ok=True)
    app = CommittedApp(
        GROUP,
        pressure=Pressure(TOPICS),
        **broker_options(settings),
        consumer_group_instance_id=name,
        datadir=folder / name,
        store="memory://",
        table_standby_replicas=0,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_commit_interval=1.0,
        consumer_metadata_max_age_ms=METADATA_MS,
        broker_session_timeout=45.0,
        broker_rebalance_timeout=60.0,
        stream_wait_empty=False,
        producer_acks=-1,
        producer_compression_type="lz4",
        producer_max_request_size=DEAD_LETTERS.max_record_bytes,
        worker_redirect_stdouts=False,
        cython_optimizations=True,
    )
    for table in TABLES:
        _agent(app, table, rules, sink, patience, gate)
    app.timer(LOOK_EVERY_S, name="watchdog")(Watchdog(app, app.pressure, lambda: gate.stopped).look)

    async def watch_partitions() -> None:
        await unowned.watch(app, settings, GROUP)

    app.task(watch_partitions)
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


def _agent(app: CommittedApp, table: Table, rules: Rules, sink: Sink, patience: Patience, gate: Gate) -> None:
    name = table.topic.name
    lane = app.pressure.lanes[name]
    topic = app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def tell(letter: DeadLetter) -> None:
        await publish(app, DEAD_LETTERS.name, letter.topic, letter.to_json())

    async def judge(records: Sequence[Raw], letters: Sequence[DeadLetter]) -> Judged:
        judged = gate.judge(records, letters)
        if judged.stops:
            await patience.keep_trying(partial(gate.tell, judged.stops), lane)
            for stop in judged.stops:
                log.error("%s", stop)
        return judged

    async def copy(stream: Any) -> None:
        async def acknowledge(events: Sequence[Any]) -> None:
            for event in events:
                await stream.ack(event)

        async def store() -> None:
            try:
                await copier.run()
            except Exception as error:
                # Nothing more is acknowledged: the supervisor starts the worker again and it rereads from here.
                await app.crash(error)

        # Faust would acknowledge an event when the next one is asked for; here that is left to the copier.
        stream.enable_acks = False
        lane.begin(stream.channel.queue)
        copier = Copier(table, rules, sink, patience, tell, acknowledge, lane, None if table.is_last_resort else judge)
        storing = asyncio.create_task(store())
        try:
            async for event in stream.events():
                record = _raw(event)
                if (record.topic, record.partition) in gate.stopped:
                    # Not acknowledged: it is read again when the partition goes on.
                    app.consumer.pause_partitions({TP(record.topic, record.partition)})
                    continue
                await copier.take(record, event)
        finally:
            storing.cancel()

    app.agent(topic, name=f"copy-{name}")(copy)


def _raw(event: Any) -> Raw:
    message = event.message
    return Raw(message.topic, message.partition, message.offset, message.value)
