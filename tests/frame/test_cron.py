"""Cron expressions on event time: the next time in UTC, and a sentence for what is no expression."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from headrace import cron

# A Monday.
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "after", "next_time"),
    [
        ("0 3 * * *", NOON, "2026-03-03 03:00"),
        ("0 12 * * *", NOON, "2026-03-03 12:00"),
        ("*/15 * * * *", NOON + timedelta(seconds=1), "2026-03-02 12:15"),
        ("5/20 * * * *", NOON, "2026-03-02 12:05"),
        ("30 8-10/2 * * *", NOON, "2026-03-03 08:30"),
        ("0 0 1 * *", NOON, "2026-04-01 00:00"),
        ("0 0 29 feb *", NOON, "2028-02-29 00:00"),
        ("0 3 * * mon", NOON, "2026-03-09 03:00"),
        ("0 3 * * 7", NOON, "2026-03-08 03:00"),
        ("0 3 * * 0,6", NOON, "2026-03-07 03:00"),
        ("0 0 13 * fri", NOON, "2026-03-06 00:00"),
        ("0 0 */2 * fri", NOON, "2026-03-13 00:00"),
        ("59 23 31 dec *", NOON, "2026-12-31 23:59"),
    ],
)
def test_the_next_time(text: str, after: datetime, next_time: str) -> None:
    """The first minute strictly later that all fields allow; of two restricted days either will do."""
    assert f"{cron.parse(text).after(after):%Y-%m-%d %H:%M}" == next_time


def test_times_are_utc() -> None:
    """A moment of another zone is compared by the instant."""
    lisbon_summer = NOON.astimezone(timezone(timedelta(hours=1)))
    assert cron.parse("0 13 * * *").after(lisbon_summer) == NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0 3 * *", "takes five fields"),
        ("@daily", "takes five fields"),
        ("60 * * * *", "'60' is no minute: it takes 0 to 59"),
        ("0 -1 * * *", "is no hour"),
        ("0 3 0 * *", "'0' is no day of month: it takes 1 to 31"),
        ("0 3 * * someday", "'someday' is no day of week"),
        ("0 3 * 5-2 *", "a range begins with its lower end"),
        ("*/0 * * * *", "a step is a whole number from 1 on"),
        ("0 3 30 feb *", "never comes"),
    ],
)
def test_what_is_no_expression_is_named(text: str, says: str) -> None:
    """The sentence names the field and what it takes."""
    with pytest.raises(ValueError, match=re.escape(says)):
        cron.parse(text)
