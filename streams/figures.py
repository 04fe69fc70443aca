"""The windows of traffic, counted anew where something came: what the rolling figures are made of.

What came is asked from where each task's progress stands, and counted in bounded runs of windows, the newest first. A
statement that fails is put aside for a while and the rest goes on, so nothing waits for what cannot be counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from threading import Lock
from typing import Any

from headrace import ids
from headrace.plan import Task, Windows
from headrace.warehouse import Warehouse, query_text
from streams import task_labels
from streams.accuracy import Accuracy
from streams.aside import Aside
from streams.audits import Audits
from streams.clocks import AHEAD_S, Clocks
from streams.labels import Copied
from streams.progress import Kept, Progress, together
from streams.queries import clickhouse_time
from streams.spans import MILLISECOND, RUN, runs, start_of

# A row's `ingested_at` is taken when its insert begins, so it may show up this much later.
SLACK = timedelta(seconds=30)
# Arrivals are asked for in slices of this length, and at most so many slices in one count.
SLICE = timedelta(days=1)
SLICES = 16
# The newest answer of a task that was never counted is sought in so much first, and then in so many times as much.
REACH, WIDER = timedelta(days=1), 16
# The last time that an id can bear, in milliseconds since 1970.
END = (1 << 48) - 1
# Tells one copy of the audit's labels from another, beside the days of their answers.
COPY = ("task", "version", "ingested_at", "labels")
# A count begins no further run of windows after so long; the rest is counted by the next ones.
BUDGET_S = 5.0


@dataclass(slots=True)
class Figures:
    """The figures of tasks whose windows are alike, brought up to date for all of them at once. Blocking.

    Their answers lie side by side, so counting one task's costs as much as counting everyone's: one count serves one
    look at each task. Looks at different tasks may run at once; one of them counts, the others wait for it.

    tasks: by name, all with the same `windows`
    clocks: is told which emitters' clocks are ahead
    now: the warehouse's clock at the last count
    control: what the control messages were then (streams.remembered)
    _due: windows to count whatever came for them, where they are in the rolling span, because labels in them mean
        something else since the plan's labels are others; None before these were written down
    """

    warehouse: Warehouse
    tasks: Mapping[str, Task]
    clocks: Clocks = field(default_factory=Clocks)
    now: datetime = ids.EPOCH
    control: tuple[Any, ...] = ()
    _started: datetime = ids.EPOCH
    _progress: dict[str, Progress] = field(default_factory=dict)
    _moved: set[str] = field(default_factory=set)
    _uncopied: bool = True
    _fresh_for: set[str] = field(default_factory=set)
    _due: dict[str, list[datetime]] | None = None
    _unsettled: bool = False
    _copied: list[Copied] = field(default_factory=list)
    _seen_copies: set[tuple[Any, ...]] = field(default_factory=set)
    _one: Lock = field(default_factory=Lock)
    _aside: Aside = field(init=False)
    _kept: Kept = field(init=False)
    _accuracy: Accuracy = field(init=False)
    _audits: Audits = field(init=False)

    def __post_init__(self) -> None:
        self._aside = Aside(self.warehouse)
        self._kept = Kept(self.warehouse)
        self._accuracy = Accuracy(self.warehouse, self.windows)
        self._audits = Audits(self.warehouse)

    @property
    def windows(self) -> Windows:
        """Of all of the tasks."""
        return next(iter(self.tasks.values())).windows

    @property
    def size(self) -> timedelta:
        """Of a window."""
        return timedelta(seconds=self.windows.size_s)

    def watermark(self, name: str) -> datetime | None:
        """Event time up to which the task's evidence is complete; None: no traffic yet.

        It never goes back; where traffic stops it goes on until the last window is closed (streams.progress). Raises
        WarehouseError where ClickHouse does not answer; the next call starts over.
        """
        with self._one:
            if name not in self._fresh_for:
                self._count()
                self._fresh_for.update(self.tasks)
            self._fresh_for.discard(name)
            return self._watermarks().get(name)

    def news(self) -> tuple[Mapping[str, datetime], Sequence[Copied]]:
        """The watermarks of all tasks, and the copies of the audit's labels since this was last asked."""
        with self._one:
            copied, self._copied = self._copied, []
            return self._watermarks(), copied

    def _watermarks(self) -> dict[str, datetime]:
        return {name: found.watermark for name, found in self._progress.items() if found.watermark > ids.EPOCH}

    def _count(self) -> None:
        if self._due is None:
            self._due = task_labels.write(self.warehouse, self.tasks, self.size)
            self._unsettled = bool(self._due)
        now: datetime = self.warehouse.query("monitor_clock")[0]["now"]
        if self._started <= ids.EPOCH:
            self._progress = self._kept.read(self.tasks)
            self._started = now
        self._learn([name for name in self.tasks if name not in self._progress], "their first count", self._begin, now)
        for names in together(self._progress):
            self._learn(names, "asking what arrived", self._arrivals, now)
        self._moved |= {name for name, found in self._progress.items() if found.close(now, self._started, self.windows)}
        self._take_due()
        counted = self._refresh(now)
        watermarks = self._watermarks()
        touched = {name: counted.get(name, []) for name in {*counted, *self._moved} & watermarks.keys()}
        if touched:
            self._accuracy.record(touched, watermarks, now)
        for name, found in self._progress.items():
            found.done(counted.get(name, ()))
        self._uncopied |= bool(touched)
        if self._unsettled and not any(found.pending for found in self._progress.values()):
            task_labels.settle(self.warehouse, self.tasks)
            self._unsettled, self._uncopied = False, True
        if self._uncopied:
            self._audits.copy()
            self._see_copies((self.now if self.now > ids.EPOCH else now) - SLACK)
            self._uncopied = False
        self.control = tuple(self.warehouse.query("monitor_control")[0].values())
        # A watermark that no answer moved could not be told from what came.
        self._kept.keep(self._progress, now, at_once=bool(self._moved))
        self._moved.clear()
        self.now = now

    def _see_copies(self, changed_since: datetime) -> None:
        asked = {"tasks": list(self.tasks), "changed_since": clickhouse_time(changed_since)}
        rows = self.warehouse.query("monitor_copied", **asked)
        found = {(*(row[key] for key in COPY), tuple(row["days"])) for row in rows}
        for task, version, *_, days in found - self._seen_copies:
            self._copied.append(Copied(task, version, days))
        self._seen_copies = found

    def _learn(
        self, names: Sequence[str], what: str, step: Callable[[Sequence[str], datetime], None], now: datetime
    ) -> None:
        """What arrived for these tasks, unless asking it has just failed."""
        keys = [(what, name) for name in names]
        if names and not any(self._aside.rests(key) for key in keys):
            self._aside.attempt(keys, f"{what} of {', '.join(names)}", partial(step, names, now))

    def _begin(self, names: Sequence[str], now: datetime) -> None:
        """Tasks that were never counted: of those that have answers, the rolling span is."""
        rows = list(self._newest(names, now))
        for name in names:
            self._progress[name] = Progress(now, now)
        for row in rows:
            found = self._progress[row["task"]]
            found.see(row["newest"], row["arrived_at"], self.windows)
            last = start_of(found.newest, self.size)
            found.pending.update(max(ids.EPOCH, last - place * self.size) for place in range(self.windows.rolling + 1))

    def _newest(self, names: Sequence[str], now: datetime) -> Iterator[Mapping[str, Any]]:
        """The newest answer of each, sought in older and older spans: only a task without any reads all of history."""
        left, until, reach = set(names), END, REACH
        while left and until > 0:
            since = max(0, ids.millis(now) - reach // MILLISECOND)
            found = self.warehouse.query(
                "monitor_newest", tasks=sorted(left), ahead_s=AHEAD_S, since=since, until=until
            )
            left -= {row["task"] for row in found}
            yield from found
            until, reach = since, reach * WIDER

    def _arrivals(self, names: Sequence[str], now: datetime) -> None:
        """Which windows of these tasks got something since their progress."""
        since = max(ids.EPOCH, min(self._progress[name].reached for name in names) - SLACK)
        for _ in range(SLICES):
            until = min(since + SLICE, now)
            rows = self.warehouse.query(
                "windows_touched",
                tasks=names,
                size_ms=self.size // MILLISECOND,
                ahead_s=AHEAD_S,
                since=clickhouse_time(since),
                # What has come since the clock was read is taken along.
                until=clickhouse_time(until if until < now else now + SLICE),
            )
            ahead = {row["task"]: row["ahead"] for row in rows}
            for row in rows:
                found = self._progress[row["task"]]
                found.see(row["newest"], row["arrived_at"], self.windows)
                found.pending.update(ids.EPOCH + start * MILLISECOND for start in row["starts"])
            for name in names:
                self._progress[name].reached = max(self._progress[name].reached, until)
                self.clocks.see(name, ahead.get(name, {}))
            if until >= now:
                return
            since = until

    def _take_due(self) -> None:
        """Windows of the rolling span that are due wait to be counted like those that got something."""
        for name in [*(self._due or {})]:
            starts, found = (self._due or {}).pop(name), self._progress.get(name)
            if found is not None and found.watermark > ids.EPOCH:
                first = start_of(found.watermark, self.size) - self.windows.rolling * self.size
                found.pending.update(start for start in starts if start >= first)

    def _refresh(self, now: datetime) -> Mapping[str, list[datetime]]:
        """Count pending windows for as long as a count may take; by task, those that are counted."""
        began, counted = time.monotonic(), dict[str, list[datetime]]()
        for window_from, window_to in self._spans():
            of = {
                name: [start for start in found.pending if window_from <= start < window_to]
                for name, found in self._progress.items()
            }
            names = [name for name, starts in of.items() if starts]
            what = f"counting the windows from {window_from:%Y-%m-%d %H:%M:%S} of {', '.join(names)}"
            keys = {start for name in names for start in of[name]}
            if self._aside.attempt(keys, what, partial(self._write, names, window_from, window_to, now)):
                for name in names:
                    counted.setdefault(name, []).extend(of[name])
            if time.monotonic() - began > BUDGET_S:
                break
        return counted

    def _spans(self) -> Iterator[tuple[datetime, datetime]]:
        """Runs of pending windows, the newest first; then one by one those whose run failed."""
        pending = {start for found in self._progress.values() for start in found.pending}
        failed = {start for start in pending if self._aside.failed(start)}
        yield from reversed(runs(pending - failed, self.size, RUN))
        yield from (
            (start, start + self.size) for start in sorted(failed, reverse=True) if not self._aside.rests(start)
        )

    def _write(self, names: Sequence[str], window_from: datetime, window_to: datetime, now: datetime) -> None:
        span = {
            "tasks": names,
            "size_ms": self.size // MILLISECOND,
            "window_from": ids.millis(window_from),
            "window_to": ids.millis(window_to),
            "known_at": clickhouse_time(now),
        }
        out_of_scope = [self.tasks[name].out_of_scope for name in names]
        self.warehouse.command(query_text("windows_refresh"), **span, out_of_scope=out_of_scope)
        self.warehouse.command(query_text("strata_refresh"), **span)


def alike(warehouse: Warehouse, tasks: Mapping[str, Task], clocks: Clocks) -> dict[str, Figures]:
    """The figures of each task, shared by those with the same windows in whichever time zone."""
    groups: dict[object, dict[str, Task]] = {}
    for name, task in tasks.items():
        groups.setdefault(task.windows.model_copy(update={"time_zone": ""}), {})[name] = task
    found = [(Figures(warehouse, group, clocks), group) for group in groups.values()]
    return {name: figures for figures, group in found for name in group}
