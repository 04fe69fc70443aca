"""The audit's labels, kept beside what was answered, so that a look at them costs the same however long history is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from headrace.contract import ids
from headrace.warehouse import Warehouse, clickhouse_time, query_text

# The views see what was ingested up to 5 s before the last copy. An insert that took longer than that is found by a
# copy that reaches further back, every so often.
FURTHER_BACK = timedelta(minutes=5)
FURTHER_EVERY_S = 60.0
# So many answers are copied by their ids, which a URL takes; more by their days, about so many in a statement.
IDS, DAYS_OF = 200, 100_000
EPOCH = date(1970, 1, 1)


@dataclass(slots=True)
class Audits:
    """Brings `audit_labels` up to date; any number of them come to the same. Blocking."""

    warehouse: Warehouse
    _further: float = field(default=float("-inf"))

    def copy(self) -> None:
        """Copy what came since the last time. Raises WarehouseError; the next call starts over."""
        began = time.monotonic()
        clock = self.warehouse.query("audit/audits_cursor")[0]
        further = began - self._further >= FURTHER_EVERY_S
        if further and clock["reached"] > ids.EPOCH:
            self._reach(clock["reached"] - FURTHER_BACK)
        touched = self.warehouse.query("audit/audits_touched", most=IDS + 1)
        answers = [one for row in touched for one in row["ids"]]
        if len(answers) > IDS:
            for days in _portions(touched):
                self._copy(days, [])
        elif touched:
            self._copy([row["day"] for row in touched], answers)
        self._reach(clock["now"])
        if further:
            self._further = began

    def _copy(self, days: Sequence[date], answers: Sequence[str]) -> None:
        self.warehouse.command(
            query_text("audit/audits_copy"),
            days=days,
            day_numbers=[(day - EPOCH).days for day in days],
            ids=answers,
            numbers=[UUID(answer).int for answer in answers],
        )

    def _reach(self, moment: datetime) -> None:
        """What arrived from then on is read by the views, not from the copy."""
        self.warehouse.command(query_text("shared/cursor_write"), name="audit_labels", reached=clickhouse_time(moment))


def _portions(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[date]]:
    """Days with about DAYS_OF answers together, or one day with more."""
    days, answers = list[date](), 0
    for row in rows:
        if days and answers + row["times"] > DAYS_OF:
            yield days
            days, answers = [], 0
        days.append(row["day"])
        answers += row["times"]
    if days:
        yield days
