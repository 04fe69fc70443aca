from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.contract.control import Served
from headrace.contract.events import Arm
from serving.answering.breaker import Tally, failing
from serving.answering.routing import Desired, place, route

SESSIONS = [f"session-{number}" for number in range(20_000)]


def rollout(share: float, version: str = "router@2", generation: int = 2) -> Desired:
    return Desired(generation, Served(version="router@1"), Served(version=version), share)


def canary(desired: Desired) -> set[str]:
    return {session for session in SESSIONS if route(desired, session) is Arm.CANARY}


def test_without_a_canary_the_live_version_answers() -> None:
    """No canary, or a share of nothing, leaves every session with the live version."""
    assert not canary(Desired(1, Served(version="router@1")))
    assert not canary(rollout(0.0))


def test_the_share_is_the_share() -> None:
    """A share of 5 % gets 5 % of the sessions within four standard errors, and a whole share all of them."""
    assert abs(len(canary(rollout(0.05))) / len(SESSIONS) - 0.05) < 4 * (0.05 * 0.95 / len(SESSIONS)) ** 0.5
    assert canary(rollout(1.0)) == set(SESSIONS)


def test_a_growing_share_only_adds_sessions() -> None:
    """Who met the candidate at 5 % meets it at 25 %, whatever the generation."""
    assert canary(rollout(0.05, generation=2)) < canary(rollout(0.25, generation=7))


def test_another_candidate_meets_other_sessions() -> None:
    """The same sessions are not everyone's guinea pigs: two candidates' 25 % overlap like independent draws."""
    both = canary(rollout(0.25)) & canary(rollout(0.25, version="router@3"))
    assert abs(len(both) / len(SESSIONS) - 0.0625) < 0.01


@given(st.text(), st.text())
def test_a_place_lies_in_the_unit_interval(key: str, version: str) -> None:
    """Any session, also one with odd characters, has one place for a candidate."""
    assert 0 <= place(key, version) < 1
    assert place(key, version) == place(key, version)


def test_a_candidate_fails_on_enough_evidence_only() -> None:
    """One failure says nothing however few the requests; a broken candidate is known after two, a bad one soon."""
    assert not any(failing(Tally(requests, 1), 0.01) for requests in range(1, 100))
    assert failing(Tally(2, 2), 0.01) and failing(Tally(20, 4), 0.01)
    assert not failing(Tally(20, 3), 0.01) and not failing(Tally(1000, 20), 0.01)
    assert failing(Tally(100, 1), 0.0) and not failing(Tally(100, 0), 0.0)
