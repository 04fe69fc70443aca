"""When a failing candidate leaves the traffic without waiting for anybody."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.statistics.sequences import above

ALPHA = 0.001
"""Probability that a candidate which fails no more often than the plan allows is ever stopped, by one gateway."""


@dataclass(slots=True)
class Tally:
    """What a version has done so far in this process, as far as it says something about the version.

    requests: asked of it as a candidate, or as the live version; failed: without an answer, whoever answered instead
    stopped: it failed too often as a candidate, and gets no more requests as one
    """

    requests: int = 0
    failed: int = 0
    stopped: bool = False


def failing(tally: Tally, max_error_share: float) -> bool:
    """Whether it is shown to fail more often than the plan allows; consumers/rollout asks this of all gateways."""
    return above(tally.failed, tally.requests, max_error_share, ALPHA)
