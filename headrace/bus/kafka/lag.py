"""How far a group is behind, as the broker knows it: offsets, the age of the oldest record not acknowledged, and which
partitions no member reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest

from headrace.bus.kafka.connection import explained, stop, translated
from headrace.bus.kafka.identity import topic_ids
from headrace.bus.kafka.security import client_options
from headrace.contract.events import Event
from headrace.contract.topics import TOPICS, Topic
from headrace.settings import Settings

Place = tuple[str, int]
"""A topic and a partition."""

READ_WITHIN_S = 2.0
ANSWER_WITHIN_S = 15.0
STABLE = "Stable"
"""A group whose partitions are shared out."""


@dataclass(frozen=True, slots=True)
class Lag:
    """Where a group stands on one partition.

    begin, end: the first offset that the broker still has, and the next that it will give out
    committed: the next offset that the group will read; begin, where it acknowledged nothing yet
    oldest_at: the time of the first record after it, seconds since 1970; 0 where there is none or it was not readable
    packed: how many events that record holds
    """

    begin: int
    committed: int
    end: int
    oldest_at: float = 0.0
    packed: int = 1

    @property
    def records(self) -> int:
        """Records not acknowledged, transactions' marks included."""
        return max(0, self.end - self.committed)

    @property
    def events(self) -> int:
        """About how many events these are: each record taken to hold as many as the first."""
        return self.records * self.packed

    def age_s(self, now: float) -> float:
        """How old the oldest record is that is not acknowledged, seconds; 0 where nothing waits."""
        return max(0.0, now - self.oldest_at) if self.records and self.oldest_at else 0.0


class LagReader:
    """Looks at a group; it is no member."""

    def __init__(self, kafka: AIOKafkaConsumer, settings: Settings) -> None:
        self._kafka, self._settings = kafka, settings

    async def read(self, topics: Iterable[Topic]) -> dict[Place, Lag]:
        """The lag of this reader's group on every partition. Raises HeadraceError where Kafka does not answer."""
        try:
            return await self._offsets(await self._partitions(topics))
        except (KafkaError, TimeoutError, OSError) as error:
            raise translated(error, self._settings) from error

    async def unassigned(self, topics: Iterable[Topic]) -> frozenset[Place]:
        """Partitions that no member of this reader's group has; none while the group shares them out.

        Raises HeadraceError where Kafka does not answer.
        """
        try:
            there = await self._partitions(topics)
            coordinator = self._kafka._coordinator
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await coordinator.ensure_coordinator_known()
            answer = await coordinator._send_req(DescribeGroupsRequest([coordinator.group_id]))
            (group,) = answer.to_object()["groups"]
            if group["error_code"]:
                raise for_code(group["error_code"])
        except (KafkaError, TimeoutError, OSError) as error:
            raise translated(error, self._settings) from error
        if group["state"] != STABLE:
            return frozenset()
        assigned = {
            part
            for member in group["members"]
            if member["member_assignment"]
            for part in ConsumerProtocolMemberAssignment.decode(member["member_assignment"]).partitions()
        }
        return frozenset((part.topic, part.partition) for part in there if part not in assigned)

    async def identities(self) -> dict[str, str]:
        """The ids of all topics by name (headrace.bus.kafka.identity). Raises HeadraceError where Kafka is silent."""
        try:
            return await topic_ids(self._kafka)
        except (KafkaError, TimeoutError, OSError) as error:
            raise translated(error, self._settings) from error

    async def _partitions(self, topics: Iterable[Topic]) -> list[TopicPartition]:
        # aiokafka's own topics() returns names and keeps the partitions to itself.
        metadata = await self._kafka._client.fetch_all_metadata()
        return [
            TopicPartition(topic.name, number)
            for topic in topics
            for number in sorted(metadata.partitions_for_topic(topic.name) or ())
        ]

    async def _offsets(self, parts: list[TopicPartition]) -> dict[Place, Lag]:
        if not parts:
            return {}
        if set(parts) != self._kafka.assignment():
            self._kafka.assign(parts)
        begins = await self._kafka.beginning_offsets(parts)
        ends = await self._kafka.end_offsets(parts)
        committed = await asyncio.gather(*(self._kafka.committed(part) for part in parts))
        found: dict[TopicPartition, Lag] = {}
        for part, offset in zip(parts, committed, strict=True):
            at = max(begins[part], offset) if offset is not None else begins[part]
            found[part] = Lag(begins[part], min(at, ends[part]), ends[part])
        waiting = {part: lag for part, lag in found.items() if lag.records}
        oldest = await self._oldest(waiting)
        for part, record in oldest.items():
            about = _about(record) if record else {"committed": ends[part]}
            found[part] = replace(found[part], **about)
        return {(part.topic, part.partition): lag for part, lag in found.items()}

    async def _oldest(self, lags: Mapping[TopicPartition, Lag]) -> dict[TopicPartition, ConsumerRecord | None]:
        """The first record that each partition's group will read; None where only marks of transactions are left.

        A partition that did not answer in time is left out.
        """
        oldest: dict[TopicPartition, ConsumerRecord | None] = {}
        for part, lag in lags.items():
            self._kafka.seek(part, lag.committed)
        deadline = time.monotonic() + READ_WITHIN_S
        while (left := lags.keys() - oldest.keys()) and time.monotonic() < deadline:
            for part, records in (await self._kafka.getmany(*left, timeout_ms=200, max_records=len(left))).items():
                oldest.setdefault(part, records[0])
            for part in lags.keys() - oldest.keys():
                if await self._kafka.position(part) >= lags[part].end:
                    oldest[part] = None
        return oldest


def _about(record: ConsumerRecord) -> dict[str, Any]:
    """The time of a record, and how many events it holds, counted by their ids."""
    model = next((topic.model for topic in TOPICS if topic.name == record.topic), None)
    mark = b'"%b":' % model.id_field.encode() if model is not None and issubclass(model, Event) else b"\x00"
    return {"oldest_at": record.timestamp / 1000, "packed": max(1, (record.value or b"").count(mark))}


@asynccontextmanager
async def lag_reader(settings: Settings, group: str) -> AsyncIterator[LagReader]:
    """A reader of a group's offsets. Raises HeadraceError where no broker answers."""
    kafka = AIOKafkaConsumer(
        **client_options(settings),
        client_id="headrace-lag",
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        request_timeout_ms=15_000,
        # Only the first record of a partition is looked at.
        max_partition_fetch_bytes=64 * 1024,
    )
    try:
        await kafka.start()
    except (KafkaError, OSError) as error:
        await stop(kafka)
        raise await explained(error, settings) from error
    try:
        yield LagReader(kafka, settings)
    finally:
        await stop(kafka)
