"""What a model costs at a given traffic: machines that are always on, or a price per request. Pure."""

from __future__ import annotations

from math import ceil

TRAFFICS = (1_000, 100_000, 10_000_000)
"""Requests a day."""
BUSY = 0.7
"""Share of its time that a machine may be busy; more and requests queue."""
DAY_S = 86_400


def machine_per_1k(requests: float, busy_s: float, usd_per_hour: float) -> float:
    """US dollars for a thousand requests on machines that are always on; one at least, however few requests come.

    requests: a day, evenly; busy_s: seconds that a request keeps one machine busy
    """
    machines = max(1, ceil(requests * busy_s / (DAY_S * BUSY)))
    return machines * usd_per_hour * 24 / requests * 1000


def break_even(usd_per_hour: float, other_per_1k: float) -> float:
    """Requests a day from which one machine that is always on is cheaper than that price for a thousand requests."""
    return usd_per_hour * 24 / other_per_1k * 1000
