"""Reads from Kafka: committed transactions only, and commits when told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from headrace.bus.kafka.connection import by_partition, explained, stop, translated
from headrace.bus.kafka.security import client_options
from headrace.bus.protocol import Message
from headrace.contract.topics import Topic
from headrace.errors import HeadraceError
from headrace.settings import Settings

_MOVED = (CommitFailedError, IllegalGenerationError, IllegalStateError, RebalanceInProgressError, UnknownMemberIdError)


class KafkaConsumer:
    """Reads records; see headrace.bus.protocol.Consumer.

    group: None reads every partition from the beginning and commits nothing
    instance: a name that a restarted member keeps (static membership): it gets its partitions back at once
    """

    def __init__(
        self,
        settings: Settings,
        topics: Iterable[Topic],
        group: str | None = None,
        client_id: str = "headrace",
        instance: str = "",
    ) -> None:
        self._settings = settings
        self._topics = tuple(topics)
        self._group = group
        self._client_id = client_id
        self._instance = instance
        self._kafka: AIOKafkaConsumer | None = None
        self._paused = False

    async def start(self) -> None:
        """See Consumer.start. Returns once partitions are assigned."""
        kafka = AIOKafkaConsumer(
            **client_options(self._settings),
            client_id=self._client_id,
            group_id=self._group,
            group_instance_id=self._instance or None if self._group else None,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # A killed member's partitions stand still for this long; heartbeats need the event loop well within it.
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            max_poll_interval_ms=600_000,
            request_timeout_ms=15_000,
            metadata_max_age_ms=30_000,
        )
        kafka.subscribe([topic.name for topic in self._topics], listener=_KeepPaused(self))
        try:
            await kafka.start()
        except (KafkaError, OSError) as error:
            await stop(kafka)
            raise await explained(error, self._settings) from error
        except BaseException:
            await stop(kafka)
            raise
        self._kafka = kafka

    def assigned(self) -> frozenset[tuple[str, int]]:
        """The partitions that this member owns now, as (topic, partition)."""
        return frozenset((part.topic, part.partition) for part in self._started.assignment())

    async def read(self, timeout_s: float, limit: int = 500) -> Sequence[Message]:
        """See Consumer.read. Raises HeadraceError where Kafka refuses; a broker that is away reads as empty."""
        try:
            found = await self._started.getmany(timeout_ms=int(timeout_s * 1000), max_records=limit)
        except (KafkaError, ConsumerStoppedError) as error:
            raise translated(error, self._settings) from error
        return [
            Message(part.topic, part.partition, record.offset, record.key, record.value)
            for part, records in found.items()
            for record in records
        ]

    async def commit(self, offsets: Mapping[tuple[str, int], int] | None = None) -> None:
        """See Consumer.commit. A partition that moved to another member is left out: that one reads it again."""
        kafka = self._started
        if self._group is None:
            raise HeadraceError("a consumer without a group has nothing to commit to")
        owned = kafka.assignment()
        chosen = None if offsets is None else {p: o for p, o in by_partition(offsets).items() if p in owned}
        if chosen == {} or not owned:
            return
        try:
            async with asyncio.timeout(30):
                await kafka.commit(chosen)
        except _MOVED:
            return
        except (KafkaError, TimeoutError) as error:
            raise translated(error, self._settings) from error

    async def rewind(self) -> None:
        """Go back to the committed offsets: what was read and not committed is read again."""
        kafka = self._started
        for part in kafka.assignment():
            committed = await kafka.committed(part) if self._group else None
            # The group may have committed nothing yet, or the partition may have moved meanwhile.
            with contextlib.suppress(IllegalStateError):
                if committed is None:
                    await kafka.seek_to_beginning(part)
                else:
                    kafka.seek(part, committed)

    def pause(self) -> None:
        """From now on `read` returns nothing yet keeps the membership alive, through rebalances too."""
        self._paused = True
        self._started.pause(*self._started.assignment())

    def resume(self) -> None:
        """Undo `pause`; nothing was skipped."""
        self._paused = False
        self._started.resume(*self._started.paused())

    async def stop(self) -> None:
        """See Consumer.stop."""
        kafka, self._kafka = self._kafka, None
        if kafka is not None:
            await stop(kafka)

    @property
    def _started(self) -> AIOKafkaConsumer:
        if self._kafka is None:
            raise HeadraceError("the consumer is not started")
        return self._kafka


class _KeepPaused(ConsumerRebalanceListener):
    """aiokafka forgets pauses in a rebalance."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: object) -> None: ...

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        if self._consumer._paused and self._consumer._kafka is not None:
            self._consumer._kafka.pause(*assigned)
