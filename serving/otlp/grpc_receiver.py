"""OTLP over gRPC, as collectors and most SDKs send it where nothing is said: the same core as over HTTP.

TraceService/Export and LogsService/Export; MetricsService/Export is accepted and let go. gRPC gives a unary method its
message before its code runs; as methods with a stream of requests, the same on the wire, these know whose a message is
before they read it. What was not asked for waits at the sender (HTTP/2's flow control).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from headrace.access.roles import Principal
from headrace.errors import SettingsError
from serving.http.admission import admit
from serving.http.bodies import EXPORTS
from serving.http.callers import SPEAKERS
from serving.http.capacity import Hold
from serving.http.large_work import Turns
from serving.http.refusal import Refusal
from serving.otlp.exports import PROTOBUF
from serving.otlp.service import Exports
from serving.otlp.status import NotTaken, told

if TYPE_CHECKING:
    from serving.http.dependencies import Parts

SERVICES = "opentelemetry.proto.collector.{0}.v1.{1}Service"
READS_AT_ONCE, READS_OF_A_KEY = 16, 4
"""A message's size is known when it has come: so many may be on their way, the others wait unread."""
READ_S = 30.0
"""How long a message may take; an exporter waits 5 to 10 s for its answer."""
OPTIONS = [
    ("grpc.max_receive_message_length", EXPORTS.unpacked),
    ("grpc.max_metadata_size", 32 * 1024),
    ("grpc.max_concurrent_streams", 256),
    ("grpc.max_connection_idle_ms", 300_000),
    # Collectors may be told to ask every few seconds whether the connection lives; by default that ends it.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
]
_STATUS = {code.value[0]: code for code in grpc.StatusCode}

log = logging.getLogger(__name__)

Take = Callable[[bytes, str, Principal], Awaitable[Message]]


class GrpcReceiver:
    """The server; it lives in the gateway's event loop."""

    def __init__(self, parts: Parts, exports: Exports) -> None:
        self._parts = parts
        self._exports = exports
        self._reads = Turns(READS_AT_ONCE, READS_OF_A_KEY)
        self._server: Any = None

    async def start(self, host: str, port: int, shared: bool = False) -> None:
        """Listen. Raises SettingsError where the address cannot be had. shared: with other gateways"""
        server = self._server = grpc.aio.server(options=[*OPTIONS, ("grpc.so_reuseport", int(shared))])
        takers: dict[tuple[str, str], tuple[Take, int]] = {
            ("trace", "Trace"): (self._exports.spans, 0),
            ("logs", "Logs"): (self._exports.logs, 0),
            ("metrics", "Metrics"): (self._let_go, 1),
        }
        for names, (take, events) in takers.items():
            method = grpc.stream_unary_rpc_method_handler(self._method(f"{names[1]}Service/Export", take, events))
            service = SERVICES.format(*names)
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            bound = server.add_insecure_port(where)
        except RuntimeError:
            bound = 0
        if not bound:
            raise SettingsError(
                f"the gateway cannot take OpenTelemetry over gRPC at {where}; stop what listens there, set"
                " HEADRACE_OTLP_GRPC to another address, or to nothing to do without"
            )
        await server.start()

    async def stop(self, grace_s: float) -> None:
        """Take nothing new and give what is in progress so long."""
        if self._server is not None:
            await self._server.stop(grace_s)

    def _method(self, name: str, take: Take, events: int) -> Callable[[AsyncIterator[bytes], Any], Awaitable[bytes]]:
        async def export(messages: AsyncIterator[bytes], context: Any) -> bytes:
            hold = Hold(self._parts.room)
            try:
                principal = self._parts.callers.of_metadata(context.invocation_metadata())
                principal.require(name, *SPEAKERS)
                admit(principal, hold, self._parts, events)
                body = await self._message(messages, principal)
                hold.grow(len(body))
                return (await take(body, PROTOBUF, principal)).SerializeToString()
            except NotTaken as error:
                _, status = told(error)
            except Exception as error:
                log.error("%s failed", name, exc_info=error)
                return await context.abort(
                    grpc.StatusCode.INTERNAL, "the gateway failed on this export; its log says why"
                )
            finally:
                hold.leave()
            details = (("grpc-status-details-bin", status.SerializeToString()),)
            return await context.abort(_STATUS[status.code], status.message, details)

        return export

    async def _message(self, messages: AsyncIterator[bytes], principal: Principal) -> bytes:
        try:
            async with asyncio.timeout(READ_S), self._reads.turn(principal):
                async for message in messages:
                    return message
        except TimeoutError:
            raise Refusal(408, f"the export did not come within {READ_S:.0f} s; send smaller ones") from None
        raise Refusal(400, "the call has no message")

    async def _let_go(self, body: bytes, media_type: str, principal: Principal) -> Message:
        self._exports.records.labels("metrics", "ignored").inc()
        return ExportMetricsServiceResponse()
