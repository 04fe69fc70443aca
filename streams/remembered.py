"""Answers to the monitor's questions, kept for as long as nothing they rest on has changed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headrace import ids
from streams.queries import Queries, clickhouse_time

Row = dict[str, Any]
# Rest on control messages and on what was drawn.
CONTROL = frozenset({"monitor_promotion", "monitor_loop"})
# Counts the audit's labels by day of the answer; asked again from the first day on that may have changed.
DAYS = "monitor_days"
# Rest on those labels, whichever copies of them there are.
LABELS = frozenset({"monitor_reference", "monitor_shiryaev_roberts"})
# While one of these is set, the answer changes with the clock.
UNTIL = ("waiting", "settling")
# Answers of one query that differ in what was asked: labels since the promotion, and since the last trigger.
MOST_KEPT = 16
# Days are counted from the first on again after so long: what retention deletes leaves no copy behind.
FROM_THE_FIRST_S = 3600.0


@dataclass(slots=True)
class _Days:
    """What `monitor_days` said of a version since a moment. due: labels to count once the watermark has reached them."""

    counted_at: float
    rows: list[Row] = field(default_factory=list)
    due: list[datetime] = field(default_factory=lambda: [ids.EPOCH])

    def first_due(self, watermark: str) -> int | None:
        """The first day to count again (days since 1970); None for none."""
        reached = min((moment for moment in self.due if clickhouse_time(moment) <= watermark), default=None)
        return None if reached is None else (reached - ids.EPOCH).days

    def counted(self, first: int, found: list[Row]) -> None:
        """The days from the first on are counted; a new list, for what rests on the old one is compared with it."""
        self.rows = [row for row in self.rows if row["day"] < first] + found
        self.due = [row["ahead"] for row in self.rows if row["ahead"] > ids.EPOCH]


@dataclass(slots=True)
class Remembered:
    """A task's queries. An answer is given again while the control messages, or the labels, are those it came from.

    control: what tells one state of all control messages from another (monitor_control.sql)
    """

    queries: Queries
    control: tuple[Any, ...] = ()
    _days: dict[tuple[str, str], _Days] = field(default_factory=dict)
    _kept: dict[tuple[str, Any], tuple[Any, list[Row]]] = field(default_factory=dict)

    def copied(self, copies: Iterable[tuple[str, datetime]]) -> None:
        """Labels of a version were copied, of answers from this moment on."""
        for copied, oldest in copies:
            for (version, _), days in self._days.items():
                if version == copied:
                    days.due.append(oldest)

    def query(self, name: str, **parameters: Any) -> list[Row]:
        """As Warehouse.query. Raises WarehouseError."""
        if name == DAYS:
            return self._by_day(**parameters)
        asked = {key: value for key, value in parameters.items() if key != "watermark"}
        if name in CONTROL:
            return self._again(name, parameters, (self.control, asked))
        if name in LABELS:
            days = [days.rows for (version, _), days in self._days.items() if version == parameters["version"]]
            return self._again(name, parameters, (days, asked))
        return self.queries.query(name, **parameters)

    def _by_day(self, version: str, since: str, **parameters: Any) -> list[Row]:
        now = time.monotonic()
        days = self._days.get((version, since))
        if days is None or now - days.counted_at > FROM_THE_FIRST_S:
            _make_room(self._days)
            days = self._days[version, since] = _Days(now)
        first = days.first_due(parameters["watermark"])
        if first is not None:
            asked = parameters | {"version": version, "since": since, "first_day": first}
            days.counted(first, self.queries.query(DAYS, **asked))
        return list(days.rows)

    def _again(self, name: str, parameters: dict[str, Any], basis: tuple[Any, ...]) -> list[Row]:
        place = name, parameters.get("since")
        kept = self._kept.get(place)
        if kept is not None and kept[0] == basis:
            return [dict(row) for row in kept[1]]
        found = self.queries.query(name, **parameters)
        self._kept.pop(place, None)
        if not any(row.get(column) for row in found for column in UNTIL):
            _make_room(self._kept)
            self._kept[place] = (basis, [dict(row) for row in found])
        return found

    def command(self, sql: str, **parameters: Any) -> None:
        """As Warehouse.command. Raises WarehouseError."""
        self.queries.command(sql, **parameters)


def _make_room(kept: dict[Any, Any]) -> None:
    if len(kept) >= MOST_KEPT:
        kept.clear()
