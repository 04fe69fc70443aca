"""When a failing candidate leaves the traffic without waiting for anybody."""

from __future__ import annotations

from dataclasses import dataclass

MIN_REQUESTS = 20
"""Fewer say nothing about a share."""


@dataclass(slots=True)
class Tally:
    """What a version has done so far in this process.

    stopped: it failed too often as a candidate, and gets no more requests as one
    """

    requests: int = 0
    failed: int = 0
    stopped: bool = False


def failing(tally: Tally, max_error_share: float) -> bool:
    """Whether the candidate's failures exceed the plan's share, on enough requests."""
    return tally.requests >= MIN_REQUESTS and tally.failed > max_error_share * tally.requests
