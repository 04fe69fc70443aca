"""What to do about a task: a pure function of what the monitor has seen. All times are event times.

A rule asks; the first that no state holds is done:

    rule           asks when                                                     done                 held in
    drift          a hard detector fired                                         retrain, test rows   rollout, busy,
                                                                                 from the change      waiting,
                                                                                                      same_change,
                                                                                                      cooling, few
    experts        the plan's labels are not those that the live model and the   retrain, test rows   rollout, busy,
                   last job were made for                                        from the promotion   waiting, cooling
    first_cheaper  an upstream serves, `cheaper_after_labels` audits are there,  the same             rollout, busy,
                   and the task never had a trigger                                                   waiting
    cheaper        the same, and it had one                                      the same             rollout, busy,
                                                                                                      waiting, judged,
                                                                                                      cooling,
                                                                                                      same_change
    cadence        `cadence_s` since the last promotion or trigger, or a time    the same             rollout, busy,
                   of `cadence_cron` has come since                                                   waiting, judged,
                                                                                                      cooling,
                                                                                                      same_change
    draw_audits    detectors of two label-free families alarm                    draw `draw_audits`   drawn
                                                                                 answers for audit

    state    when
    rollout  a candidate is in shadow or canary
    busy     a job is claimed or runs, or won and waits for its rollout, or a trigger waits for its job
    waiting  a job waits for labels, and what asks does not take its place (headrace.contract.precedence)
    cooling  less than `cool_down_s` since the last promotion or trigger
    few      fewer than `min_labels` base-audit labels since then: evidence that has been acted on is no new evidence
    judged   the last attempt met the test rows and had no winner, and its verdict cannot have changed since: there are
             fewer labels since its change than its verdict names. Over when the plan has a new candidate. A person's
             own trigger does not come through here: it is always taken.
    same_change  the same, where it was for drift or a person's, and no hard detector dates the change after it
    drawn    less than `cool_down_s` since the last draw

A detector's own hysteresis comes first: the label-free ones alarm where 2 of 3 disjoint closed windows differ.
After a promotion all evidence begins anew, with the answers of the new live version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from headrace import cron
from headrace.contract.control import Step, TriggerKind
from headrace.contract.precedence import takes_the_place
from headrace.contract.verdict import Verdict
from headrace.plan import Triggers
from streams.detectors.detector import LABELS, Reading

FAMILIES_TO_DRAW = 2
DRAW_AUDITS = "draw_audits"
ABOUT_A_CHANGE = (TriggerKind.DRIFT, TriggerKind.MANUAL)


class Rule(StrEnum):
    DRIFT = "drift"
    EXPERTS = "experts"
    FIRST_CHEAPER = "first_cheaper"
    CHEAPER = "cheaper"
    CADENCE = "cadence"
    DRAW_AUDITS = DRAW_AUDITS


class State(StrEnum):
    ROLLOUT = "rollout"
    BUSY = "busy"
    WAITING = "waiting"
    COOLING = "cooling"
    FEW = "few"
    JUDGED = "judged"
    SAME_CHANGE = "same_change"
    DRAWN = "drawn"


HELD_IN: dict[Rule, tuple[State, ...]] = {
    Rule.DRIFT: (State.ROLLOUT, State.BUSY, State.WAITING, State.SAME_CHANGE, State.COOLING, State.FEW),
    Rule.EXPERTS: (State.ROLLOUT, State.BUSY, State.WAITING, State.COOLING),
    Rule.FIRST_CHEAPER: (State.ROLLOUT, State.BUSY, State.WAITING),
    Rule.CHEAPER: (State.ROLLOUT, State.BUSY, State.WAITING, State.JUDGED, State.SAME_CHANGE, State.COOLING),
    Rule.CADENCE: (State.ROLLOUT, State.BUSY, State.WAITING, State.JUDGED, State.SAME_CHANGE, State.COOLING),
    Rule.DRAW_AUDITS: (State.DRAWN,),
}
KINDS = {
    Rule.DRIFT: TriggerKind.DRIFT,
    Rule.EXPERTS: TriggerKind.EXPERTS,
    Rule.FIRST_CHEAPER: TriggerKind.CHEAPER,
    Rule.CHEAPER: TriggerKind.CHEAPER,
    Rule.CADENCE: TriggerKind.CADENCE,
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that met the test rows and had no winner.

    job: its number; kind, test_from, decided_at: of its trigger
    """

    job: int
    kind: str
    verdict: Verdict
    test_from: datetime
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that waits for labels. kind, decided_at: of its trigger; needs: how many labels are missing"""

    job: int
    kind: TriggerKind
    decided_at: datetime
    needs: int


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a task stands at a watermark.

    labels: base-audit labels of the live version since it became live, below the watermark
    new_labels: those of them since the last trigger too; None where there was none
    upstream: the live version is the plan's incumbent, which costs by the token
    last_trigger_at: of any trigger of the task, ever; None where there was none
    busy: a claimed or running job or a trigger without a job yet, in words; empty for none
    waiting: the job that waits for labels
    experts: the plan's labels; trained_for, asked_for: as they were for the live version's job and for the last
        trigger, empty where that is not known; names: the plan's labels as people write them, by id
    drew_at: the last uniform draw of audits
    attempt: the last one against the live version, where it had no winner; attempt_labels: base-audit labels of the
        live version since its test_from; new_candidate: the plan has one now that it did not have then
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
    waiting: Waiting | None = None
    new_labels: int | None = None
    experts: frozenset[str] = frozenset()
    trained_for: frozenset[str] = frozenset()
    asked_for: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    drew_at: datetime | None = None
    attempt: Attempt | None = None
    attempt_labels: int = 0
    new_candidate: bool = False

    @property
    def rested_since(self) -> datetime:
        """The last promotion or trigger."""
        return max(self.since, self.last_trigger_at or self.since)


@dataclass(frozen=True, slots=True)
class Decision:
    """kind: retrain, and of which kind; draws: how many audits to draw; neither: do nothing.

    reading: the detector that asked, for kind drift
    """

    kind: TriggerKind | None
    reason: str
    reading: Reading | None = None
    draws: int = 0

    @property
    def word(self) -> str:
        """What is done, as evaluations name it; empty for nothing."""
        return str(self.kind) if self.kind else DRAW_AUDITS if self.draws else ""


def decide(plan: Triggers, situation: Situation) -> Decision:
    """What to do, and why; the same situation gives the same decision."""
    wishes = list(_wishes(plan, situation))
    if not wishes:
        return Decision(None, "no rule asks for a retraining")
    holding = ""
    for rule, wish in wishes:
        states = dict(_states(plan, situation, wish))
        held = next((states[state] for state in HELD_IN[rule] if state in states), "")
        if not held:
            return wish
        holding = holding or held
    return Decision(None, f"held: {holding} ({wishes[0][1].reason})")


def _wishes(plan: Triggers, situation: Situation) -> Iterator[tuple[Rule, Decision]]:
    """What the rules ask for, the most urgent first."""
    for rule, (reason, reading) in {
        Rule.DRIFT: _drift(situation),
        Rule.EXPERTS: (_experts(situation), None),
        Rule.CHEAPER: (_cheaper(plan, situation), None),
        Rule.CADENCE: (_cadence(plan, situation), None),
    }.items():
        if reason:
            first = rule is Rule.CHEAPER and situation.last_trigger_at is None
            yield Rule.FIRST_CHEAPER if first else rule, Decision(KINDS[rule], reason, reading)
    reason = _draw_audits(plan, situation)
    if reason:
        yield Rule.DRAW_AUDITS, Decision(None, reason, draws=plan.draw_audits)


def _states(plan: Triggers, situation: Situation, wish: Decision) -> Iterator[tuple[State, str]]:
    """Those that the task is in as far as they concern the wish, in words."""
    cool_down = timedelta(seconds=plan.cool_down_s)
    if situation.step is not Step.STEADY:
        yield State.ROLLOUT, f"a rollout is under way (step {situation.step})"
    if situation.busy:
        yield State.BUSY, situation.busy
    if (waiting := situation.waiting) is not None and not _takes_its_place(wish, waiting):
        yield State.WAITING, f"job {waiting.job} waits for {waiting.needs} more labels"
    if situation.watermark - situation.rested_since < cool_down:
        yield State.COOLING, f"the cool-down of {plan.cool_down_s:g} s since the last promotion or trigger is not over"
    new = situation.labels if situation.new_labels is None else situation.new_labels
    if new < plan.min_labels:
        yield State.FEW, f"{new} labels since the last promotion or trigger, and the plan asks for {plan.min_labels}"
    if judged := _judged(situation):
        yield State.SAME_CHANGE if _same_change(situation) else State.JUDGED, judged
    if situation.drew_at is not None and situation.watermark - situation.drew_at < cool_down:
        yield State.DRAWN, f"the cool-down of {plan.cool_down_s:g} s since the last draw of audits is not over"


def _takes_its_place(wish: Decision, waiting: Waiting) -> bool:
    change = wish.reading.test_from if wish.reading else None
    return wish.kind is not None and takes_the_place(wish.kind, change, waiting.kind, waiting.decided_at)


def _judged(situation: Situation) -> str:
    """What the last attempt's verdict waits for; empty where there is none, or where it may be another by now."""
    attempt = situation.attempt
    if attempt is None or situation.new_candidate:
        return ""
    verdict = attempt.verdict
    vetoed = verdict.gate == "vetoed"
    if vetoed and not verdict.needs_labels:
        # Of an older trainer.
        return f"job {attempt.job} was vetoed, and waits for a new candidate or base in the plan, or for a person"
    if situation.attempt_labels >= verdict.needs_labels:
        return ""
    if vetoed:
        return (
            f"job {attempt.job} was vetoed: {situation.attempt_labels} labels are there since its change of the "
            f"{verdict.needs_labels} at which another candidate has enough more to learn from; it waits for them, for "
            "a new candidate or base in the plan, or for a person"
        )
    return (
        f"job {attempt.job} had no winner: {situation.attempt_labels} labels are there since its change of the "
        f"{verdict.needs_labels} at which its difference of {100 * verdict.difference:+.1f} points would probably "
        "decide; it waits for them, for a new candidate or base in the plan, or for a person"
    )


def _same_change(situation: Situation) -> bool:
    """Whether the last attempt was about the change that a hard detector sees now."""
    attempt = situation.attempt
    if attempt is None or attempt.kind not in ABOUT_A_CHANGE:
        return False
    changes = [reading.test_from for reading in situation.readings if reading.hard and reading.fired]
    return not any(change is not None and change > attempt.decided_at for change in changes)


def _drift(situation: Situation) -> tuple[str, Reading | None]:
    for reading in situation.readings:
        if reading.hard and reading.fired:
            return f"{reading.detector}: {reading.reason}", reading
    return "", None


def _experts(situation: Situation) -> str:
    now, trained = situation.experts, situation.trained_for
    if not trained or now in (trained, situation.asked_for):
        return ""
    differences = {"new": now - trained, "gone": trained - now}
    called = {
        word: [situation.names.get(label, label) for label in sorted(labels)] for word, labels in differences.items()
    }
    changes = [f"{word}: {', '.join(names)}" for word, names in called.items() if names]
    return f"the plan's labels are not those that the live model was trained for ({'; '.join(changes)})"


def _cheaper(plan: Triggers, situation: Situation) -> str:
    enough = plan.cheaper_after_labels
    if not enough or not situation.upstream or situation.labels < enough:
        return ""
    return (
        f"an upstream serves, and {situation.labels} audited answers (the plan asks for {enough}) can show whether a "
        "candidate does as well for less"
    )


def _cadence(plan: Triggers, situation: Situation) -> str:
    if plan.cadence_s and situation.watermark - situation.rested_since >= timedelta(seconds=plan.cadence_s):
        return f"{plan.cadence_s:g} s since the last promotion or trigger, the cadence, are over"
    if plan.cadence_cron:
        due = cron.parse(plan.cadence_cron).after(situation.rested_since)
        if due is not None and due <= situation.watermark:
            return f"the calendar ({plan.cadence_cron}) asked for a retraining at {due:%Y-%m-%d %H:%M} UTC"
    return ""


def _draw_audits(plan: Triggers, situation: Situation) -> str:
    alarms = [reading for reading in situation.readings if reading.fired and reading.family != LABELS]
    families = sorted({reading.family for reading in alarms})
    if not plan.draw_audits or len(families) < FAMILIES_TO_DRAW:
        return ""
    said = "; ".join(f"{reading.detector}: {reading.reason}" for reading in alarms)
    return (
        f"{len(families)} label-free families alarm ({', '.join(families)}), so {plan.draw_audits} answers are drawn "
        f"for audit before anything is retrained: {said}"
    )
