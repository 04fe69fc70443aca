"""One fenced owner for each partition of a control topic.

A consumer group says who owns a partition; a transactional producer named after the partition makes it so
(headrace.bus.kafka.hold): whoever starts it fences every earlier one, and what an owner writes and the offset of what
it answers are one transaction. A process that slept through a rebalance finds itself fenced at its next write, lays the
partition down and stops what it had started for it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from headrace.bus.kafka import KafkaConsumer
from headrace.bus.protocol import Message
from headrace.contract.control import DeadLetter
from headrace.contract.events import Record
from headrace.contract.letters import dead_letter
from headrace.contract.reading import record_of
from headrace.contract.topics import Topic
from headrace.errors import EventError, Fenced, HeadraceError
from headrace.settings import Settings

log = logging.getLogger(__name__)

READ_S = 0.25
RETRY_S = 1.0
# A fenced process that still believes it owns the partition has lost its membership and hears so within this time.
FENCED_RETRY_S = 15.0

R = TypeVar("R", bound=Record)


class Owner(Protocol):
    """What a part does with one partition that it owns."""

    async def take_up(self) -> None:
        """Fence earlier owners and go on where they stopped. Raises HeadraceError where that fails now."""

    async def take(self, message: Message) -> None:
        """Handle one record and commit its offset. Raises HeadraceError: the partition is laid down, read again."""

    async def tick(self) -> None:
        """Called a few times a second. Raises what went wrong in the background."""

    async def lay_down(self, orderly: bool) -> None:
        """Stop everything started for the partition; orderly: write down how it was left. Raises nothing."""


@dataclass(frozen=True, slots=True)
class Membership:
    """Which records, as which member.

    name: the member's own, kept over restarts, so that it gets its partitions back at once
    """

    topic: Topic
    group: str
    name: str


async def own(
    settings: Settings, member: Membership, make: Callable[[int], Owner], stop: asyncio.Event, up: Callable[[], None]
) -> None:
    """Own what the group assigns until `stop` is set. Raises HeadraceError where the group cannot be joined.

    up: called once the first assignment has been taken up
    """
    consumer = KafkaConsumer(settings, [member.topic], group=member.group, client_id=member.name, instance=member.name)
    await consumer.start()
    held = _Held(make)
    announced = False
    try:
        while not stop.is_set():
            messages = await consumer.read(READ_S)
            assigned = {partition for _, partition in consumer.assigned()}
            if await held.follow(assigned):
                # What was read before its partition was held may have been answered by the former owner.
                await consumer.rewind()
            else:
                await held.hand_out(messages)
            if assigned == held.partitions and not announced:
                announced = True
                up()
    finally:
        await held.lay_all_down()
        await consumer.stop()


class _Held:
    """The owners of the partitions that this process has."""

    def __init__(self, make: Callable[[int], Owner]) -> None:
        self._make = make
        self._owners: dict[int, Owner] = {}
        self._not_before: dict[int, float] = {}

    @property
    def partitions(self) -> set[int]:
        return set(self._owners)

    async def follow(self, assigned: set[int]) -> bool:
        """Lay down what is gone, take up what is new; whether something was taken up."""
        for partition in self.partitions - assigned:
            await self._drop(partition, orderly=False)
        for partition in self._not_before.keys() - assigned:
            del self._not_before[partition]
        now = time.monotonic()
        due = [p for p in sorted(assigned - self.partitions) if now >= self._not_before.get(p, 0.0)]
        return any(await asyncio.gather(*(self._take_up(partition) for partition in due)))

    async def hand_out(self, messages: Sequence[Message]) -> None:
        """Give each record to its owner, then let every owner do what is due."""
        for message in messages:
            # None: laid down a moment ago; it is read again once the partition is taken up.
            if owner := self._owners.get(message.partition):
                await self._guard(message.partition, owner.take(message))
        for partition, owner in list(self._owners.items()):
            await self._guard(partition, owner.tick())

    async def lay_all_down(self) -> None:
        """All at once: one owner's job may wait for what another's holds."""
        await asyncio.gather(*(self._drop(partition, orderly=True) for partition in list(self._owners)))

    async def _take_up(self, partition: int) -> bool:
        owner = self._owners[partition] = self._make(partition)
        return await self._guard(partition, owner.take_up())

    async def _guard(self, partition: int, doing: Coroutine[Any, Any, None]) -> bool:
        try:
            await doing
        except HeadraceError as error:
            fenced = isinstance(error, Fenced)
            log.warning("partition %d is laid down: %s", partition, error)
            await self._drop(partition, orderly=False)
            self._not_before[partition] = time.monotonic() + (FENCED_RETRY_S if fenced else RETRY_S)
            return False
        return True

    async def _drop(self, partition: int, orderly: bool) -> None:
        await self._owners.pop(partition).lay_down(orderly)


def decoded(message: Message, model: type[R]) -> R | DeadLetter:
    """A control record, or the dead letter that an undecodable one becomes."""
    try:
        return record_of(model, message.value or b"")
    except EventError as error:
        reason = " ".join(str(error).split())
        log.error("%s/%d@%d cannot be read: %s", message.topic, message.partition, message.offset, reason)
        return dead_letter(message, message.value or b"", reason, datetime.now(UTC))


def stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
