"""The windows of traffic, counted anew where something came: what the rolling figures are made of.

What came is asked from where each task's progress stands, and counted in bounded runs of windows, the newest first. A
statement that fails is put aside for a while and the rest goes on, so nothing waits for what cannot be counted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Lock
from typing import Any
from uuid import UUID

from headrace.contract import ids
from headrace.errors import WarehouseError
from headrace.plan import Privacy, Task, Windows
from headrace.warehouse import Warehouse, clickhouse_time, query_text
from streams import task_labels
from streams.accuracy import Accuracy
from streams.aside import Aside
from streams.audits import IDS, LATE, Audits
from streams.clocks import AHEAD_S, Clocks
from streams.labels import Copied
from streams.progress import Kept, TaskProgress, together, uncounted
from streams.rolled_up import RolledUp
from streams.spans import MILLISECOND, start_of

# A row's `ingested_at` is taken when its insert begins, so it may show up this much later.
SLACK = timedelta(seconds=30)
# The clocks of the warehouse's hosts differ by less.
APART = timedelta(seconds=5)
# Arrivals are asked for in slices of this length at most, half as long where one failed, down to the least; and at most
# so many slices in one count.
SLICE = timedelta(days=1)
LEAST_SLICE = timedelta(minutes=1)
SLICES = 16
# No arrival is later: what was stored while the warehouse's clock was ahead is met, too.
EVER = datetime(2200, 1, 1, tzinfo=UTC)
# So far back the newest answer of a task is sought before all of history is read.
BACK = timedelta(days=1)
FURTHER_BACK = timedelta(days=30)
# A count begins no further run of windows after so long; the rest is counted by the next ones.
BUDGET_S = 5.0
# A row that is written later is greater by this much, however the clock was set meanwhile.
TICK = timedelta(microseconds=1)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class WindowCounts:
    """The windows of tasks whose windows are alike, brought up to date for all of them at once. Blocking.

    Their answers lie side by side, so counting one task's costs as much as counting everyone's: one count serves one
    look at each task. Looks at different tasks may run at once; one of them counts, the others wait for it.

    tasks: by name, all with the same `windows`
    clocks: is told which emitters' clocks are ahead
    now: the warehouse's clock at the last count
    control: what the control messages were then (streams.situation)
    _due: windows to count whatever came for them, where they are in the rolling span, because labels in them mean
        something else since the plan's labels are others; None before these were written down
    _unsettled: tasks whose labels of before are still to be copied once more, when nothing of theirs is pending
    _touched: answers whose audit may have changed since labels were last copied; None: not known
    _left: those of them from which a label may have been taken back, or has gone over to another
    _known_at: of what this count writes: now, or a tick after what was written last where the clock was set back
    _slices: how long a slice of arrivals may be, by task; SLICE where none has failed
    """

    warehouse: Warehouse
    tasks: Mapping[str, Task]
    clocks: Clocks = field(default_factory=Clocks)
    privacy: Privacy = field(default_factory=Privacy)
    now: datetime = ids.EPOCH
    control: tuple[Any, ...] = ()
    _started: datetime = ids.EPOCH
    _progress: dict[str, TaskProgress] = field(default_factory=dict)
    _moved: set[str] = field(default_factory=set)
    _known_at: datetime = ids.EPOCH
    _slices: dict[str, timedelta] = field(default_factory=dict)
    _unkept: bool = False
    _uncopied: bool = True
    _touched: set[UUID] | None = None
    _left: set[UUID] = field(default_factory=set)
    _asked_copies: datetime = ids.EPOCH
    _fresh_for: set[str] = field(default_factory=set)
    _due: dict[str, list[datetime]] | None = None
    _unsettled: set[str] = field(default_factory=set)
    _copied: list[Copied] = field(default_factory=list)
    _one: Lock = field(default_factory=Lock)
    _aside: Aside = field(init=False)
    _kept: Kept = field(init=False)
    _accuracy: Accuracy = field(init=False)
    _audits: Audits = field(init=False)
    _rolled_up: RolledUp = field(init=False)

    def __post_init__(self) -> None:
        self._aside = Aside(self.warehouse)
        self._kept = Kept(self.warehouse)
        self._accuracy = Accuracy(self.warehouse, self.windows)
        self._audits = Audits(self.warehouse)
        retention = timedelta(days=self.privacy.retention_days)
        self._rolled_up = RolledUp(self.warehouse, [*self.tasks], self.size, retention)

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
            self._alone("writing down the labels of tasks", self._write_labels)
        now: datetime = self.warehouse.query("shared/clock")[0]["now"]
        if self._started <= ids.EPOCH:
            self._progress = self._kept.read(self.tasks)
            self._known_at = self._written(now)["last"]
            self._started = self._asked_copies = now
        self._known_at = max(now, self._known_at + TICK)
        self._set_back(now)
        new = [name for name in self.tasks if name not in self._progress]
        self._each(new, "their first count", partial(self._begin, now))
        for names in together(self._progress):
            if len(self._each(names, "asking what arrived", partial(self._arrivals, now))) < len(names):
                # What arrived is not known: labels may have.
                self._uncopied, self._touched = True, None
        moved = {name for name, found in self._progress.items() if found.close(now, self._started, self.windows)}
        self._moved |= moved
        # A watermark that no answer moved could not be told from what came.
        self._unkept |= bool(moved)
        self._take_due()
        self._refresh()
        self._record()
        ready = [name for name in self._unsettled if name not in self._progress or not self._progress[name].pending]
        if settled := self._each(ready, "comparing the labels of before", self._settle):
            self._unsettled.difference_update(settled)
            self._uncopied = True
        # A label that took long to store may be met by no count of what came.
        self._uncopied |= self._audits.due
        if self._uncopied and self._alone("copying the audit's labels", partial(self._copy, now)):
            self._uncopied = False
        self.control = tuple(sorted(tuple(row.values()) for row in self.warehouse.query("monitor/control")))
        keep = partial(self._kept.keep, self._progress, self._known_at, at_once=self._unkept)
        if self._alone("writing down the progress", keep):
            self._unkept = False
        self.now = now

    def _write_labels(self) -> None:
        self._due = task_labels.write(self.warehouse, self.tasks, self.size)
        self._unsettled = set(self.tasks) if self._due else set()

    def _settle(self, names: Sequence[str]) -> None:
        task_labels.settle(self.warehouse, {name: self.tasks[name] for name in names})

    def _written(self, now: datetime) -> dict[str, datetime]:
        return self.warehouse.query("monitor/written", tasks=list(self.tasks), now=clickhouse_time(now))[0]

    def _set_back(self, now: datetime) -> None:
        """Where the warehouse's clock was ahead, go on from the last count before it was."""
        ahead = {name: found for name, found in self._progress.items() if found.reached > now + APART}
        if not ahead:
            return
        last = self._written(now)["before"]
        reached = max(found.reached for found in ahead.values())
        log.warning(
            "The warehouse's clock was ahead and is right again: what arrived for %s was asked up to %s, and it is %s. "
            "It is asked again from %s on; what was stored meanwhile is counted.",
            ", ".join(ahead), *(f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (reached, now, last)),
        )  # fmt: skip
        for name, found in ahead.items():
            if last > ids.EPOCH:
                found.set_back(last, now)
            else:
                # There was no count before.
                del self._progress[name]
        self._started, self._asked_copies = min(self._started, now), min(self._asked_copies, last)
        self._unkept, self._touched = True, None

    def _record(self) -> None:
        """The rolling accuracy of tasks with windows that are counted anew, or a watermark that moved by itself."""
        watermarks = self._watermarks()

        def record(names: Sequence[str]) -> None:
            touched = {name: sorted(self._progress[name].unrecorded) for name in names}
            self._accuracy.record(touched, watermarks, self._known_at)

        due = [name for name in watermarks if self._progress[name].unrecorded or name in self._moved]
        recorded = self._each(due, "the rolling accuracy", record)
        self._moved.difference_update(recorded)
        for name, found in self._progress.items():
            if name not in due or name in recorded:
                found.record()

    def _copy(self, now: datetime) -> None:
        """Copy the audit's labels, and see which copies there are since this was last done."""
        self._audits.copy(self._touched, self._left)
        self._touched, self._left = set(), set()
        self._copied += self._audits.copied(self.tasks, self._asked_copies - SLACK)
        self._asked_copies = now

    def _alone(self, what: str, step: Callable[[], object]) -> bool:
        """Whether a step succeeded that is about no task; it rests where it has just failed."""
        return not self._aside.rests(what) and self._aside.attempt([what], what, step)

    def _each(self, names: Sequence[str], what: str, step: Callable[[Sequence[str]], object]) -> list[str]:
        """A step for all of these tasks at once, and for each alone whose last one failed; those that it succeeded for.

        It rests for those where it has just failed.
        """
        failed = [name for name in names if self._aside.failed((what, name))]
        well, done = [name for name in names if name not in failed], list[str]()
        for some in [*([well] if well else []), *([name] for name in failed if not self._aside.rests((what, name)))]:
            keys = [(what, name) for name in some]
            if self._aside.attempt(keys, f"{what} of {', '.join(some)}", partial(step, some)):
                done += some
        return done

    def _begin(self, now: datetime, names: Sequence[str]) -> None:
        """Tasks that were never counted: of those that have answers, the rolling span is."""
        newest = dict[str, dict[str, Any]]()
        for since in (now - BACK, now - FURTHER_BACK, ids.EPOCH):
            if left := [name for name in names if name not in newest]:
                asked = {"tasks": left, "since": clickhouse_time(since), "now": clickhouse_time(now)}
                rows = self.warehouse.query("monitor/newest", **asked, ahead_s=AHEAD_S)
                newest |= {row["task"]: row for row in rows if row["newest"] >= since}
        for name in names:
            self._progress[name] = TaskProgress(now, now)
        for row in newest.values():
            found = self._progress[row["task"]]
            found.see(row["newest"], row["arrived_at"], self.windows)
            last = start_of(found.newest, self.size)
            found.pending.update(max(ids.EPOCH, last - place * self.size) for place in range(self.windows.rolling + 1))

    def _arrivals(self, now: datetime, names: Sequence[str]) -> None:
        """Which windows of these tasks got something since their progress."""
        since = max(ids.EPOCH, min(now, *(self._progress[name].reached for name in names)) - SLACK)
        length = min(self._slices.get(name, SLICE) for name in names)
        for _ in range(SLICES):
            until = min(since + length, now)
            try:
                self._slice(names, since, until, now)
            except WarehouseError:
                self._slices |= dict.fromkeys(names, max(length / 2, LEAST_SLICE))
                raise
            if until >= now:
                break
            since = until
        self._slices |= dict.fromkeys(names, min(2 * length, SLICE))

    def _slice(self, names: Sequence[str], since: datetime, until: datetime, now: datetime) -> None:
        rows = self.warehouse.query(
            "monitor/windows_touched",
            tasks=names,
            size_ms=self.size // MILLISECOND,
            ahead_s=AHEAD_S,
            since=clickhouse_time(since),
            # What has come since the clock was read is taken along.
            until=clickhouse_time(until if until < now else EVER),
            now=clickhouse_time(now),
            uncopied=clickhouse_time(max(since, self.now - LATE) if self.now > ids.EPOCH else since),
            most=IDS + 1,
        )
        self._uncopied |= bool(rows)
        if self._touched is not None:
            self._touched.update(answer for row in rows for answer in row["audited"])
            self._left.update(answer for row in rows for answer in row["left"])
        rows = [row for row in rows if row["task"] in names]
        ahead = {row["task"]: row["ahead"] for row in rows}
        for row in rows:
            found = self._progress[row["task"]]
            found.see(row["newest"], row["arrived_at"], self.windows)
            found.pending.update(ids.EPOCH + start * MILLISECOND for start in row["starts"])
            found.corrected.update(ids.EPOCH + start * MILLISECOND for start in row["corrected"])
        for name in names:
            self._progress[name].reached = max(self._progress[name].reached, until)
            self.clocks.see(name, ahead.get(name, {}))

    def _take_due(self) -> None:
        """Windows of the rolling span that are due wait to be counted like those that got something."""
        for name in [*(self._due or {})]:
            starts, found = (self._due or {}).pop(name), self._progress.get(name)
            if found is not None and found.watermark > ids.EPOCH:
                first = start_of(found.watermark, self.size) - self.windows.rolling * self.size
                found.pending.update(start for start in starts if start >= first)

    def _refresh(self) -> None:
        """Count pending windows for as long as a count may take."""
        began = time.monotonic()
        for of, (window_from, window_to) in uncounted(self._progress, self._aside, self.size):
            names = [*of]
            what = f"counting the windows from {window_from:%Y-%m-%d %H:%M:%S} of {', '.join(names)}"
            keys = {(name, start) for name, starts in of.items() for start in starts}
            if self._aside.attempt(keys, what, partial(self._write, names, window_from, window_to)):
                for name, starts in of.items():
                    self._progress[name].write(starts)
            if time.monotonic() - began > BUDGET_S:
                break

    def _write(self, names: Sequence[str], window_from: datetime, window_to: datetime) -> None:
        for run in self._rolled_up.due(names, window_from, window_to, self._known_at):
            span: dict[str, Any] = {"tasks": run.tasks, "size_ms": self.size // MILLISECOND}
            span |= {"window_from": ids.millis(run.window_from), "window_to": ids.millis(run.window_to)}
            span |= {"known_at": clickhouse_time(self._known_at)}
            out_of_scope = [self.tasks[name].out_of_scope for name in run.tasks]
            self.warehouse.command(query_text("monitor/windows_refresh"), **span, out_of_scope=out_of_scope)
            corrected = {start for name in run.tasks for start in self._progress[name].corrected}
            emptied = run.replaced.union(start for start in corrected if run.window_from <= start < run.window_to)
            if starts := [ids.millis(start) for start in sorted(emptied)]:
                self.warehouse.command(query_text("monitor/windows_emptied"), **span, starts=starts)


def alike(warehouse: Warehouse, tasks: Mapping[str, Task], clocks: Clocks, privacy: Privacy) -> dict[str, WindowCounts]:
    """The counts of each task, shared by those with the same windows in whichever time zone."""
    groups: dict[object, dict[str, Task]] = {}
    for name, task in tasks.items():
        groups.setdefault(task.windows.model_copy(update={"time_zone": ""}), {})[name] = task
    found = [(WindowCounts(warehouse, group, clocks, privacy), group) for group in groups.values()]
    return {name: counts for counts, group in found for name in group}
