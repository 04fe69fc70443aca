"""The evidence that a rollout step asks for, and the replicas that give it."""

from __future__ import annotations

import dataclasses
import json
import random
from datetime import timedelta

import pytest
from rollout_states import AT, BAR, state

from consumers.rollout.replicas import Replicas
from consumers.rollout.step import Evidence, Move, Traffic, next_step, watched
from headrace.contract.control import Replica, Step
from headrace.plan import Rollout

# --- evidence ---------------------------------------------------------------------------------------------------

GOOD = Traffic(requests=200, live_requests=3000, p95_ms=40, labelled=40, errors=2, live_labelled=600, live_errors=30)
READY = Evidence(age_s=30, living=2, ready=2, traffic=GOOD)


def verdict(step: Step = Step.CANARY, **changes: object) -> tuple[Move, str]:
    found = next_step(step, dataclasses.replace(READY, **changes), BAR)  # type: ignore[arg-type]
    return found.move, found.reason


@pytest.mark.parametrize(
    ("changes", "move", "says"),
    [
        (
            {},
            Move.ADVANCE,
            "200 requests, p95 40 ms; 2 of 40 audited answers wrong (live: 30 of 600)",
        ),
        ({"living": 0, "ready": 0}, Move.HOLD, "a living replica"),
        ({"ready": 1}, Move.HOLD, "1 of 2 replicas to be ready"),
        ({"traffic": None}, Move.HOLD, "the warehouse"),
        ({"traffic": dataclasses.replace(GOOD, requests=150)}, Move.HOLD, "50 of 200 requests"),
        ({"traffic": dataclasses.replace(GOOD, requests=150), "age_s": 601}, Move.ROLL_BACK, "abandoned after 600 s"),
        ({"ready": 1, "age_s": 601}, Move.ROLL_BACK, "abandoned after 600 s, waiting for 1 of 2 replicas"),
        ({"traffic": None, "age_s": 9e9}, Move.HOLD, "the warehouse"),
        ({"complaint": "gw: parity check failed"}, Move.ROLL_BACK, "a replica reports: gw: parity check failed"),
        ({"complaint": "gw: no file", "traffic": None}, Move.ROLL_BACK, "a replica reports: gw: no file"),
        ({"requests": 2000, "failed": 50}, Move.ROLL_BACK, "50 of 2000 requests failed on it, more than 1.0%"),
        ({"requests": 2000, "failed": 50, "traffic": None}, Move.ROLL_BACK, "50 of 2000 requests failed"),
        ({"requests": 2000, "failed": 21}, Move.HOLD, "the share of failed requests to fall, 21 of 2000"),
        ({"requests": 2000, "failed": 20}, Move.ADVANCE, "20 of 2000 failed"),
        ({"traffic": dataclasses.replace(GOOD, p95_ms=2001)}, Move.ROLL_BACK, "p95 is 2001 ms over 200 requests"),
        ({"traffic": dataclasses.replace(GOOD, requests=39, p95_ms=9000)}, Move.HOLD, "161 of 200 requests"),
        ({"traffic": dataclasses.replace(GOOD, errors=16)}, Move.ROLL_BACK, "16 of 40 audited answers were wrong"),
        ({"traffic": dataclasses.replace(GOOD, errors=8)}, Move.ADVANCE, "8 of 40 audited answers wrong"),
        ({"traffic": dataclasses.replace(GOOD, labelled=5, errors=5)}, Move.ROLL_BACK, "5 of 5 audited"),
        ({"traffic": dataclasses.replace(GOOD, labelled=2, errors=2)}, Move.ADVANCE, "2 of 2 audited"),
        ({"traffic": dataclasses.replace(GOOD, live_labelled=0, live_errors=0)}, Move.ADVANCE, "2 of 40 audited"),
        ({"traffic": dataclasses.replace(GOOD, labelled=0, errors=0)}, Move.ADVANCE, "200 requests"),
    ],
)
def test_a_canary_advances_holds_or_rolls_back(changes: dict[str, object], move: Move, says: str) -> None:
    """Each reason to go on, to wait and to go back, on its own."""
    found, reason = verdict(**changes)
    assert (found, says in reason) == (move, True), reason


UNLABELLED = BAR.model_copy(update={"needs_labels": False})
SHADOW = Traffic(requests=10_000, compared=10_000, disagreements=700)


def shadow(bar: Rollout = BAR, **changes: int) -> tuple[Move, str]:
    """The verdict on a shadow that differs in 700 of 10,000 answers, of which so many were reviewed."""
    evidence = dataclasses.replace(READY, traffic=dataclasses.replace(SHADOW, **changes))
    found = next_step(Step.SHADOW, evidence, bar)
    return found.move, found.reason


def test_a_shadow_without_labels_never_advances() -> None:
    """However many requests it answered: it waits for labels, and goes with that reason when its time is over."""
    assert shadow()[0] is Move.HOLD and shadow(requests=90_000)[0] is Move.HOLD
    everything = dataclasses.replace(
        READY, traffic=Traffic(requests=1000, compared=1000, disagreements=1000), age_s=601
    )
    late = next_step(Step.SHADOW, everything, BAR)
    assert late.move is Move.ROLL_BACK
    assert "waiting for labels: 1000 of 1000 answers differ from the live one, and of 0 reviewed" in late.reason


def test_a_shadow_advances_where_labels_show_that_it_is_no_worse() -> None:
    """About two dozen labels of disagreements for an equal candidate; ten of one that is better."""
    assert shadow(gained=4, lost=4)[0] is Move.HOLD
    move, reason = shadow(gained=15, lost=13)
    assert move is Move.ADVANCE, reason
    assert "of 28 of these that were reviewed it gained 15 and lost 13" in reason
    assert shadow(gained=9, lost=1)[0] is Move.ADVANCE


def test_a_shadow_that_loses_its_disagreements_is_rolled_back() -> None:
    """Six points worse where it differs in seven of a hundred: some fifty reviews, and it never advances."""
    assert shadow(gained=2, lost=6)[0] is Move.HOLD
    move, reason = shadow(gained=3, lost=52)
    assert move is Move.ROLL_BACK
    assert "it lost 52 and gained 3: more than 2.5% worse" in reason


def test_a_shadow_that_hardly_differs_needs_no_labels() -> None:
    """It cannot be worse by more than it differs."""
    assert shadow(compared=2000, disagreements=20)[0] is Move.ADVANCE


def test_more_disagreement_than_errors_explain_is_held() -> None:
    """Where two differ one is wrong: at 2 % and 5 % of errors they cannot differ in 30 % of the answers."""
    evidence = dataclasses.replace(
        READY,
        evaluated=1000,
        evaluated_errors=20,
        traffic=Traffic(3000, compared=1000, disagreements=300, gained=60, lost=20, live_labelled=600, live_errors=30),
    )
    found = next_step(Step.SHADOW, evidence, BAR)
    assert found.move is Move.HOLD and "300 of 1000 answers differ from the live one, more than" in found.reason
    assert next_step(Step.SHADOW, dataclasses.replace(evidence, evaluated=0), BAR).move is Move.ADVANCE


def test_a_plan_may_do_without_labels() -> None:
    """Requests let it go on, the reason says how often it differs, and labels still roll it back."""
    move, reason = shadow(UNLABELLED)
    assert (move, reason.endswith("700 of 10000 answers (7.0%) differ from the live one")) == (Move.ADVANCE, True)
    assert shadow(UNLABELLED, requests=99)[0] is Move.HOLD
    assert shadow(UNLABELLED, gained=3, lost=52)[0] is Move.ROLL_BACK


def test_an_equal_candidate_is_hardly_ever_rolled_back() -> None:
    """Looked at after every label, an equally good candidate survives; one 30 points worse does not."""
    rng = random.Random(7)

    def survives(share: float) -> bool:
        errors = 0
        for labelled in range(1, 151):
            errors += rng.random() < share
            traffic = dataclasses.replace(GOOD, labelled=labelled, errors=errors)
            if next_step(Step.CANARY, dataclasses.replace(READY, traffic=traffic), BAR).move is Move.ROLL_BACK:
                return False
        return True

    assert sum(survives(0.05) for _ in range(100)) >= 99
    assert sum(survives(0.35) for _ in range(100)) <= 5


def test_a_plan_without_a_shadow_asks_only_for_ready_replicas() -> None:
    """Zero shadow requests: the candidate is loaded and checked, and goes on."""
    bar = UNLABELLED.model_copy(update={"shadow_requests": 0})
    evidence = dataclasses.replace(READY, traffic=None)
    assert next_step(Step.SHADOW, evidence, bar).move is Move.ADVANCE
    assert next_step(Step.SHADOW, dataclasses.replace(evidence, ready=1), bar).move is Move.HOLD


def test_a_live_version_that_is_worse_than_the_one_before_is_rolled_back() -> None:
    """The version before it is its shadow: what that gains it lost. A drift of both speaks against none."""

    def stays(gained: int, lost: int, **changes: int) -> Move:
        traffic = dataclasses.replace(SHADOW, gained=gained, lost=lost)
        return watched(dataclasses.replace(READY, traffic=traffic, **changes), BAR).move

    assert stays(52, 3) is Move.ROLL_BACK
    assert stays(3, 52) is stays(28, 27) is stays(0, 0) is Move.HOLD
    assert stays(0, 0, requests=1000, failed=60) is Move.ROLL_BACK
    assert watched(dataclasses.replace(READY, traffic=None), BAR).move is Move.HOLD


# --- replicas ---------------------------------------------------------------------------------------------------


def beat(replica: str, seconds: float, **fields: object) -> Replica:
    given = {"generation": 7, "ready": ["router@1", "router@2"], "task": "router"} | fields
    return Replica(replica=replica, at=AT + timedelta(seconds=seconds), **given)


def heard(*beats: Replica, at: float) -> Evidence:
    replicas = Replicas()
    for one in beats:
        replicas.hear(one)
    return replicas.evidence(state(Step.CANARY, 0.05), AT + timedelta(seconds=at))


def test_only_the_living_count() -> None:
    """A replica that has been silent for more than ten seconds is neither waited for nor heard."""
    beats = [beat("a", 0, ready=[]), beat("b", 5)]
    assert (heard(*beats, at=9).living, heard(*beats, at=9).ready) == (2, 1)
    assert (heard(*beats, at=11).living, heard(*beats, at=11).ready) == (1, 1)


def test_ready_means_this_candidate_at_this_generation() -> None:
    """An acknowledgement of an earlier generation, another task or another version is none."""
    beats = [beat("a", 0, generation=6), beat("b", 0, ready=["router@1"]), beat("c", 0, task="other"), beat("d", 0)]
    found = heard(*beats, at=1)
    assert (found.living, found.ready) == (3, 1)


def tried(replica: str, seconds: float, requests: int = 0, failed: int = 0, **fields: object) -> Replica:
    """A heartbeat of a replica where the candidate was asked so often."""
    given = {"candidate": "router@2", "candidate_requests": requests, "candidate_failed": failed} | fields
    return beat(replica, seconds, **given)


def test_only_the_candidates_own_error_counts() -> None:
    """Not one of an earlier generation, and not that a replica which started again cannot load the live version."""
    assert heard(tried("a", 0, generation=6, candidate_error="old trouble"), at=1).complaint == ""
    assert heard(tried("a", 0, error="router@1: no such file"), at=1).complaint == ""
    assert heard(tried("a", 0, error="parity 0.3", candidate_error="parity 0.3"), at=1).complaint == "a: parity 0.3"


def test_an_outage_of_the_live_version_is_not_the_candidates() -> None:
    """A task whose every other request fails rolls nobody back while the candidate answers what it is asked."""
    outage = heard(tried("a", 1, 100).model_copy(update={"requests": 4000, "failed": 2000}), at=2)
    assert (outage.requests, outage.failed) == (100, 0)


def test_what_another_version_answered_instead_counts_as_failed() -> None:
    """The task's requests all got answers; the candidate, which failed on some, did not give them."""
    covered = heard(tried("a", 1, 20, 9), tried("b", 1, 10, 0), at=2)
    assert (covered.requests, covered.failed) == (30, 9)


def test_counts_outlive_their_process_and_not_their_candidate() -> None:
    """A restart or a replica's death takes nothing back; another candidate starts at zero."""
    before = tried("a", 0, 500, 50, candidate="router@9", generation=6)
    counts = [before, tried("a", 1, 110, 3), tried("a", 4, 5, 0), tried("a", 5, 25, 1)]
    assert (heard(*counts, at=6).requests, heard(*counts, at=6).failed) == (135, 4)
    assert (heard(*counts, at=60).living, heard(*counts, at=60).requests) == (0, 135)
    assert heard(before, at=1).requests == 0


def test_a_late_heartbeat_does_not_undo_a_newer_one() -> None:
    """Heartbeats count by their own time."""
    assert heard(beat("a", 5), beat("a", 3, ready=[]), at=6).ready == 1


def test_a_heartbeat_that_cannot_be_read_holds_a_rollout() -> None:
    """A replica of a newer version lives and is not known to be ready; once it can be read it counts as any other."""
    replicas = Replicas()
    newer = json.dumps(json.loads(beat("b", 2).to_json()) | {"schema_version": 2}).encode()
    moment = AT + timedelta(seconds=2)
    replicas.hear_bytes(b"a", beat("a", 2, ready=["router@9"]).to_json(), moment)
    for key, value in ((b"b", newer), (b"b", b"garbage"), (None, b"garbage"), (b"b", None)):
        replicas.hear_bytes(key, value, moment)
    evidence = replicas.evidence(state(Step.CANARY, 0.05), moment)
    assert evidence.living == 2 and evidence.complaint == ""
    replicas.hear_bytes(b"b", beat("b", 3).to_json(), moment)
    assert replicas.evidence(state(Step.CANARY, 0.05), moment).living == 2
