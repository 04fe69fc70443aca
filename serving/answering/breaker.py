"""When a failing candidate leaves the traffic without waiting for anybody."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.statistics.sequences import fails_too_often


@dataclass(slots=True)
class Tally:
    """What a version has done so far in this process, as far as it says something about the version.

    requests: asked of it as a candidate, or as the live version; failed: it did not answer, though another version may
        have
    stopped: it failed too often as a candidate, and gets no more requests as one
    """

    requests: int = 0
    failed: int = 0
    stopped: bool = False


def failing(tally: Tally, max_error_share: float) -> bool:
    """Whether it is shown to fail more often than the plan allows; consumers/rollout asks this of all gateways."""
    return fails_too_often(tally.failed, tally.requests, max_error_share)
