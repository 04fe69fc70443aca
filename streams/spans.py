"""Which closed windows are compared with which: pure functions of the promotion, the watermark and the plan's windows.

All windows are of one size, whole and disjoint, counted from 1970. What is tested are the newest closed ones. The
reference of each is the same hour of the week, by the clocks of the plan's time zone, in the first weeks after the
promotion; before a week is over, or where windows do not divide a week, the first windows after the promotion. No
reference overlaps what is tested.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from headrace.contract import ids

MILLISECOND = timedelta(milliseconds=1)
LOOKED_AT = 3
"""Disjoint closed windows that are tested."""
RUN = 24
"""The most windows that one statement reads."""
WEEK = timedelta(weeks=1)
HOUR = timedelta(hours=1)
ZERO = timedelta(0)
WEEKS = 4
"""The most weeks that a reference takes together."""


@dataclass(frozen=True, slots=True)
class Spans:
    """The windows that are compared: the starts of those tested, oldest first, and of each one's reference."""

    size: timedelta
    tested: tuple[datetime, ...]
    references: tuple[tuple[datetime, ...], ...]

    @property
    def tested_from(self) -> datetime:
        return self.tested[0]

    @property
    def tested_to(self) -> datetime:
        """Exclusive."""
        return self.tested[-1] + self.size


def spans(since: datetime, watermark: datetime, size: timedelta, first: int, zone: tzinfo) -> Spans | None:
    """What to compare at a watermark; `first` windows after the promotion are the reference at first.

    zone: whose hours of the week are compared
    None while there is no window to test yet.
    """
    begin = first_window(since, size)
    closed = start_of(watermark, size)
    tested_from = max(begin + first * size, closed - LOOKED_AT * size)
    if tested_from >= closed:
        return None
    tested = tuple(tested_from + place * size for place in range((closed - tested_from) // size))
    return Spans(size, tested, tuple(reference(window, since, size, first, zone) for window in tested))


def start_of(moment: datetime, size: timedelta) -> datetime:
    """The start of the window that `moment` lies in."""
    return ids.EPOCH + (moment - ids.EPOCH) // size * size


def first_window(since: datetime, size: timedelta) -> datetime:
    """The start of the first whole window after a promotion."""
    return ids.EPOCH - (ids.EPOCH - since) // size * size


def reference(window: datetime, since: datetime, size: timedelta, first: int, zone: tzinfo) -> tuple[datetime, ...]:
    """The starts of the windows that one is compared with."""
    begin = first_window(since, size)
    return _same_hour(window, begin, size, zone) or tuple(begin + place * size for place in range(first))


def runs(starts: Iterable[datetime], size: timedelta, most: int = RUN) -> list[tuple[datetime, datetime]]:
    """Windows that follow each other as one span each, of at most `most` windows: start and exclusive end."""
    found: list[tuple[datetime, datetime]] = []
    for start in sorted(set(starts)):
        if found and found[-1][1] == start and start - found[-1][0] < most * size:
            found[-1] = (found[-1][0], start + size)
        else:
            found.append((start, start + size))
    return found


def _same_hour(window: datetime, begin: datetime, size: timedelta, zone: tzinfo) -> tuple[datetime, ...]:
    """The windows of the same hour of the week (of the same window of the week, if those are longer) after `begin`."""
    if WEEK % size:
        return ()
    block = size if HOUR % size else HOUR
    start = start_of(window, block)
    weeks = (start - begin) // WEEK
    blocks = (_weeks_before(start, weeks - place, block, zone) for place in range(min(weeks, WEEKS)))
    # Windows of half a week and more may be tested together with what came a week before.
    oldest = window - (LOOKED_AT - 1) * size
    return tuple(
        first + place * size
        for first in blocks
        if first >= begin and first + block <= oldest
        for place in range(block // size)
    )


def _weeks_before(start: datetime, weeks: int, block: timedelta, zone: tzinfo) -> datetime:
    """The start of the block whose time in the zone was the same so many weeks before.

    Summer time moves it by whole blocks: blocks of two hours and more stay where they are.
    """
    before = start - weeks * WEEK
    moved = (start.astimezone(zone).utcoffset() or ZERO) - (before.astimezone(zone).utcoffset() or ZERO)
    return before + round(moved / block) * block
