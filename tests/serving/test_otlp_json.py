"""OTLP's JSON is read as exporters write it, and what is broken in it costs itself alone."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from otlp_exports import MARK, as_json, export, inputs, marked, post
from stage import Stage, gateway, plan_text

from serving.otlp.exports import JSON, SPANS, pieces
from serving.otlp.layout import Malformed


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with gateway(plan_text(), tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    ("at", "fault"),
    [(0, 7), (499, {"traceId": "no id"}), (999, {"startTimeUnixNano": "soon"}), (0, {"attributes": {"a": 1}})],
)
async def test_one_broken_span_of_a_thousand_is_named_in_json(stage: Stage, at: int, fault: Any) -> None:
    """The same where it is no object, or a field of it is not what it should be."""
    fields = as_json(export(1000))
    spans = fields["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans[at] = spans[at] | fault if isinstance(fault, dict) else fault
    said = (await post(stage, json.dumps(fields).encode(), JSON)).json()["partialSuccess"]
    assert (said["rejectedSpans"], len(stage.recorded.sent)) == ("1", 999)
    assert said["errorMessage"].startswith(f"span {at} of scope 0 of resource 0: ")


@pytest.mark.parametrize("text", ['"cut \\ud83d"', '"\\udc00 low"', '"nul \\u0000"', '"tab \t"', '"\xff"', "NaN"])
async def test_odd_characters_in_json_cost_nobody_anything(stage: Stage, text: str) -> None:
    """Half of a surrogate pair, a NUL, a bare tab, a byte that is not UTF-8, NaN: the ten spans are stored."""
    body = json.dumps(as_json(marked(4, "attribute"))).encode()
    broken = body.replace(b'"' + MARK.encode() + b'"', text.encode("latin-1"))
    answer = await post(stage, broken, JSON)
    assert (answer.json(), inputs(stage)) == ({}, [f"Question {number}" for number in range(10)])


async def test_two_halves_of_a_character_are_one(stage: Stage) -> None:
    """A pair of surrogates that Python's json did not join is the character, and a single half U+FFFD."""
    body = json.dumps(as_json(export(1, "a\\ud83d\\ude00b\\ud83dc"))).encode().replace(b"\\\\\\\\u", b"\\u")
    await post(stage, body, JSON)
    assert inputs(stage) == ["a\U0001f600b\ufffdc"]


def spelled(spelling: str) -> dict[str, Any]:
    """One answer in another exporter's JSON."""
    fields = as_json(export(1))
    (span,) = fields["resourceSpans"][0]["scopeSpans"][0]["spans"]
    match spelling:
        case "numbers":
            span |= {name: int(span[name]) for name in ("startTimeUnixNano", "endTimeUnixNano")} | {"kind": 3}
            span["status"] = {"code": 1}
        case "names":
            span |= {"kind": "SPAN_KIND_CLIENT", "status": {"code": "STATUS_CODE_OK"}}
        case "short-names":
            span |= {"kind": "client", "status": {"code": "Ok"}}
        case "unknown-names":
            span |= {"kind": "SPAN_KIND_NEW", "status": {"code": "STATUS_CODE_NEW"}}
        case "base64":
            span |= {name: b64encode(bytes.fromhex(span[name])).decode() for name in ("traceId", "spanId")}
        case "upper":
            span |= {name: span[name].upper() for name in ("traceId", "spanId")}
        case "nulls":
            span |= {"parentSpanId": None, "events": None, "links": None, "status": None, "droppedEventsCount": None}
            span["attributes"] += [{"key": "a", "value": None}, {"key": "b", "value": {"stringValue": None}}, None]
            fields["resourceSpans"] += [None, {"scopeSpans": None}]
        case "unknown":
            span |= {"newField": [{"a": 1}], "traceFlags": 1}
            fields |= {"newer": {"resourceSpans": [1]}}
        case "numbers-in-attributes":
            for one in span["attributes"]:
                if "intValue" in one["value"]:
                    one["value"]["intValue"] = 100.0
            span["attributes"] += [
                {"key": "large", "value": {"intValue": "18446744073709551615"}},
                {"key": "huge", "value": {"intValue": 10**30}},
                {"key": "words", "value": {"intValue": "many"}},
                {"key": "nan", "value": {"doubleValue": "NaN"}},
                {"key": "flag", "value": {"boolValue": "true"}},
                {"key": "bare", "value": "text"},
            ]
        case "nested":
            values = [{"arrayValue": {"values": [{"kvlistValue": {"values": [{"key": "a", "value": {}}]}}]}}]
            span["attributes"] += [{"key": "deep", "value": {"arrayValue": {"values": values}}}]
        case "underscores":
            return json.loads(
                json.dumps(fields)
                .replace("resourceSpans", "resource_spans")
                .replace("scopeSpans", "scope_spans")
                .replace("startTimeUnixNano", "start_time_unix_nano")
                .replace("endTimeUnixNano", "end_time_unix_nano")
                .replace("traceId", "trace_id")
                .replace("spanId", "span_id")
                .replace("stringValue", "string_value")
                .replace("intValue", "int_value")
            )
        case "resource-last":
            (outer,) = fields["resourceSpans"]
            outer["resource"] = outer.pop("resource")
    return fields


SPELLINGS = ["numbers", "names", "short-names", "unknown-names", "base64", "upper", "nulls", "unknown"]
SPELLINGS += ["numbers-in-attributes", "nested", "underscores", "resource-last"]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_json_as_exporters_write_it(stage: Stage, spelling: str) -> None:
    """The event is the one that protobuf gives."""
    await post(stage, export(1).SerializeToString())
    answer = await post(stage, json.dumps(spelled(spelling)).encode(), JSON)
    assert answer.json() == {} and stage.recorded.sent[0] == stage.recorded.sent[1]


async def test_json_may_be_lines_of_a_file(stage: Stage) -> None:
    """What a collector's file exporter wrote, with a byte order mark or not: each line is an export."""
    line = json.dumps(as_json(export(2))).encode()
    other = line.replace(b'"traceId": "00', b'"traceId": "ff')
    for body in (line + b"\n" + other + b"\n", b"\xef\xbb\xbf" + line):
        answer = await post(stage, body, JSON)
        assert (answer.status_code, answer.json()) == (200, {})
    assert len(stage.recorded.sent) == 6


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"resourceSpans": 1}',
        b'{"resourceSpans": [{"scopeSpans": [}]}',
        b"{} x",
        b'"text"',
        b"null,",
    ],
)
def test_what_is_no_export_is_refused_whole(body: bytes) -> None:
    """JSON that is not an object, or whose brackets do not close."""
    with pytest.raises(Malformed, match="the body is not OTLP's JSON"):
        list(pieces(body, JSON, SPANS))
