"""OTLP over HTTP: an agent that is instrumented already needs OTEL_EXPORTER_OTLP_ENDPOINT=<the gateway> and no more.

POST /v1/traces and /v1/logs, protobuf or JSON, in any of the gateway's encodings; /v1/metrics is accepted and let go,
because an exporter that is switched on by that one variable sends them too. Answers are OTLP's own: 200 with what was
rejected, 400 for a body that must not be sent again, 429 and 503 for one that may.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from headrace.access.roles import Forbidden, Principal
from serving.http.admission import admitted
from serving.http.bodies import EXPORTS
from serving.http.callers import SPEAKERS
from serving.http.refusal import Refusal
from serving.otlp.exports import JSON, PROTOBUF
from serving.otlp.layout import Malformed
from serving.otlp.service import Exports
from serving.otlp.status import NotTaken, retry_after_s, told

if TYPE_CHECKING:
    from serving.http.dependencies import Parts


def mount(app: FastAPI, parts: Parts, exports: Exports) -> None:
    """Add the routes."""

    async def answered(
        request: Request, take: Callable[[bytes, str, Principal], Awaitable[Message]], events: int = 0
    ) -> Response:
        try:
            caller = admitted(request, parts, *SPEAKERS, events=events)
            media_type = _media_type(request)
            answer = await take(await caller.body(EXPORTS), media_type, caller.principal)
        except NotTaken as error:
            return _refused(request, error)
        return _encoded(request, answer)

    @app.post("/v1/traces", openapi_extra=_takes("resourceSpans"))
    async def traces(request: Request) -> Response:
        """OTLP spans: those of GenAI answers become inferences, evaluation results in them feedback."""
        return await answered(request, exports.spans)

    @app.post("/v1/logs", openapi_extra=_takes("resourceLogs"))
    async def logs(request: Request) -> Response:
        """OTLP log records: evaluation results become feedback."""
        return await answered(request, exports.logs)

    @app.post("/v1/metrics", openapi_extra=_takes("resourceMetrics"))
    async def metrics_let_go(request: Request) -> Response:
        """OTLP metrics are accepted and not kept."""
        try:
            caller = admitted(request, parts, *SPEAKERS, events=1)
            _media_type(request)
            await caller.discard(EXPORTS)
        except NotTaken as error:
            return _refused(request, error)
        exports.records.labels("metrics", "ignored").inc()
        return _encoded(request, ExportMetricsServiceResponse())


def _takes(name: str) -> dict[str, Any]:
    """The body's schema for /openapi.json; OTLP's own is protobuf's."""
    schema = {"type": "object", "properties": {name: {"type": "array", "items": {"type": "object"}}}}
    content = {JSON: {"schema": schema}, PROTOBUF: {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": True, "content": content}}


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
    http, status = told(error)
    wait_s = retry_after_s(error)
    return _encoded(request, status, http, {"retry-after": str(wait_s)} if wait_s else None)
