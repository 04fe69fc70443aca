"""Where the rows of an event lie in the warehouse: the partitions of `inferences` and `feedback`.

    YYYYMM   the month of the id's own time, where that is near the time of the insert
    BEFORE   ids of long before it: an import of old history, a broken clock
    AHEAD    ids of after it: a clock that is ahead

So a block of any ids makes at most as many parts as SPAN has months, and two. The tables' column `place` says the same
in SQL (headrace/warehouse/schema/10_events.sql). It is a column, so that `ingested_at` is no part of the partition key:
with FINAL, a ClickHouse before 26.3 would leave out newer rows of an event where a query asks for a time of insertion.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from headrace.contract import ids

BEFORE, AHEAD = "0", "999999"
SPAN = timedelta(days=1000)
LEEWAY = timedelta(minutes=10)


def place_of(event_id: UUID, inserted: datetime) -> str:
    """The partition of an event that is inserted at that time."""
    at = ids.time_of(event_id)
    if at < inserted - SPAN:
        return BEFORE
    return AHEAD if at > inserted + LEEWAY else f"{at:%Y%m}"


def ids_of(month: str) -> tuple[int, int]:
    """The least and the greatest id, as numbers, that the partition of a month may hold."""
    first = datetime.strptime(month, "%Y%m").replace(tzinfo=UTC)
    after = (first + timedelta(days=31)).replace(day=1)
    return ids.millis(first) << 80, (ids.millis(after) << 80) - 1
