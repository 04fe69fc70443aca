"""A cell that holds a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from headrace.contract import ids
from headrace.errors import EventError

# A count since 1970 is in the largest unit in which it lies after 1973: seconds, milli-, micro- or nanoseconds.
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (1e8, 1.0))


@dataclass(frozen=True, slots=True)
class Times:
    """Reads times: ISO 8601, a format of strptime, a number since 1970, or what Parquet gives.

    zone: of times that name none; None refuses them
    """

    zone: ZoneInfo | None = None
    format: str = ""

    def read(self, value: Any) -> datetime:
        """The time, UTC. Raises EventError."""
        try:
            moment = self._moment(value)
            if moment.tzinfo is None:
                if self.zone is None:
                    raise EventError(
                        f"the time {value!r} has no zone: say which with --zone, as in --zone Europe/Berlin"
                    )
                moment = moment.replace(tzinfo=self.zone)
            return moment.astimezone(UTC)
        except (ValueError, OverflowError, TypeError):
            wanted = self.format or "ISO 8601 (2026-01-31T12:00:00+01:00) or a number since 1970"
            raise EventError(f"{str(value)[:80]!r} is not a time: expected {wanted}; see --time-format") from None

    def _moment(self, value: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        if isinstance(value, date):
            return datetime.combine(value, time())
        if isinstance(value, str) and self.format:
            return datetime.strptime(value.strip(), self.format)
        if isinstance(value, str):
            try:
                return datetime.fromisoformat(value.strip())
            except ValueError:
                value = float(value)
        if isinstance(value, bool):
            raise TypeError
        unit = next((per_second for least, per_second in _UNITS if abs(value) >= least), None)
        if unit is None:
            raise ValueError
        return ids.EPOCH + timedelta(microseconds=round(value / unit * 1e6) if unit <= 1e6 else int(value) // 1000)
