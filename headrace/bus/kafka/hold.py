"""The right to write for one partition: what an owner writes, and how far it has answered, are one transaction."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from aiokafka.partitioner import DefaultPartitioner

from headrace.bus.kafka.producer import KafkaProducer
from headrace.bus.protocol import Message
from headrace.contract.events import Record
from headrace.contract.topics import Topic
from headrace.errors import Fenced, HeadraceError
from headrace.settings import Settings

# A write that takes longer is given up together with the partition, before the group would give it to another member.
LEASE_S = 8.0


class Hold:
    """The right to write for one partition, serialized: whoever starts it fences every earlier holder.

    name: the transactional id, `<group>-<partition>`
    """

    def __init__(self, settings: Settings, topic: Topic, partition: int, group: str) -> None:
        self.name = f"{group}-{partition}"
        self._topic = topic
        self._partition = partition
        self._group = group
        self._producer = KafkaProducer(settings, client_id=self.name, transactional_id=self.name, timeout_s=LEASE_S)
        self._turn = asyncio.Lock()
        self._deferred: dict[int, Message] = {}
        self._held = False

    async def start(self) -> None:
        """Fence every earlier holder; their open transactions are settled when this returns."""
        await self._producer.start()
        self._held = True

    @property
    def deferred(self) -> Sequence[Message]:
        """Records that wait for their answer, in order."""
        return [self._deferred[offset] for offset in sorted(self._deferred)]

    def defer(self, message: Message) -> None:
        """Leave a record of the partition without an answer for now: it is not lost.

        Its offset is not committed. A later record that is answered before it takes it along: it is written again, at
        the end of the topic, in the transaction that commits the later offset, and so comes again.
        """
        self._deferred[message.offset] = message

    async def write(self, records: Sequence[tuple[Topic, Record]], offset: int | None = None) -> None:
        """Write records as one, and with them that everything up to the record at `offset` is done or deferred.

        Raises Fenced where there is a later holder, HeadraceError where it is not known whether it was written. After
        either this holds nothing any more: a producer that opened itself anew would fence the rightful holder.
        """
        rows = [(topic, record.to_json(), _key(topic, record)) for topic, record in records]
        await self.write_raw(rows, offset)

    async def write_raw(
        self, rows: Sequence[tuple[Topic, bytes | None, bytes | None]], offset: int | None = None
    ) -> None:
        """As `write`, of values by key; None forgets a key."""
        async with self._turn:
            if not self._held:
                raise Fenced(f"{self.name} is not held any more")
            self._held = False
            passed = [message for message in self.deferred if offset is not None and message.offset < offset]
            again = [(self._topic, message.value, message.key) for message in passed]
            offsets = None if offset is None else {(self._topic.name, self._partition): offset + 1}
            await self._producer.transact([*rows, *again], offsets, self._group)
            self._held = True
            if offset is not None:
                self._deferred = {at: message for at, message in self._deferred.items() if at > offset}

    async def stop(self) -> None:
        """Disconnect."""
        self._held = False
        with contextlib.suppress(HeadraceError):
            await self._producer.stop()


def home_of(key: str, topic: Topic) -> int:
    """The partition that Kafka's default partitioner gives a key: where all messages of a task meet one owner."""
    partitions = list(range(topic.partitions))
    return int(DefaultPartitioner()(key.encode(), partitions, partitions))


def _key(topic: Topic, record: Record) -> bytes:
    return str(getattr(record, topic.key)).encode()
