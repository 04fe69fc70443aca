"""The bus in memory: partitions, groups, offsets, transactions and compaction, for tests that want no broker."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping, Sequence

from aiokafka.partitioner import DefaultPartitioner

from headrace.bus.protocol import Message
from headrace.contract.topics import Topic
from headrace.errors import Fenced, HeadraceError

Partition = tuple[str, int]
Record = tuple[Topic, bytes | None, bytes | None]


class MemoryBus:
    """What a broker keeps. Its producers and consumers live in one event loop."""

    def __init__(self) -> None:
        self.logs: dict[Partition, list[Message]] = {}
        self.committed: dict[tuple[str, Partition], int] = {}
        self.epochs: dict[str, int] = {}
        self._members: dict[str, list[MemoryConsumer]] = {}
        self._arrival = asyncio.Condition()
        self._choose = DefaultPartitioner()
        self._turn = itertools.count()

    def producer(self, transactional_id: str = "") -> MemoryProducer:
        """A producer on this bus; with a transactional id it fences its predecessors when started."""
        return MemoryProducer(self, transactional_id)

    def consumer(self, topics: Iterable[Topic], group: str | None = None) -> MemoryConsumer:
        """A consumer on this bus; without a group it reads every partition from the beginning."""
        return MemoryConsumer(self, tuple(topics), group)

    async def snapshot(self, topic: Topic) -> dict[bytes, bytes]:
        """The last value of each key of a compacted topic; tombstones are gone."""
        values: dict[bytes, bytes] = {}
        for partition in self.partitions(topic):
            for message in self.logs.get(partition, []):
                if message.key is not None and message.value is not None:
                    values[message.key] = message.value
                elif message.key is not None:
                    values.pop(message.key, None)
        return values

    def partitions(self, topic: Topic) -> list[Partition]:
        """The topic's partitions, as (topic, partition)."""
        return [(topic.name, number) for number in range(topic.partitions)]

    async def append(self, records: Iterable[Record]) -> None:
        """Store records as one and wake whoever waits for them."""
        for topic, value, key in records:
            numbers = list(range(topic.partitions))
            number = next(self._turn) % topic.partitions if key is None else self._choose(key, numbers, numbers)
            log = self.logs.setdefault((topic.name, number), [])
            log.append(Message(topic.name, number, len(log), key, value))
        async with self._arrival:
            self._arrival.notify_all()

    async def arrival(self, timeout_s: float) -> None:
        """Return at the next append or change of membership, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s), self._arrival:
                await self._arrival.wait()
        except TimeoutError:
            return

    async def join(self, member: MemoryConsumer, group: str) -> None:
        """Share the group's partitions out again with this member."""
        self._members.setdefault(group, []).append(member)
        await self._share_out(group)

    async def leave(self, member: MemoryConsumer, group: str) -> None:
        """Share the group's partitions out again without this member."""
        members = self._members.get(group, [])
        if member in members:
            members.remove(member)
            await self._share_out(group)

    async def _share_out(self, group: str) -> None:
        members = self._members[group]
        topics = {topic for member in members for topic in member.topics}
        wanted = sorted(partition for topic in topics for partition in self.partitions(topic))
        shares: dict[int, list[Partition]] = {index: [] for index in range(len(members))}
        for turn, partition in enumerate(wanted):
            able = [i for i, member in enumerate(members) if partition[0] in {topic.name for topic in member.topics}]
            shares[able[turn % len(able)]].append(partition)
        for index, member in enumerate(members):
            member.assign({part: self.committed.get((group, part), 0) for part in shares[index]})
        async with self._arrival:
            self._arrival.notify_all()


class MemoryProducer:
    """See headrace.bus.protocol.Producer and headrace.bus.kafka.KafkaProducer.transact."""

    def __init__(self, bus: MemoryBus, transactional_id: str) -> None:
        self._bus = bus
        self._transactional_id = transactional_id
        self._epoch = 0

    async def start(self) -> None:
        """See Producer.start."""
        if self._transactional_id:
            self._epoch = self._bus.epochs.get(self._transactional_id, 0) + 1
            self._bus.epochs[self._transactional_id] = self._epoch

    async def send(self, topic: Topic, value: bytes | None, key: bytes | None = None) -> None:
        """See Producer.send."""
        if value is not None and len(value) > topic.max_record_bytes:
            raise HeadraceError(
                f"a record of {len(value)} bytes is too large for {topic.name}, which takes {topic.max_record_bytes}"
            )
        await self._bus.append([(topic, value, key)])

    async def transact(
        self, records: Sequence[Record], offsets: Mapping[Partition, int] | None = None, group: str = ""
    ) -> None:
        """Write records and commit a group's next offsets as one. Raises Fenced."""
        if self._bus.epochs.get(self._transactional_id) != self._epoch:
            raise Fenced(f"another process took over {self._transactional_id!r}")
        for partition, offset in (offsets or {}).items():
            self._bus.committed[group, partition] = offset
        await self._bus.append(records)

    async def stop(self) -> None:
        """See Producer.stop."""


class MemoryConsumer:
    """See headrace.bus.protocol.Consumer and headrace.bus.kafka.KafkaConsumer."""

    def __init__(self, bus: MemoryBus, topics: tuple[Topic, ...], group: str | None) -> None:
        self.topics = topics
        self._bus = bus
        self._group = group
        self._positions: dict[Partition, int] = {}
        self._paused = False

    async def start(self) -> None:
        """See Consumer.start."""
        if self._group is None:
            self.assign({part: 0 for topic in self.topics for part in self._bus.partitions(topic)})
        else:
            await self._bus.join(self, self._group)

    def assign(self, committed: Mapping[Partition, int]) -> None:
        """Own these partitions; one that was owned before keeps its position."""
        self._positions = {part: self._positions.get(part, offset) for part, offset in committed.items()}

    def assigned(self) -> frozenset[Partition]:
        """The partitions that this member owns now."""
        return frozenset(self._positions)

    async def read(self, timeout_s: float, limit: int = 500) -> Sequence[Message]:
        """See Consumer.read."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            found = [] if self._paused else self._take(limit)
            left = deadline - asyncio.get_running_loop().time()
            if found or left <= 0:
                return found
            await self._bus.arrival(left)

    async def commit(self, offsets: Mapping[Partition, int] | None = None) -> None:
        """See Consumer.commit."""
        if self._group is None:
            raise HeadraceError("a consumer without a group has nothing to commit to")
        for partition, offset in (self._positions if offsets is None else offsets).items():
            if partition in self._positions:
                self._bus.committed[self._group, partition] = offset

    async def rewind(self) -> None:
        """Go back to the committed offsets."""
        for partition in self._positions:
            self._positions[partition] = self._bus.committed.get((self._group or "", partition), 0)

    def pause(self) -> None:
        """`read` returns nothing from now on."""
        self._paused = True

    def resume(self) -> None:
        """Undo `pause`."""
        self._paused = False

    async def stop(self) -> None:
        """See Consumer.stop."""
        if self._group is not None:
            await self._bus.leave(self, self._group)
        self._positions = {}

    def _take(self, limit: int) -> list[Message]:
        found: list[Message] = []
        for partition in sorted(self._positions):
            start = self._positions[partition]
            chunk = self._bus.logs.get(partition, [])[start : start + limit - len(found)]
            self._positions[partition] = start + len(chunk)
            found.extend(chunk)
        return found
