"""How far the monitor is with each task: what is counted, and up to which event time its evidence is complete.

The watermark follows the newest answer at the distance of the plan's `lateness_s`, and never goes back. Where a task is
quiet, its last window closes too: QUIET_WINDOWS windows and the lateness after its last answer was stored. Time in
which no monitor ran counts; but a monitor that has just started waits for what came meanwhile, GRACE at most.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from headrace import ids
from headrace.plan import Windows
from headrace.warehouse import Warehouse
from streams.queries import clickhouse_time
from streams.spans import start_of

QUIET_WINDOWS = 2
GRACE = timedelta(minutes=10)
# A successor counts again what came since progress was last kept.
KEPT_EVERY_S = 60.0
# Tasks whose arrivals are known up to moments no further apart are asked about in one statement.
CLOSE = timedelta(hours=1)


@dataclass(slots=True)
class Progress:
    """Of one task.

    reached: arrivals before it are known, by the warehouse's clock; counted: they are counted, too
    newest: event time of its newest answer, at most the time at which that was stored
    arrived_at: when its last answer was stored
    pending: the starts of windows that got something and are not counted yet
    """

    reached: datetime
    counted: datetime
    newest: datetime = ids.EPOCH
    arrived_at: datetime = ids.EPOCH
    watermark: datetime = ids.EPOCH
    pending: set[datetime] = field(default_factory=set)

    def see(self, newest: datetime, arrived_at: datetime, windows: Windows) -> None:
        """Answers arrived."""
        self.newest = max(self.newest, newest)
        self.arrived_at = max(self.arrived_at, arrived_at)
        if self.newest > ids.EPOCH:
            self.watermark = max(self.watermark, self.newest - timedelta(seconds=windows.lateness_s))

    def close(self, now: datetime, started: datetime, windows: Windows) -> bool:
        """Close the last window where the task is quiet; whether the watermark moved.

        started: when this monitor first looked
        """
        size = timedelta(seconds=windows.size_s)
        quiet = QUIET_WINDOWS * size + timedelta(seconds=windows.lateness_s)
        if self.newest <= ids.EPOCH or now < max(self.arrived_at + quiet, started + min(quiet, GRACE)):
            return False
        before, self.watermark = self.watermark, max(self.watermark, start_of(self.newest, size) + QUIET_WINDOWS * size)
        return self.watermark > before

    def done(self, starts: Iterable[datetime]) -> None:
        """These windows are counted."""
        self.pending.difference_update(starts)
        if not self.pending:
            self.counted = self.reached


@dataclass(slots=True)
class Kept:
    """The progress of tasks in the warehouse, from which a successor goes on. Blocking."""

    warehouse: Warehouse
    _due_at: float = float("-inf")

    def read(self, tasks: Iterable[str]) -> dict[str, Progress]:
        """Of those tasks that were ever counted. Raises WarehouseError."""
        rows = self.warehouse.query("monitor_progress", tasks=list(tasks))
        return {
            row["task"]: Progress(row["counted"], row["counted"], row["newest"], row["arrived_at"], row["watermark"])
            for row in rows
        }

    def keep(self, progress: Mapping[str, Progress], now: datetime, at_once: bool) -> None:
        """Write it down, at once or else once a minute. Raises WarehouseError."""
        if not at_once and time.monotonic() < self._due_at:
            return
        rows = [
            {
                "task": name,
                "watermark": clickhouse_time(found.watermark),
                "newest": clickhouse_time(found.newest),
                "arrived_at": clickhouse_time(found.arrived_at),
                "counted": clickhouse_time(found.counted),
                "known_at": clickhouse_time(now),
            }
            for name, found in progress.items()
        ]
        self.warehouse.insert("monitor_progress", [json.dumps(row).encode() for row in rows])
        self._due_at = time.monotonic() + KEPT_EVERY_S


def together(progress: Mapping[str, Progress]) -> list[list[str]]:
    """Tasks by how far their arrivals are known, the furthest first: one that is far behind widens no other's read."""
    groups: list[list[str]] = []
    for name in sorted(progress, key=lambda name: progress[name].reached, reverse=True):
        if groups and progress[groups[-1][0]].reached - progress[name].reached <= CLOSE:
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups
