"""Which windows are compared: the same hour of the week as soon as there is a week, else the first ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from router_story import START

from streams.spans import HOUR, WEEK, reference, runs, spans

MINUTE = timedelta(minutes=1)


def test_the_first_week_is_compared_with_the_first_windows() -> None:
    """Until the hour of a window has come a second time, the reference is what followed the promotion."""
    found = spans(START, START + WEEK, HOUR, first=24, zone=UTC)
    assert found is not None and len(found.tested) == 3
    assert set(found.references) == {tuple(START + place * HOUR for place in range(24))}


@pytest.mark.parametrize(("weeks", "taken"), [(1, 1), (3, 3), (9, 4)])
def test_later_ones_with_the_same_hour_of_the_first_weeks(weeks: int, taken: int) -> None:
    """At most four weeks, the first ones after the promotion: a slow change does not become its own reference."""
    window = START + weeks * WEEK + 5 * HOUR
    assert reference(window, START, HOUR, first=24, zone=UTC) == tuple(
        START + 5 * HOUR + week * WEEK for week in range(taken)
    )


def test_windows_shorter_than_an_hour_take_the_whole_hour() -> None:
    """Six windows of ten minutes a week before, whichever ten minutes are tested."""
    window = START + WEEK + 2 * HOUR + 30 * MINUTE
    expected = tuple(START + 2 * HOUR + place * 10 * MINUTE for place in range(6))
    assert reference(window, START, 10 * MINUTE, first=3, zone=UTC) == expected


@pytest.mark.parametrize("size", [HOUR, 10 * MINUTE, 30 * MINUTE])
def test_the_hour_of_the_week_is_the_users_over_summer_time(size: timedelta) -> None:
    """Nine o'clock on Monday in Berlin is compared with nine o'clock on Mondays, before and after clocks change."""
    berlin = ZoneInfo("Europe/Berlin")
    for since, monday in (
        (datetime(2026, 3, 9, tzinfo=UTC), datetime(2026, 4, 6, 9, tzinfo=berlin)),
        (datetime(2026, 10, 5, tzinfo=UTC), datetime(2026, 11, 2, 9, tzinfo=berlin)),
    ):
        found = reference(monday.astimezone(UTC), since, size, first=24, zone=berlin)
        hours = {(start.astimezone(berlin).weekday(), start.astimezone(berlin).hour) for start in found}
        assert hours == {(0, 9)} and len(found) == 4 * (HOUR // size)
        in_utc = reference(monday.astimezone(UTC), since, size, first=24, zone=UTC)
        assert len(set(in_utc) - set(found)) >= HOUR // size


def test_windows_of_a_day_stay_where_they_are_over_summer_time() -> None:
    """Windows are whole in UTC: a day's reference is the same day of the week, an hour off by the clocks."""
    since, day = datetime(2026, 3, 9, tzinfo=UTC), datetime(2026, 4, 6, tzinfo=UTC)
    found = reference(day, since, timedelta(days=1), first=2, zone=ZoneInfo("Europe/Berlin"))
    assert found == tuple(day - weeks * WEEK for weeks in (4, 3, 2, 1))


@pytest.mark.parametrize("size", [WEEK, WEEK / 2, 24 * HOUR, HOUR])
@pytest.mark.parametrize("weeks", range(3, 12))
def test_what_is_tested_is_no_reference(size: timedelta, weeks: int) -> None:
    """Also of windows of a week, of which the last three are tested and the one before is the same hour of the week."""
    found = spans(START, START + weeks * WEEK, size, first=1, zone=UTC)
    assert found is not None
    for starts in found.references:
        assert starts and all(start + size <= found.tested_from for start in starts)


def test_windows_that_do_not_divide_a_week_have_no_season() -> None:
    """Windows of five days are compared with the first ones for ever."""
    size = timedelta(days=5)
    begin = reference(START + 8 * WEEK, START, size, first=2, zone=UTC)
    assert begin == reference(START + 80 * WEEK, START, size, first=2, zone=UTC)


def test_windows_in_a_row_are_one_read() -> None:
    """Windows of which two follow each other are two spans, whatever their order and however often they are named."""
    starts = [START + HOUR, START, START + 5 * HOUR, START + HOUR]
    assert runs(starts, HOUR) == [(START, START + 2 * HOUR), (START + 5 * HOUR, START + 6 * HOUR)]
    assert runs([], HOUR) == []
