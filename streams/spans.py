"""Event-time windows: where one starts."""

from __future__ import annotations

from datetime import datetime, timedelta

from headrace import ids

MILLISECOND = timedelta(milliseconds=1)


def start_of(moment: datetime, size: timedelta) -> datetime:
    """The start of the window that `moment` lies in."""
    return ids.EPOCH + (moment - ids.EPOCH) // size * size
