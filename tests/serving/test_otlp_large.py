"""Exports of tens of mebibytes at the real server: taken within bounds of memory, and small requests beside them."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from pathlib import Path

import bare_gateway
import pytest
from otlp_exports import as_json, export

from headrace.contract.events import new_inference
from serving.http.bodies import EXPORTS
from serving.http.capacity import MIB

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]
EVENT = new_inference("router", "router@9", input="a", label="it").to_json()
QUESTION = "My VPN is down and I cannot reach the file share. " * 160
PROTOBUF, JSON = "Content-Type: application/x-protobuf", "Content-Type: application/json"


@pytest.mark.parametrize("form", ["protobuf", "gzip", "json"])
async def test_an_export_of_sixty_mebibytes_is_taken(tmp_path: Path, form: str) -> None:
    """In less memory than four times its size, while others' small events are answered within half a second each."""
    made = export(7000, QUESTION)
    body = json.dumps(as_json(made)).encode() if form == "json" else made.SerializeToString()
    assert 50 * MIB < len(body) <= EXPORTS.unpacked
    headers = [JSON if form == "json" else PROTOBUF]
    if form == "gzip":
        body = gzip.compress(body, 1)
        headers.append("Content-Encoding: gzip")
    async with bare_gateway.running(tmp_path) as bare:
        before = bare.resident_mb()
        length = f"Content-Length: {len(body)}"
        sending = asyncio.create_task(bare.ask(bare.acme, length, *headers, body=body, path="/v1/traces"))
        waits, peak = [], 0
        while not sending.done():
            began = time.perf_counter()
            small = await bare.ask(bare.globex, f"Content-Length: {len(EVENT)}", body=EVENT)
            waits.append(time.perf_counter() - began)
            peak = max(peak, bare.resident_mb())
            assert small.status == 202
        reply = await sending
        assert reply.status == 200, reply.body[:300]
        assert peak - before < 4 * 60, (before, peak)
        assert sorted(waits)[int(len(waits) * 0.95)] < 0.5, sorted(waits)[-5:]
