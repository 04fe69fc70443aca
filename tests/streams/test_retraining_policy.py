"""When to retrain: which rule asks, and what holds it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from headrace.contract.control import Step, TriggerKind
from headrace.contract.verdict import Verdict
from headrace.plan import Triggers
from streams.detectors import Reading
from streams.detectors.detector import ANSWERS, LABELS, WORDS
from streams.policy import HELD_IN, Attempt, Rule, Situation, State, Waiting, decide

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PLAN = Triggers(cool_down_s=3600, cheaper_after_labels=1500)


def reading(fired: bool, hard: bool = True, family: str = LABELS) -> Reading:
    return Reading("some_detector", 500, 2e4, 1e4, fired, "errors rose", NOON, NOON, hard=hard, family=family)


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
        ({"last_trigger_at": NOON - timedelta(hours=9), "new_labels": 49}, "49 labels since"),
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


def test_the_calendar_asks_once_a_time() -> None:
    """A cron time that has come since the last promotion or trigger asks, and not again after the trigger it made."""
    monday = Triggers(cadence_cron="30 11 * * mon", cool_down_s=0)
    decision = decide(monday, QUIET)
    assert decision.kind is TriggerKind.CADENCE and "2026-03-02 11:30" in decision.reason
    assert decide(monday, replace(QUIET, watermark=NOON - timedelta(minutes=31))).kind is None
    assert decide(monday, replace(QUIET, last_trigger_at=NOON)).kind is None
    assert decide(monday, replace(QUIET, last_trigger_at=NOON, watermark=NOON + timedelta(days=7))).kind is not None


HR_IT = frozenset({"hr", "it"})
LEGAL = replace(QUIET, experts=HR_IT | {"legal"}, trained_for=HR_IT, asked_for=HR_IT)


def test_a_changed_list_of_experts_asks_once() -> None:
    """Other labels than the live model was trained for start a retraining, unless the last trigger was for them."""
    decision = decide(PLAN, LEGAL)
    assert decision.kind is TriggerKind.EXPERTS and "new: legal" in decision.reason
    assert "gone: it" in decide(PLAN, replace(LEGAL, experts=frozenset({"hr"}))).reason
    assert decide(PLAN, replace(LEGAL, asked_for=LEGAL.experts)).kind is None
    assert decide(PLAN, replace(LEGAL, trained_for=frozenset(), asked_for=frozenset())).kind is None


TWO_FAMILIES = replace(
    QUIET, readings=(reading(True, hard=False, family=ANSWERS), reading(True, hard=False, family=WORDS))
)


def test_two_label_free_families_draw_audits_first() -> None:
    """Alarms of two families without labels retrain nothing: they draw audits, once a cool-down."""
    decision = decide(PLAN, TWO_FAMILIES)
    assert (decision.kind, decision.draws, decision.word) == (None, 100, "draw_audits")
    assert "answers, words" in decision.reason
    held = decide(PLAN, replace(TWO_FAMILIES, drew_at=NOON - timedelta(minutes=59)))
    assert not held.draws and "last draw of audits" in held.reason
    assert decide(PLAN, replace(TWO_FAMILIES, drew_at=NOON - timedelta(minutes=60))).draws
    assert decide(PLAN, replace(TWO_FAMILIES, busy="job 1 is running")).draws


@pytest.mark.parametrize(
    "readings",
    [
        (reading(True, hard=False, family=ANSWERS), reading(True, hard=False, family=ANSWERS)),
        (reading(True, hard=False, family=ANSWERS), reading(False, hard=False, family=WORDS)),
        (reading(True, hard=False, family=ANSWERS), reading(True, hard=False, family=LABELS)),
    ],
)
def test_one_family_draws_nothing(readings: tuple[Reading, ...]) -> None:
    """Two detectors that look at the same thing are one witness, and labels need no audits drawn for them."""
    assert not decide(PLAN, replace(QUIET, readings=readings)).draws
    assert not decide(Triggers(draw_audits=0), TWO_FAMILIES).draws


def test_a_hard_alarm_goes_before_a_draw_and_a_held_one_does_not_stop_it() -> None:
    """Labels that say so retrain at once; while that is held, more labels are drawn."""
    both = replace(TWO_FAMILIES, readings=(*TWO_FAMILIES.readings, reading(True)))
    assert decide(PLAN, both).kind is TriggerKind.DRIFT
    assert decide(PLAN, replace(both, busy="job 1 is running")).draws == 100


FAILED = Attempt(
    job=4,
    kind=TriggerKind.DRIFT,
    verdict=Verdict(gate="failed", rows=900, difference=0.012, labels=1200, needs_labels=3100),
    test_from=NOON - timedelta(days=1),
    decided_at=NOON - timedelta(hours=9),
)
VETOED = replace(FAILED, verdict=Verdict(gate="vetoed", rows=900, difference=0.08))
AGAIN = replace(QUIET, readings=(reading(True),), attempt=FAILED, attempt_labels=2400)


def test_a_failed_attempt_waits_for_the_labels_that_its_difference_needs() -> None:
    """After "no winner" the same alarm is held until enough labels came after the change, and says how many came."""
    held = decide(PLAN, AGAIN)
    assert held.kind is None and "2400 labels are there since its change of the 3100" in held.reason
    assert "+1.2 points" in held.reason and "a new candidate or base in the plan, or for a person" in held.reason
    assert decide(PLAN, replace(AGAIN, attempt_labels=3099)).kind is None
    assert decide(PLAN, replace(AGAIN, attempt_labels=3100)).kind is TriggerKind.DRIFT


def test_a_veto_waits_for_a_new_candidate() -> None:
    """No number of labels lifts one that names none; a candidate or base that the plan did not have then does."""
    vetoed = replace(AGAIN, attempt=VETOED, attempt_labels=10**6)
    held = decide(PLAN, vetoed)
    assert held.kind is None and "job 4 was vetoed, and waits for a new candidate or base" in held.reason
    assert decide(PLAN, replace(vetoed, new_candidate=True)).kind is TriggerKind.DRIFT


def test_a_veto_ends_with_labels_enough_for_another_candidate() -> None:
    """What was vetoed knew little: a candidate that learns from as many labels again is another one."""
    verdict = Verdict(gate="vetoed", rows=900, difference=0.08, labels=2000, needs_labels=4000)
    vetoed = replace(AGAIN, attempt=replace(FAILED, verdict=verdict), attempt_labels=3999)
    held = decide(PLAN, vetoed)
    assert held.kind is None and "job 4 was vetoed: 3999 labels are there since its change of the 4000" in held.reason
    assert decide(PLAN, replace(vetoed, attempt_labels=4000)).kind is TriggerKind.DRIFT
    assert decide(PLAN, replace(AGAIN, new_candidate=True)).kind is TriggerKind.DRIFT


def test_a_change_after_the_attempt_is_a_new_one() -> None:
    """A hard detector that dates the change after the attempt's trigger is not held by that attempt's verdict."""
    changed = replace(reading(True), test_from=FAILED.decided_at + timedelta(hours=1))
    for attempt in (FAILED, VETOED):
        assert decide(PLAN, replace(AGAIN, attempt=attempt, readings=(changed,))).kind is TriggerKind.DRIFT
        same = replace(changed, test_from=FAILED.test_from)
        assert decide(PLAN, replace(AGAIN, attempt=attempt, readings=(same,))).kind is None


def test_a_failed_cheaper_attempt_does_not_hold_drift() -> None:
    """Its test rows were not those after a change: a live version that breaks is retrained, a cheaper one waits."""
    cheaper = replace(AGAIN, attempt=replace(FAILED, kind=TriggerKind.CHEAPER))
    assert decide(PLAN, cheaper).kind is TriggerKind.DRIFT
    asking = replace(cheaper, upstream=True, readings=(), last_trigger_at=FAILED.decided_at)
    assert decide(PLAN, asking).kind is None and "job 4 had no winner" in decide(PLAN, asking).reason
    assert decide(PLAN, replace(AGAIN, attempt=replace(FAILED, kind=TriggerKind.MANUAL))).kind is None


def test_a_waiting_job_holds_no_stronger_trigger() -> None:
    """A change takes the place of a cheaper attempt that waits for labels, and of an attempt about an older change."""
    alarmed = replace(QUIET, readings=(replace(reading(True), test_from=NOON - timedelta(hours=1)),))
    cheaper = Waiting(4, TriggerKind.CHEAPER, NOON, 30)
    assert decide(PLAN, replace(alarmed, waiting=cheaper)).kind is TriggerKind.DRIFT
    older = replace(cheaper, kind=TriggerKind.DRIFT, decided_at=NOON - timedelta(hours=2))
    assert decide(PLAN, replace(alarmed, waiting=older)).kind is TriggerKind.DRIFT
    held = decide(PLAN, replace(alarmed, waiting=replace(older, decided_at=NOON - timedelta(minutes=1))))
    assert held.kind is None and "job 4 waits for 30 more labels" in held.reason
    assert decide(PLAN, replace(alarmed, waiting=cheaper, busy="trigger 7 waits for its job")).kind is None


ASKING: dict[Rule, tuple[Triggers, Situation]] = {
    Rule.DRIFT: (PLAN, replace(QUIET, readings=(reading(True),))),
    Rule.EXPERTS: (PLAN, LEGAL),
    Rule.FIRST_CHEAPER: (PLAN, replace(QUIET, upstream=True)),
    Rule.CHEAPER: (PLAN, replace(QUIET, upstream=True, last_trigger_at=NOON - timedelta(days=1))),
    Rule.CADENCE: (Triggers(cadence_s=3600, cool_down_s=3600), QUIET),
    Rule.DRAW_AUDITS: (PLAN, TWO_FAMILIES),
}
IN_STATE = {
    State.ROLLOUT: {"step": Step.CANARY},
    State.BUSY: {"busy": "job 1 is running"},
    State.WAITING: {"waiting": Waiting(4, TriggerKind.MANUAL, NOON - timedelta(days=1), 30)},
    State.COOLING: {"since": NOON - timedelta(minutes=59)},
    State.FEW: {"new_labels": 3},
    State.JUDGED: {"attempt": replace(FAILED, kind=TriggerKind.CADENCE), "attempt_labels": 2400},
    State.SAME_CHANGE: {"attempt": FAILED, "attempt_labels": 2400},
    State.DRAWN: {"drew_at": NOON - timedelta(minutes=59)},
}


@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("state", State)
def test_a_state_holds_exactly_the_rules_that_the_table_says(rule: Rule, state: State) -> None:
    """Every cell of the table: in that state the rule is held, or its wish is done."""
    plan, asking = ASKING[rule]
    assert decide(plan, asking).word == rule.removeprefix("first_")
    if rule is Rule.CADENCE and state is State.COOLING:
        plan = Triggers(cadence_s=3000, cool_down_s=3600)
    found = decide(plan, replace(asking, **IN_STATE[state]))  # type: ignore[arg-type]
    assert found.word == ("" if state in HELD_IN[rule] else rule.removeprefix("first_"))
    assert found.reason.startswith("held: ") == (state in HELD_IN[rule])
