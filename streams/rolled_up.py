"""Windows that stay as they were counted, since retention took answers of theirs, and windows of another size.

A window that overlaps an hour of which answers expired is never counted again: what is left of them would replace the
count of all. Where the plan's `size_s` changed, windows of both sizes cover the same time: those of the plan's size are
counted for all of it, and then those of the other size are emptied, so that each moment is in one window.

Whether there may be either is asked once and kept: months leave by the plan, and sizes change with it. Windows after
that moment cost nothing here; those before it are looked up, task by task, right before they are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.contract import ids
from headrace.warehouse import Warehouse
from streams.spans import MILLISECOND, runs, start_of

# Sizes that do not divide each other overlap from window to window; so many times the span grows at most.
ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Run:
    """Windows to count: from the start of the first up to the end of the last.

    replaced: the starts of windows of another size, to be emptied when the run is counted
    """

    tasks: Sequence[str]
    window_from: datetime
    window_to: datetime
    replaced: frozenset[datetime] = frozenset()


@dataclass(slots=True)
class RolledUp:
    """Which of the windows of tasks may be counted; all are of one size. Blocking.

    retention: how long the plan keeps answers
    _until: all windows that may have to stay, by what expired so far and by their size, end by then
    """

    warehouse: Warehouse
    tasks: Sequence[str]
    size: timedelta
    retention: timedelta
    _until: datetime | None = None

    def due(self, names: Sequence[str], window_from: datetime, window_to: datetime, now: datetime) -> Iterator[Run]:
        """What is to be counted of these windows of these tasks, in this order. Raises WarehouseError."""
        if self._until is None:
            size_ms = self.size // MILLISECOND
            found = self.warehouse.query("monitor/windows_kept_until", tasks=list(self.tasks), size_ms=size_ms)
            self._until = ids.EPOCH + found[0]["until"] * MILLISECOND
        # Retention goes by the newest answer, which is none of the future.
        if window_from >= max(self._until, now - self.retention):
            yield Run(names, window_from, window_to)
            return
        for name in names:
            yield from self._left(name, window_from, window_to)

    def _left(self, name: str, window_from: datetime, window_to: datetime) -> Iterator[Run]:
        """The newest first: a window that begins with one of another size takes its place at once."""
        for _ in range(ROUNDS):
            counted = self._counted(name, window_from, window_to)
            since = min([window_from, *(start_of(since, self.size) for since, _, _ in counted)])
            until = max([window_to, *(start_of(until - MILLISECOND, self.size) + self.size for _, until, _ in counted)])
            if (since, until) == (window_from, window_to):
                break
            window_from, window_to = since, until
        expired = [(since, until) for since, until, is_expired in counted if is_expired]
        starts = [
            start
            for start in (window_from + place * self.size for place in range((window_to - window_from) // self.size))
            if not any(since < start + self.size and start < until for since, until in expired)
        ]
        replaced = frozenset(
            since
            for since, until, _ in counted
            if until - since != self.size and _covered(since, until, starts, self.size)
        )
        left = runs(starts, self.size)
        for place, (since, until) in enumerate(reversed(left), 1):
            yield Run([name], since, until, replaced if place == len(left) else frozenset())

    def _counted(self, name: str, window_from: datetime, window_to: datetime) -> list[tuple[datetime, datetime, bool]]:
        rows = self.warehouse.query(
            "monitor/windows_counted", task=name, window_from=ids.millis(window_from), window_to=ids.millis(window_to)
        )
        return [
            (ids.EPOCH + row["since"] * MILLISECOND, ids.EPOCH + row["until"] * MILLISECOND, bool(row["expired"]))
            for row in rows
        ]


def _covered(since: datetime, until: datetime, starts: Sequence[datetime], size: timedelta) -> bool:
    """Whether windows that begin at `starts` cover all of a time."""
    first, known = start_of(since, size), frozenset(starts)
    return all(first + place * size in known for place in range(-((first - until) // size)))
