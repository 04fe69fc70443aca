"""How much a tenant and a key may send, and what they are told when it is too much."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from stage import Upstream, gateway, plan_text

from headrace.access.roles import Principal, Rate, Role, anonymous
from headrace.contract.events import new_feedback, new_inference
from headrace.errors import SettingsError
from serving.http.limits import Limits
from serving.http.refusal import Refusal

INFERENCE = new_inference("router", "router@9", input="a", label="it")
PAIR = INFERENCE.to_json(), new_feedback(INFERENCE.inference_id, "user", "thumb", value=1).to_json()


async def test_a_tenant_that_sends_too_much_is_told_when_to_come_again(upstream: Upstream, tmp_path: Path) -> None:
    """429 with Retry-After, for events, feedback and questions alike; another tenant is not touched."""
    async with gateway(plan_text(upstream.url), tmp_path, limits="acme=10/20,*=100000") as stage:
        acme, globex = (stage.key(tenant, Role.INGEST) for tenant in ("acme", "globex"))
        body = b"[" + b",".join([PAIR[0]] * 60) + b"]"
        assert (await stage.client.post("/v1/events", content=body, headers=acme)).status_code == 202
        asked = {"model": "router", "messages": [{"role": "user", "content": "a"}]}
        for path, content in (
            ("/v1/events", body),
            ("/v1/feedback", PAIR[1]),
            ("/v1/route", b'{"text": "a"}'),
            ("/v1/chat/completions", json.dumps(asked).encode()),
        ):
            answer = await stage.client.post(path, content=content, headers=acme)
            assert answer.status_code == 429 and answer.headers["retry-after"] == "5"
            assert answer.json()["error"]["type"] == "rate_limit_error"
        assert (await stage.client.post("/v1/events", content=body, headers=globex)).status_code == 202
        assert not stage.recorded.inferences


async def test_a_question_is_one_event(upstream: Upstream, tmp_path: Path) -> None:
    """Questions draw on the same tokens as events, one each."""
    async with gateway(plan_text(upstream.url), tmp_path, limits="default=0.001/3") as stage:
        assert (await stage.client.post("/v1/events", content=PAIR[0])).status_code == 202
        await stage.route()
        asked = {"model": "router", "messages": [{"role": "user", "content": "a"}]}
        assert (await stage.client.post("/v1/chat/completions", json=asked)).status_code == 200
        for path, body in (("/v1/route", {"text": "a"}), ("/v1/chat/completions", asked)):
            answer = await stage.client.post(path, json=body)
            assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 100
            assert answer.json()["error"]["type"] == "rate_limit_error"


def test_a_bucket_fills_at_its_rate_and_never_over_its_burst() -> None:
    """The same times give the same verdicts: a debt is paid at the rate, a pause saves up no more than the burst."""
    now = [0.0]
    limits = Limits("acme=10/20", lambda: now[0])
    acme = anonymous("acme")

    def admitted() -> bool:
        try:
            limits.admit(acme)
        except Refusal:
            return False
        return True

    limits.charge(acme, 50)
    now[0] = 2.9
    assert not admitted()
    now[0] = 3.2
    assert admitted()
    now[0] = 1000.0
    limits.charge(acme, 20)
    assert not admitted()
    limits.admit(anonymous("globex"))


def test_a_tenants_rate_bounds_its_keys_together_and_a_keys_own_rate_the_key() -> None:
    """A key without a rate draws on its tenant's tokens; one with a rate has fewer of its own."""
    now = [0.0]
    limits = Limits("acme=10/20", lambda: now[0])
    plain, slow = (
        Principal("acme", frozenset(), key_id, rate=rate) for key_id, rate in (("k1", None), ("k2", Rate(1, 5)))
    )
    limits.charge(slow, 5)
    with pytest.raises(Refusal, match="key k2 may send 1 events/s with bursts of 5"):
        limits.admit(slow)
    limits.admit(plain)
    limits.charge(plain, 15)
    now[0] = 1.1
    limits.admit(slow)
    limits.charge(plain, 20)
    for key in (plain, slow):
        with pytest.raises(Refusal, match="tenant acme may send 10 events/s"):
            limits.admit(key)
    elsewhere = Principal("initech", frozenset(), "k3", rate=Rate(1, 1))
    limits.charge(elsewhere, 2)
    with pytest.raises(Refusal, match="key k3"):
        limits.admit(elsewhere)


@pytest.mark.parametrize("text", ["acme", "acme=fast", "acme=0", "acme=10/0", "=10", "acme=inf", "acme=nan"])
def test_unusable_limits_are_one_sentence(text: str) -> None:
    """The entry is named, and how to write it."""
    with pytest.raises(SettingsError, match="HEADRACE_RATE_LIMITS, entry 1: it takes"):
        Limits(text)
