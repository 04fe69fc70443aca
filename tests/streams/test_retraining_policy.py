"""When to retrain: which rule asks, and what holds it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from headrace.control import Step, TriggerKind
from headrace.plan import Triggers
from streams.detectors import Reading
from streams.policy import Situation, decide

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PLAN = Triggers(cool_down_s=3600, cheaper_after_labels=1500)


def reading(fired: bool, hard: bool = True) -> Reading:
    return Reading("some_detector", 500, 2e4, 1e4, fired, "errors rose", NOON, NOON, hard=hard)


QUIET = Situation(
    watermark=NOON,
    generation=3,
    step=Step.STEADY,
    since=NOON - timedelta(days=2),
    upstream=False,
    labels=4000,
    readings=(reading(False),),
    last_trigger_at=None,
    busy="",
)


def test_nothing_asks() -> None:
    """Quiet detectors and no other rule: no retraining, with a reason."""
    decision = decide(PLAN, QUIET)
    assert decision.kind is None and decision.reason == "no rule asks for a retraining"


def test_a_hard_alarm_asks() -> None:
    """A hard detector that fired starts a retraining and is named in the reason."""
    decision = decide(PLAN, replace(QUIET, readings=(reading(False), reading(True))))
    assert decision.kind is TriggerKind.DRIFT
    assert decision.reading is not None and "some_detector" in decision.reason


def test_a_soft_alarm_does_not() -> None:
    """A soft detector never starts a retraining alone."""
    assert decide(PLAN, replace(QUIET, readings=(reading(True, hard=False),))).kind is None


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"step": Step.CANARY}, "canary"),
        ({"step": Step.SHADOW}, "shadow"),
        ({"busy": "job 1 is running"}, "job 1 is running"),
        ({"last_trigger_at": NOON - timedelta(minutes=59)}, "cool-down"),
        ({"since": NOON - timedelta(minutes=59)}, "cool-down"),
    ],
)
def test_a_busy_loop_holds_it(change: dict[str, object], word: str) -> None:
    """A rollout, an open job and the cool-down hold an alarm, and the reason says which."""
    alarmed = replace(QUIET, readings=(reading(True),))
    decision = decide(PLAN, replace(alarmed, **change))  # type: ignore[arg-type]
    assert decision.kind is None
    assert decision.reason.startswith("held: ") and word in decision.reason and "errors rose" in decision.reason


def test_the_cool_down_ends_in_event_time() -> None:
    """An hour of event time after the last trigger the alarm counts again."""
    situation = replace(QUIET, readings=(reading(True),), last_trigger_at=NOON - timedelta(minutes=60))
    assert decide(PLAN, situation).kind is TriggerKind.DRIFT


UPSTREAM = replace(QUIET, upstream=True, labels=1500, since=NOON - timedelta(minutes=5))


def test_the_first_cheaper_trigger_does_not_wait() -> None:
    """A task's first trigger may be a cheaper one at once, cool-down or not."""
    assert decide(PLAN, UPSTREAM).kind is TriggerKind.CHEAPER


@pytest.mark.parametrize(
    ("plan", "change"),
    [
        (PLAN, {"labels": 1499}),
        (PLAN, {"upstream": False}),
        (PLAN, {"last_trigger_at": NOON - timedelta(minutes=1)}),
        (Triggers(cool_down_s=3600, cheaper_after_labels=0), {}),
    ],
)
def test_a_cheaper_model_is_not_always_worth_a_try(plan: Triggers, change: dict[str, object]) -> None:
    """Not before enough labels, not where no upstream serves, not soon after the last trigger, not where it is off."""
    assert decide(plan, replace(UPSTREAM, **change)).kind is None  # type: ignore[arg-type]


def test_a_cheaper_model_is_tried_again_after_the_cool_down() -> None:
    """After an attempt without a winner the next one waits for the cool-down."""
    again = replace(UPSTREAM, last_trigger_at=NOON - timedelta(hours=1), since=NOON - timedelta(days=1))
    assert decide(PLAN, again).kind is TriggerKind.CHEAPER


def test_drift_goes_before_cheaper() -> None:
    """Where both ask, the trigger is drift: its test rows are those after the change."""
    both = replace(UPSTREAM, readings=(reading(True),), since=NOON - timedelta(days=1))
    assert decide(PLAN, both).kind is TriggerKind.DRIFT


def test_a_held_drift_does_not_hold_the_first_cheaper_trigger() -> None:
    """In the cool-down after the first promotion an alarm waits, and the first cheaper trigger still does not."""
    assert decide(PLAN, replace(UPSTREAM, readings=(reading(True),))).kind is TriggerKind.CHEAPER


def test_cadence_counts_from_the_last_promotion_or_trigger() -> None:
    """A day's cadence asks a day after the promotion, and again a day after the trigger that followed."""
    daily = Triggers(cadence_s=86_400, cool_down_s=0)
    assert decide(daily, QUIET).kind is TriggerKind.CADENCE
    assert decide(daily, replace(QUIET, since=NOON - timedelta(hours=23))).kind is None
    assert decide(daily, replace(QUIET, last_trigger_at=NOON - timedelta(hours=1))).kind is None
