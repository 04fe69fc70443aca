"""How a time is bound to a statement."""

from __future__ import annotations

from datetime import UTC, datetime


def clickhouse_time(moment: datetime) -> str:
    """A time as a DateTime64(…, 'UTC') parameter or column takes it; digits beyond the type's are cut off."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
