"""Five-field cron expressions, `minute hour day-of-month month day-of-week`, in UTC and on event time.

A field is `*`, a number, a range `1-5`, either with a step `*/15`, or a list of those with commas; months and days of
the week may be named (`jan`, `mon`), and 0 and 7 are both Sunday. Where day of month and day of week are both
restricted, either will do, as in crontab(5). Nothing else is understood: no seconds, no `@daily`, no `L`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# name, lowest, highest, what its names stand for from the lowest on
FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of week", 0, 7, WEEKDAYS),
)
# 29 February comes after at most eight years.
FARTHEST = timedelta(days=8 * 366)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression. either_day: day of month and day of week are both restricted, and one of them will do."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def after(self, moment: datetime) -> datetime | None:
        """The first time later than `moment`; None where there is none within eight years."""
        start = moment.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        day = start.replace(hour=0, minute=0)
        while day - start <= FARTHEST:
            if self._on(day):
                for hour in self.hours:
                    for minute in self.minutes:
                        found = day.replace(hour=hour, minute=minute)
                        if found >= start:
                            return found
            day += timedelta(days=1)
        return None

    def _on(self, day: datetime) -> bool:
        by_month, by_week = day.day in self.days, (day.weekday() + 1) % 7 in self.weekdays
        return day.month in self.months and (by_month or by_week if self.either_day else by_month and by_week)


@cache
def parse(text: str) -> Cron:
    """Raises ValueError with a sentence that names the field."""
    fields = text.split()
    if len(fields) != len(FIELDS):
        raise ValueError(
            f"{text!r} is not a cron expression: it takes five fields, minute hour day-of-month month day-of-week"
        )
    minutes, hours, days, months, weekdays = (_field(field, *spec) for field, spec in zip(fields, FIELDS, strict=True))
    cron = Cron(
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        frozenset(days),
        frozenset(months),
        frozenset(day % 7 for day in weekdays),
        either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
    )
    if cron.after(datetime(2000, 1, 1, tzinfo=UTC)) is None:
        raise ValueError(f"{text!r} never comes: no month of those named has such a day")
    return cron


def _field(text: str, name: str, lowest: int, highest: int, names: tuple[str, ...]) -> set[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            low, high = lowest, highest
        else:
            low = _number(first, name, lowest, highest, names)
            high = _number(last, name, lowest, highest, names) if dash else highest if slash else low
        if slash and (not step.isdecimal() or int(step) < 1):
            raise ValueError(f"{part!r} is no {name}: a step is a whole number from 1 on")
        if high < low:
            raise ValueError(f"{part!r} is no {name}: a range begins with its lower end")
        found.update(range(low, high + 1, int(step) if slash else 1))
    return found


def _number(text: str, name: str, lowest: int, highest: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + lowest
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        raise ValueError(f"{text!r} is no {name}: it takes {lowest} to {highest}")
    return int(text)
