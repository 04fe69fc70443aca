"""Why no step forward begins although the evidence suffices: a freeze window, or a person who is to approve it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from headrace.contract.control import Promotion, Step
from headrace.plan import Task, frozen_until

APPROVAL = "waits for a person"


def frozen(task: Task, now: datetime) -> str:
    """That a freeze window of the plan holds whatever goes forward, and until when; empty where none does."""
    until = frozen_until(task.rollout.freeze, now, ZoneInfo(task.windows.time_zone))
    return f"waits for the end of a freeze window at {until:%Y-%m-%d %H:%M %Z}" if until else ""


def held(promotion: Promotion, task: Task, now: datetime) -> str:
    """Why the step may not end now, in words; empty where it may."""
    if waits := frozen(task, now):
        return waits
    goes_live = not any(share > promotion.canary_share for share in task.rollout.canary_shares)
    asks = {"none": False, "before_canary": promotion.step is Step.SHADOW, "before_live": goes_live}
    return f"{APPROVAL}: `headrace approve {promotion.task}`" if asks[task.rollout.approval] else ""


def waits_for_approval(promotion: Promotion) -> bool:
    """Whether its last change told that it waits for a person: since then nothing spoke against the candidate."""
    return promotion.reason.startswith(APPROVAL)
