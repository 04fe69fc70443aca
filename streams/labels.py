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

from headrace import ids
from streams.queries import Queries, clickhouse_time

Row = dict[str, Any]
DAY = timedelta(days=1)
# Counts labels by day of the answer; asked again of the days that may have changed.
DAYS = "monitor_days"
# Rests on those labels, whichever copies of them there are.
EVIDENCE = "monitor_shiryaev_roberts"
NAMES = (DAYS, EVIDENCE)
# Parameters with one element a task; the others are the same for all.
EACH = {
    DAYS: ("tasks", "versions", "sinces", "watermarks", "first_days", "last_days"),
    EVIDENCE: (
        "tasks", "versions", "sinces", "watermarks", "errors", "labelled", "skip", "earlier", "earlier_errors",
    ),
}  # fmt: skip
# Days that are no further apart are asked of together, of one task or of several: what is read lies between them.
CLOSE = 7
# After the last day that there is, days since 1970.
NO_DAY = 60_000
# Of a task: labels since the promotion, and since each trigger.
MOST_KEPT = 16
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
class _Evidence:
    """The last answer for a task: what was asked, the labels that it rests on, and the rows."""

    asked: dict[str, Any]
    basis: list[list[Row]]
    rows: list[Row]


@dataclass(slots=True)
class Labels:
    """Answers two queries as the warehouse does, each asked of one task: its parameters are arrays of one element.

    Blocking; looks at different tasks may run at once.
    """

    queries: Queries
    _watermarks: dict[str, str] = field(default_factory=dict)
    _days: dict[Series, _Days] = field(default_factory=dict)
    _evidence: dict[str, _Evidence] = field(default_factory=dict)
    _again_at: float = float("-inf")
    _one: Lock = field(default_factory=Lock)

    def see(self, watermarks: Mapping[str, datetime], copies: Iterable[Copied]) -> None:
        """How far the tasks are, and what was copied."""
        with self._one:
            self._watermarks |= {task: clickhouse_time(moment) for task, moment in watermarks.items()}
            for copied in copies:
                for series, days in self._days.items():
                    if (series.task, series.version) == (copied.task, copied.version):
                        days.came(copied.days)

    def query(self, name: str, **parameters: Any) -> list[Row]:
        """As Warehouse.query, for one of NAMES. Raises WarehouseError."""
        one = {key: parameters.pop(key)[0] for key in EACH[name]}
        with self._one:
            self._watermarks[one["tasks"]] = one["watermarks"]
            found = self._by_day(one) if name == DAYS else self._statistic(one, parameters)
        return [dict(row) for row in found]

    def state(self, task: str, version: str) -> list[list[Row]]:
        """Tells one state of a version's labels from another."""
        with self._one:
            return self._state(task, version)

    def _state(self, task: str, version: str) -> list[list[Row]]:
        return [days.rows for series, days in self._days.items() if (series.task, series.version) == (task, version)]

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
            for (other, (first, last)), rows in zip(due.items(), self._together(DAYS, asked, {}), strict=True):
                self._days[other].counted(first, last, rows)
        return days.rows

    def _statistic(self, one: dict[str, Any], constants: Mapping[str, Any]) -> list[Row]:
        subject = one["tasks"]
        asked = {key: value for key, value in one.items() if key != "watermarks"}
        basis = self._state(subject, one["versions"])
        known = self._evidence.get(subject)
        if known is None or (known.asked, known.basis) != (asked, basis):
            together = {subject: (asked, basis)}
            for task, other in self._evidence.items():
                now = self._state(task, other.asked["versions"])
                if task not in together and other.basis != now and _close(asked["sinces"], other.asked["sinces"]):
                    together[task] = other.asked, now
            wanted = [of | {"watermarks": self._watermarks[task]} for task, (of, _) in together.items()]
            answers = self._together(EVIDENCE, wanted, constants)
            for (task, (of, state)), rows in zip(together.items(), answers, strict=True):
                self._evidence[task] = _Evidence(of, state, rows)
        return self._evidence[subject].rows

    def _known(self, series: Series) -> _Days:
        now = time.monotonic()
        days = self._days.get(series)
        old = days is not None and now - days.counted_at > FROM_THE_FIRST_S and now - self._again_at > APART_S
        if old:
            self._again_at = now
        if days is None or old:
            others = [other for other in self._days if other.task == series.task]
            if len(others) >= MOST_KEPT:
                for other in others:
                    del self._days[other]
            days = self._days[series] = _Days(now)
        return days

    def _together(self, name: str, asked: list[dict[str, Any]], constants: Mapping[str, Any]) -> list[list[Row]]:
        """One query about several; the rows of each."""
        arrays = {key: [one[key] for one in asked] for key in EACH[name]}
        found: list[list[Row]] = [[] for _ in asked]
        for row in self.queries.query(name, **arrays, **constants):
            found[row.pop("place") - 1].append(row)
        return found


def _close(since: str, other: str) -> bool:
    days = [datetime.fromisoformat(moment) for moment in (since, other)]
    return abs(days[0] - days[1]).days <= CLOSE


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
