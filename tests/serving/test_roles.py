"""What each role may say and ask over HTTP and OTLP, for every source, arm and endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from stage import Stage, Upstream, gateway, plan_text
from test_otlp import CHAT, post, trace

from headrace.access.keys import revoke
from headrace.access.roles import SOURCES, Principal, Role
from headrace.contract.events import Arm, Source, new_feedback, new_inference
from serving.intake.batches import parse

SPEAKERS = (Role.INGEST, Role.OUTCOME, Role.REVIEW)
PAGE = "https://helpdesk.example.com"
ENDPOINTS = {
    "/v1/route": {Role.INGEST},
    "/v1/decisions": {Role.INGEST},
    "/v1/chat/completions": {Role.INGEST},
    "/v1/completions": {Role.INGEST},
    "/v1/responses": {Role.INGEST},
    "/v1/embeddings": {Role.INGEST},
    "/v1/events": set(SPEAKERS),
    "/v1/feedback": {*SPEAKERS, Role.PUBLISH},
    "/v1/traces": set(SPEAKERS),
    "/v1/logs": set(SPEAKERS),
    "/v1/metrics": set(SPEAKERS),
    "/v1/models": {Role.INGEST, Role.READ},
    "/metrics": {Role.READ},
}
ANSWER = new_inference("router", "router@9", input="a", label="it")


@pytest.fixture
async def stage(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Stage]:
    async with gateway(plan_text(upstream.url), tmp_path) as running:
        yield running


def held(stage: Stage, role: Role) -> dict[str, str]:
    """The headers of a key with one role; a page's, where the role is for pages."""
    if role is Role.PUBLISH:
        return stage.key("acme", role, origins=[PAGE]) | {"origin": PAGE}
    return stage.key("acme", role)


@pytest.mark.parametrize("role", Role)
async def test_each_endpoint_takes_its_roles(stage: Stage, role: Role) -> None:
    """Any other is 403 in OpenAI's shape, or OTLP's, and names the roles it takes, before the body is looked at."""
    headers = held(stage, role) | {"x-forwarded-for": "192.0.2.1"}
    for path, roles in ENDPOINTS.items():
        method = "GET" if path in ("/v1/models", "/metrics") else "POST"
        answer = await stage.client.request(method, path, headers=headers, content=b"{")
        assert (answer.status_code == 403) is (role not in roles), (path, answer.text)
        if answer.status_code == 403:
            error = answer.json().get("error", answer.json())
            assert f"{method} {path} takes a key with the role" in error["message"]
            assert all(name in error["message"] for name in roles - {Role.PUBLISH})
            assert "error" not in answer.json() or error["type"] == "permission_error"
        assert answer.status_code != 401
    for path in ("/healthz", "/readyz"):
        assert (await stage.client.get(path)).status_code == 200
    assert not stage.recorded.sent and not stage.recorded.inferences


@pytest.mark.parametrize("role", SPEAKERS)
async def test_each_role_has_its_sources(stage: Stage, role: Role) -> None:
    """One by one and in a batch, over HTTP and over OTLP: what the role may not say is refused by its place, the rest
    is kept, with the key that brought it."""
    headers = held(stage, role)
    events: list[Any] = [new_feedback(ANSWER.inference_id, source, "comment", comment="x") for source in Source]
    events += [new_inference("router", "router@9", arm=arm) for arm in Arm]
    allowed = [
        event
        for event in events
        if (event.source in SOURCES[role] if hasattr(event, "source") else role is Role.INGEST)
    ]
    for event in events:
        answer = await stage.client.post("/v1/events", content=event.to_json(), headers=headers)
        assert answer.status_code == (202 if event in allowed else 403), answer.text
        if hasattr(event, "source"):
            answer = await stage.client.post("/v1/feedback", content=event.to_json(), headers=headers)
            assert answer.status_code == (202 if event in allowed else 403), answer.text
            assert answer.status_code == 202 or "takes a key with the role" in answer.json()["error"]["message"]
    stage.recorded.sent.clear()
    body = b"[" + b",".join(event.to_json() for event in events) + b"]"
    answer = (await stage.client.post("/v1/events", content=body, headers=headers)).json()
    assert [fault["index"] for fault in answer["rejected"]] == [
        place for place, event in enumerate(events) if event not in allowed
    ]
    assert {event.event_id for event in stage.recorded.sent} == {event.event_id for event in allowed}
    key_id = headers["authorization"].split("_")[1]
    assert {(event.tenant, event.key_id) for event in stage.recorded.sent} == {("acme", key_id)}

    stage.recorded.sent.clear()
    said = [{"gen_ai.evaluation.name": "x", "headrace.source": source} for source in Source]
    export = trace({"attributes": CHAT, "events": said}).SerializeToString()
    partial = ExportTraceServiceResponse.FromString((await post(stage, export, **headers)).content).partial_success
    refused = set(Source) - SOURCES[role]
    assert partial.rejected_spans == 1
    assert all(f"source {source} takes a key" in partial.error_message for source in refused)
    assert ("an inference takes a key with the role ingest" in partial.error_message) is (role is not Role.INGEST)
    sources = {event.source for event in stage.recorded.sent if hasattr(event, "source")}
    assert sources == SOURCES[role] and {event.key_id for event in stage.recorded.sent} == {key_id}


async def test_without_keys_programs_on_this_machine_are_frontends(stage: Stage) -> None:
    """They may ingest and no more; the first key that is made shuts them out, and revoking it does not let them in."""
    for source in Source:
        event = new_feedback(ANSWER.inference_id, source, "comment", comment="x")
        answer = await stage.client.post("/v1/feedback", content=event.to_json())
        assert answer.status_code == (202 if source in SOURCES[Role.INGEST] else 403)
    refused = await stage.client.post("/v1/feedback", content=event.to_json())
    assert "no API key was given (`headrace keys add` makes one)" in refused.json()["error"]["message"]
    assert {event.key_id for event in stage.recorded.sent} == {""}
    assert (
        await stage.client.post("/v1/route", json={"text": "a"}, headers={"host": "evil.example"})
    ).status_code == 403
    headers = stage.key("acme", Role.INGEST)
    assert (await stage.client.post("/v1/route", json={"text": "a"})).status_code == 401
    assert (await stage.client.post("/v1/route", json={"text": "a"}, headers=headers)).status_code == 200
    key_id = headers["authorization"].split("_")[1]
    assert stage.recorded.inferences[-1].key_id == key_id
    revoke(stage.keys, key_id, "test")
    assert (await stage.client.post("/v1/route", json={"text": "a"})).status_code == 401


@pytest.mark.parametrize("role", SPEAKERS)
async def test_who_drew_a_label_says_so(stage: Stage, role: Role) -> None:
    """An inclusion probability, which weighs a label, takes the role review."""
    (source, *_) = sorted(SOURCES[role])
    event = new_feedback(ANSWER.inference_id, source, "label", label="it", inclusion_probability=1e-6)
    answer = await stage.client.post("/v1/events", content=event.to_json(), headers=held(stage, role))
    assert answer.status_code == (202 if role is Role.REVIEW else 403)


async def test_the_key_that_brought_an_event_is_not_the_emitters_to_say(stage: Stage) -> None:
    """Left out or empty, plainly or in any odd form, it becomes the key's; another key's name is refused."""
    headers = held(stage, Role.INGEST)
    key_id = headers["authorization"].split("_")[1]
    bare = ANSWER.model_dump_json(exclude_defaults=True)[:-1].encode()
    for said in (b"", b',"key_id":""', b',"key_id" : ""', b',"key_id":"","key\\u005fid":""', b',"label":"key_id"'):
        for body in (bare + said + b"}", b"[" + bare + said + b"}," + bare + b"}]"):
            stage.recorded.sent.clear()
            answer = await stage.client.post("/v1/events", content=body, headers=headers)
            assert answer.status_code == 202, answer.text
            assert {event.key_id for event in stage.recorded.sent} == {key_id}
    own = bare + b',"key_id":"%b"}' % key_id.encode()
    assert (await stage.client.post("/v1/events", content=own, headers=headers)).status_code == 202
    for other in (b',"key_id":"0123456789"}', b',"key_id":"","key\\u005fid":"0123456789"}'):
        answer = await stage.client.post("/v1/events", content=bare + other, headers=headers)
        assert answer.status_code == 403 and "is not the key that brings the event" in answer.text


async def test_keys_change_while_the_gateway_runs(stage: Stage) -> None:
    """A revoked key is unknown with the next request, and so is one whose time is over."""
    headers = stage.key("acme", Role.INGEST)
    over = stage.key("acme", Role.INGEST, lifetime=timedelta(microseconds=1))
    assert (await stage.client.get("/v1/models", headers=headers)).status_code == 200
    revoke(stage.keys, headers["authorization"].split("_")[1], "test")
    texts = [(await stage.client.get("/v1/models", headers=one)).text for one in (headers, over, {})]
    assert "missing or unknown" in texts[0] and len(set(texts)) == 1


async def test_strangers_see_little(stage: Stage) -> None:
    """From elsewhere probes say whether, not why, and figures take a key with the role read."""
    transport = httpx.ASGITransport(stage.service.app, client=("192.0.2.1", 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as stranger:
        assert (await stranger.get("/healthz")).json() == {"status": "ok"}
        assert (await stranger.get("/readyz")).json().keys() == {"status"}
        reader = stage.key("acme", Role.READ)
        assert (await stranger.get("/metrics")).status_code == 401
        assert (await stranger.get("/metrics", headers=reader)).status_code == 200
    assert (await stage.client.get("/readyz")).json().keys() == {"status", "reasons"}
    assert (await stage.client.get("/metrics")).status_code == 200
    assert (await stage.client.get("/metrics", headers={"x-forwarded-for": "192.0.2.1"})).status_code == 401


async def test_otlp_answers_a_wrong_role_in_its_own_shape(stage: Stage) -> None:
    """PERMISSION_DENIED, with 403, so that an exporter gives up and says why."""
    answer = await post(stage, b"", **held(stage, Role.READ))
    status = Status.FromString(answer.content)
    assert (answer.status_code, status.code) == (403, 7) and "role ingest or outcome or review" in status.message


def test_an_event_says_the_same_to_the_gateway_and_to_the_table() -> None:
    """A name with an escaped letter, which ClickHouse takes for another, does not pass on as it came."""
    event = new_feedback(ANSWER.inference_id, "audit", "label", label="it").to_json()
    for escaped in (b'"\\u0073ource":"user"', b'"sourc\\u0065":"user"'):
        for body in (event[:-1] + b"," + escaped + b"}", event.replace(b'"source":"audit"', escaped)):
            parsed = parse(body, Principal("acme", frozenset({Role.INGEST})))
            assert [one.source for one in parsed.events] == ["user"] and parsed.given == []  # type: ignore[union-attr]
