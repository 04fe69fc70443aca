"""Exports of chat spans as agents send them: twelve attributes, of which the texts have some 500 bytes."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MODEL = "big"
QUESTION = (
    "I cannot reach the invoice system from the branch office since this morning, and the portal says that my account"
    " is locked. I changed the password on Friday as the mail of the security team asked. Who can help before the books"
    " close at noon, and do I have to open a ticket for each of my three colleagues who see the same?"
)


class Agent:
    """Makes exports; each span has ids of its own.

    question: what users ask; calls: whether spans are calls of a model, or of something else with as many attributes
    """

    def __init__(self, question: str = QUESTION, calls: bool = True) -> None:
        self._question = question
        self._prefix = "gen_ai." if calls else "app."

    def exports(self, spans: int, batch: int) -> Iterator[ExportTraceServiceRequest]:
        """So many spans in batches."""
        export = self._template(batch)
        for _ in range(spans // batch):
            now = time.time_ns()
            for span in export.resource_spans[0].scope_spans[0].spans:
                span.trace_id, span.span_id = secrets.token_bytes(16), secrets.token_bytes(8)
                span.start_time_unix_nano, span.end_time_unix_nano = now - 1_200_000_000, now
                span.attributes[0].value.string_value = f"resp-{span.trace_id.hex()}"
            yield export

    def _template(self, batch: int) -> ExportTraceServiceRequest:
        export = ExportTraceServiceRequest()
        outer = export.resource_spans.add()
        _put(
            outer.resource, {"service.name": "helpdesk", "service.version": "1.4.2", "telemetry.sdk.language": "python"}
        )
        scope = outer.scope_spans.add()
        scope.scope.name, scope.scope.version = "opentelemetry.instrumentation.openai_v2", "2.1"
        for _ in range(batch):
            span = scope.spans.add(name=f"chat {MODEL}", kind=3)
            said = {"gen_ai.response.id": ""} | _chat(self._question)
            _put(span, {name.replace("gen_ai.", self._prefix): value for name, value in said.items()})
        return export


def _chat(question: str) -> dict[str, Any]:
    def said(role: str, text: str) -> str:
        return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])

    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.response.model": f"{MODEL}-2026-01",
        "gen_ai.conversation.id": "conv-4711",
        "gen_ai.usage.input_tokens": 212,
        "gen_ai.usage.output_tokens": 3,
        "server.address": "models.example",
        "gen_ai.input.messages": said("user", question),
        "gen_ai.output.messages": said("assistant", "it"),
    }


def _put(message: Any, attributes: dict[str, Any]) -> None:
    for key, value in attributes.items():
        given = message.attributes.add(key=key).value
        kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
        setattr(given, kind, value)
