"""What a bus must do; `tests/contracts/` runs one suite on the real Kafka and on the one in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from headrace.contract.topics import Topic


@dataclass(frozen=True, slots=True)
class Message:
    """One record as read. A value of None is a tombstone."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Producer(Protocol):
    """Writes records."""

    async def start(self) -> None:
        """Connect. Raises headrace.errors.HeadraceError where no broker answers."""

    async def send(self, topic: Topic, value: bytes | None, key: bytes | None = None) -> None:
        """Returns when every in-sync replica has the record; the same key goes to the same partition.

        Raises HeadraceError where the record is not known to be stored. A retry may store it twice.
        """

    async def stop(self) -> None:
        """Send what is buffered and disconnect."""


class Consumer(Protocol):
    """Reads records of some topics as one member of a group, or on its own."""

    async def start(self) -> None:
        """Connect and join. Starts at the group's committed offsets, else at the beginning."""

    async def read(self, timeout_s: float, limit: int = 500) -> Sequence[Message]:
        """Up to `limit` records, in order by partition; empty after `timeout_s` without any. Never commits."""

    async def commit(self, offsets: Mapping[tuple[str, int], int] | None = None) -> None:
        """Acknowledge: everything read so far, or up to the given next offsets by (topic, partition)."""

    async def stop(self) -> None:
        """Leave the group; what was read and not committed is read again by the next member."""
