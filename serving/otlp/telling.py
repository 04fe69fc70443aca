"""One span, or the log records of one span, on their way: what they tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from serving.otlp.calls import MODELS, Call, is_plainly_a_call, kind_of, read_call, told_around
from serving.otlp.decode import attributes, plain
from serving.otlp.dialects import events as dialect_events
from serving.otlp.dialects.conventions import CONVENTIONS
from serving.otlp.dialects.dialect import Kind
from serving.otlp.shapes import shape_of

Place = tuple[str, str]
"""Trace and span, hexadecimal."""


@dataclass(slots=True)
class Seen:
    """A span on its way.

    place: trace and span; parent: hexadecimal, "" for none
    own, resource: attributes; call: that it tells of
    implied: no word says that it is a call, its attributes do; unclear: it looks like a call, and is not taken
    around: session and user of the calls in its trace
    """

    span: Span
    place: Place
    parent: str
    own: Mapping[str, Any]
    resource: Mapping[str, Any]
    scope: str
    call: Call | None = None
    implied: bool = False
    unclear: bool = False
    around: tuple[str, str] = ("", "")


class Record(NamedTuple):
    """A log record with what it is called, its and its resource's attributes, and its instrumentation."""

    record: LogRecord
    name: str
    said: Mapping[str, Any]
    scope: str


def seen_in(span: Span, resource: Mapping[str, Any], scope: str) -> Seen:
    """What a span tells. Raises EventError."""
    own = attributes(span.attributes)
    shape = shape_of(own)
    told, failed = kind_of(own, shape), span.status.code == Status.STATUS_CODE_ERROR
    place, parent = (id_text(span.trace_id), id_text(span.span_id)), id_text(span.parent_span_id)
    seen = Seen(span, place, parent, own, resource, scope)
    named = "headrace.task" in own
    # A failed call gave no answer; an agent's span counts where it names its task, for its steps have their own.
    if failed or (told is not Kind.ANSWER and told is not Kind.UNKNOWN and not named):
        seen.around = told_around(own, told, shape)
        if failed or told is not Kind.AROUND or MODELS.isdisjoint(own) or not all(place):
            return seen
    said = own
    events = []
    for event in span.events:
        if event.name == dialect_events.DETAILS:
            said = {**attributes(event.attributes), **said}
        elif event.name in dialect_events.NAMES:
            events.append(dialect_events.messages_in(event.name, attributes(event.attributes)))
    call = read_call(
        said,
        resource,
        events,
        trace=place[0],
        span=place[1],
        parent=parent,
        scope=scope,
        name=span.name,
        nested=told in (Kind.ANSWER, Kind.UNKNOWN),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
    )
    if told is Kind.AROUND and not named:
        seen.unclear = is_plainly_a_call(call, worded=True)
        return seen
    if told is Kind.UNKNOWN and not named and not is_plainly_a_call(call, CONVENTIONS.kind in own):
        seen.unclear = True
        return seen
    seen.implied = told is Kind.UNKNOWN and not named
    seen.call = call
    return seen


def around_calls(seen: Sequence[Seen]) -> tuple[set[Place], set[Place]]:
    """The spans of an export that are directly around calls, and those that are further out."""
    parents = {one.place: (one.place[0], one.parent) for one in seen if one.parent}
    if not parents:
        return set(), set()
    near: set[Place] = set()
    far: set[Place] = set()
    for one in seen:
        place = parents.get(one.place) if one.call is not None else None
        if place is None:
            continue
        near.add(place)
        place = parents.get(place)
        while place is not None and place not in far:
            far.add(place)
            place = parents.get(place)
    return near, far


def told_in(trace: str, span: str, records: Sequence[Record]) -> Call:
    """The call that log records of one span tell."""
    said: dict[str, Any] = {}
    events = []
    for record, name, own, _ in records:
        said |= own
        body = plain(record.body)
        if name == dialect_events.DETAILS:
            said |= body if isinstance(body, dict) else {}
        else:
            events.append(dialect_events.messages_in(name, own, body))
    times = [time_of(record) for record, *_ in records]
    call = read_call(
        said,
        {},
        events,
        trace=trace,
        span=span,
        scope=records[0][3],
        name=str(said.get("service.name") or records[0][3]),
        spanned=False,
        start_ns=min(times),
        end_ns=max(times),
    )
    history = [message.text for messages, _ in events for message in messages][-1:]
    chosen = any(answers for _, answers in events)
    return replace(call, recalled=True) if call.answer and not chosen and history == [call.answer] else call


def id_text(given: bytes) -> str:
    """A trace's or span's id, hexadecimal; "" for none, which is also written with zeros alone."""
    return given.hex() if any(given) else ""


def time_of(record: LogRecord) -> int:
    """When it was written, nanoseconds since 1970, 0 for unknown."""
    return record.time_unix_nano or record.observed_time_unix_nano
