"""Events that wait to be sent, by the month of their ids: a block of the warehouse then holds few months.

A file in the order of time is in months already. One that mixes them is held back, up to a bound of memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from headrace.contract import ids
from headrace.contract.events import Event

Position = tuple[str, int]
"""A month, as in 202611, and the number of a row in it: the order in which events are sent."""


class Batch(NamedTuple):
    """Events that are sent at once, their rows, and the position of the last of them."""

    events: list[Event]
    rows: list[int]
    last: Position


class Months:
    """Events of rows, each added after the rows before it.

    size: bytes of them, as they are held
    """

    def __init__(self) -> None:
        self._held: dict[str, list[tuple[int, type[Event], bytes]]] = {}
        self.size = 0

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    @property
    def months(self) -> int:
        return len(self._held)

    def add(self, row: int, event: Event) -> None:
        """Hold a row's event."""
        # As JSON: an event as an object takes several times the memory.
        body = event.to_json()
        self._held.setdefault(f"{ids.time_of(event.event_id):%Y%m}", []).append((row, type(event), body))
        self.size += len(body)

    def batches(self, most: int, after: Position) -> Iterator[Batch]:
        """Month by month, at most so many at once: what comes after a position."""
        waiting = (
            ((month, row), model, body)
            for month in sorted(self._held)
            for row, model, body in self._held[month]
            if (month, row) > after
        )
        while found := list(islice(waiting, most)):
            events = [model.model_validate_json(body) for _, model, body in found]
            yield Batch(events, [row for (_, row), _, _ in found], found[-1][0])
