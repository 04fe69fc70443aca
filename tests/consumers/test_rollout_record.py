"""What the log of actions says of promotions and of the plan."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consumers.rollout.plan_change import plan_change
from consumers.rollout.record import changed, refused, seeded
from consumers.rollout.table import Event, apply, seed
from headrace import plan
from headrace.contract import ids
from headrace.contract.control import RequestKind, RolloutRequest, Served

AT = datetime(2026, 3, 1, tzinfo=UTC)
PLAN = (Path(__file__).parents[2] / "flywheel.toml").read_text("utf-8")


def request(kind: RequestKind, by: str) -> RolloutRequest:
    return RolloutRequest(request_id=ids.uuid7(AT), task="router", kind=kind, at=AT, by=by)


def test_each_change_of_a_promotion_has_its_author() -> None:
    """A request's asker, or rollout by its evidence; with the versions, the generation and the request's id."""
    first = seed("router", Served(version="router@0"), AT)
    assert (seeded(first).by, seeded(first).kind, seeded(first).subject) == ("rollout", "promotion", "router@0")
    asked = request(RequestKind.PROMOTE, "headrace-retrain")
    candidate = Served(version="router@1")
    shadow = apply(first, Event.PROMOTE, AT, "asked", candidate=candidate, request_id=asked.request_id)
    begun = changed(first, shadow, Event.PROMOTE, asked)
    assert (begun.by, begun.kind, begun.subject) == ("headrace-retrain", "promotion", "router@1")
    assert begun.detail["request_id"] == str(asked.request_id) and "to" not in begun.detail
    live = apply(shadow, Event.ADVANCE, AT, "40 requests")
    done = changed(shadow, live, Event.ADVANCE)
    assert (done.by, done.detail["from"], done.detail["to"]) == ("rollout", "router@0", "router@1")
    assert done.detail["generation"] == 3 and done.detail["request_id"] == str(asked.request_id)
    back = request(RequestKind.ROLL_BACK, "cli:ann")
    rolled = apply(live, Event.ROLL_BACK, AT, "complaints", request_id=back.request_id)
    returned = changed(live, rolled, Event.ROLL_BACK, back)
    assert (returned.by, returned.kind, returned.detail["to"]) == ("cli:ann", "rollback", "router@0")
    assert changed(live, rolled, Event.ROLL_BACK, back).action_id == returned.action_id
    answer = refused(back, rolled, "there is none")
    assert (answer.by, answer.kind, answer.subject) == ("cli:ann", "rollback", "router@0")
    assert (answer.detail["result"], answer.detail["reason"]) == ("refused", "there is none")
    assert answer.detail["request_id"] == str(back.request_id) and answer.detail["generation"] == rolled.generation
    assert refused(back, rolled, "there is none").action_id == answer.action_id


def test_a_gateways_abort_bears_its_name() -> None:
    """A canary that a gateway took out of traffic is an abort by that gateway."""
    shadow = apply(
        seed("router", Served(version="router@0"), AT), Event.PROMOTE, AT, "x", candidate=Served(version="router@1")
    )
    aborted = apply(shadow, Event.ABORT, AT, "it fails")
    done = changed(shadow, aborted, Event.ABORT, request(RequestKind.ABORT, "gateway-8080"))
    assert (done.by, done.kind, done.detail["candidate"]) == ("gateway-8080", "abort", "router@1")


def parsed(*replaced: tuple[str, str]) -> plan.Plan:
    text = PLAN
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    return plan.parse(text)


def told(last: bytes | None, now: plan.Plan) -> Any:
    found = plan_change(last, now)
    return found and found.to_json()


def test_a_changed_plan_is_told_key_by_key() -> None:
    """The first plan is noted, the same one is not again, and of another one each key says what it was and is."""
    first = told(None, parsed())
    assert first is not None and told(first, parsed()) is None
    second = plan_change(first, parsed(("margin = 0.03", "margin = 0.05"), ('method = "untuned"', 'method = "full"')))
    assert second is not None and second.detail["changes"] == [
        {"key": "tasks.router.candidates.untuned.method", "old": "untuned", "new": "full"},
        {"key": "tasks.router.gate.margin", "old": 0.03, "new": 0.05},
    ]
    assert second.subject != plan_change(None, parsed()).subject  # type: ignore[union-attr]


def test_a_plans_addresses_are_not_told_whole() -> None:
    """A webhook's path and a user in a URL may be secrets: a change of them is seen, and they are not."""
    hook = ("version = 2\n", 'version = 2\nalerts.webhook = "https://chat.example.com/hooks/T0K3N"\n')
    first = told(None, parsed(hook, ("http://127.0.0.1:9100/v1", "http://ann:pa55@127.0.0.1:9100/v1")))
    assert b"T0K3N" not in first and b"pa55" not in first and b"https://chat.example.com" in first
    changed_hook = (hook[0], hook[1].replace("T0K3N", "0TH3R"))
    second = plan_change(first, parsed(changed_hook, ("http://127.0.0.1:9100/v1", "http://ann:pa55@127.0.0.1:9100/v1")))
    assert second is not None and [one["key"] for one in second.detail["changes"]] == ["alerts.webhook"]


@pytest.mark.parametrize("last", [b"", b"{}", b"no JSON", b'{"detail": []}', b'{"detail": {"plan": 3}}'])
def test_an_unreadable_last_action_is_no_plan(last: bytes) -> None:
    """Garbage under the key does not stop rollout: the plan is told as the first that is known."""
    found = plan_change(last, parsed())
    assert found is not None and "changes" not in found.detail
