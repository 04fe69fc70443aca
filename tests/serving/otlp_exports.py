"""Exports of chat spans for the tests of OTLP's transport."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

START_NS = 1_772_452_800_000_000_000  # 2026-03-02T12:00:00Z


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
