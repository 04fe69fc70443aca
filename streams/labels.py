"""What looks ask of the audit's labels: asked of all tasks at once, and only where a label may have changed.

Planning such a question takes ClickHouse longer than reading what it is about. So where one task's look asks, it is
asked of every task whose labels changed since, and their looks find the answer here. All of it can be lost unharmed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from threading import Lock
from typing import Any

from headrace.contract import ids
from headrace.warehouse import clickhouse_time
from streams.queries import Queries

Row = dict[str, Any]
DAY = timedelta(days=1)
# Counts labels by day of the answer; asked again of the days that may have changed.
DAYS = "monitor/label_days"
# Its parameters: one element a task.
EACH = ("tasks", "versions", "sinces", "watermarks", "first_days", "last_days")
# Days that are no further apart are asked of together, of one task or of several: what is read lies between them.
CLOSE = 7
# After the last day that there is, days since 1970.
NO_DAY = 60_000
# Of a task: labels since the promotion, and since each trigger.
MAX_KEPT = 16
# Days are counted from the first on again after so long: what retention deletes leaves no copy behind.
FROM_THE_FIRST_S = 3600.0
# Two of them are this far apart: all tasks' days were counted first in the same look.
APART_S = 20.0


@dataclass(frozen=True, slots=True)
class Copied:
    """Labels of a version's answers were copied; days: of the answers, days since 1970."""

    task: str
    version: str
    days: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """The labels of a version of a task on answers from a moment on."""

    task: str
    version: str
    since: str


@dataclass(slots=True)
class _Days:
    """What is known of a series by day.

    due: the days to count again; None: all
    ahead: the oldest label to count once the watermark has reached it, if any
    """

    counted_at: float
    rows: list[Row] = field(default_factory=list)
    due: set[int] | None = None
    ahead: datetime | None = None

    def came(self, days: Iterable[int]) -> None:
        """Labels came, of answers of these days."""
        if self.due is not None:
            self.due.update(days)

    def spans(self, watermark: str) -> list[tuple[int, int]]:
        """Which days to count again: runs of them, each its first and the one after its last."""
        if self.due is None:
            return [(0, NO_DAY)] if watermark else []
        days = {day for day in self.due if clickhouse_time(ids.EPOCH + day * DAY) <= watermark}
        if self.ahead is not None and clickhouse_time(self.ahead) <= watermark:
            days.add((self.ahead - ids.EPOCH).days)
        found: list[tuple[int, int]] = []
        for day in sorted(days):
            if found and day - found[-1][1] < CLOSE:
                found[-1] = (found[-1][0], day + 1)
            else:
                found.append((day, day + 1))
        return found

    def counted(self, first: int, last: int, found: list[Row]) -> None:
        """These days are counted."""
        before, after = ([row for row in self.rows if kept(row["day"])] for kept in (first.__gt__, last.__le__))
        self.rows = [*before, *found, *after]
        self.due = {day for day in self.due or () if not first <= day < last}
        self.ahead = min((row["ahead"] for row in self.rows if row["ahead"] > ids.EPOCH), default=None)


@dataclass(slots=True)
class Labels:
    """The warehouse's queries. One is answered from what is known, and asked of one task: its parameters are arrays of
    one element.

    Blocking; looks at different tasks may run at once.
    """

    queries: Queries
    _watermarks: dict[str, str] = field(default_factory=dict)
    _days: dict[Series, _Days] = field(default_factory=dict)
    _again_at: float = float("-inf")
    _one: Lock = field(default_factory=Lock)

    def see(
        self, watermarks: Mapping[str, datetime], copies: Iterable[Copied] = (), series: Iterable[Series] = ()
    ) -> None:
        """How far the tasks are, what was copied, and which series looks at them will ask about."""
        with self._one:
            self._watermarks |= {task: clickhouse_time(moment) for task, moment in watermarks.items()}
            for copied in copies:
                for one, days in self._days.items():
                    if (one.task, one.version) == (copied.task, copied.version):
                        days.came(copied.days)
            for one in series:
                if one not in self._days:
                    self._known(one)

    def query(self, name: str, **parameters: Any) -> list[Row]:
        """As Warehouse.query. Raises WarehouseError."""
        if name != DAYS:
            return self.queries.query(name, **parameters)
        one = {key: parameters[key][0] for key in EACH}
        with self._one:
            self._watermarks[one["tasks"]] = one["watermarks"]
            return [dict(row) for row in self._by_day(one)]

    def command(self, sql: str, **parameters: Any) -> None:
        """As Warehouse.command. Raises WarehouseError."""
        self.queries.command(sql, **parameters)

    def _by_day(self, one: Mapping[str, Any]) -> list[Row]:
        days = self._known(Series(one["tasks"], one["versions"], one["sinces"]))
        for span in days.spans(one["watermarks"]):
            due = {
                other: near
                for other, known in self._days.items()
                for near in known.spans(self._watermarks.get(other.task, ""))
                if abs(near[0] - span[0]) <= CLOSE and abs(near[1] - span[1]) <= CLOSE
            }
            asked = [
                {
                    "tasks": other.task,
                    "versions": other.version,
                    "sinces": other.since,
                    "watermarks": self._watermarks[other.task],
                    "first_days": first,
                    "last_days": last,
                }
                for other, (first, last) in due.items()
            ]
            for (other, (first, last)), rows in zip(due.items(), self._together(asked), strict=True):
                self._days[other].counted(first, last, rows)
        return days.rows

    def _known(self, series: Series) -> _Days:
        now = time.monotonic()
        days = self._days.get(series)
        old = days is not None and now - days.counted_at > FROM_THE_FIRST_S and now - self._again_at > APART_S
        if old:
            self._again_at = now
        if days is None or old:
            others = [other for other in self._days if other.task == series.task]
            if len(others) >= MAX_KEPT:
                for other in others:
                    del self._days[other]
            days = self._days[series] = _Days(now)
        return days

    def _together(self, asked: list[dict[str, Any]]) -> list[list[Row]]:
        """The rows of each, by as few queries as name no task twice."""
        found: list[list[Row]] = [[] for _ in asked]
        left = list(range(len(asked)))
        while left:
            places = list({asked[place]["tasks"]: place for place in left}.values())
            for row in self.queries.query(DAYS, **{key: [asked[place][key] for place in places] for key in EACH}):
                found[places[row.pop("place") - 1]].append(row)
            left = [place for place in left if place not in places]
        return found


def by_day(queries: Queries, task: str, version: str, since: datetime, watermark: datetime) -> list[Row]:
    """Rows of `monitor_days` for one version of one task. Raises WarehouseError."""
    return queries.query(
        DAYS,
        tasks=[task],
        versions=[version],
        sinces=[clickhouse_time(since)],
        watermarks=[clickhouse_time(watermark)],
        first_days=[0],
        last_days=[NO_DAY],
    )


def reached(days: Sequence[Mapping[str, int]], labels: int) -> datetime:
    """Of rows of `monitor_days`: the end of the day with which there were so many labels; of the last for fewer."""
    counts = accumulate(day["labels"] for day in days)
    last = days[-1]["day"] if days else 0
    return ids.EPOCH + DAY * (1 + next((row["day"] for row, n in zip(days, counts, strict=True) if n >= labels), last))
