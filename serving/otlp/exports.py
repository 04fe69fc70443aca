"""An export's body in pieces: messages to read, and what cannot be read of it, a sentence each.

A small sound body is parsed whole. Any other is taken apart at its spans and log records, so that one which is broken
costs itself alone, and a large one is never in memory as messages all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from serving.otlp import json_read, json_scan, wire
from serving.otlp.layout import Export, Malformed, Slice, TooMany

PROTOBUF, JSON = "application/x-protobuf", "application/json"
WHOLE_BYTES = 1024 * 1024
"""Larger bodies are taken apart before they are parsed: two bytes of one can be a message of a hundred."""
PIECE_BYTES, PIECE_ELEMENTS = 8 * 1024 * 1024, 20_000
MAX_ELEMENTS = 262_144
"""Spans or log records in one body."""
MAX_ELEMENT_BYTES = 8 * 1024 * 1024

O = TypeVar("O", bound=Message)  # noqa: E741


@dataclass(frozen=True, slots=True)
class Kind(Generic[O]):
    """Spans, or log records: the messages of an export's levels, and what one element is called."""

    request: type[Message]
    outer: type[O]
    element: type[Message]
    outers: str
    scopes: str
    elements: str
    name: str
    counted: str


SPANS = Kind(ExportTraceServiceRequest, ResourceSpans, Span, "resource_spans", "scope_spans", "spans", "span", "spans")
LOGS = Kind(
    ExportLogsServiceRequest,
    ResourceLogs,
    LogRecord,
    "resource_logs",
    "scope_logs",
    "log_records",
    "log record",
    "logs",
)


@dataclass(slots=True)
class Piece(Generic[O]):
    """refused: for each element that cannot be read, why"""

    outers: Iterable[O]
    refused: list[str] = field(default_factory=list)


def pieces(body: bytes, media_type: str, kind: Kind[O]) -> Iterator[Piece[O]]:
    """All elements of a body once; those of one trace in one piece, unless they are more than a piece holds.

    Raises Malformed before the first piece, where the body as a whole is not what its type says; TooMany.
    """
    if len(body) <= WHOLE_BYTES and (whole := _whole(body, media_type, kind)) is not None:
        return iter([Piece(whole)])
    form = wire if media_type == PROTOBUF else json_scan
    try:
        export = form.outline(body, MAX_ELEMENTS)
    except Malformed as error:
        what = "protobuf" if media_type == PROTOBUF else "OTLP's JSON"
        raise Malformed(f"the body is not {what}: {error}") from None
    return _assembled(body, export, _grouped(body, export, form.trace_of), media_type, kind)


def _whole(body: bytes, media_type: str, kind: Kind[O]) -> Iterable[O] | None:
    export: Any
    if media_type == JSON:
        export = json_read.whole(kind.request, body)
    else:
        try:
            export = kind.request.FromString(body)
        except DecodeError:
            export = None
    if export is None:
        return None
    outers: Iterable[O] = getattr(export, kind.outers)
    inner: Any = (scope for outer in outers for scope in getattr(outer, kind.scopes))
    if sum(len(getattr(scope, kind.elements)) for scope in inner) > MAX_ELEMENTS:
        raise TooMany(f"the body holds more than {MAX_ELEMENTS} {kind.name}s; send smaller batches")
    return outers


_Place = tuple[int, int, int]
"""Of an element: its resource, scope and number."""


def _grouped(body: bytes, export: Export, trace_of: Any) -> list[list[_Place]]:
    """The places of all elements, in as many pieces as their bytes need."""
    every = [
        (of, (one, two, three))
        for one, outer in enumerate(export.outers)
        for two, scope in enumerate(outer.scopes)
        for three, of in enumerate(scope.elements)
    ]
    if len(body) > PIECE_BYTES or len(every) > PIECE_ELEMENTS:
        traces: dict[bytes, list[tuple[Slice, _Place]]] = {}
        for of, place in every:
            traces.setdefault(trace_of(body, of), []).append((of, place))
        every = [one for some in traces.values() for one in some]
    found: list[list[_Place]] = [[]]
    size = 0
    for of, place in every:
        size += of.end - of.start
        if found[-1] and (size > PIECE_BYTES or len(found[-1]) >= PIECE_ELEMENTS):
            found.append([])
            size = of.end - of.start
        found[-1].append(place)
    return found


def _assembled(
    body: bytes, export: Export, groups: list[list[_Place]], media_type: str, kind: Kind[O]
) -> Iterator[Piece[O]]:
    for group in groups:
        piece = _Assembly(body, export, media_type, kind)
        for place in group:
            piece.add(*place)
        yield Piece(list(piece.outers.values()), piece.refused)


class _Assembly(Generic[O]):
    """Messages of one piece, made from slices of the body."""

    def __init__(self, body: bytes, export: Export, media_type: str, kind: Kind[O]) -> None:
        self._body = body
        self._export = export
        self._parse = _parsed if media_type == PROTOBUF else json_read.message
        self._kind = kind
        self._scopes: dict[tuple[int, int], Any] = {}
        self.outers: dict[int, Any] = {}
        self.refused: list[str] = []

    def add(self, one: int, two: int, three: int) -> None:
        """One element, or why it cannot be read."""
        try:
            scope = self._scope(one, two)
            read = self._read(self._kind.element, self._export.outers[one].scopes[two].elements[three])
            getattr(scope, self._kind.elements).append(read)
        except Malformed as error:
            self.refused.append(f"{self._kind.name} {three} of scope {two} of resource {one}: {error}")

    def _scope(self, one: int, two: int) -> Any:
        made = self._scopes.get((one, two))
        if made is None:
            outer = self._export.outers[one]
            try:
                if one not in self.outers:
                    self.outers[one] = self._headed(self._kind.outer(), "resource", outer.heads)
                made = self._headed(
                    getattr(self.outers[one], self._kind.scopes).add(), "scope", outer.scopes[two].heads
                )
            except Malformed as error:
                made = error
            self._scopes[one, two] = made
        if isinstance(made, Malformed):
            raise made
        return made

    def _headed(self, message: Any, name: str, heads: list[Slice]) -> Any:
        """Several of one name are one, as protobuf merges them."""
        head = getattr(message, name)
        for of in heads:
            try:
                head.MergeFrom(self._read(type(head), of))
            except Malformed as error:
                raise Malformed(f"its {name}: {error}") from None
        return message

    def _read(self, kind: type[Message], of: Slice) -> Message:
        if of.end - of.start > MAX_ELEMENT_BYTES:
            raise Malformed(f"it takes {of.end - of.start} bytes, at most {MAX_ELEMENT_BYTES} may be")
        return self._parse(kind, self._body[of.start : of.end])


def _parsed(kind: type[Message], text: bytes) -> Message:
    try:
        return kind.FromString(text)
    except DecodeError:
        pass
    try:
        return kind.FromString(wire.repaired(text, kind.DESCRIPTOR))  # type: ignore[arg-type]
    except DecodeError as error:
        raise Malformed(str(error)) from None
