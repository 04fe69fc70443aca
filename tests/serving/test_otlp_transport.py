"""OTLP's transport: what is broken costs itself alone, JSON is read as exporters write it, large exports in pieces."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from otlp_exports import MARK, as_json, export, marked, post
from stage import Stage, gateway, plan_text

from serving.http.bodies import EXPORTS
from serving.http.capacity import MIB
from serving.otlp import exports, json_scan, wire
from serving.otlp.exports import JSON, LOGS, PROTOBUF, SPANS, pieces
from serving.otlp.genai import Found, SpanReader
from serving.otlp.layout import TooMany

CUT = "\U0001f600".encode()[:3]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with gateway(plan_text(), tmp_path) as running:
        yield running


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize(
    "where", ["attribute", "key", "nested", "name", "event", "link", "status", "scope", "resource"]
)
def test_bytes_that_are_not_utf8_cost_themselves_alone(
    where: str, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a cut emoji is, all ten spans are read, and U+FFFD is in its place."""
    if large:
        monkeypatch.setattr(exports, "WHOLE_BYTES", 0)
    for at in (0, 4, 9):
        made = marked(at, where)
        broken = made.SerializeToString().replace(MARK.encode(), MARK[:-3].encode() + CUT)
        (piece,) = pieces(broken, PROTOBUF, SPANS)
        sound = ExportTraceServiceRequest(resource_spans=piece.outers)
        assert not piece.refused
        assert sound.SerializeToString() == made.SerializeToString().replace(
            MARK.encode(), MARK[:-3].encode() + "\ufffd".encode()
        )


@pytest.mark.parametrize("at", [0, 499, 999])
async def test_one_broken_span_of_a_thousand_is_named(stage: Stage, at: int) -> None:
    """999 are stored and one is named."""
    made = export(1000)
    made.resource_spans[0].scope_spans[0].spans[at].trace_state = MARK
    # A field of 15 bytes that says it has 31 ends behind its span.
    broken = made.SerializeToString().replace(b"\x0f" + MARK.encode(), b"\x1f" + MARK.encode())
    answer = await post(stage, broken)
    said = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, said.rejected_spans, len(stage.recorded.sent)) == (200, 1, 999)
    assert f"span {at} of scope 0 of resource 0" in said.error_message


async def test_every_encoding_is_undone(stage: Stage) -> None:
    """gzip, zstd, deflate and raw deflate give what none gives; another is refused by name, a cut one too."""
    body = export(3).SerializeToString()
    raw = zlib.compressobj(wbits=-15)
    stream = zstandard.ZstdCompressor().compressobj()
    packed = {
        "gzip": [gzip.compress(body), gzip.compress(body[:50]) + bytes(9) + gzip.compress(body[50:])],
        "zstd": [zstandard.compress(body), stream.compress(body) + stream.flush()],
        "deflate": [zlib.compress(body), raw.compress(body) + raw.flush()],
        "identity": [body],
        "": [body],
    }
    for encoding, bodies in packed.items():
        for one in bodies:
            stage.recorded.sent.clear()
            answer = await post(stage, one, content_encoding=encoding)
            assert (answer.status_code, len(stage.recorded.sent)) == (200, 3), encoding
            if encoding not in ("identity", ""):
                cut = await post(stage, one[:-20], content_encoding=encoding)
                assert cut.status_code == 400 and encoding.encode() in cut.content
    assert (await post(stage, body, content_encoding="snappy")).status_code == 415


@pytest.mark.parametrize("path", ["/v1/traces/", "//v1/traces", "/v1//traces//", "///v1/traces"])
async def test_a_slash_too_many_is_no_other_route(stage: Stage, path: str) -> None:
    """Clients join an address that ends in a slash, and exporters follow no redirect."""
    headers = {"content-type": PROTOBUF}
    address = f"http://127.0.0.1:8080{path}"
    answer = await stage.client.post(address, content=export(3).SerializeToString(), headers=headers)
    assert (answer.status_code, len(stage.recorded.sent)) == (200, 3)
    assert (await stage.client.get(f"http://127.0.0.1:8080{path}x/")).status_code == 404


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "deflate"])
async def test_a_bomb_is_refused(stage: Stage, encoding: str) -> None:
    """A few kilobytes that unpack to more than a body may have are 413, as soon as they do."""
    zeros = bytes(EXPORTS.unpacked + 1)
    bomb = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress}[encoding](zeros)
    answer = await post(stage, bomb, content_encoding=encoding)
    assert answer.status_code == 413 and str(EXPORTS.unpacked).encode() in answer.content


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"\x0a\x00" * 3000, PROTOBUF),
        (b"\x0a\xf4\x2e\x12\xf1\x2e" + b"\x12\x00" * 3000 + b"\x1a\x00\x1a\x00", PROTOBUF),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"1," * 3000 + b"1]}]}]}", JSON),
    ],
    ids=["resources", "spans", "json"],
)
async def test_too_many_spans_are_refused(
    stage: Stage, body: bytes, media_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two bytes of a body can be a message of hundreds: 413 before they are made."""
    monkeypatch.setattr(exports, "MAX_ELEMENTS", 2000)
    monkeypatch.setattr(exports, "WHOLE_BYTES", 0)
    answer = await post(stage, body, media_type)
    assert answer.status_code == 413 and b"more than 2000" in answer.content


def test_a_large_body_comes_in_pieces_by_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every span once, those of one trace together, no piece larger than it may be."""
    monkeypatch.setattr(exports, "PIECE_BYTES", 4000)
    made = export(60)
    spans = made.resource_spans[0].scope_spans[0].spans
    for number, span in enumerate(spans):
        span.trace_id = bytes([number % 20]) * 16
    for body, media_type in ((made.SerializeToString(), PROTOBUF), (json.dumps(as_json(made)).encode(), JSON)):
        monkeypatch.setattr(exports, "WHOLE_BYTES", 0)
        found = [
            [span for outer in piece.outers for scope in outer.scope_spans for span in scope.spans]
            for piece in pieces(body, media_type, SPANS)
        ]
        assert len(found) > 3
        assert sorted(span.span_id for piece in found for span in piece) == sorted(span.span_id for span in spans)
        traces = [{span.trace_id for span in piece} for piece in found]
        assert sum(map(len, traces)) == 20 + sum(bool(one & two) for one, two in itertools.pairwise(traces))
        assert all(sum(span.ByteSize() for span in piece) <= 4000 for piece in found)


def test_a_span_that_is_too_large_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It alone."""
    monkeypatch.setattr(exports, "WHOLE_BYTES", 0)
    monkeypatch.setattr(exports, "MAX_ELEMENT_BYTES", 10_000)
    made = marked(3, "attribute")
    made.resource_spans[0].scope_spans[0].spans[3].attributes[-1].value.string_value = "x" * 10_000
    (piece,) = pieces(made.SerializeToString(), PROTOBUF, SPANS)
    assert len(next(iter(piece.outers)).scope_spans[0].spans) == 9
    assert "span 3 of scope 0 of resource 0: it takes" in piece.refused[0] and "at most 10000" in piece.refused[0]


async def test_tens_of_mebibytes_are_taken_while_others_are_answered(stage: Stage) -> None:
    """32 MiB of answers in one export: all are stored, by retry once, and the loop is never held for long."""
    text = "My VPN is down and I cannot reach the file share. " * 120
    body = gzip.compress(export(5600, text).SerializeToString(), 1)
    lags: list[float] = []

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            lags.append(time.perf_counter() - began - 0.005)

    watching = asyncio.create_task(watch())
    answer = await post(stage, body, content_encoding="gzip")
    watching.cancel()
    assert answer.status_code == 200 and len({event.event_id for event in stage.recorded.sent}) == 5600
    assert sum(len(event.to_json()) for event in stage.recorded.sent) > 32 * MIB
    assert sorted(lags)[len(lags) // 2] < 0.05, sorted(lags)[-5:]


def test_log_records_are_taken_apart_like_spans() -> None:
    """A bad record is named, a bad string mended, in both encodings."""
    made = ExportLogsServiceRequest()
    scope = made.resource_logs.add().scope_logs.add()
    for number in range(3):
        scope.log_records.add(time_unix_nano=number + 1, severity_text=MARK)
    (piece,) = pieces(made.SerializeToString().replace(MARK.encode(), MARK[:-3].encode() + CUT, 1), PROTOBUF, LOGS)
    records = next(iter(piece.outers)).scope_logs[0].log_records
    assert [one.severity_text[-1] for one in records] == ["\ufffd", "9", "9"]
    given = b'{"timeUnixNano":"1"},{"timeUnixNano":"x"},{"body":{"a":1}}'
    body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[%b]}]}]}' % given
    (piece,) = pieces(body, JSON, LOGS)
    assert len(next(iter(piece.outers)).scope_logs[0].log_records) == 2
    assert piece.refused == [
        "log record 1 of scope 0 of resource 0: timeUnixNano: could not convert string to float: 'x'"
    ]


def test_outlines_are_bounded() -> None:
    """Parts of every level count."""
    for body, outline in ((b"\x0a\x00" * 4, wire.outline), (b'{"resourceSpans":[{},{},{},{}]}', json_scan.outline)):
        outline(body, 4)
        with pytest.raises(TooMany):
            outline(body, 3)


async def test_a_fault_of_the_reader_costs_one_span(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its neighbours are stored, and it is named."""
    spans = SpanReader.spans

    def faulty(self: SpanReader, outers: Any) -> Found:
        if any(span.name == MARK for outer in outers for scope in outer.scope_spans for span in scope.spans):
            raise KeyError("nothing")
        return spans(self, outers)

    monkeypatch.setattr(SpanReader, "spans", faulty)
    answer = await post(stage, marked(4, "name").SerializeToString())
    said = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, said.rejected_spans, len(stage.recorded.sent)) == (200, 1, 9)
    assert "span 0000000000000005: the gateway failed on it: KeyError" in said.error_message
