"""The windows of traffic, counted anew where something came: what the rolling figures are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from threading import Lock
from typing import Any

from headrace import ids
from headrace.plan import Task
from headrace.warehouse import Warehouse, query_text
from streams import task_labels
from streams.accuracy import Accuracy
from streams.audits import Audits
from streams.labels import Copied
from streams.queries import clickhouse_time
from streams.spans import MILLISECOND, runs, start_of

# A row's `ingested_at` is taken when its insert begins, so it may show up this much later.
SLACK = timedelta(seconds=30)


@dataclass(slots=True)
class Figures:
    """The figures of tasks whose windows are alike, brought up to date for all of them at once. Blocking.

    Their answers lie side by side, so counting one task's costs as much as counting everyone's: one count serves one
    look at each task. Looks at different tasks may run at once; one of them counts, the others wait for it.

    tasks: by name, all with the same `windows`
    now: the warehouse's clock at the last count
    control: what the control messages were then (streams.remembered)
    _due: windows to count whatever came for them, where they are in the rolling span, because labels in them mean
        something else since the plan's labels are others; None before these were written down
    """

    warehouse: Warehouse
    tasks: Mapping[str, Task]
    now: datetime = ids.EPOCH
    control: tuple[Any, ...] = ()
    _watermarks: dict[str, datetime] = field(default_factory=dict)
    _fresh_for: set[str] = field(default_factory=set)
    _due: dict[str, list[datetime]] | None = None
    _copied: list[Copied] = field(default_factory=list)
    _seen_copies: set[tuple[Any, ...]] = field(default_factory=set)
    _one: Lock = field(default_factory=Lock)
    _accuracy: Accuracy = field(init=False)
    _audits: Audits = field(init=False)

    def __post_init__(self) -> None:
        self._accuracy = Accuracy(self.warehouse, next(iter(self.tasks.values())).windows)
        self._audits = Audits(self.warehouse)

    @property
    def size(self) -> timedelta:
        """Of a window."""
        return timedelta(seconds=next(iter(self.tasks.values())).windows.size_s)

    @property
    def _rolling(self) -> timedelta:
        return next(iter(self.tasks.values())).windows.rolling * self.size

    def watermark(self, name: str) -> datetime | None:
        """Event time up to which the task's evidence is complete, once it is counted; None: no traffic yet.

        It stands where traffic stops, and never goes back. Raises WarehouseError; the next call starts over.
        """
        with self._one:
            if name not in self._fresh_for:
                self._count()
                self._fresh_for.update(self.tasks)
            self._fresh_for.discard(name)
            return self._watermarks.get(name)

    def news(self) -> tuple[Mapping[str, datetime], Sequence[Copied]]:
        """The watermarks of all tasks, and the copies of the audit's labels since this was last asked."""
        with self._one:
            copied, self._copied = self._copied, []
            return dict(self._watermarks), copied

    def _count(self) -> None:
        if self._due is None:
            self._due = task_labels.write(self.warehouse, self.tasks, self.size)
        now: datetime = self.warehouse.query("monitor_clock")[0]["now"]
        since, horizon = self.now, ids.EPOCH
        if since <= ids.EPOCH:
            since, horizon = self._begin()
        found = self.warehouse.query(
            "windows_touched",
            tasks=list(self.tasks),
            size_ms=self.size // MILLISECOND,
            horizon=clickhouse_time(horizon),
            changed_since=clickhouse_time(max(since - SLACK, ids.EPOCH)),
        )
        for row in found:
            self._seen(row["task"], row["newest"])
        touched = {row["task"]: [ids.EPOCH + start * MILLISECOND for start in row["starts"]] for row in found}
        for name in self._due.keys() & self._watermarks.keys():
            first = start_of(self._watermarks[name], self.size) - self._rolling
            due = (start for start in self._due[name] if start >= first)
            touched[name] = sorted({*touched.get(name, ()), *due})
        for window_from, window_to in runs(chain.from_iterable(touched.values()), self.size):
            self._refresh(window_from, window_to, now)
        if touched:
            self._accuracy.record(touched, self._watermarks, now)
        if self._due:
            task_labels.settle(self.warehouse, self.tasks)
            self._due = {}
        if touched or self.now <= ids.EPOCH:
            self._audits.copy()
            self._see_copies((self.now if self.now > ids.EPOCH else now) - SLACK)
        self.control = tuple(self.warehouse.query("monitor_control")[0].values())
        self.now = now

    def _see_copies(self, changed_since: datetime) -> None:
        asked = {"tasks": list(self.tasks), "changed_since": clickhouse_time(changed_since)}
        found = {tuple(row.values()) for row in self.warehouse.query("monitor_copied", **asked)}
        for task, version, _, _, oldest in found - self._seen_copies:
            self._copied.append(Copied(task, version, oldest))
        self._seen_copies = found

    def _begin(self) -> tuple[datetime, datetime]:
        """Since when things may have changed, and from which window on they are counted.

        Where some task was never counted, the rolling span is counted; else it goes on where the last monitor stopped,
        however old the windows are that something came for.
        """
        known = {row["task"]: row for row in self.warehouse.query("windows_known", tasks=list(self.tasks))}
        if set(known) == set(self.tasks):
            self._watermarks = {name: row["watermark"] for name, row in known.items() if row["watermark"] > ids.EPOCH}
            return min(row["known_at"] for row in known.values()), ids.EPOCH
        for row in self.warehouse.query("monitor_newest", tasks=list(self.tasks)):
            self._seen(row["task"], row["newest"])
        newest = max(self._watermarks.values(), default=ids.EPOCH)
        return ids.EPOCH, max(ids.EPOCH, start_of(newest, self.size) - self._rolling)

    def _seen(self, name: str, newest: datetime) -> None:
        if newest <= ids.EPOCH:
            return
        lateness = timedelta(seconds=self.tasks[name].windows.lateness_s)
        self._watermarks[name] = max(newest - lateness, self._watermarks.get(name, ids.EPOCH))

    def _refresh(self, window_from: datetime, window_to: datetime, now: datetime) -> None:
        span = {
            "tasks": list(self.tasks),
            "size_ms": self.size // MILLISECOND,
            "window_from": ids.millis(window_from),
            "window_to": ids.millis(window_to),
            "known_at": clickhouse_time(now),
        }
        out_of_scope = [task.out_of_scope for task in self.tasks.values()]
        self.warehouse.command(query_text("windows_refresh"), **span, out_of_scope=out_of_scope)
        self.warehouse.command(query_text("strata_refresh"), **span)


def alike(warehouse: Warehouse, tasks: Mapping[str, Task]) -> dict[str, Figures]:
    """The figures of each task, shared by those with the same windows."""
    groups: dict[object, dict[str, Task]] = {}
    for name, task in tasks.items():
        groups.setdefault(task.windows, {})[name] = task
    return {name: figures for group in groups.values() for figures in [Figures(warehouse, group)] for name in group}
