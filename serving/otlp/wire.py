"""Protobuf's wire format, as far as a body is taken apart without parsing it whole: where its spans are, and which
of a message's strings are not UTF-8.

Encoding: https://protobuf.dev/programming-guides/encoding/. ExportTraceServiceRequest and ExportLogsServiceRequest
number their levels alike: 1 resource spans; of these 1 resource, 2 scope spans; of these 1 scope, 2 spans.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from serving.otlp.layout import Export, Malformed, Outer, Scope, Slice

OUTER, HEAD, INNER = 1, 1, 2
MAX_DEPTH = 100
"""Of nested messages, as protobuf's own parsers have it."""
_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_TAG_END = 5
"""A tag is a varint of 32 bits at most."""


class Field(NamedTuple):
    """Where a field is: its tag from `at`, its value from `start` (past its length) to `end`."""

    number: int
    kind: int
    at: int
    start: int
    end: int


def outline(body: bytes, most: int) -> Export:
    """Where the spans or log records of an export are. Raises Malformed, TooMany beyond `most` of them."""
    export = Export(most)
    for outer in _submessages(body, 0, len(body), OUTER):
        export.count()
        export.outers.append(found := Outer())
        for field in fields(body, outer.start, outer.end):
            if field.kind != _LEN:
                continue
            export.count()
            if field.number == HEAD:
                found.heads.append(Slice(field.start, field.end))
            elif field.number == INNER:
                found.scopes.append(_scope(body, field, export))
    return export


def fields(body: bytes, at: int, end: int) -> Iterator[Field]:
    """The fields of a message. Raises Malformed where its bytes are none."""
    while at < end:
        tag, start = _varint(body, at, end)
        number, kind = tag >> 3, tag & 7
        if not number or start - at > _TAG_END:
            raise Malformed(f"byte {at} is no protobuf tag")
        if kind == _LEN:
            length, start = _varint(body, start, end)
            after = start + length
        elif kind == _VARINT:
            _, after = _varint(body, start, end)
        elif kind in (_I32, _I64):
            after = start + (4 if kind == _I32 else 8)
        else:
            raise Malformed(f"byte {at} is a protobuf tag of kind {kind}, which OTLP does not use")
        if after > end:
            raise Malformed(f"the field at byte {at} is longer than its message")
        yield Field(number, kind, at, start, after)
        at = after


def repaired(message: bytes, kind: Descriptor, depth: int = 0) -> bytes:
    """The message with U+FFFD for what is not UTF-8 in its strings. Raises Malformed."""
    if depth > MAX_DEPTH:
        raise Malformed(f"messages are nested more than {MAX_DEPTH} deep")
    out, kept = bytearray(), 0
    known = kind.fields_by_number
    for field in fields(message, 0, len(message)):
        what = known[field.number].type if field.kind == _LEN and field.number in known else None
        if what not in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE):
            continue
        value = message[field.start : field.end]
        if what == FieldDescriptor.TYPE_MESSAGE:
            inner = known[field.number].message_type
            assert inner is not None
            sound = repaired(value, inner, depth + 1)
        else:
            sound = value.decode("utf-8", "replace").encode()
        if sound != value:
            out += message[kept : field.at] + _encoded(field.number << 3 | _LEN) + _encoded(len(sound)) + sound
            kept = field.end
    return bytes(out + message[kept:]) if kept else message


def trace_of(body: bytes, span: Slice) -> bytes:
    """The trace id, where the span begins with it, as exporters write it."""
    head = body[span.start : span.start + 18]
    return head[2:] if head[:2] == b"\x0a\x10" else b""


def _scope(body: bytes, outer: Field, export: Export) -> Scope:
    found = Scope()
    for field in fields(body, outer.start, outer.end):
        if field.kind != _LEN:
            continue
        export.count()
        if field.number == HEAD:
            found.heads.append(Slice(field.start, field.end))
        elif field.number == INNER:
            found.elements.append(Slice(field.start, field.end))
    return found


def _submessages(body: bytes, start: int, end: int, number: int) -> Iterator[Field]:
    return (field for field in fields(body, start, end) if field.number == number and field.kind == _LEN)


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """The number, and where it ends."""
    if at < end and (first := body[at]) < 0x80:
        return first, at + 1
    value = shift = 0
    for place in range(at, min(end, at + 10)):
        byte = body[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + 1
        shift += 7
    raise Malformed(f"the number at byte {at} does not end")


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
