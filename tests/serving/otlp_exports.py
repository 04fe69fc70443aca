"""Exports of chat spans for the tests of OTLP's transport."""

from __future__ import annotations

import json
from typing import Any

import httpx
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from stage import Stage

from headrace.contract.events import Inference
from serving.otlp.exports import PROTOBUF

START_NS = 1_772_452_800_000_000_000  # 2026-03-02T12:00:00Z
MARK = "MARK-0123456789"


def chat(question: str = "My VPN is down", answer: str = "it") -> dict[str, Any]:
    """Attributes of an answer of the plan's incumbent."""

    def said(role: str, text: str) -> str:
        return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])

    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "big",
        "gen_ai.conversation.id": "conv-1",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.input.messages": said("user", question),
        "gen_ai.output.messages": said("assistant", answer),
    }


def export(spans: int, question: str = "Question {0}") -> ExportTraceServiceRequest:
    """So many answers, each of a trace of its own."""
    made = ExportTraceServiceRequest()
    outer = made.resource_spans.add()
    outer.resource.attributes.add(key="service.name").value.string_value = "helpdesk"
    scope = outer.scope_spans.add()
    scope.scope.name = "tests"
    for number in range(spans):
        span = scope.spans.add(trace_id=(number + 1).to_bytes(16, "big"), span_id=(number + 1).to_bytes(8, "big"))
        span.name = "chat big"
        span.start_time_unix_nano, span.end_time_unix_nano = START_NS, START_NS + 1_500_000_000
        for key, value in chat(question.format(number)).items():
            attribute = span.attributes.add(key=key).value
            if isinstance(value, int):
                attribute.int_value = value
            else:
                attribute.string_value = value
    return made


def as_json(made: ExportTraceServiceRequest) -> dict[str, Any]:
    """The same in OTLP's JSON, ids in hexadecimal."""
    fields: dict[str, Any] = MessageToDict(made)
    for outer, source in zip(fields["resourceSpans"], made.resource_spans, strict=True):
        for scope, given in zip(outer["scopeSpans"], source.scope_spans, strict=True):
            for span, one in zip(scope["spans"], given.spans, strict=True):
                span |= {"traceId": one.trace_id.hex(), "spanId": one.span_id.hex()}
    return fields


async def post(stage: Stage, body: bytes, media_type: str = PROTOBUF, **headers: str) -> httpx.Response:
    """What an export of spans is answered."""
    given = {"content-type": media_type} | {name.replace("_", "-"): text for name, text in headers.items()}
    return await stage.client.post("/v1/traces", content=body, headers=given)


def inputs(stage: Stage) -> list[str]:
    """Questions that were stored."""
    return [event.input for event in stage.recorded.sent if isinstance(event, Inference)]


def marked(at: int, where: str) -> ExportTraceServiceRequest:
    """Ten answers, one of them with a mark in one of its strings."""
    made = export(10)
    scope = made.resource_spans[0].scope_spans[0]
    span = scope.spans[at]
    match where:
        case "attribute":
            span.attributes.add(key="note").value.string_value = MARK
        case "key":
            span.attributes.add(key=MARK).value.int_value = 1
        case "nested":
            inner = span.attributes.add(key="note").value.array_value.values.add().kvlist_value
            inner.values.add(key="a").value.string_value = MARK
        case "name":
            span.name = MARK
        case "event":
            span.events.add(name=MARK)
        case "link":
            span.links.add(trace_id=bytes(16), span_id=bytes(8), trace_state=MARK)
        case "status":
            span.status.message = MARK
        case "scope":
            scope.scope.name = MARK
        case "resource":
            made.resource_spans[0].resource.attributes.add(key="note").value.string_value = MARK
    return made
