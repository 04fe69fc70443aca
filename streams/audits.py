"""The audit's labels, kept beside what was answered, so that a look at them costs the same however long history is."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from headrace.contract import ids
from headrace.warehouse import Warehouse, clickhouse_time, query_text
from streams.labels import Copied

# A copy asks for what was ingested from 5 s before the last one on. An insert that took longer than that is found by a
# copy that reaches further back, every so often.
LATE = timedelta(seconds=5)
FURTHER_BACK = timedelta(minutes=5)
FURTHER_EVERY_S = 60.0
# So many answers are copied by their ids, which a URL takes; more by their days, about so many in a statement.
IDS, DAYS_OF = 200, 100_000
EPOCH = date(1970, 1, 1)
# Tells one copy from another, beside the days of their answers.
COPY = ("task", "version", "ingested_at", "labels")


@dataclass(slots=True)
class Audits:
    """Brings `audit_labels` up to date; any number of them come to the same. Blocking."""

    warehouse: Warehouse
    _further: float = field(default=float("-inf"))
    _seen: set[tuple[Any, ...]] = field(default_factory=set)

    @property
    def due(self) -> bool:
        """Whether it is time for a copy that reaches further back, whatever came meanwhile."""
        return time.monotonic() - self._further >= FURTHER_EVERY_S

    def copy(self, touched: Collection[UUID] | None = None, left: Collection[UUID] = ()) -> None:
        """Copy what came since the last time. Raises WarehouseError; the next call starts over.

        touched: answers whose audit may have changed since then, where the caller knows them. They spare the questions
            of what came and the cursor, which then stays: every FURTHER_EVERY_S all that came since is asked for.
        left: those of `touched` from which a label may have been taken back, or has gone over to another
        """
        began, further = time.monotonic(), self.due
        if touched is not None and len(touched) <= IDS and not further:
            self._leave(sorted(left))
            self._copy(_days(touched), sorted(touched))
            return
        clock = self.warehouse.query("audit/audits_cursor")[0]
        # The cursor stays until all is copied, so a copy that fails moves nothing.
        since = max(ids.EPOCH, clock["reached"] - LATE - further * FURTHER_BACK)
        days = self.warehouse.query("audit/audits_touched", since=clickhouse_time(since), most=IDS + 1)
        answers = [answer for row in days for answer in row["ids"]]
        self._leave([answer for row in days for answer in row["left"]])
        if len(answers) > IDS:
            for portion in _portions(days):
                self._copy(portion, [])
        else:
            self._copy([row["day"] for row in days], answers)
        self._reach(clock["now"])
        if further:
            self._further = began

    def copied(self, tasks: Iterable[str], since: datetime) -> list[Copied]:
        """The copies that any worker made since then and that this did not return before. Raises WarehouseError."""
        rows = self.warehouse.query("monitor/copied", tasks=list(tasks), changed_since=clickhouse_time(since))
        found = {(*(row[key] for key in COPY), tuple(row["days"])) for row in rows}
        new, self._seen = found - self._seen, found
        return [Copied(task, version, days) for task, version, *_, days in new]

    def _copy(self, days: Sequence[date], answers: Sequence[UUID]) -> None:
        if days:
            self.warehouse.command(query_text("audit/audits_copy"), days=days, **_key(days, answers))

    def _leave(self, answers: Sequence[UUID]) -> None:
        """Copies of labels that are about other answers by now count nowhere."""
        for first in range(0, len(answers), IDS):
            some = answers[first : first + IDS]
            self.warehouse.command(query_text("audit/audits_left"), **_key(_days(some), some))

    def _reach(self, moment: datetime) -> None:
        """What arrived from then on is read by the views, not from the copy."""
        self.warehouse.command(query_text("shared/cursor_write"), name="audit_labels", reached=clickhouse_time(moment))


def _days(answers: Iterable[UUID]) -> list[date]:
    """Of their ids' times."""
    return sorted({(ids.EPOCH + timedelta(milliseconds=answer.int >> 80)).date() for answer in answers})


def _key(days: Iterable[date], answers: Sequence[UUID]) -> dict[str, Any]:
    """Of copies of these answers, or of all of these days."""
    numbers = [answer.int for answer in answers]
    return {"day_numbers": [(day - EPOCH).days for day in days], "ids": list(answers), "numbers": numbers}


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
