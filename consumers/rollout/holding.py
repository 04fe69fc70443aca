"""Why no step forward begins although the evidence suffices: a freeze window, or a person who is to approve it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from headrace.contract.control import Promotion, Step, Waits
from headrace.plan import Task, frozen_until


def frozen(task: Task, now: datetime) -> str:
    """That a freeze window of the plan holds whatever goes forward, and until when; empty where none does."""
    until = frozen_until(task.rollout.freeze, now, ZoneInfo(task.windows.time_zone))
    return f"waits for the end of a freeze window at {until:%Y-%m-%d %H:%M %Z}" if until else ""


def held(promotion: Promotion, task: Task, now: datetime) -> tuple[Waits, str]:
    """What the step waits for now before it may end, and in words."""
    if waits := frozen(task, now):
        return Waits.FREEZE, waits
    goes_live = not any(share > promotion.canary_share for share in task.rollout.canary_shares)
    asks = {"none": False, "before_canary": promotion.step is Step.SHADOW, "before_live": goes_live}
    if asks[task.rollout.approval] and promotion.waits is not Waits.APPROVED:
        return Waits.APPROVAL, f"waits for a person: `headrace approve {promotion.task}`"
    return Waits.NOTHING, ""
