"""Versions, a bar and a task at each step of a rollout."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from headrace.contract.control import Promotion, Served, Step
from headrace.plan import Rollout

AT = datetime(2026, 3, 1, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)
OLD, LIVE, NEW = Served(version="router@0"), Served(version="router@1"), Served(version="router@2", attempt=1)
SHARES = (0.05, 0.25)
BAR = Rollout(shadow_requests=100, canary_shares=SHARES, canary_requests=200, step_timeout_s=600)


def state(step: Step, share: float = 0.0, previous: Served | None = OLD) -> Promotion:
    """A task at generation 7 on that step."""
    return Promotion(
        task="router",
        generation=7,
        step=step,
        live=LIVE,
        previous=previous,
        shadow=NEW if step is Step.SHADOW else None,
        canary=NEW if step is Step.CANARY else None,
        canary_share=share,
        since=AT,
        at=AT,
    )
