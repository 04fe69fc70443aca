"""OTLP over HTTP: an agent that is instrumented already needs OTEL_EXPORTER_OTLP_ENDPOINT=<the gateway> and no more.

POST /v1/traces and /v1/logs, protobuf or JSON, gzip or not; /v1/metrics is accepted and let go, because an exporter
that is switched on by that one variable sends them too. Answers are OTLP's own: 200 with what was rejected, 400 for a
body that must not be sent again, 429 and 503 for one that may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import Response
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from prometheus_client import Counter

from headrace.access.roles import Forbidden
from serving.http.admission import Caller, admitted
from serving.http.callers import SPEAKERS
from serving.http.refusal import Refusal
from serving.intake.batches import Parsed
from serving.otlp.decode import JSON, PROTOBUF, Malformed, decoded
from serving.otlp.genai import Found, SpanReader
from serving.otlp.instrumentations import Instrumentations
from serving.otlp.joining import RecentCalls

if TYPE_CHECKING:
    from serving.http.dependencies import Parts

IN_THREAD_BYTES = 64 * 1024
"""Larger bodies are read on a thread."""
MAX_SHOWN = 5
# google.rpc.Code of an HTTP status; the status code itself is what exporters go by
INVALID_ARGUMENT, DEADLINE_EXCEEDED, UNAUTHENTICATED, PERMISSION_DENIED = 3, 4, 16, 7
RESOURCE_EXHAUSTED, UNAVAILABLE = 8, 14
_CODES = {
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    408: DEADLINE_EXCEEDED,
    429: RESOURCE_EXHAUSTED,
    413: RESOURCE_EXHAUSTED,
    503: UNAVAILABLE,
}


def mount(app: FastAPI, parts: Parts) -> None:
    """Add the routes. What was counted: headrace_otlp_records, by what became of each span and record."""
    records = Counter(
        "headrace_otlp_records",
        "Spans and log records taken over OTLP, by what became of them",
        ["kind", "outcome"],
        registry=parts.metrics.registry,
    )
    unread = Counter(
        "headrace_otlp_unread_calls",
        "Spans that look like a call of a model and were not taken, and calls taken without a text",
        ["instrumentation", "why"],
        registry=parts.metrics.registry,
    )
    instrumentations, recent = Instrumentations(), RecentCalls()

    async def found_in(request: Request, message: Message, caller: Caller) -> Found:
        media_type, body = _media_type(request), await caller.body()
        reader = SpanReader(parts.plan, caller.principal, recent)
        if len(body) > IN_THREAD_BYTES:
            return await parts.turns.run(caller.principal, _read, message, body, media_type, reader)
        return _read(message, body, media_type, reader)

    async def keep(request: Request, message: Message, kind: str) -> Found:
        caller = admitted(request, parts, *SPEAKERS)
        found = await found_in(request, message, caller)
        if found.events:
            await parts.intake.take(Parsed([*found.events]), caller.principal)
        for outcome, number in (
            ("taken", len(found.events)),
            ("joined", found.joined),
            ("ignored", found.ignored),
            ("rejected", len(found.refused)),
        ):
            records.labels(kind, outcome).inc(number)
        for (scope, why), number in found.unread.items():
            unread.labels(instrumentations.label(scope), why).inc(number)
        return found

    @app.post("/v1/traces")
    async def traces(request: Request) -> Response:
        """OTLP spans: those of GenAI answers become inferences, evaluation results in them feedback."""
        try:
            found = await keep(request, ExportTraceServiceRequest(), "spans")
        except (Refusal, Malformed, Forbidden) as error:
            return _refused(request, error)
        answer = ExportTraceServiceResponse()
        if found.refused or found.noted:
            answer.partial_success.rejected_spans = len(found.refused)
            answer.partial_success.error_message = _sentence(found)
        return _encoded(request, answer)

    @app.post("/v1/logs")
    async def logs(request: Request) -> Response:
        """OTLP log records: evaluation results become feedback."""
        try:
            found = await keep(request, ExportLogsServiceRequest(), "logs")
        except (Refusal, Malformed, Forbidden) as error:
            return _refused(request, error)
        answer = ExportLogsServiceResponse()
        if found.refused or found.noted:
            answer.partial_success.rejected_log_records = len(found.refused)
            answer.partial_success.error_message = _sentence(found)
        return _encoded(request, answer)

    @app.post("/v1/metrics")
    async def metrics_let_go(request: Request) -> Response:
        """OTLP metrics are accepted and not kept."""
        try:
            caller = admitted(request, parts, *SPEAKERS, events=1)
            _media_type(request)
            await caller.discard()
        except (Refusal, Forbidden) as error:
            return _refused(request, error)
        records.labels("metrics", "ignored").inc()
        return _encoded(request, ExportMetricsServiceResponse())


def _read(message: Message, body: bytes, media_type: str, reader: SpanReader) -> Found:
    export = decoded(message, body, media_type)
    if isinstance(export, ExportTraceServiceRequest):
        return reader.spans(export.resource_spans)
    assert isinstance(export, ExportLogsServiceRequest)
    return reader.logs(export.resource_logs)


def _media_type(request: Request) -> str:
    given = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if given not in (PROTOBUF, JSON):
        raise Refusal(415, f"the content type is {given[:80]!r}; OTLP sends {PROTOBUF} or {JSON}")
    return given


def _encoded(request: Request, message: Message, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """In the request's own encoding."""
    if request.headers.get("content-type", "").startswith(PROTOBUF):
        return Response(message.SerializeToString(), status, headers, PROTOBUF)
    return Response(MessageToJson(message, indent=None), status, headers, JSON)


def _refused(request: Request, error: Refusal | Malformed | Forbidden) -> Response:
    status = error.status if isinstance(error, Refusal) else 403 if isinstance(error, Forbidden) else 400
    code = _CODES.get(status, INVALID_ARGUMENT)
    retry_after_s = error.retry_after_s if isinstance(error, Refusal) else None
    headers = {"retry-after": str(retry_after_s)} if retry_after_s else None
    return _encoded(request, Status(code=code, message=str(error)), status, headers)


def _sentence(found: Found) -> str:
    # What was taken, with something left out, is told as well: the protocol has a message without a rejection for it.
    said = found.refused + found.noted
    more = len(said) - MAX_SHOWN
    return "; ".join(said[:MAX_SHOWN]) + (f"; and {more} more" if more > 0 else "")
