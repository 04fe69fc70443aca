"""The evidence that a rollout step asks for, and the replicas that give it."""

from __future__ import annotations

import dataclasses
import json
import random
from datetime import timedelta

import pytest
from rollout_states import AT, BAR, state

from consumers.rollout.replicas import Replicas
from consumers.rollout.step import Evidence, Move, Traffic, next_step
from headrace.contract.control import (
    Replica,
    Step,
)

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
        ({"traffic": dataclasses.replace(GOOD, errors=14)}, Move.ROLL_BACK, "14 of 40 audited answers were wrong"),
        ({"traffic": dataclasses.replace(GOOD, errors=8)}, Move.ADVANCE, "8 of 40 audited answers wrong"),
        ({"traffic": dataclasses.replace(GOOD, labelled=3, errors=3)}, Move.ROLL_BACK, "3 of 3 audited"),
        ({"traffic": dataclasses.replace(GOOD, labelled=2, errors=2)}, Move.ADVANCE, "2 of 2 audited"),
        ({"traffic": dataclasses.replace(GOOD, live_labelled=0, live_errors=0)}, Move.ADVANCE, "2 of 40 audited"),
        ({"traffic": dataclasses.replace(GOOD, labelled=0, errors=0)}, Move.ADVANCE, "200 requests"),
    ],
)
def test_a_canary_advances_holds_or_rolls_back(changes: dict[str, object], move: Move, says: str) -> None:
    """Each reason to go on, to wait and to go back, on its own."""
    found, reason = verdict(**changes)
    assert (found, says in reason) == (move, True), reason


def test_a_shadow_tells_how_often_it_differs() -> None:
    """Shadow answers are compared with the live ones, and the share stands in the reason."""
    traffic = Traffic(requests=100, compared=80, disagreements=20)
    assert verdict(Step.SHADOW, traffic=traffic)[1].endswith("20 of 80 answers (25.0%) differ from the live one")
    assert verdict(Step.SHADOW, traffic=dataclasses.replace(traffic, requests=99))[0] is Move.HOLD


def test_an_equal_candidate_is_hardly_ever_rolled_back() -> None:
    """Looked at after every label, an equally good candidate survives; one 25 points worse does not."""
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
    assert sum(survives(0.30) for _ in range(100)) <= 5


def test_a_plan_without_a_shadow_asks_only_for_ready_replicas() -> None:
    """Zero shadow requests: the candidate is loaded and checked, and goes on."""
    bar = BAR.model_copy(update={"shadow_requests": 0})
    evidence = dataclasses.replace(READY, traffic=None)
    assert next_step(Step.SHADOW, evidence, bar).move is Move.ADVANCE
    assert next_step(Step.SHADOW, dataclasses.replace(evidence, ready=1), bar).move is Move.HOLD


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
