"""Which windows are compared: the same hour of the week as soon as there is a week, else the first ones."""

from __future__ import annotations

from datetime import timedelta

import pytest
from router_story import START

from streams.spans import HOUR, WEEK, reference, runs, spans

MINUTE = timedelta(minutes=1)


def test_the_first_week_is_compared_with_the_first_windows() -> None:
    """Until the hour of a window has come a second time, the reference is what followed the promotion."""
    found = spans(START, START + WEEK, HOUR, first=24)
    assert found is not None and len(found.tested) == 3
    assert set(found.references) == {tuple(START + place * HOUR for place in range(24))}


@pytest.mark.parametrize(("weeks", "taken"), [(1, 1), (3, 3), (9, 4)])
def test_later_ones_with_the_same_hour_of_the_first_weeks(weeks: int, taken: int) -> None:
    """At most four weeks, the first ones after the promotion: a slow change does not become its own reference."""
    window = START + weeks * WEEK + 5 * HOUR
    assert reference(window, START, HOUR, first=24) == tuple(START + 5 * HOUR + week * WEEK for week in range(taken))


def test_windows_shorter_than_an_hour_take_the_whole_hour() -> None:
    """Six windows of ten minutes a week before, whichever ten minutes are tested."""
    window = START + WEEK + 2 * HOUR + 30 * MINUTE
    expected = tuple(START + 2 * HOUR + place * 10 * MINUTE for place in range(6))
    assert reference(window, START, 10 * MINUTE, first=3) == expected


def test_windows_that_do_not_divide_a_week_have_no_season() -> None:
    """Windows of five days are compared with the first ones for ever."""
    size = timedelta(days=5)
    begin = reference(START + 8 * WEEK, START, size, first=2)
    assert begin == reference(START + 80 * WEEK, START, size, first=2)


def test_windows_in_a_row_are_one_read() -> None:
    """Windows of which two follow each other are two spans, whatever their order and however often they are named."""
    starts = [START + HOUR, START, START + 5 * HOUR, START + HOUR]
    assert runs(starts, HOUR) == [(START, START + 2 * HOUR), (START + 5 * HOUR, START + 6 * HOUR)]
    assert runs([], HOUR) == []
