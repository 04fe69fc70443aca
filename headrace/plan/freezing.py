"""Times in which no rollout takes a step forward."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator

from headrace.plan.section import Section

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK = timedelta(days=7)


def _as_text(given: Any) -> Any:
    """TOML has dates and times of its own."""
    return given.isoformat() if isinstance(given, date) else given


End = Annotated[str, BeforeValidator(_as_text)]


class Freeze(Section):
    """One of them, in the time zone of `windows.time_zone`: once, as 2026-12-20T18:00, or weekly, as `fri 16:00`."""

    begin: End = Field(alias="from")
    """When it begins: a date, with or without a time, or a day of the week (mon, tue, …) with a time."""
    end: End = Field(alias="to")
    """When it ends; of the same form."""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        begin, end = _read(self.begin), _read(self.end)
        if type(begin) is not type(end):
            raise ValueError("from and to are of the same form: two dates, or two days of the week")
        if begin == end:
            raise ValueError(f"from and to are both {self.begin!r}")
        if isinstance(begin, datetime) and isinstance(end, datetime):
            if (begin.tzinfo is None) is not (end.tzinfo is None):
                raise ValueError("from and to both have a time zone, or none has one")
            if end < begin:
                raise ValueError(f"to, {self.end}, is before from, {self.begin}")
        return self

    def until(self, now: datetime, zone: ZoneInfo) -> datetime | None:
        """When it ends, in that zone; None where `now` does not lie in it."""
        begin, end, local = _read(self.begin), _read(self.end), now.astimezone(zone)
        if isinstance(begin, timedelta) and isinstance(end, timedelta):
            midnight = datetime.combine(local.date(), time(), zone)
            monday = midnight - timedelta(days=local.weekday())
            # Wall clock, over summer time too.
            passed = (local.replace(tzinfo=None) - monday.replace(tzinfo=None) - begin) % WEEK
            left = (end - begin) % WEEK - passed
            return local + left if left > timedelta() else None
        assert isinstance(begin, datetime) and isinstance(end, datetime), "both ends have one form"
        begin, end = (moment if moment.tzinfo else moment.replace(tzinfo=zone) for moment in (begin, end))
        return end.astimezone(zone) if begin <= now < end else None


def frozen_until(windows: Iterable[Freeze], now: datetime, zone: ZoneInfo) -> datetime | None:
    """When the last of the windows that `now` lies in ends; None where it lies in none."""
    return max((end for window in windows if (end := window.until(now, zone))), default=None)


def _read(text: str) -> datetime | timedelta:
    """A date and time, or the time since Monday's midnight. Raises ValueError."""
    day, _, clock = text.strip().lower().partition(" ")
    try:
        if day not in DAYS:
            return datetime.fromisoformat(text.strip())
        at = time.fromisoformat(clock.strip())
    except ValueError:
        raise ValueError(
            f"{text!r} is neither a date, as 2026-12-20T18:00, nor a day and a time, as fri 16:00"
        ) from None
    return timedelta(days=DAYS.index(day), hours=at.hour, minutes=at.minute)
