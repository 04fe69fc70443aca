"""OTLP over gRPC: the same answers as over HTTP, by OpenTelemetry's own exporter and by bare calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from otlp_exports import chat, export
from stage import Stage, gateway, plan_text

from headrace.access.roles import Role
from headrace.embedded.server import free_port
from headrace.errors import SettingsError
from serving.http.bodies import EXPORTS
from serving.http.capacity import MIB, Bounds

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@contextlib.asynccontextmanager
async def listening(home: Path, **options: Any) -> AsyncIterator[tuple[Stage, str]]:
    """A gateway, and where it takes gRPC."""
    async with gateway(plan_text(), home, **options) as stage:
        port = free_port()
        await stage.service.grpc.start("127.0.0.1", port)
        try:
            yield stage, f"127.0.0.1:{port}"
        finally:
            await stage.service.grpc.stop(0)


@contextlib.asynccontextmanager
async def channel(where: str, **options: Any) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(where, **options) as opened:
        yield opened


async def refusal(call: Any) -> tuple[grpc.StatusCode, str, int]:
    """What a call ends with: its code and sentence, and after how many seconds it may come again (0: never)."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    error = raised.value
    details = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
    retry = RetryInfo()
    seconds = 0
    for one in Status.FromString(details).details:
        if one.Unpack(retry):
            seconds = retry.retry_delay.seconds
    return error.code(), error.details(), seconds


async def test_the_default_exporter_is_heard(tmp_path: Path) -> None:
    """OpenTelemetry's exporter with gzip and a key in its headers: its span is an inference of the key's tenant."""
    async with listening(tmp_path) as (stage, where):
        key = stage.key("acme", Role.INGEST)

        def send() -> None:
            exporter = OTLPSpanExporter(
                endpoint=where, insecure=True, headers=tuple(key.items()), compression=grpc.Compression.Gzip
            )
            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            with provider.get_tracer("agent").start_as_current_span("chat big") as span:
                span.set_attributes(chat("My VPN is down"))
            provider.shutdown()

        await asyncio.to_thread(send)
        (event,) = stage.recorded.sent
        assert (event.tenant, event.input) == ("acme", "My VPN is down")  # type: ignore[union-attr]


async def test_one_core_answers_both_ways(tmp_path: Path) -> None:
    """A span sent over HTTP and gRPC is one event, and what cannot be taken is named in the partial success."""
    async with listening(tmp_path) as (stage, where), channel(where) as open_channel:
        spans = export(3)
        timeless = spans.resource_spans[0].scope_spans[0].spans[1]
        timeless.start_time_unix_nano = timeless.end_time_unix_nano = 0
        answer = await TraceServiceStub(open_channel).Export(spans)
        assert (
            answer.partial_success.rejected_spans == 1
            and "the years 2000 and 2100" in answer.partial_success.error_message
        )
        headers = {"content-type": "application/x-protobuf"}
        await stage.client.post("/v1/traces", content=spans.SerializeToString(), headers=headers)
        assert stage.recorded.sent[:2] == stage.recorded.sent[2:]
        logs = ExportLogsServiceRequest()
        logs.resource_logs.add().scope_logs.add().log_records.add()
        assert not (await LogsServiceStub(open_channel).Export(logs)).partial_success.rejected_log_records
        await MetricsServiceStub(open_channel).Export(ExportMetricsServiceRequest())
        said = (await stage.client.get("/metrics")).text
        assert 'kind="metrics",outcome="ignored"} 1.0' in said and 'kind="logs",outcome="ignored"} 1.0' in said


async def test_codes_say_what_may_be_sent_again(tmp_path: Path) -> None:
    """UNAVAILABLE and RESOURCE_EXHAUSTED carry a RetryInfo; a broken message, a missing key and a wrong role do not."""
    async with listening(tmp_path, limits="acme=1/1") as (stage, where), channel(where) as open_channel:
        key = tuple(stage.key("acme", Role.INGEST).items())
        reader = tuple(stage.key("acme", Role.READ).items())
        stub = TraceServiceStub(open_channel)
        code, says, again = await refusal(stub.Export(export(1)))
        assert (code, again) == (grpc.StatusCode.UNAUTHENTICATED, 0) and "authorization: Bearer KEY" in says
        code, _, again = await refusal(stub.Export(export(1), metadata=reader))
        assert (code, again) == (grpc.StatusCode.PERMISSION_DENIED, 0)
        code, says, again = await refusal(open_channel.unary_unary(TRACES)(b"\xff\xff\xff", metadata=key))
        assert (code, again) == (grpc.StatusCode.INVALID_ARGUMENT, 0) and "not protobuf" in says
        stage.recorded.away = True
        code, _, again = await refusal(stub.Export(export(1), metadata=key))
        assert (code, again) == (grpc.StatusCode.UNAVAILABLE, 1)
        code, says, again = await refusal(stub.Export(export(1), metadata=key))
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED and again >= 1 and "events/s" in says
        code, _, _ = await refusal(open_channel.unary_unary("/opentelemetry.proto.Nothing/Export")(b""))
        assert code == grpc.StatusCode.UNIMPLEMENTED


async def test_a_message_is_bounded(tmp_path: Path) -> None:
    """Beyond a key's share: UNAVAILABLE, to be sent again. Beyond what one may have, also unzipped: never again."""
    async with listening(tmp_path, bounds=Bounds(size=6 * MIB)) as (stage, where):
        options = [("grpc.max_send_message_length", -1)]
        async with channel(where, options=options, compression=grpc.Compression.Gzip) as open_channel:
            call = open_channel.unary_unary(TRACES)
            code, says, again = await refusal(call(b"\x12\x00" * (2 * MIB)))
            assert (code, again) == (grpc.StatusCode.UNAVAILABLE, 1) and "share" in says
            code, says, again = await refusal(call(b"\x00" * (EXPORTS.unpacked + 1)))
            assert (code, again) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 0) and str(EXPORTS.unpacked) in says
            assert (await TraceServiceStub(open_channel).Export(export(2))).ByteSize() == 0
        assert len(stage.recorded.sent) == 2


async def test_a_message_is_not_read_before_the_key_is_known(tmp_path: Path) -> None:
    """A caller without a key is answered while it still sends."""
    async with listening(tmp_path) as (stage, where), channel(where) as open_channel:
        stage.key("acme", Role.INGEST)
        call = open_channel.stream_unary(TRACES)()
        assert await call.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_an_address_in_use_is_one_sentence(tmp_path: Path) -> None:
    """The variable that moves it is named."""
    async with listening(tmp_path) as (_, where), gateway(plan_text(), tmp_path / "other") as second:
        with pytest.raises(SettingsError, match="HEADRACE_OTLP_GRPC to another address"):
            await second.service.grpc.start("127.0.0.1", int(where.split(":")[1]))
