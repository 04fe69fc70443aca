"""When the incumbent answers a share of the sessions in the place of a broken live version: a pure decision.

It begins where the live version is proven broken and nothing is rolled out. It ends where the version is proven well
again; a new live version (table.py) and a person end it too. One that a person ended does not begin again by itself,
and one that a person began is not ended by a proof.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.contract.control import Promotion, Step
from headrace.plan import Rollout


@dataclass(frozen=True, slots=True)
class Health:
    """What the monitor has proven of a live version since it became live.

    fired: the label trigger, at its last look
    labelled, low, high: rolling accuracy by the base audit: labels, and the ends of its 95 % interval
    """

    fired: bool = False
    labelled: int = 0
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True, slots=True)
class Diversion:
    """The share of the sessions that the incumbent answers from now on, None for none, and why."""

    share: float | None
    reason: str


def heeds(promotion: Promotion, bar: Rollout) -> bool:
    """Whether the plan wants it for such a live version: nothing answers in the place of the incumbent."""
    return bar.incumbent_share_when_broken > 0 and bool(promotion.live.artifact)


def diverted(promotion: Promotion, health: Health, bar: Rollout) -> Diversion | None:
    """What is to change; None for nothing."""
    live, share = promotion.live.version, bar.incumbent_share_when_broken
    measured = f"{health.low:.1%} to {health.high:.1%} right by {health.labelled} labels"
    if not health.labelled:
        return None
    if promotion.incumbent_share is None:
        broken = health.fired and health.high < bar.broken_below
        if not broken or promotion.step is not Step.STEADY:
            return None
        return Diversion(
            share,
            f"{live} is broken: the label trigger fires, and it is {measured}, below {bar.broken_below:.1%};"
            f" the incumbent answers {share:.1%} of the sessions",
        )
    if promotion.incumbent_share and not promotion.diverted_by_hand and health.low > bar.broken_below:
        return Diversion(None, f"{live} is well again: {measured}, above {bar.broken_below:.1%}")
    return None
