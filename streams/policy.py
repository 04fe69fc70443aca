"""When to retrain: a pure function of what the monitor has seen. All times are event times.

A rule asks for a retraining (drift, then cheaper, then cadence); it is held while the task is busy with the last one:

    rule     asks when                                                          test rows from
    drift    a hard detector fired                                              the estimated change
    cheaper  an upstream serves, and `cheaper_after_labels` audits are there    the promotion
    cadence  `cadence_s` since the last promotion or trigger                    the promotion

    held     a rollout is under way; a job is open, or won and waits for its rollout, or a trigger waits for its job;
             `cool_down_s` since the last promotion or trigger is not over (a task's first cheaper trigger: no wait)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace.control import Step, TriggerKind
from headrace.plan import Triggers
from streams.detectors.detector import Reading


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a task stands at a watermark.

    labels: base-audit labels of the live version since it became live, below the watermark
    upstream: the live version is the plan's incumbent, which costs by the token
    last_trigger_at: of any trigger of the task, ever; None where there was none
    busy: an open job or a trigger without a job yet, in words; empty for none
    """

    watermark: datetime
    generation: int
    step: Step
    since: datetime
    upstream: bool
    labels: int
    readings: tuple[Reading, ...]
    last_trigger_at: datetime | None
    busy: str


@dataclass(frozen=True, slots=True)
class Decision:
    """kind: retrain, and of which kind; None: do not. reading: the detector that asked, for kind drift."""

    kind: TriggerKind | None
    reason: str
    reading: Reading | None = None


def decide(plan: Triggers, situation: Situation) -> Decision:
    """Retrain or not; the same situation gives the same decision."""
    asked = [
        wish for wish in (_drift(situation), _cheaper(plan, situation), _cadence(plan, situation)) if wish is not None
    ]
    if not asked:
        return Decision(None, "no rule asks for a retraining")
    held = ""
    for wish in asked:
        held = _held(plan, situation, wish)
        if not held:
            return wish
    return Decision(None, f"held: {held} ({asked[0].reason})")


def _drift(situation: Situation) -> Decision | None:
    for reading in situation.readings:
        if reading.hard and reading.fired:
            return Decision(TriggerKind.DRIFT, f"{reading.detector}: {reading.reason}", reading)
    return None


def _cheaper(plan: Triggers, situation: Situation) -> Decision | None:
    enough = plan.cheaper_after_labels
    if not enough or not situation.upstream or situation.labels < enough:
        return None
    return Decision(
        TriggerKind.CHEAPER,
        f"an upstream serves, and {situation.labels} audited answers (the plan asks for {enough}) can show whether a "
        "candidate does as well for less",
    )


def _cadence(plan: Triggers, situation: Situation) -> Decision | None:
    if not plan.cadence_s or _rest(situation) < timedelta(seconds=plan.cadence_s):
        return None
    return Decision(
        TriggerKind.CADENCE, f"{plan.cadence_s:g} s since the last promotion or trigger, the cadence, are over"
    )


def _held(plan: Triggers, situation: Situation, wish: Decision) -> str:
    if situation.step is not Step.STEADY:
        return f"a rollout is under way (step {situation.step})"
    if situation.busy:
        return situation.busy
    if wish.kind is TriggerKind.CHEAPER and situation.last_trigger_at is None:
        return ""
    if _rest(situation) < timedelta(seconds=plan.cool_down_s):
        return f"the cool-down of {plan.cool_down_s:g} s since the last promotion or trigger is not over"
    return ""


def _rest(situation: Situation) -> timedelta:
    """Event time since the last promotion or trigger."""
    return situation.watermark - max(situation.since, situation.last_trigger_at or situation.since)
