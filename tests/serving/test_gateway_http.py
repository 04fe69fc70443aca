from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from stage import PROOFS, Stage, Upstream, gateway, plan_text

from headrace.access.keys import make
from headrace.access.roles import Role
from headrace.contract import ids
from headrace.contract.events import Arm, new_feedback, new_inference
from headrace.errors import SettingsError
from headrace.settings import Settings
from serving.http.callers import Callers


@pytest.fixture
async def stage(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Stage]:
    async with gateway(plan_text(upstream.url, audit=0.3), tmp_path) as running:
        yield running


async def test_a_question_gets_a_label_and_is_recorded(stage: Stage) -> None:
    """The answer and the event that is emitted say the same."""
    answer = await stage.route("My VPN is down", session_id="s1", user_ref="u1", consent=False)
    assert answer.keys() == {"inference_id", "label", "scores", "version", "arm", "latency_ms"}
    assert (answer["label"], answer["version"], answer["arm"]) == ("it", "router@0", "live")
    (event,) = stage.recorded.inferences
    assert str(event.inference_id) == answer["inference_id"]
    assert (event.input, event.session_id, event.user_ref, event.consent) == ("My VPN is down", "s1", "u1", False)
    assert (event.tokens_in, event.tokens_out, event.tenant, event.task) == (100, 2, "default", "router")
    assert event.emitter == stage.recorded.emitter
    assert event.cost == pytest.approx(104e-6) and event.latency_ms >= event.first_token_ms > 0


@pytest.mark.parametrize(
    ("said", "consent", "extra"),
    [({}, True, {}), ({"consent": False}, False, {}), ({"consent": True}, True, {"consent": "explicit"})],
)
async def test_consent_that_a_client_gave_itself_is_recorded_as_such(
    stage: Stage, said: dict[str, bool], consent: bool, extra: dict[str, str]
) -> None:
    """An answer may also train where nothing is said, but it does not claim then that anybody agreed."""
    await stage.route("My VPN is down", **said)
    body = {"model": "router", "messages": [{"role": "user", "content": "My VPN is down"}], "headrace": said}
    assert (await stage.client.post("/v1/chat/completions", json=body)).status_code == 200
    assert len(stage.recorded.inferences) == 2
    for event in stage.recorded.inferences:
        assert (event.consent, event.extra) == (consent, extra)


async def test_a_client_may_bring_the_answers_id(stage: Stage) -> None:
    """A retry with the same id is the same event, at the id's own time."""
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    own = ids.uuid7(at)
    for _ in range(2):
        assert (await stage.route(inference_id=str(own)))["inference_id"] == str(own)
    assert {(event.inference_id, event.occurred_at) for event in stage.recorded.inferences} == {(own, at)}


async def test_answers_are_signed_and_the_signature_stays_inside(stage: Stage) -> None:
    """What the gateway records is signed as it is, and no client is told the signature."""
    said = await stage.route()
    (event,) = stage.recorded.inferences
    assert PROOFS.hold(event) and PROOFS.minted(event.inference_id) and not event.audited
    assert event.proof is not None and event.proof not in str(said)
    for forged in ({"label": "finance"}, {"arm": Arm.CANARY}, {"version": "router@9"}, {"tenant": "other"}):
        assert not PROOFS.hold(event.model_copy(update=forged))


@pytest.mark.parametrize(
    ("path", "body", "status", "param", "says"),
    [
        ("/v1/route", b"{", 400, None, "Invalid JSON"),
        ("/v1/route", b"[]", 400, None, "should be an object"),
        ("/v1/route", b'{"txt": "a"}', 400, "text", "text: the field is missing"),
        ("/v1/route", b'{"text": "a", "txt": "b"}', 400, "txt", "txt: there is no such field"),
        ("/v1/route", b'{"text": ""}', 400, "text", "at least 1 character"),
        ("/v1/route", b'{"text": "a", "inference_id": "7"}', 400, "inference_id", "UUID"),
        ("/v1/route", b'{"text": "a", "task": "rooter"}', 404, "task", "there is no task 'rooter'; there are router"),
        (
            "/v1/chat/completions",
            b'{"model": "gpt", "messages": [{"role": "user", "content": "a"}]}',
            404,
            "model",
            "router",
        ),
        ("/v1/chat/completions", b'{"model": "router", "messages": []}', 400, "messages", "at least 1"),
        (
            "/v1/chat/completions",
            b'{"model": "router", "messages": [{"role": "system", "content": "a"}]}',
            400,
            "messages",
            "no user message",
        ),
        ("/v1/chat/completions", b"[]", 400, None, "no JSON object"),
        ("/v1/chat/completions", b'{"messages": []}', 400, "model", "the field is missing"),
        (
            "/v1/chat/completions",
            b'{"model": "router", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
            400,
            None,
            "no text, and this version reads texts alone",
        ),
        (
            "/v1/chat/completions",
            b'{"model": "router", "messages": [{"role": "user", "content": 7}]}',
            400,
            "messages.0.content",
            "text or a list of parts",
        ),
        ("/v1/completions", b'{"model": "router", "prompt": [1, 2]}', 400, "prompt", "one text"),
        ("/v1/responses", b'{"model": "router", "input": []}', 400, "input", "no user message with text"),
        ("/v1/embeddings", b'{"model": "router", "input": "a"}', 400, "model", "gives no embeddings"),
        ("/v1/feedback", b"7", 400, None, "not a JSON object"),
        ("/v1/feedback", b'{"inference_id": ["x"]}', 400, "inference_id", "an id is text or a whole number"),
        ("/v1/nothing", b"{}", 404, None, "has no POST /v1/nothing; it has"),
        ("/healthz", b"{}", 405, None, "does not take POST /healthz"),
    ],
)
async def test_a_malformed_request_gets_one_sentence(
    stage: Stage, path: str, body: bytes, status: int, param: str | None, says: str
) -> None:
    """The error is in OpenAI's shape, names the field, and nothing is asked of a model."""
    response = await stage.client.post(path, content=body)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (status, param)
    assert says in error["message"] and "\n" not in error["message"]
    assert not stage.recorded.inferences and not stage.recorded.sent


async def test_a_failed_upstream_is_a_502_that_is_counted(stage: Stage, upstream: Upstream) -> None:
    """After the retry the client learns why, and no event claims an answer."""
    upstream.failures = [500, 500]
    response = await stage.client.post("/v1/route", json={"text": "a"})
    assert response.status_code == 502
    assert response.json()["error"]["type"] == "upstream_error"
    assert "answered 500" in response.json()["error"]["message"]
    assert not stage.recorded.inferences
    assert 'outcome="failed",task="router",version="router@0"} 1.0' in (await stage.client.get("/metrics")).text


async def test_openais_clients_see_a_model(stage: Stage) -> None:
    """Models, a completion and a stream have the shapes that OpenAI's clients parse."""
    listed = (await stage.client.get("/v1/models")).json()
    assert listed["object"] == "list" and [model["id"] for model in listed["data"]] == ["router"]
    body: dict[str, Any] = {
        "model": "router",
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": [{"type": "text", "text": "My VPN is down"}]},
        ],
        "temperature": 0,
        "user": "u1",
        "headrace": {"session_id": "s1"},
    }
    answer = (await stage.client.post("/v1/chat/completions", json=body)).json()
    (choice,) = answer["choices"]
    assert (
        choice["message"] == {"role": "assistant", "content": "it", "refusal": None}
        and choice["finish_reason"] == "stop"
    )
    assert answer["object"] == "chat.completion" and answer["model"] == "router"
    assert answer["usage"] == {"prompt_tokens": 100, "completion_tokens": 2, "total_tokens": 102}
    event = stage.recorded.inferences[0]
    assert answer["headrace"]["inference_id"] == str(event.inference_id)
    # What an OpenAI client knows of the answer is enough for feedback to name it.
    assert answer["id"] == event.response_id
    assert (event.input, event.user_ref, event.session_id) == ("My VPN is down", "u1", "s1")

    body |= {"stream": True, "stream_options": {"include_usage": True}}
    streamed = await stage.client.post("/v1/chat/completions", json=body)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in streamed.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    assert "".join(c["delta"].get("content", "") for chunk in chunks for c in chunk["choices"]) == "it"
    assert chunks[-1]["usage"]["total_tokens"] == 102 and chunks[-2]["choices"][0]["finish_reason"] == "stop"


async def test_feedback_needs_no_id_and_no_time(stage: Stage) -> None:
    """What is left out is filled in; what is given is kept, so that a retry is the same event."""
    answer = await stage.route()
    body = {"inference_id": answer["inference_id"], "source": "user", "signal": "thumb", "value": -1}
    response = await stage.client.post("/v1/feedback", json=body)
    assert response.status_code == 202
    (event,) = stage.recorded.sent
    assert str(event.event_id) == response.json()["feedback_id"]
    assert abs((event.occurred_at - ids.time_of(event.event_id)).total_seconds()) < 0.01
    own = str(ids.uuid7(datetime(2026, 3, 1, tzinfo=UTC)))
    await stage.client.post("/v1/feedback", json=body | {"feedback_id": own})
    assert stage.recorded.sent[1].occurred_at == datetime(2026, 3, 1, tzinfo=UTC)
    at = "2026-03-02T00:00:00Z"
    await stage.client.post("/v1/feedback", json=body | {"occurred_at": at})
    assert ids.time_of(stage.recorded.sent[2].event_id) == datetime(2026, 3, 2, tzinfo=UTC)


async def test_a_key_is_a_tenant(upstream: Upstream, tmp_path: Path) -> None:
    """Without a known key there is no answer; with one, everything is its tenant's and nobody else's."""
    async with gateway(plan_text(upstream.url), tmp_path) as stage:
        stage.key("acme", Role.INGEST)
        globex = stage.key("globex", Role.INGEST)
        for headers in ({}, {"authorization": "Bearer k3"}, {"authorization": "k1"}, {"authorization": "Basic k1"}):
            for path in ("/v1/route", "/v1/chat/completions", "/v1/feedback", "/v1/events"):
                response = await stage.client.post(path, json={"text": "a"}, headers=headers)
                assert response.status_code == 401 and response.json()["error"]["type"] == "authentication_error"
        assert (await stage.client.get("/v1/models")).status_code == 401
        stage.client.headers.update(globex)
        await stage.route()
        assert stage.recorded.inferences[0].tenant == "globex"
        inference, feedback = _pair()
        assert (await stage.client.post("/v1/events", content=inference)).status_code == 202
        assert stage.recorded.sent[0].tenant == "globex"
        other = json.loads(feedback) | {"tenant": "acme"}
        response = await stage.client.post("/v1/events", json=[other])
        assert response.status_code == 403 and "tenant 'globex'" in response.json()["error"]["message"]
        response = await stage.client.post("/v1/events", json=[other, json.loads(feedback)])
        assert response.status_code == 202 and [fault["index"] for fault in response.json()["rejected"]] == [0]
        assert (await stage.client.post("/v1/feedback", json=other)).status_code == 403
        for probe in ("/healthz", "/metrics"):
            assert (await stage.client.get(probe, headers={"authorization": ""})).status_code == 200


def test_strangers_need_keys(tmp_path: Path) -> None:
    """An address that others can reach is refused as long as there is no API key, and taken with one."""
    open_door = Settings(home=tmp_path, gateway="http://0.0.0.0:8080")
    with pytest.raises(SettingsError, match="make one with `headrace keys add`"):
        Callers.of(open_door)
    Callers.of(open_door.replaced(gateway="http://localhost:8080"))
    make(open_door.keys, "helpdesk", "acme", frozenset({Role.INGEST}), "test")
    Callers.of(open_door)


def _pair() -> tuple[bytes, bytes]:
    inference = new_inference("router", "router@9", input="a", label="it")
    return inference.to_json(), new_feedback(inference.inference_id, "user", "thumb", value=1).to_json()
