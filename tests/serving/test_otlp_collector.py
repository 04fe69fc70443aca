"""A real OpenTelemetry Collector sends on to the real gateway and the real Kafka, by gRPC and by HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gateway_process import Process, events, everything, running

from benchmarks.exporting import otelcol
from benchmarks.exporting.senders import over_grpc
from benchmarks.exporting.spans import QUESTION, Agent
from headrace.contract.events import Inference
from headrace.contract.topics import INFERENCES
from headrace.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.acceptance, pytest.mark.timeout(600)]
SPANS, BATCH = 20_000, 2_000


def exporter(kind: str, gateway: Process) -> dict[str, Any]:
    """The collector's exporter as a newcomer writes it: the address, and nothing about batches, queues or zipping."""
    if kind == "otlphttp":
        return {"otlphttp": {"endpoint": gateway.settings.gateway}}
    return {"otlp": {"endpoint": gateway.settings.otlp_grpc, "tls": {"insecure": True}}}


@pytest.mark.skipif(otelcol.binary() is None, reason=otelcol.MISSING)
@pytest.mark.parametrize("kind", ["otlp", "otlphttp"])
async def test_a_collectors_batches_arrive(settings: Settings, tmp_path: Path, kind: str) -> None:
    """20,000 spans in its default batches of 8,192 (25 MiB), the gateway restarted meanwhile: each is one event."""
    question = QUESTION * 6
    async with running(settings) as gateway:
        with otelcol.running(tmp_path / "collector", exporter(kind, gateway), {"batch": {}}) as collector:
            bodies = [export.SerializeToString() for export in Agent(question).exports(SPANS, BATCH)]
            await asyncio.to_thread(over_grpc, collector.grpc, bodies[:5])
            await gateway.stop()
            await asyncio.to_thread(over_grpc, collector.grpc, bodies[5:])
            await gateway.start()
            async with asyncio.timeout(180):
                while len(await ids(settings)) < SPANS:  # noqa: ASYNC110 (the condition is other processes')
                    await asyncio.sleep(0.5)
            log = collector.log.read_text()
        await gateway.stop()
        assert len(await ids(settings)) == SPANS, log[-2000:]
    assert "dropped" not in log.lower(), log[-2000:]


async def ids(settings: Settings) -> set[Any]:
    """Of the inferences in Kafka."""
    return {event.inference_id for event in events(await everything(settings, INFERENCES), Inference)}
