"""OTLP: what an instrumented agent exports becomes inferences and feedback, and the answers are the protocol's own."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from stage import Stage, gateway, plan_text

from headrace import plan
from headrace.access.roles import Principal, Role
from headrace.contract import ids
from headrace.contract.events import Feedback, Inference
from serving.otlp.exports import JSON, PROTOBUF, SPANS, pieces
from serving.otlp.genai import SpanReader
from serving.otlp.layout import Malformed

ANYBODY = Principal("acme", frozenset(Role))
START_NS = 1_772_452_800_000_000_000  # 2026-03-02T12:00:00Z
TRACE, SPAN = bytes.fromhex("0af7651916cd43dd8448eb211c80319c"), bytes.fromhex("b7ad6b7169203331")
EVALUATION = {"gen_ai.evaluation.name": "Relevance", "gen_ai.evaluation.score.value": 1}
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "big",
    "gen_ai.response.model": "big-2026-01",
    "gen_ai.response.id": "resp-1",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 3,
    "gen_ai.response.time_to_first_chunk": 0.25,
    "gen_ai.conversation.id": "conv-1",
    "enduser.id": "u-17",
    "gen_ai.input.messages": json.dumps(
        [
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {"role": "user", "parts": [{"type": "text", "content": "My VPN is down"}]},
        ]
    ),
    "gen_ai.output.messages": json.dumps(
        [{"role": "assistant", "parts": [{"type": "text", "content": " IT "}], "finish_reason": "stop"}]
    ),
}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with gateway(plan_text(), tmp_path) as running:
        yield running


def value(given: Any) -> AnyValue:
    match given:
        case bool():
            return AnyValue(bool_value=given)
        case int():
            return AnyValue(int_value=given)
        case float():
            return AnyValue(double_value=given)
        case list():
            return AnyValue(array_value=ArrayValue(values=[value(one) for one in given]))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=pairs(given)))
    return AnyValue(string_value=given)


def pairs(given: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value(one)) for key, one in given.items()]


def trace(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> ExportTraceServiceRequest:
    """An export; each span's fields over those of a plain one."""
    export = ExportTraceServiceRequest()
    outer = export.resource_spans.add()
    outer.resource.attributes.extend(pairs(resource or {}))
    scope = outer.scope_spans.add()
    for number, fields in enumerate(spans):
        events = fields.pop("events", [])
        plain = {"trace_id": TRACE, "span_id": SPAN[:-1] + bytes([number]), "name": "chat big"}
        times = {"start_time_unix_nano": START_NS, "end_time_unix_nano": START_NS + 1_500_000_000}
        span = scope.spans.add(**(plain | times | fields | {"attributes": pairs(fields.get("attributes", {}))}))
        for said in events:
            span.events.add(
                name="gen_ai.evaluation.result", time_unix_nano=START_NS + 2_000_000_000, attributes=pairs(said)
            )
    return export


def read(*spans: dict[str, Any], **options: Any) -> Any:
    return SpanReader(plan.parse(plan_text(audit=1.0)), ANYBODY).spans(trace(*spans, **options).resource_spans)


async def post(stage: Stage, body: bytes, path: str = "/v1/traces", **headers: str) -> httpx.Response:
    given = {"content-type": PROTOBUF} | {name.replace("_", "-"): text for name, text in headers.items()}
    return await stage.client.post(path, content=body, headers=given)


def test_a_chat_span_is_an_inference():
    """Model, tokens, texts, session, user and times are where the conventions put them; prices are the plan's."""
    (event,) = read({"attributes": CHAT}).events
    assert isinstance(event, Inference)
    assert (event.task, event.version, event.label, event.tenant) == ("router", "router@0", "it", "acme")
    assert (event.input, event.output) == ("My VPN is down", " IT ")
    assert (event.session_id, event.user_ref, event.response_id) == ("conv-1", "u-17", "resp-1")
    assert (event.trace_id, event.span_id) == (TRACE.hex(), (SPAN[:-1] + b"\0").hex())
    assert (event.tokens_in, event.tokens_out, event.latency_ms, event.first_token_ms) == (100, 3, 1500.0, 250.0)
    assert event.cost == pytest.approx((100 * 1.0 + 3 * 2.0) / 1e6)
    assert ids.time_of(event.inference_id).timestamp() == START_NS / 1e9
    assert event.occurred_at.timestamp() == START_NS / 1e9 + 1.5
    assert not event.audited


def test_an_output_may_be_a_labels_text():
    """What the model said names the label by its text or its id, in any case."""
    text = plan_text(audit=1.0).replace('"hr"', '"hr", "Information Technology"')
    for output in ("information technology ", "Information_Technology"):
        messages = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": output}]}])
        spans = trace({"attributes": CHAT | {"gen_ai.output.messages": messages}}).resource_spans
        (event,) = SpanReader(plan.parse(text), ANYBODY).spans(spans).events
        assert event.label == "information_technology"


def test_the_same_span_is_the_same_event():
    """An exporter that sends again changes nothing."""
    assert read({"attributes": CHAT}).events == read({"attributes": CHAT}).events


@pytest.mark.parametrize(
    ("attributes", "name", "task"),
    [
        ({"headrace.task": "expert.hr", "gen_ai.request.model": "big"}, "chat", "expert.hr"),
        ({"gen_ai.agent.name": "router", "gen_ai.request.model": "other"}, "chat other", "router"),
        ({"gen_ai.request.model": "router"}, "chat router", "router"),
        ({"gen_ai.request.model": "big"}, "chat big", "router"),
        ({"gen_ai.request.model": "other", "gen_ai.agent.name": "writer"}, "chat other", "writer"),
        ({"gen_ai.request.model": "other"}, "chat other", "chat other"),
    ],
)
def test_the_task_of_a_span(attributes, name, task):
    """headrace.task, else the task that agent or model are named after, else whose incumbent it is, else a name."""
    (event,) = read({"name": name, "attributes": {"gen_ai.operation.name": "chat"} | attributes}).events
    assert event.task == task


def test_what_is_nothing_of_ours_is_ignored():
    """Tools, embeddings, agents, databases and failed calls are counted and let go."""
    others = [{"gen_ai.operation.name": name} for name in ("execute_tool", "embeddings", "invoke_agent")]
    found = read(
        *[{"attributes": said} for said in [*others, {"db.system": "x"}]], {"attributes": CHAT, "status": {"code": 2}}
    )
    assert (found.events, found.ignored, found.refused) == ([], 5, [])


def test_the_gateways_own_answer_is_not_recorded_twice():
    """A span of a call to this gateway is an answer it recorded itself; what is said about it names that answer."""
    own = ids.uuid7()
    said = CHAT | {"gen_ai.response.id": f"chatcmpl-{own}"}
    (event,) = read({"attributes": said, "events": [EVALUATION]}).events
    assert isinstance(event, Feedback) and event.inference_id == own


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ({"gen_ai.evaluation.name": "Relevance", "gen_ai.evaluation.score.value": 0.83}, ("judge", "comment", 0.83)),
        (
            {"gen_ai.evaluation.name": "user_feedback", "gen_ai.evaluation.score.label": "Thumbs down"},
            ("user", "thumb", -1),
        ),
        ({"gen_ai.evaluation.name": "thumb", "gen_ai.evaluation.score.value": 1}, ("user", "thumb", 1)),
        ({"gen_ai.evaluation.name": "thumb", "gen_ai.evaluation.score.value": False}, ("user", "thumb", -1)),
        ({"gen_ai.evaluation.name": "thumb", "gen_ai.evaluation.score.value": "0"}, ("user", "thumb", -1)),
        ({"gen_ai.evaluation.name": "user_rating", "gen_ai.evaluation.score.value": 4}, ("user", "rating", 4)),
        (
            {
                "gen_ai.evaluation.name": "ticket",
                "headrace.source": "outcome",
                "headrace.signal": "label",
                "headrace.label": "hr",
            },
            ("outcome", "label", None),
        ),
    ],
)
def test_what_an_evaluation_means(said, means):
    """headrace.* says source and signal; else a user's name makes a thumb or a rating, and a score is a comment's."""
    event = read({"attributes": CHAT, "events": [said | {"gen_ai.evaluation.explanation": "why"}]}).events[1]
    assert (event.source, event.signal, event.value) == means
    assert (event.comment, event.rater, event.label) == (
        "why",
        said["gen_ai.evaluation.name"],
        said.get("headrace.label", ""),
    )


def test_an_evaluation_in_an_answers_span_names_that_answer():
    """The answer's id is known there; in another span the response counts, or else the trace."""
    answer, feedback = read({"attributes": CHAT, "events": [EVALUATION]}).events
    assert feedback.inference_id == answer.inference_id
    (elsewhere,) = read({"name": "evaluate", "events": [EVALUATION | {"gen_ai.response.id": "resp-1"}]}).events
    assert (elsewhere.response_id, elsewhere.trace_id, elsewhere.span_id) == ("resp-1", TRACE.hex(), "")


def test_a_verdict_in_a_word_is_an_evaluations_comment():
    """An evaluator that gives a word and no number says something."""
    named = {"gen_ai.evaluation.name": "Relevance"}
    for said in ("label", "value"):
        (event,) = read({"events": [named | {f"gen_ai.evaluation.score.{said}": "relevant"}]}).events
        assert (event.signal, event.value, event.comment) == ("comment", None, "relevant")


def test_an_evaluation_as_a_log_record_names_the_span_and_the_response():
    """The span that a record was written in is the answer's; the resolver finds it by either."""
    export = ExportLogsServiceRequest()
    said = {"gen_ai.evaluation.name": "Relevance", "gen_ai.response.id": "resp-1", "gen_ai.evaluation.score.value": 1.0}
    scope = export.resource_logs.add().scope_logs.add()
    for name, more in (
        ("gen_ai.evaluation.result", {}),
        ("", {"event.name": "gen_ai.evaluation.result"}),
        ("other", {}),
    ):
        scope.log_records.add(
            event_name=name, time_unix_nano=START_NS, trace_id=TRACE, span_id=SPAN, attributes=pairs(said | more)
        )
    found = SpanReader(plan.parse(plan_text()), ANYBODY).logs(export.resource_logs)
    assert found.ignored == 1 and len({event.feedback_id for event in found.events}) == 1
    event = found.events[0]
    assert (event.span_id, event.trace_id, event.response_id) == (SPAN.hex(), TRACE.hex(), "resp-1")


async def test_an_export_is_stored_before_it_is_answered(stage: Stage) -> None:
    """Protobuf, gzipped protobuf and JSON with hexadecimal ids give the same event; the answer is in kind and empty."""
    export = trace({"attributes": CHAT})
    body = export.SerializeToString()
    plain = await post(stage, body)
    zipped = await post(stage, gzip.compress(body), content_encoding="gzip")
    fields = MessageToDict(export)
    span = fields["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span |= {"traceId": TRACE.hex(), "spanId": (SPAN[:-1] + b"\0").hex(), "newField": 1}
    said = await post(stage, json.dumps(fields).encode(), content_type="application/json; charset=utf-8")
    assert [answer.status_code for answer in (plain, zipped, said)] == [200, 200, 200]
    assert (plain.content, plain.headers["content-type"], said.json()) == (b"", PROTOBUF, {})
    assert stage.recorded.sent[0] == stage.recorded.sent[1] == stage.recorded.sent[2]
    assert isinstance(stage.recorded.sent[0], Inference)
    assert 'headrace_otlp_records_total{kind="spans",outcome="taken"} 3.0' in (await stage.client.get("/metrics")).text


async def test_a_span_that_cannot_be_taken_is_a_partial_success(stage: Stage) -> None:
    """The others are stored, and the answer says how many were not and why; nothing is to be sent again."""
    times = {"start_time_unix_nano": 0, "end_time_unix_nano": 0}
    unclear = {"name": "ask", "attributes": {"gen_ai.request.model": "big", "gen_ai.operation.name": "ponder"}}
    timeless = {"attributes": CHAT | {"gen_ai.response.id": "resp-2"}} | times
    answer = await post(stage, trace({"attributes": CHAT}, timeless, unclear).SerializeToString())
    said = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, said.rejected_spans) == (200, 2)
    assert "neither its start nor its end lies between the years 2000 and 2100" in said.error_message
    assert "it looks like a call of a model by 'none', but gen_ai.operation.name is 'ponder'" in said.error_message
    assert len(stage.recorded.sent) == 1
    metrics = (await stage.client.get("/metrics")).text
    assert 'headrace_otlp_unread_calls_total{instrumentation="none",why="not taken"} 1.0' in metrics


async def test_what_is_left_out_of_a_span_is_told(stage: Stage) -> None:
    """An attribute that cannot be read, or texts that are nowhere, are named beside a rejection of nothing."""
    odd = CHAT | {"gen_ai.usage.input_tokens": "many"}
    textless = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "big"}
    answer = await post(stage, trace({"attributes": odd}, {"attributes": textless}).SerializeToString())
    said = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, said.rejected_spans, len(stage.recorded.sent)) == (200, 0, 2)
    assert "gen_ai.usage.input_tokens is no number from 0 on: 'many'" in said.error_message
    assert "1 calls of 'none' have no text of question and answer" in said.error_message
    metrics = (await stage.client.get("/metrics")).text
    assert 'headrace_otlp_unread_calls_total{instrumentation="none",why="without text"} 1.0' in metrics


@pytest.mark.parametrize(
    ("path", "body", "content_type", "status"),
    [
        ("/v1/traces", b"\xff\xff\xff", PROTOBUF, 400),
        ("/v1/traces", b"{", JSON, 400),
        ("/v1/traces", b"[]", JSON, 400),
        ("/v1/traces", b'{"resourceSpans": [{"scopeSpans": [{"spans": [{]}]}]}', JSON, 400),
        ("/v1/traces", b"", "text/plain", 415),
        ("/v1/logs", b"", "", 415),
        ("/v1/logs", b"\xff\xff\xff", PROTOBUF, 400),
        ("/v1/traces", b"", PROTOBUF, 200),
        ("/v1/logs", b"{}", JSON, 200),
        ("/v1/metrics", b"\x0a\x00", PROTOBUF, 200),
    ],
)
async def test_what_the_protocol_answers(stage: Stage, path: str, body: bytes, content_type: str, status: int) -> None:
    """A body that is not what its type says is refused for good, with a google.rpc.Status in the request's encoding."""
    answer = await post(stage, body, path, content_type=content_type)
    assert answer.status_code == status
    if status != 200 and content_type == PROTOBUF:
        assert Status.FromString(answer.content).message
    elif status != 200:
        assert answer.json()["message"]


async def test_what_may_be_sent_again(tmp_path: Path) -> None:
    """Without Kafka and spool 503 with Retry-After, above the tenant's rate 429; without a key 401."""
    export = trace(*[{"attributes": CHAT} for _ in range(3)]).SerializeToString()
    async with gateway(plan_text(), tmp_path, limits="acme=1/1") as stage:
        key = stage.key("acme", Role.INGEST)
        assert (await post(stage, export)).status_code == 401
        stage.recorded.away = True
        away = await post(stage, export, **key)
        assert (away.status_code, away.headers["retry-after"]) == (503, "1")
        too_much = await post(stage, export, **key)
        assert too_much.status_code == 429 and int(too_much.headers["retry-after"]) >= 1
        assert key["authorization"] not in too_much.text + away.text


MUTATIONS = st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=4)), max_size=6)


@given(MUTATIONS, st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_reading_is_total(mutations, as_json):
    """Whatever the bytes: an export is read or Malformed, and each span of it is an event, ignored or refused."""
    export = trace({"attributes": CHAT, "events": [EVALUATION]}, {"attributes": {"x": [{"y": 1}]}})
    body = json.dumps(MessageToDict(export)).encode() if as_json else export.SerializeToString()
    for place, change in mutations:
        at = place % (len(body) + 1)
        body = body[:at] + change + body[at + len(change) // 2 :]
    try:
        read_again = list(pieces(body, JSON if as_json else PROTOBUF, SPANS))
    except Malformed as error:
        assert str(error)
        return
    for piece in read_again:
        found = SpanReader(plan.parse(plan_text()), ANYBODY).spans(piece.outers)
        assert all(event.to_json() for event in found.events) and all(found.refused + piece.refused)
