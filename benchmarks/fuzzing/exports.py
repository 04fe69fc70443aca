"""Exports of OpenTelemetry, mutated in their fields, their JSON and their bytes; and what the gateway makes of one.

Good ones are those that the tests record from instrumentation packages, and chat spans with an evaluation of our own.
"""

from __future__ import annotations

import json
import random
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict, MessageToJson
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from benchmarks.exporting.spans import Agent
from benchmarks.real_gateway import PLAN
from headrace import plan
from headrace.access.roles import Principal, Role
from headrace.client.packing import entry
from serving.otlp.exports import JSON, LOGS, PROTOBUF, SPANS, pieces
from serving.otlp.genai import SpanReader
from serving.otlp.layout import Malformed, TooMany
from serving.otlp.service import Outcome
from serving.otlp.status import told

RECORDED = Path("tests/serving/recordings")
NAMES = """
gen_ai.operation.name gen_ai.request.model gen_ai.response.model gen_ai.response.id gen_ai.input.messages
gen_ai.output.messages gen_ai.usage.input_tokens gen_ai.usage.output_tokens gen_ai.conversation.id enduser.id
gen_ai.prompt gen_ai.prompt.0.content gen_ai.completion gen_ai.completion.0.content llm.model_name input.value
output.value openinference.span.kind llm.input_messages.0.message.content ai.operationId ai.prompt.messages
ai.response.text headrace.task headrace.label headrace.inference_id headrace.cost headrace.consent headrace.version
event.name gen_ai.evaluation.name gen_ai.evaluation.score.value gen_ai.evaluation.score.label
gen_ai.evaluation.explanation gen_ai.system gen_ai.response.finish_reasons gen_ai.system_instructions
traceloop.span.kind session.id user.id
""".split()  # noqa: SIM905
TEXTS = [
    "",
    "chat",
    "text_completion",
    "big",
    "router",
    "x" * 300,
    "\x00",
    "\u2028",
    "-1",
    "1e400",
    "nan",
    "null",
    "true",
]
TEXTS += ["true", "thumb", "[]", "{}", "[[[]]]", '[{"role":"user","parts":[{"type":"text","content":"a"}]}]']
TEXTS += [
    '[{"role":"assistant","content":[{"type":"text","text":1}]}]',
    '"\\ud800"',
    '{"messages":[{"content":{}}]}',
    "thumb",
]
EVENTS = ["gen_ai.evaluation.result", "gen_ai.choice", "gen_ai.user.message", ""]
INTS = [0, 1, -1, 2**63 - 1, -(2**63), 1_772_452_800]
FLOATS = [0.0, -0.0, 1.0000001, float("nan"), float("inf"), float("-inf"), 1e308, 1e-320]
TIMES = [0, 1, 2**64 - 1, 2**63, 1_772_452_800_000_000_000, 1_772_452_800_000, 4_102_444_800_000_000_000]
IDS = [b"", b"\0", bytes(8), bytes(16), b"\xff" * 16, b"x" * 64]
VALUES: list[Any] = [None, True, -1, 1.5, 10**30, "", "zz", [], {}, [[]], {"a": 1}, "\ud800", "SPAN_KIND_CLIENT"]
VALUES += [float("nan"), "18446744073709551615", {"stringValue": 1}, {"intValue": {}}, {"kvlistValue": []}, [None]]
PIECES = [
    b"\xff",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98",
    b"\x0a\x00",
    b"\x12\xff\xff\xff\xff\x0f",
    b"\x00",
    b"\x80" * 12,
    b"\x0b\x0c",
]
PIECES += [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"NaN", b"\\ud800", b"[" * 300, b'{"a":' * 100]


@cache
def seeds() -> list[Message]:
    """Good exports, of spans and of log records."""
    found: list[Message] = []
    (chat,) = Agent("My VPN is down").exports(2, 2)
    for span in chat.resource_spans[0].scope_spans[0].spans:
        said = span.events.add(name="gen_ai.evaluation.result", time_unix_nano=span.end_time_unix_nano)
        said.attributes.add(key="gen_ai.evaluation.name").value.string_value = "user_thumb"
        said.attributes.add(key="gen_ai.evaluation.score.value").value.double_value = 1.0
    found.append(chat)
    logs = ExportLogsServiceRequest()
    record = logs.resource_logs.add().scope_logs.add().log_records.add(event_name="gen_ai.evaluation.result")
    record.attributes.extend(chat.resource_spans[0].scope_spans[0].spans[0].events[0].attributes)
    record.trace_id, record.span_id, record.time_unix_nano = b"t" * 16, b"s" * 8, TIMES[4]
    found.append(logs)
    for file in sorted(RECORDED.glob("*.json")):
        for export in json.loads(file.read_bytes())["exports"]:
            kind = LOGS if "resourceLogs" in export["body"] else SPANS
            for piece in pieces(json.dumps(export["body"]).encode(), JSON, kind):
                found.append(kind.request(**{kind.outers: piece.outers}))
    return [one for one in found if one.ByteSize() < 40_000]


@cache
def texts() -> list[tuple[bool, bytes]]:
    """The same in JSON, and whether they are log records."""
    return [(isinstance(one, ExportLogsServiceRequest), json.dumps(MessageToDict(one)).encode()) for one in seeds()]


def made(rng: random.Random) -> bytes:
    """An export's body; its first byte says which kind and encoding it is sent as."""
    if rng.random() < 0.5:
        logs, body = _protobuf(rng)
        kind = 2 * logs
    else:
        logs, body = rng.choice(texts())
        kind = 2 * logs + 1
        if rng.random() < 0.9:
            fields = json.loads(body)
            for _ in range(rng.randrange(1, 5)):
                _odd_json(fields, rng)
            body = json.dumps(fields, ensure_ascii=rng.random() < 0.5).encode(errors="surrogatepass")
    if rng.random() < 0.4:
        body = _odd_bytes(body, rng)
    if rng.random() < 0.02:
        kind = rng.randrange(4)
    return bytes([kind]) + body


def _protobuf(rng: random.Random) -> tuple[bool, bytes]:
    export = rng.choice(seeds())
    odd = type(export)()
    odd.CopyFrom(export)
    for _ in range(rng.randrange(5)):
        _odd(odd, rng)
    return isinstance(export, ExportLogsServiceRequest), odd.SerializeToString()


def outcome(body: bytes, rng: random.Random) -> str:
    """What becomes of an export. Raises whatever should not happen."""
    kind, media_type = (LOGS if body[:1] > b"\x01" else SPANS), (JSON if body[:1] in b"\x01\x03" else PROTOBUF)
    roles = frozenset(rng.sample(sorted(Role), rng.randrange(1, 5))) if rng.random() < 0.1 else frozenset(Role)
    principal = Principal(rng.choice(("default", "acme")), roles)
    reader = SpanReader(plan_of(), principal)
    events, named, ignored = 0, Outcome(), 0
    try:
        for piece in pieces(body[1:], media_type, kind):
            found = reader.spans(piece.outers) if kind is SPANS else reader.logs(piece.outers)
            assert all(isinstance(one, str) and one for one in piece.refused + found.refused)
            found.refused[:0] = piece.refused
            named.add(found)
            events += len(found.events)
            ignored += found.ignored
            for event in found.events:
                assert type(event).strict(event.to_json()).event_id == event.event_id
                assert event.tenant == principal.tenant and entry(event, "gateway-1").body
    except Malformed as error:
        http, status = told(error)
        assert http == 400 and MessageToJson(status) and status.SerializeToString()
        return "refused 400"
    except TooMany:
        return "refused 413"
    assert named.sentence.encode() or not named.rejected
    if events:
        return "taken in part" if named.rejected else "taken"
    return "every element named" if named.rejected else "nothing of ours"


@cache
def plan_of() -> plan.Plan:
    """The plan that exports are read by."""
    return plan.parse(PLAN)


def _odd(export: Any, rng: random.Random) -> None:
    """Set, drop, repeat or nest something of one span or record, its resource or scope."""
    outers = [*getattr(export, "resource_spans", ()), *getattr(export, "resource_logs", ())]
    scopes = [scope for outer in outers for scope in (getattr(outer, "scope_spans", None) or outer.scope_logs)]
    elements = [one for scope in scopes for one in (getattr(scope, "spans", None) or getattr(scope, "log_records", ()))]
    if not elements:
        return
    one = rng.choice(elements)
    holders = [one, *getattr(one, "events", ()), *getattr(one, "links", ()), *(outer.resource for outer in outers)]
    match rng.randrange(8):
        case 0 | 1 | 2:
            holder = rng.choice(holders)
            if holder.attributes and rng.random() < 0.6:
                _value(rng.choice(holder.attributes).value, rng)
            else:
                _value(holder.attributes.add(key=rng.choice(NAMES)).value, rng)
        case 3:
            holder = rng.choice(holders)
            if holder.attributes:
                del holder.attributes[rng.randrange(len(holder.attributes))]
        case 4:
            name = rng.choice([name for name in one.DESCRIPTOR.fields_by_name if name.endswith("_unix_nano")])
            setattr(one, name, rng.choice(TIMES))
        case 5:
            setattr(one, rng.choice(("trace_id", "span_id")), rng.choice(IDS))
        case 6:
            if hasattr(one, "events"):
                one.events.add(
                    name=rng.choice(("gen_ai.evaluation.result", "gen_ai.choice", "gen_ai.user.message", ""))
                )
                one.status.code = rng.randrange(3)
            else:
                one.event_name = rng.choice(EVENTS)
                _value(one.body, rng)
        case _:
            rng.choice(scopes).MergeFrom(rng.choice(scopes))


def _value(value: AnyValue, rng: random.Random, depth: int = 0) -> None:
    match rng.randrange(8 if depth < 4 else 6):
        case 0 | 1:
            value.string_value = rng.choice(TEXTS)
        case 2:
            value.int_value = rng.choice(INTS)
        case 3:
            value.double_value = rng.choice(FLOATS)
        case 4:
            value.bool_value = rng.random() < 0.5
        case 5:
            value.bytes_value = rng.choice(IDS)
        case 6:
            _value(value.array_value.values.add(), rng, depth + 1)
        case _:
            _value(value.kvlist_value.values.add(key=rng.choice(NAMES)).value, rng, depth + 1)


def _odd_json(fields: Any, rng: random.Random) -> None:
    """Walk down to somewhere, and change what is there."""
    while isinstance(fields, dict | list) and fields:
        key = rng.choice([*fields]) if isinstance(fields, dict) else rng.randrange(len(fields))
        if not isinstance(fields[key], dict | list) or not fields[key] or rng.random() < 0.1:
            if rng.random() < 0.2:
                del fields[key]
            elif rng.random() < 0.2 and isinstance(fields, dict):
                fields[rng.choice((key.upper(), key + "_", "value", "stringValue"))] = fields.pop(key)
            else:
                fields[key] = deepcopy(rng.choice(VALUES))
            return
        fields = fields[key]


def _odd_bytes(body: bytes, rng: random.Random) -> bytes:
    out = bytearray(body)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(5):
            case 0:
                out[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del out[at : at + rng.randrange(8)]
            case 2:
                piece = rng.choice(PIECES)
                # In place, as a cut string is: lengths stay what they are.
                out[at : at + len(piece) * (rng.random() < 0.6)] = piece
            case 3:
                out[at:at] = out[at : at + rng.randrange(64)]
            case _:
                if rng.random() < 0.3:
                    del out[at:]
    return bytes(out)
