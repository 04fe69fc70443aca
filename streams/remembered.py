"""Answers to the monitor's questions, kept for as long as nothing they rest on has changed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streams.queries import Queries

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
    """What `monitor_days` said of a version since a moment. stale: the first day to ask again, None for none."""

    counted_at: float
    rows: list[Row] = field(default_factory=list)
    stale: int | None = 0

    def touched(self, day: int) -> None:
        self.stale = day if self.stale is None else min(self.stale, day)


@dataclass(slots=True)
class Remembered:
    """A task's queries. An answer is given again while the control messages, or the labels, are those it came from.

    control: what tells one state of all control messages from another (monitor_control.sql)
    """

    queries: Queries
    control: tuple[Any, ...] = ()
    _days: dict[tuple[str, str], _Days] = field(default_factory=dict)
    _kept: dict[tuple[str, Any], tuple[Any, list[Row]]] = field(default_factory=dict)

    def copied(self, first_days: Mapping[str, int]) -> None:
        """Labels of a version were copied, of answers from this day on (days since 1970)."""
        for (version, _), days in self._days.items():
            if version in first_days:
                days.touched(first_days[version])

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
        if days.stale is not None:
            asked = parameters | {"version": version, "since": since, "first_day": days.stale}
            found = self.queries.query(DAYS, **asked)
            # A new list: answers that rest on the old one compare with it.
            days.rows = [row for row in days.rows if row["day"] < days.stale] + found
            days.stale = min((row["day"] for row in days.rows if row["ahead"]), default=None)
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
