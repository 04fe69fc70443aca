"""The states of a rollout, the requests it obeys, and the evidence it asks for."""

from __future__ import annotations

from itertools import product
from uuid import uuid4

import pytest
from rollout_states import AT, LATER, LIVE, NEW, OLD, SHARES, state

from consumers.rollout.request import answer_to
from consumers.rollout.table import Event, apply, seed
from headrace.contract import ids
from headrace.contract.control import (
    Job,
    JobState,
    RequestKind,
    RolloutRequest,
    Served,
    Step,
    Trigger,
    TriggerKind,
)

STATES = {
    "steady": state(Step.STEADY),
    "first": state(Step.STEADY, previous=None),
    "shadow": state(Step.SHADOW),
    "canary 1": state(Step.CANARY, 0.05),
    "canary 2": state(Step.CANARY, 0.25),
}
# step, live, candidate, share, previous; written out a second time on purpose. What is not here is refused.
NEWER = Served(version="router@3")
EXPECTED = {
    ("steady", Event.PROMOTE): (Step.SHADOW, LIVE, NEWER, 0.0, OLD),
    ("first", Event.PROMOTE): (Step.SHADOW, LIVE, NEWER, 0.0, None),
    ("shadow", Event.PROMOTE): (Step.SHADOW, LIVE, NEWER, 0.0, OLD),
    ("canary 1", Event.PROMOTE): (Step.SHADOW, LIVE, NEWER, 0.0, OLD),
    ("canary 2", Event.PROMOTE): (Step.SHADOW, LIVE, NEWER, 0.0, OLD),
    ("shadow", Event.ADVANCE): (Step.CANARY, LIVE, NEW, 0.05, OLD),
    ("canary 1", Event.ADVANCE): (Step.CANARY, LIVE, NEW, 0.25, OLD),
    ("canary 2", Event.ADVANCE): (Step.STEADY, NEW, None, 0.0, LIVE),
    ("steady", Event.ROLL_BACK): (Step.STEADY, OLD, None, 0.0, None),
    ("shadow", Event.ROLL_BACK): (Step.STEADY, LIVE, None, 0.0, OLD),
    ("canary 1", Event.ROLL_BACK): (Step.STEADY, LIVE, None, 0.0, OLD),
    ("canary 2", Event.ROLL_BACK): (Step.STEADY, LIVE, None, 0.0, OLD),
    ("shadow", Event.ABORT): (Step.STEADY, LIVE, None, 0.0, OLD),
    ("canary 1", Event.ABORT): (Step.STEADY, LIVE, None, 0.0, OLD),
    ("canary 2", Event.ABORT): (Step.STEADY, LIVE, None, 0.0, OLD),
} | {
    (name, event): (one.step, LIVE, one.candidate, one.canary_share, one.previous)
    for name, one in STATES.items()
    for event in (Event.HOLD, Event.PIN, Event.DIVERT)
}


def test_the_reference_comes_back_with_a_roll_back() -> None:
    """Live again is the version with the reference that it had; one promoted as better is its own meanwhile."""
    cheaper = Served(version="router@1", reference=OLD)
    promotion = state(Step.CANARY, 0.25).model_copy(update={"live": cheaper})
    better = apply(promotion, Event.ADVANCE, LATER, "held", shares=SHARES)
    assert better.live.own_reference == NEW
    assert apply(better, Event.ROLL_BACK, LATER, "worse").live.own_reference == OLD


@pytest.mark.parametrize(("name", "event"), list(product(STATES, Event)))
def test_every_state_with_every_event(name: str, event: Event) -> None:
    """An event leads where the table says, one generation on, and is impossible anywhere else."""
    before, expected = STATES[name], EXPECTED.get((name, event))
    if expected is None:
        with pytest.raises(ValueError, match=r"cannot|no previous"):
            apply(before, event, LATER, "because", shares=SHARES, candidate=NEWER)
        return
    after = apply(before, event, LATER, "because", shares=SHARES, candidate=NEWER)
    assert (after.step, after.live, after.candidate, after.canary_share, after.previous) == expected
    # What is no step leaves the clock of the step alone.
    still = event in (Event.HOLD, Event.PIN, Event.DIVERT) and before.step is not Step.STEADY
    assert (after.generation, after.at, after.reason) == (8, AT if still else LATER, "because")
    assert after.since == (LATER if after.live != before.live else AT)
    assert (after.shadow is None) is (after.step is not Step.SHADOW)
    assert (after.canary is None) is (after.step is not Step.CANARY)


def test_without_canary_shares_shadow_goes_live() -> None:
    """A plan without a canary promotes from the shadow."""
    after = apply(state(Step.SHADOW), Event.ADVANCE, LATER, "enough", shares=())
    assert (after.step, after.live, after.previous) == (Step.STEADY, NEW, LIVE)


def test_the_request_is_remembered_through_its_steps() -> None:
    """Each step of a rollout names the request that began it."""
    asked = uuid4()
    promotion = apply(state(Step.STEADY), Event.PROMOTE, LATER, "go", candidate=NEWER, request_id=asked)
    while promotion.step is not Step.STEADY:
        promotion = apply(promotion, Event.ADVANCE, LATER, "enough", shares=SHARES)
        assert promotion.request_id == asked


# --- requests ---------------------------------------------------------------------------------------------------


def job(**fields: object) -> Job:
    trigger = Trigger(
        trigger_id=ids.uuid7(AT), task="router", kind=TriggerKind.MANUAL, decided_at=AT, reason="r", test_from=AT
    )
    given = {"attempt": 1, "version": "router@2", "task": "router", "result": {"against": "router@1"}} | fields
    return Job(
        job_id=ids.derived(AT, "job"),
        trigger_id=trigger.trigger_id,
        number=2,
        state=JobState.WON,
        at=AT,
        heartbeat_at=AT,
        trigger=trigger,
        **given,
    )


OF_JOB = NEW.model_copy(update={"job_id": ids.derived(AT, "job")})


def request(kind: RequestKind, candidate: Served | None = None, generation: int = 0) -> RolloutRequest:
    return RolloutRequest(
        request_id=ids.uuid7(AT),
        task="router",
        kind=kind,
        at=AT,
        by="retrain",
        candidate=candidate,
        generation=generation,
        reason="drift",
    )


def test_a_promotion_of_the_jobs_current_attempt_is_obeyed() -> None:
    """The candidate is of the current attempt and was compared with who serves now."""
    answer = answer_to(request(RequestKind.PROMOTE, OF_JOB, 7), state(Step.STEADY), [job()])
    assert answer is not None
    assert (answer.event, answer.reason) == (Event.PROMOTE, "retrain: drift")


@pytest.mark.parametrize(
    ("given", "jobs", "says"),
    [
        (request(RequestKind.PROMOTE), [], "names no candidate"),
        (request(RequestKind.PROMOTE, OF_JOB), [], "there is no job"),
        (request(RequestKind.PROMOTE, OF_JOB), [job(attempt=2)], "of attempt 1, and the job's current attempt is 2"),
        (request(RequestKind.PROMOTE, OF_JOB), [job(version="router@5")], "publishes router@5"),
        (request(RequestKind.PROMOTE, OF_JOB), [job(task="other")], "publishes router@2 for other"),
        (request(RequestKind.PROMOTE, OF_JOB), [job(result={"against": "router@0"})], "compared with router@0"),
        (request(RequestKind.PROMOTE, OF_JOB, 8), [job()], "generation 8 has not been yet"),
        (request(RequestKind.PROMOTE, LIVE), [], "router@1 serves already"),
        (request(RequestKind.ABORT), [], "no rollout is under way"),
    ],
)
def test_refusals_in_a_steady_state(given: RolloutRequest, jobs: list[Job], says: str) -> None:
    """What cannot be obeyed is refused with a reason that names both sides."""
    answer = answer_to(given, state(Step.STEADY), jobs)
    assert answer is not None
    assert answer.event is None
    assert says in answer.reason


def test_a_fault_of_the_artifact_refuses() -> None:
    """An artifact that is not what it should be is never rolled out."""
    answer = answer_to(request(RequestKind.PROMOTE, OF_JOB), state(Step.STEADY), [job()], "its digest differs")
    assert answer is not None
    assert (answer.event, answer.reason) == (None, "refused to promote for retrain: its digest differs")


def test_the_same_request_again_is_nothing() -> None:
    """A request that was answered, obeyed or refused, is answered once."""
    asked = request(RequestKind.PROMOTE, NEW)
    for name in STATES:
        answered = STATES[name].model_copy(update={"request_id": asked.request_id})
        assert answer_to(asked, answered, []) is None


def test_a_newer_candidate_takes_the_place_of_the_older() -> None:
    """During a rollout another candidate starts anew; the same one does not."""
    answer = answer_to(request(RequestKind.PROMOTE, NEWER), state(Step.CANARY, 0.05), [])
    assert answer is not None
    assert (answer.event, answer.reason) == (Event.PROMOTE, "retrain: drift (takes the place of router@2)")
    again = answer_to(request(RequestKind.PROMOTE, NEW), state(Step.CANARY, 0.05), [])
    assert again is not None
    assert again.event is None


def test_rolling_back_needs_something_to_go_back_to() -> None:
    """With a rollout under way that is the live version, else the previous one."""
    events = {name: answer_to(request(RequestKind.ROLL_BACK), one, []).event for name, one in STATES.items()}  # type: ignore[union-attr]
    assert events == {name: None if name == "first" else Event.ROLL_BACK for name in STATES}


def test_rolling_back_what_one_saw() -> None:
    """A step or a refusal since the person looked changes nothing; another live version does."""
    asked = request(RequestKind.ROLL_BACK, generation=6)
    for name in ("steady", "shadow", "canary 2"):
        answer = answer_to(asked, STATES[name], [])
        assert answer is not None
        assert answer.event is Event.ROLL_BACK
    moved = answer_to(asked, STATES["steady"].model_copy(update={"since": LATER}), [])
    assert moved is not None
    assert moved.event is None
    assert "meant for generation 6; since then router@1 became live" in moved.reason


def test_an_abort_is_about_a_candidate() -> None:
    """A gateway's report counts for its candidate through later steps, and for no other one."""
    canary = state(Step.CANARY, 0.25)
    late = answer_to(request(RequestKind.ABORT, NEW, generation=5), canary, [])
    other = answer_to(request(RequestKind.ABORT, OLD, generation=7), canary, [])
    nameless = answer_to(request(RequestKind.ABORT, generation=6), canary, [])
    assert late and other and nameless
    assert [late.event, other.event, nameless.event] == [Event.ABORT, None, None]


def test_the_first_promotion_is_the_incumbent() -> None:
    """A task starts at generation 1 with what the plan names."""
    first = seed("router", OLD, AT)
    assert (first.generation, first.step, first.live, first.previous, first.since) == (1, Step.STEADY, OLD, None, AT)
