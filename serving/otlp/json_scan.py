"""Where spans or log records are in an export of OTLP's JSON: brackets and strings are followed, nothing is decoded.

So one element that is no JSON of its own accord costs itself alone, and memory is bounded by the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from serving.otlp.layout import Export, Malformed, Outer, Scope, Slice

OUTERS = {b"resourceSpans", b"resource_spans", b"resourceLogs", b"resource_logs"}
SCOPES = {b"scopeSpans", b"scope_spans", b"scopeLogs", b"scope_logs"}
ELEMENTS = {b"spans", b"logRecords", b"log_records"}
BOM = b"\xef\xbb\xbf"

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+([{}\[\]])', re.DOTALL)
_SCALAR = re.compile(rb'[^][{}",: \t\r\n]++')
_TRACE = re.compile(rb'"trace_?[iI]d"\s*:\s*"([0-9A-Za-z+/=_-]{1,64})"')


def outline(body: bytes, most: int) -> Export:
    """As serving.otlp.wire.outline; a body may also be several objects one after the other, as files have them."""
    export = Export(most)
    scan = _Scan(body, export)
    while True:
        for key in scan.members():
            if key in OUTERS:
                for _ in scan.items():
                    scan.outer()
            else:
                scan.value()
        if scan.at_end():
            return export


def trace_of(body: bytes, element: Slice) -> bytes:
    """The trace id as it is written, for grouping alone."""
    found = _TRACE.search(body, element.start, min(element.end, element.start + 512))
    return found[1] if found else b""


class _Scan:
    """A place in the body. Of `members` and `items` the caller reads each value before the next one."""

    def __init__(self, body: bytes, export: Export) -> None:
        self._body = body
        self._export = export
        self._at = len(BOM) if body.startswith(BOM) else 0

    def at_end(self) -> bool:
        """Whether nothing but blanks is left."""
        return self._peek() == b""

    def members(self) -> Iterator[bytes]:
        """The keys of an object; null is an empty one."""
        for _ in self._of(b"{", b"}"):
            key = self._match(_STRING)
            self._take(b":")
            yield key[1:-1]

    def items(self) -> Iterator[None]:
        """The values of an array; null is an empty one."""
        return self._of(b"[", b"]")

    def value(self) -> Slice:
        """Pass over a value; where it is."""
        first = self._peek()
        start = self._at
        if first in (b"{", b"["):
            depth = 0
            while True:
                bracket = _BRACKET.match(self._body, self._at)
                if bracket is None:
                    raise Malformed("the JSON ends before it is whole")
                self._at = bracket.end()
                depth += 1 if bracket[1] in b"{[" else -1
                if not depth:
                    break
        else:
            self._match(_STRING if first == b'"' else _SCALAR)
        return Slice(start, self._at)

    def outer(self) -> None:
        """Resource spans or logs."""
        found = Outer()
        self._export.count()
        self._export.outers.append(found)
        for key in self.members():
            if key in SCOPES:
                for _ in self.items():
                    found.scopes.append(self._scope())
            elif key == b"resource":
                found.heads.append(self._counted())
            else:
                self.value()

    def _scope(self) -> Scope:
        found = Scope()
        self._export.count()
        for key in self.members():
            if key in ELEMENTS:
                for _ in self.items():
                    found.elements.append(self._counted())
            elif key == b"scope":
                found.heads.append(self._counted())
            else:
                self.value()
        return found

    def _counted(self) -> Slice:
        self._export.count()
        return self.value()

    def _of(self, opening: bytes, closing: bytes) -> Iterator[None]:
        if self._peek() == b"n":
            if self._match(_SCALAR) != b"null":
                raise self._wrong()
            return
        self._take(opening)
        if self._peek() != closing:
            yield
            while self._peek() == b",":
                self._at += 1
                yield
        self._take(closing)

    def _peek(self) -> bytes:
        self._at = _SPACE.match(self._body, self._at).end()  # type: ignore[union-attr]
        return self._body[self._at : self._at + 1]

    def _take(self, mark: bytes) -> None:
        if self._peek() != mark:
            raise self._wrong()
        self._at += 1

    def _match(self, pattern: re.Pattern[bytes]) -> bytes:
        self._peek()
        found = pattern.match(self._body, self._at)
        if found is None:
            raise self._wrong()
        self._at = found.end()
        return found[0]

    def _wrong(self) -> Malformed:
        return Malformed(f"byte {self._at} of the JSON is {self._body[self._at : self._at + 1]!r}")
