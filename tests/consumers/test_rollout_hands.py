"""What people may say about a rollout, and when it waits for them: pure decisions."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest
from rollout_states import AT, LATER, LIVE, NEW, OLD, SHARES, state

from consumers.rollout.alarm import Diversion, Health, diverted, heeds
from consumers.rollout.holding import held
from consumers.rollout.record import changed
from consumers.rollout.request import answer_to, begins
from consumers.rollout.step import Evidence, Move, Traffic, next_step
from consumers.rollout.table import Event, apply
from headrace import plan
from headrace.contract import ids
from headrace.contract.control import Promotion, RequestKind, RolloutRequest, Served, Step, Waits
from headrace.errors import PlanError
from headrace.plan import Rollout, Task

TUNED = LIVE.model_copy(update={"artifact": "/a"})
NEWER = Served(version="router@3")


def task(rollout: str, zone: str = "UTC") -> Task:
    return plan.parse(
        'version = 2\n[tasks.router]\nlabels = ["hr", "it"]\n[tasks.router.incumbent]\nurl = "http://a/v1"\n'
        'model = "big"\nversion = "router@0"\n[tasks.router.candidates.probe]\nmethod = "probe"\n'
        f'[tasks.router.windows]\ntime_zone = "{zone}"\n[tasks.router.rollout]\n{rollout}'
    ).task("router")


def request(kind: RequestKind, candidate: Served | None = None, **fields: Any) -> RolloutRequest:
    return RolloutRequest(
        request_id=ids.uuid7(AT), task="router", kind=kind, at=AT, by="cli:ann", candidate=candidate, **fields
    )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- freeze windows and approvals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-12-18T14:59", None),
        ("2026-12-18T15:00", "2026-12-21 08:00 CET"),  # Friday, 16:00 in Berlin
        ("2026-12-21T06:59", "2026-12-21 08:00 CET"),
        ("2026-12-21T07:00", None),
        ("2026-07-17T14:00", "2026-07-20 08:00 CEST"),
        ("2026-12-23T23:00", "2027-01-02 00:00 CET"),  # the longest of those that it lies in
        ("2027-01-01T22:59", "2027-01-04 08:00 CET"),
    ],
)
def test_a_freeze_window_follows_the_clocks_of_its_zone(now: str, until: str | None) -> None:
    """Once or every week, over summer time; the last to end of those that overlap is told."""
    spec = task(
        'freeze = [{from = "fri 16:00", to = "mon 08:00"}, {from = 2026-12-24, to = "2027-01-02T00:00"}]',
        "Europe/Berlin",
    )
    said = held(state(Step.SHADOW), spec, utc(now))
    told = Waits.FREEZE, f"waits for the end of a freeze window at {until}"
    assert said == (told if until else (Waits.NOTHING, ""))


@pytest.mark.parametrize(
    ("window", "says"),
    [
        ('{from = "friday", to = "mon 08:00"}', "'friday' is neither a date"),
        ('{from = "fri 16:00", to = "2026-12-24"}', "of the same form"),
        ('{from = "2026-12-24", to = "2026-12-20"}', "is before from"),
        ('{from = "fri 16:00", to = "fri 16:00"}', "are both"),
    ],
)
def test_a_wrong_freeze_window_is_told(window: str, says: str) -> None:
    """The plan's check names what is allowed."""
    with pytest.raises(PlanError, match=says):
        task(f"freeze = [{window}]")


def test_a_rollout_waits_where_the_plan_says() -> None:
    """before_canary: once, before anyone meets it; before_live: before its last step, which may be the first too."""
    states = [state(Step.SHADOW), state(Step.CANARY, 0.05), state(Step.CANARY, 0.25)]
    asks = {
        approval: [held(one, task(f'approval = "{approval}"'), AT)[0] is Waits.APPROVAL for one in states]
        for approval in ("none", "before_canary", "before_live")
    }
    assert asks == {
        "none": [False, False, False],
        "before_canary": [True, False, False],
        "before_live": [False, False, True],
    }
    assert held(state(Step.SHADOW), task('approval = "before_live"\ncanary_shares = []'), AT)[0] is Waits.APPROVAL


def test_an_approval_is_of_a_rollout_that_waits_for_it() -> None:
    """Not before the evidence suffices, not twice, not in a freeze window, and of no other candidate.

    It takes no step: the next look does, where the evidence still suffices.
    """
    asked, spec = request(RequestKind.APPROVE, reason="looked at"), task('approval = "before_canary"')
    shadow = state(Step.SHADOW)
    waits_for, waits = held(shadow, spec, AT)
    waiting = apply(shadow, Event.HOLD, LATER, f"{waits}; 20 requests", waits_for=waits_for)
    pinned = apply(waiting, Event.PIN, LATER, "cli:ann: acme stays", pins={"acme": LIVE})
    assert pinned.waits is Waits.APPROVAL
    assert (found := answer_to(asked, pinned, [])) is not None and found.event is Event.HOLD
    obeyed = answer_to(asked, waiting, [])
    assert obeyed is not None and (obeyed.event, obeyed.reason) == (Event.HOLD, "cli:ann: looked at")
    approved = apply(waiting, obeyed.event, LATER, obeyed.reason, waits_for=Waits.APPROVED)
    assert (approved.step, approved.at) == (Step.SHADOW, AT) and held(approved, spec, AT) == (Waits.NOTHING, "")
    gone_on = apply(approved, Event.ADVANCE, LATER, obeyed.reason, shares=SHARES)
    assert (gone_on.step, gone_on.canary_share, gone_on.at) == (Step.CANARY, 0.05, LATER)
    # An older owner carries what it does not know into its next step.
    carried = gone_on.model_copy(update={"waits_for": waiting.waits_for, "waits_at": waiting.waits_at})
    assert gone_on.waits is carried.waits is Waits.NOTHING
    for promotion, frozen, says in (
        (shadow, "", "does not wait for a person"),
        (gone_on, "", "does not wait for a person"),
        (carried, "", "does not wait for a person"),
        (approved, "", "does not wait for a person"),
        (state(Step.STEADY), "", "no rollout is under way"),
        (waiting, "waits for the end of a freeze window", "refused to approve for cli:ann: waits for the end"),
    ):
        refused = answer_to(asked, promotion, [], frozen=frozen)
        assert refused is not None and refused.event is None and says in refused.reason
    other = answer_to(request(RequestKind.APPROVE, NEWER), waiting, [])
    assert other is not None and other.event is None and "meant for router@3, and router@2 is being" in other.reason


@pytest.mark.parametrize(
    ("step", "meant_for", "says"),
    [
        (Step.CANARY, "router@2", ""),
        (Step.STEADY, "router@1", ""),
        (Step.STEADY, "router@2", "it was meant for router@2, and router@1 serves"),  # the canary went by itself
        (Step.STEADY, "router@0", "it was meant for router@0, and router@1 serves"),
        (Step.SHADOW, "router@1", "it was meant for router@1, and router@2 is being rolled out"),
    ],
)
def test_a_roll_back_takes_out_what_it_was_meant_for(step: Step, meant_for: str, says: str) -> None:
    """Two people, or a person and the evidence, take out the same candidate, and never the version behind it."""
    answer = answer_to(request(RequestKind.ROLL_BACK, Served(version=meant_for)), state(step), [])
    assert answer is not None and (answer.event is None) == bool(says) and says in answer.reason


def test_what_waits_is_not_abandoned() -> None:
    """A person or a freeze window may take weeks; and each generation has a minute to be acknowledged."""
    bar = Rollout(step_timeout_s=600, needs_labels=False, shadow_requests=1)
    unready = Evidence(age_s=1e6, living=2, ready=1, traffic=Traffic(requests=100))
    assert next_step(Step.SHADOW, unready, bar).move is Move.ROLL_BACK
    for fields in ({"waits": True}, {"told_s": 0.05}):
        assert next_step(Step.SHADOW, dataclasses.replace(unready, **fields), bar).move is Move.HOLD


@pytest.mark.parametrize(
    ("mode", "step", "by_hand", "event", "says"),
    [
        ("auto", Step.STEADY, False, Event.PROMOTE, "drift"),
        ("propose", Step.STEADY, False, Event.HOLD, "router@3 is recommended, start it with `headrace promote router"),
        ("propose", Step.SHADOW, False, None, "mode for router is propose: start it with `headrace promote router"),
        ("observe", Step.STEADY, False, None, "mode for router is observe: start it with `headrace promote router"),
        ("propose", Step.STEADY, True, Event.PROMOTE, "drift"),
        ("observe", Step.STEADY, True, Event.PROMOTE, "drift"),
    ],
)
def test_the_mode_stops_what_no_person_asked_for(
    mode: Any, step: Step, by_hand: bool, event: Event | None, says: str
) -> None:
    """observe and propose roll nothing out by themselves; propose tells what it recommends, once."""
    asked = request(RequestKind.PROMOTE, NEWER, by_hand=by_hand, reason="drift")
    answer = answer_to(asked, state(step), [], mode=mode)
    assert answer is not None and answer.event is event and says in answer.reason
    if event is Event.HOLD:
        told = apply(state(step), event, LATER, answer.reason, request_id=asked.request_id)
        assert (told.step, told.shadow, told.request_id) == (Step.STEADY, None, asked.request_id)
        assert answer_to(asked, told, [], mode=mode) is None


# --- pins -------------------------------------------------------------------------------------------------------------


def pin(promotion: Promotion, tenant: str, version: str | None) -> Promotion:
    asked = request(RequestKind.PIN, Served(version=version) if version else None, tenant=tenant)
    answer = answer_to(asked, promotion, [], incumbent="router@9")
    assert answer is not None and answer.event is Event.PIN, answer
    after = apply(promotion, answer.event, LATER, answer.reason, pins=answer.pins)
    done = changed(promotion, after, answer.event, asked, LATER)
    assert (done.kind, done.at, done.detail["tenant"], done.detail["pinned"]) == ("promotion", LATER, tenant, version)
    return after


def test_a_pin_holds_through_everything_until_it_is_taken_off() -> None:
    """A step, a roll back, another live version; it names what is loaded, as the record has it, and resets no clock."""
    promotion = pin(pin(state(Step.CANARY, 0.25), "acme", "router@1"), "other", "router@9")
    assert promotion.pins == {"acme": LIVE, "other": Served(version="router@9")} and promotion.at == AT
    live = apply(promotion, Event.ADVANCE, LATER, "enough", shares=SHARES)
    tried = apply(live, Event.PROMOTE, LATER, "go", candidate=NEWER)
    later = apply(apply(tried, Event.ABORT, LATER, "fails"), Event.ROLL_BACK, LATER, "worse")
    assert later.pins == promotion.pins and later.live == LIVE
    assert pin(later, "acme", None).pins == {"other": Served(version="router@9")}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (request(RequestKind.PIN, LIVE), "names no tenant"),
        (request(RequestKind.PIN, tenant="acme"), "acme is not pinned"),
        (request(RequestKind.PIN, NEWER, tenant="acme"), "router@3 is not loaded; there are router@0, router@1, rout"),
        (request(RequestKind.DIVERT, share=0.5), "router@1 serves, and is the incumbent itself"),
    ],
)
def test_what_cannot_be_pinned_or_diverted_is_refused(given: RolloutRequest, says: str) -> None:
    """With a reason that says what there is."""
    answer = answer_to(given, state(Step.SHADOW), [], incumbent="router@0")
    assert answer is not None and answer.event is None and says in answer.reason


def test_a_request_beside_a_rollout_does_not_take_its_place() -> None:
    """The draw of answers for review and the lineage rest on the request that began it."""
    assert {kind for kind in RequestKind if not begins(request(kind))} == {
        RequestKind.APPROVE,
        RequestKind.PIN,
        RequestKind.DIVERT,
    }


# --- the hard alarm ---------------------------------------------------------------------------------------------------

ALARMED = Rollout(incumbent_share_when_broken=0.5, broken_below=0.8)
BROKEN, MENDED = Health(True, 200, 0.6, 0.79), Health(True, 400, 0.81, 0.9)


def steady(**fields: Any) -> Promotion:
    return state(Step.STEADY).model_copy(update={"live": TUNED} | fields)


def test_a_proven_broken_version_is_relieved_until_it_is_well() -> None:
    """Both proofs are needed; it ends by proof, by another live version, and by a person for as long as that serves."""
    begun = diverted(steady(), BROKEN, ALARMED)
    assert begun is not None and begun.share == 0.5 and "60.0% to 79.0% right by 200 labels" in begun.reason
    for health in (Health(False, 200, 0.6, 0.79), Health(True, 200, 0.6, 0.81), Health(True, 0, 0.0, 0.0), MENDED):
        assert diverted(steady(), health, ALARMED) is None
    by_hand = apply(steady(), Event.DIVERT, LATER, "cli:ann: leave", share=0.3, by_hand=True)
    assert by_hand.diverted_by_hand and diverted(by_hand, MENDED, ALARMED) is None
    relieved = apply(steady(), Event.DIVERT, LATER, begun.reason, share=begun.share)
    assert relieved.incumbent_share == 0.5 and diverted(relieved, BROKEN, ALARMED) is None
    assert diverted(relieved, MENDED, ALARMED) == Diversion(
        None, "router@1 is well again: 81.0% to 90.0% right by 400 labels, above 80.0%"
    )
    tried = apply(relieved, Event.PROMOTE, LATER, "go", candidate=NEW)
    assert tried.incumbent_share == 0.5
    assert apply(tried, Event.ADVANCE, LATER, "enough", shares=()).incumbent_share is None
    assert apply(relieved, Event.ROLL_BACK, LATER, "back").incumbent_share is None
    assert diverted(state(Step.SHADOW).model_copy(update={"live": TUNED}), BROKEN, ALARMED) is None


def test_a_person_ends_a_diversion_for_good() -> None:
    """Until another version is live: the same evidence does not begin it again."""
    relieved = steady(incumbent_share=0.5)
    answer = answer_to(request(RequestKind.DIVERT, share=0.0), relieved, [])
    assert answer is not None and answer.event is Event.DIVERT
    ended = apply(relieved, answer.event, LATER, answer.reason, share=0.0)
    assert diverted(ended, BROKEN, ALARMED) is None
    done, before = changed(relieved, ended, answer.event), changed(steady(), relieved, Event.DIVERT)
    assert (done.kind, done.detail["incumbent_share"]) == ("promotion", 0.0)
    assert (before.kind, before.detail["incumbent_share"]) == ("rollback", 0.5)


def test_the_incumbent_relieves_nobody_where_it_serves_or_the_plan_is_silent() -> None:
    """Off by default; and there is nobody to answer in the incumbent's place."""
    assert heeds(steady(), ALARMED)
    assert not heeds(steady(), Rollout()) and not heeds(steady(live=OLD), ALARMED)
