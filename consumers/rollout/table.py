"""The states of a rollout. The table is the whole rule; `apply` is the only code that makes a Promotion of another.

    STEADY ──promote──▶ SHADOW ──advance──▶ CANARY (share 1) ──advance──▶ CANARY (share 2) … ──advance──▶ STEADY
      ▲                    │                    │                                            (candidate is live)
      ├────────────────────┴─roll back, abort───┘
      └──roll back: the previous version is live again

A step holds where the evidence suffices and a person, or the end of a freeze window, is waited for. A tenant is pinned
and sessions are diverted to the incumbent at any step. These three change neither the step nor its clock.
A new candidate that arrives during a rollout takes the place of the old one and starts in SHADOW. Each record is the
whole desired state, its generation one greater. A request that is refused changes nothing and is no record here: its
answer is in the log of actions, and no replica has to acknowledge it, and no step starts again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from headrace.contract.control import Promotion, Served, Step, Waits


class Event(StrEnum):
    """What can happen to a task's promotion."""

    PROMOTE = "promote"  # a candidate is to be rolled out
    ADVANCE = "advance"  # the evidence of this step suffices
    ROLL_BACK = "roll_back"  # by a person, or because the evidence speaks against the candidate
    ABORT = "abort"  # a gateway took the candidate out of traffic
    HOLD = "hold"  # a step forward waits for a person, or for the end of a freeze window
    PIN = "pin"  # a tenant stays on a version, or no longer
    DIVERT = "divert"  # the incumbent answers another share of the sessions


ASIDE = (Event.HOLD, Event.PIN, Event.DIVERT)
_NOT_DIVERTED: dict[str, object] = {"incumbent_share": None, "diverted_by_hand": False}


TABLE: Mapping[tuple[Step, Event], frozenset[Step]] = {
    (Step.STEADY, Event.PROMOTE): frozenset({Step.SHADOW}),
    (Step.STEADY, Event.ROLL_BACK): frozenset({Step.STEADY}),
    (Step.SHADOW, Event.PROMOTE): frozenset({Step.SHADOW}),
    (Step.SHADOW, Event.ADVANCE): frozenset({Step.CANARY, Step.STEADY}),
    (Step.SHADOW, Event.ROLL_BACK): frozenset({Step.STEADY}),
    (Step.SHADOW, Event.ABORT): frozenset({Step.STEADY}),
    (Step.CANARY, Event.PROMOTE): frozenset({Step.SHADOW}),
    (Step.CANARY, Event.ADVANCE): frozenset({Step.CANARY, Step.STEADY}),
    (Step.CANARY, Event.ROLL_BACK): frozenset({Step.STEADY}),
    (Step.CANARY, Event.ABORT): frozenset({Step.STEADY}),
    **{(step, event): frozenset({step}) for step in Step for event in ASIDE},
}


def seed(task: str, live: Served, now: datetime) -> Promotion:
    """Generation 1: the plan's incumbent takes everything."""
    return Promotion(
        task=task, generation=1, step=Step.STEADY, live=live, since=now, at=now, reason="the plan's incumbent"
    )


def apply(
    promotion: Promotion,
    event: Event,
    now: datetime,
    reason: str,
    *,
    shares: Sequence[float] = (),
    candidate: Served | None = None,
    request_id: UUID | None = None,
    pins: Mapping[str, Served] | None = None,
    share: float | None = None,
    by_hand: bool = False,
    waits_for: Waits = Waits.NOTHING,
) -> Promotion:
    """The task's next generation. Raises ValueError where the table has no such transition.

    shares: of the canary's steps, growing; only ADVANCE reads them
    candidate: only PROMOTE reads it
    request_id: of the request that is answered; without one that of the rollout under way stays
    pins: all of them, by tenant; only PIN reads it
    share, by_hand: of the sessions, to the incumbent, and whether a person said so; only DIVERT reads them
    waits_for: what is waited for; only HOLD reads it, a pin and a diversion leave it as it is
    """
    allowed = TABLE.get((promotion.step, event))
    if allowed is None:
        raise ValueError(f"a {promotion.step} promotion cannot {event}")
    changed: dict[str, object] = {}
    match event:
        case Event.PROMOTE:
            if candidate is None:
                raise ValueError("promoting takes a candidate")
            changed = _resting(promotion.live) | {"step": Step.SHADOW, "shadow": candidate}
        case Event.ADVANCE:
            changed = _advanced(promotion, shares, now)
        case Event.ROLL_BACK if promotion.step is Step.STEADY:
            if promotion.previous is None:
                raise ValueError("there is no previous version")
            changed = {"live": promotion.previous, "previous": None, "since": now} | _NOT_DIVERTED
        case Event.ROLL_BACK | Event.ABORT:
            changed = _resting(promotion.live)
        case Event.PIN:
            changed, waits_for = {"pins": dict(pins or {})}, promotion.waits
        case Event.DIVERT:
            changed, waits_for = {"incumbent_share": share, "diverted_by_hand": by_hand}, promotion.waits
        case Event.HOLD:
            pass
    at = promotion.at if event in ASIDE and promotion.step is not Step.STEADY else now
    after = promotion.model_copy(
        update=changed
        | {
            "generation": promotion.generation + 1,
            "at": at,
            "waits_for": waits_for if event in ASIDE else Waits.NOTHING,
            "waits_at": at if event in ASIDE and waits_for else None,
            "reason": reason,
            "request_id": request_id or promotion.request_id,
        }
    )
    assert after.step in allowed, f"{promotion.step} {event} led to {after.step}"
    return after


def _advanced(promotion: Promotion, shares: Sequence[float], now: datetime) -> dict[str, object]:
    candidate = promotion.candidate
    assert candidate is not None, "a rollout has a candidate"
    # SHADOW stands at share 0, so every share is greater.
    greater = [share for share in shares if share > promotion.canary_share]
    if greater:
        return {"step": Step.CANARY, "shadow": None, "canary": candidate, "canary_share": greater[0]}
    return _resting(candidate) | {"previous": promotion.live, "since": now} | _NOT_DIVERTED


def _resting(live: Served) -> dict[str, object]:
    return {"step": Step.STEADY, "live": live, "canary": None, "canary_share": 0.0, "shadow": None}
