"""How far the monitor is with each task: what is counted, and up to which event time its evidence is complete.

The watermark follows the newest answer at the distance of the plan's `lateness_s`, and never goes back. Where a task is
quiet, its last window closes too: QUIET_WINDOWS windows and the lateness after its last answer was stored. Time in
which no monitor ran counts; but a monitor that has just started waits for what came meanwhile, GRACE at most. Only
where the warehouse's clock was ahead and is right again, all of it goes back to now.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from headrace.contract import ids
from headrace.plan import Windows
from headrace.warehouse import Warehouse, clickhouse_time
from streams.aside import Aside
from streams.spans import RUN, runs, start_of
from streams.together import near

QUIET_WINDOWS = 2
GRACE = timedelta(minutes=10)
# A successor counts again what came since progress was last kept.
KEPT_EVERY_S = 60.0
# Tasks whose arrivals are known up to moments no further apart are asked about in one statement.
CLOSE = timedelta(hours=1)


@dataclass(slots=True)
class TaskProgress:
    """Of one task.

    reached: arrivals before it are known, by the warehouse's clock; counted: they are counted, too
    newest: event time of its newest answer, at most the time at which that was stored
    arrived_at: when its last answer was stored
    pending: the starts of windows that got something and are not counted yet
    corrected: of the pending ones, those that a correction may have taken an answer from
    unrecorded: of those that are counted and not in the rolling accuracy yet
    """

    reached: datetime
    counted: datetime
    newest: datetime = ids.EPOCH
    arrived_at: datetime = ids.EPOCH
    watermark: datetime = ids.EPOCH
    pending: set[datetime] = field(default_factory=set)
    corrected: set[datetime] = field(default_factory=set)
    unrecorded: set[datetime] = field(default_factory=set)

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
        # An answer that was stored while the warehouse's clock was ahead has a time of its own alone.
        last = max(self.arrived_at, self.newest)
        if self.newest <= ids.EPOCH or now < max(last + quiet, started + min(quiet, GRACE)):
            return False
        before, self.watermark = self.watermark, max(self.watermark, start_of(self.newest, size) + QUIET_WINDOWS * size)
        return self.watermark > before

    def write(self, starts: Sequence[datetime]) -> None:
        """These windows are counted."""
        self.pending.difference_update(starts)
        self.corrected.difference_update(starts)
        self.unrecorded.update(starts)

    def record(self) -> None:
        """What is counted is in the rolling accuracy, too."""
        self.unrecorded.clear()
        if not self.pending:
            self.counted = self.reached

    def set_back(self, last: datetime, now: datetime) -> None:
        """The clock was ahead: arrivals are known up to the last count before it was, and nothing is later than now."""
        self.reached, self.counted = min(self.reached, last), min(self.counted, last)
        self.newest, self.arrived_at = min(self.newest, now), min(self.arrived_at, now)
        self.watermark = min(self.watermark, now)


@dataclass(slots=True)
class Kept:
    """The progress of tasks in the warehouse, from which a successor goes on. Blocking."""

    warehouse: Warehouse
    _due_at: float = float("-inf")

    def read(self, tasks: Iterable[str]) -> dict[str, TaskProgress]:
        """Of those tasks that were ever counted. Raises WarehouseError."""
        rows = self.warehouse.query("monitor/progress", tasks=list(tasks))
        return {
            row["task"]: TaskProgress(
                row["counted"], row["counted"], row["newest"], row["arrived_at"], row["watermark"]
            )
            for row in rows
        }

    def keep(self, progress: Mapping[str, TaskProgress], known_at: datetime, at_once: bool) -> None:
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
                "known_at": clickhouse_time(known_at),
            }
            for name, found in progress.items()
        ]
        self.warehouse.insert("monitor_progress", [json.dumps(row).encode() for row in rows])
        self._due_at = time.monotonic() + KEPT_EVERY_S


def together(progress: Mapping[str, TaskProgress]) -> list[list[str]]:
    """Tasks by how far their arrivals are known, the furthest first: one that is far behind widens no other's read."""
    return near(progress, lambda name: progress[name].reached, CLOSE, newest_first=True)


def uncounted(
    progress: Mapping[str, TaskProgress], aside: Aside, size: timedelta
) -> Iterator[tuple[dict[str, list[datetime]], tuple[datetime, datetime]]]:
    """Runs of windows and what is pending in them, by task, the newest first; then the windows whose run failed.

    A task with such windows is counted by itself, and each of these alone: what is too much in it keeps nobody else.
    """
    pending, failed = dict[str, list[datetime]](), dict[str, list[datetime]]()
    for name, found in progress.items():
        for start in found.pending:
            (failed if aside.failed((name, start)) else pending).setdefault(name, []).append(start)
    well = {name: starts for name, starts in pending.items() if name not in failed}
    for group in (well, *({name: starts} for name, starts in pending.items() if name in failed)):
        for span in reversed(runs((start for starts in group.values() for start in starts), size, RUN)):
            inside = {name: [start for start in starts if span[0] <= start < span[1]] for name, starts in group.items()}
            yield {name: starts for name, starts in inside.items() if starts}, span
    for start, name in sorted(((start, name) for name, starts in failed.items() for start in starts), reverse=True):
        if not aside.rests((name, start)):
            yield {name: [start]}, (start, start + size)
