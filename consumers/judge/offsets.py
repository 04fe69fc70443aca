"""Which offsets may be committed while records are worked on out of order. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

Partition = tuple[str, int]


@dataclass(slots=True)
class Pending:
    """A record that was read.

    left: pieces of work that it still waits for
    """

    offset: int
    left: int


class Offsets:
    """Keeps records in the order in which they were read; each holds back those behind it until its work is done."""

    def __init__(self) -> None:
        self._pending: dict[Partition, deque[Pending]] = {}
        self._next: dict[Partition, int] = {}

    def begin(self, partition: Partition, offset: int, pieces: int) -> Pending:
        """A record was read that takes so many pieces of work."""
        pending = Pending(offset, pieces)
        self._pending.setdefault(partition, deque()).append(pending)
        return pending

    def committable(self) -> dict[Partition, int]:
        """Next offsets by partition, of those that moved since the last call."""
        for partition, records in self._pending.items():
            while records and not records[0].left:
                self._next[partition] = records.popleft().offset + 1
        moved, self._next = self._next, {}
        return moved

    def keep(self, assigned: Collection[Partition]) -> None:
        """Forget the partitions that went to another member: it reads them again."""
        for partition in [partition for partition in self._pending if partition not in assigned]:
            del self._pending[partition]
