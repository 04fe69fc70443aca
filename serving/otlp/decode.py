"""OTLP's two encodings into protobuf messages, and attributes into plain values.

Specification: https://opentelemetry.io/docs/specs/otlp/ (OTLP/HTTP): protobuf, or its JSON mapping with ids in
hexadecimal instead of base64.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from typing import Any, TypeVar

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from headrace.errors import HeadraceError

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MAX_DEPTH = 40

M = TypeVar("M", bound=Message)

_IDS = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})


class Malformed(HeadraceError):
    """The body is not what its content type says."""


def decoded(message: M, body: bytes, media_type: str) -> M:
    """The body read into `message`. Raises Malformed with what is wrong; unknown fields are passed over."""
    try:
        if media_type == PROTOBUF:
            message.ParseFromString(body)
            return message
        fields = json.loads(body)
        if not isinstance(fields, dict):
            raise Malformed("the body is not a JSON object")
        # Fields of attributes are not touched: only spans and log records, at known depths, have ids.
        for outer in _objects(fields, "resourceSpans", "resource_spans", "resourceLogs", "resource_logs"):
            for scope in _objects(outer, "scopeSpans", "scope_spans", "scopeLogs", "scope_logs"):
                for one in _objects(scope, "spans", "logRecords", "log_records"):
                    _from_hex(one)
                    for link in _objects(one, "links"):
                        _from_hex(link)
        return ParseDict(fields, message, ignore_unknown_fields=True, max_recursion_depth=MAX_DEPTH)
    except (DecodeError, ParseError, ValueError, RecursionError, TypeError, AttributeError, KeyError) as error:
        what = "protobuf" if media_type == PROTOBUF else "OTLP's JSON"
        raise Malformed(f"the body is not {what}: {' '.join(str(error).split())[:200]}") from None


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as plain values; of two of one name the last."""
    return {pair.key: plain(pair.value) for pair in pairs}


def plain(value: AnyValue) -> Any:
    """A value of any of OTLP's kinds; bytes as they are, nothing as None."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [plain(one) for one in value.array_value.values]
        case "kvlist_value":
            return attributes(value.kvlist_value.values)
        case kind:
            return getattr(value, kind)


def _objects(fields: dict[str, Any], *names: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in names:
        value = fields.get(name)
        if isinstance(value, list):
            found += [one for one in value if isinstance(one, dict)]
    return found


def _from_hex(fields: dict[str, Any]) -> None:
    for name in _IDS & fields.keys():
        value = fields[name]
        if not isinstance(value, str):
            raise Malformed(f"{name} is not text in hexadecimal")
        fields[name] = b64encode(bytes.fromhex(value)).decode()
