"""Takes a record's value or a request's body apart: one JSON object is one event, an array is one event an element.

Both doors of events, the collector and the workers, take apart with this, and give the reasons that it gives:

    before the JSON     a byte order mark, and the frame of a schema registry (a zero byte and four of the schema's id)
                        are read past
    a bad element       one that is nested too deeply for the parser, that has a number of thousands of digits or bytes
                        that are not UTF-8 has a fault of its own, and its neighbours are read
    broken JSON         what is not JSON anywhere raises, since the place where the next event begins is not known
    NaN and Infinity    are read as numbers, which only an event's `extra` may hold
    a name twice        the last one counts

A value is read once, from its beginning to its end, whatever it holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from headrace.contract.fields import TOO_DEEP
from headrace.errors import EventError

PADDING = b" \t\r\n"
MARK = b"\xef\xbb\xbf"
FRAME_BYTES = 5

_PADDING = re.compile(r"[ \t\r\n]*")
# What raw_decode calls, without its own cost an element.
_scan_once = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
# A string, closed or not, or a bracket.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_SCALAR = re.compile(r"[^ \t\r\n,\]}]*")


class Element(NamedTuple):
    """What should be an event.

    value: decoded; None where it could not be
    original: its own bytes
    fault: why it is no event, whatever `value` is; empty where it can be decoded
    """

    value: Any
    original: bytes
    fault: str = ""


def payload(value: bytes) -> bytes:
    """The JSON of a value, without what some producers put before it."""
    if value[:1] == b"\x00" and len(value) > FRAME_BYTES:
        value = value[FRAME_BYTES:]
    return value.removeprefix(MARK)


def elements(value: bytes) -> Iterator[Element]:
    """The events of a value, in order. Raises EventError from where on it is not JSON."""
    try:
        scan = _Scan(value)
        if scan.next() == "[":
            yield from scan.array()
        else:
            yield scan.element()
        scan.end()
    except ValueError as error:
        raise _not_json(value, error) from None


def element(value: bytes) -> Element:
    """The one element that a value is, with a fault where it is not JSON; an array is no event."""
    try:
        scan = _Scan(value)
        scan.next()
        found = scan.element()
        scan.end()
    except ValueError as error:
        return Element(None, value, str(_not_json(value, error)))
    return found


def decoded(value: bytes | str) -> Any:
    """What the JSON of one element says. Raises EventError."""
    found = element(value.encode(errors="surrogatepass") if isinstance(value, str) else value)
    if found.fault:
        raise EventError(found.fault)
    return found.value


def lists(value: bytes, names: Collection[str]) -> Iterator[tuple[str, Element]]:
    """The elements of an object's lists, each with the list's name.

    Raises EventError from where on it is not JSON, where a name is not one of `names` or comes twice, and where it is
    no list's.
    """
    seen: set[str] = set()
    try:
        scan = _Scan(value)
        for name in scan.names():
            if name not in names:
                raise EventError(f"{name[:80]}: there is no such field", name[:80])
            if name in seen:
                raise EventError(f"{name}: the field stands twice; put its events into one list", name)
            if scan.next() != "[":
                raise EventError(f"{name}: it takes a list of events", name)
            seen.add(name)
            for found in scan.array():
                yield name, found
        scan.end()
    except ValueError as error:
        raise _not_json(value, error) from None


class _Scan:
    """A place in a text. What it cannot go past raises ValueError."""

    def __init__(self, value: bytes) -> None:
        value = payload(value)
        self._exact = True
        try:
            self._text = value.decode()
        except UnicodeDecodeError:
            # Bytes that are not UTF-8 are at fault where they stand; no byte of JSON's own is among them.
            self._exact = False
            self._text = value.decode(errors="surrogateescape")
        self._at = 0

    def next(self) -> str:
        """Go to the next character that is not padding; empty at the end."""
        at = self._text[self._at : self._at + 1]
        # Most elements follow each other without padding, which is all below an exclamation mark.
        if at > " ":
            return at
        found = _PADDING.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        return self._text[self._at : self._at + 1]

    def end(self) -> None:
        if self.next():
            raise ValueError(f"something follows the value at character {self._at}")

    def element(self) -> Element:
        begin, value, fault = self._at, None, ""
        try:
            value, self._at = _scan_once(self._text, begin)
        except StopIteration:
            raise json.JSONDecodeError("Expecting value", self._text, begin) from None
        except json.JSONDecodeError:
            raise
        except RecursionError:
            fault = TOO_DEEP
        except ValueError:
            # Python converts no more digits to a number, since the time grows with their square.
            fault = "a number has thousands of digits"
        if fault:
            self._pass_over()
        text = self._text[begin : self._at]
        if self._exact:
            return Element(value, text.encode(), fault)
        original = text.encode(errors="surrogateescape")
        return Element(value, original, fault or _not_utf8(original))

    def array(self) -> Iterator[Element]:
        self._at += 1
        if self.next() == "]":
            self._at += 1
            return
        follows = ","
        while follows == ",":
            yield self.element()
            follows = self.next()
            if follows not in (",", "]") or not follows:
                raise ValueError(f"an array goes on with a comma or ends, but not so at character {self._at}")
            self._at += 1
            self.next()

    def names(self) -> Iterator[str]:
        """The names of an object; whoever takes one goes on behind its value."""
        follows = self.next()
        if follows != "{":
            raise ValueError(f"an object begins with a brace, but not so at character {self._at}")
        self._at += 1
        if self.next() == "}":
            self._at += 1
            return
        while follows != "}":
            if self.next() != '"':
                raise ValueError(f"an object has names in quotes, but not so at character {self._at}")
            name, self._at = _scan_once(self._text, self._at)
            if self.next() != ":":
                raise ValueError(f"a colon follows a name, but not so at character {self._at}")
            self._at += 1
            self.next()
            yield name
            follows = self.next()
            if follows not in (",", "}") or not follows:
                raise ValueError(f"an object goes on with a comma or ends, but not so at character {self._at}")
            self._at += 1
            self.next()

    def _pass_over(self) -> None:
        """Go behind a value that cannot be decoded, by its brackets."""
        found = _SCALAR.match(self._text, self._at)
        if self._text[self._at] not in "[{":
            assert found is not None
            self._at = found.end()
            return
        depth = 0
        for token in _TOKEN.finditer(self._text, self._at):
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.group(), 0)
            if depth == 0:
                self._at = token.end()
                return
        raise ValueError(f"the value that begins at character {self._at} does not end")


def _not_json(value: bytes, error: ValueError) -> EventError:
    rest = payload(value)
    if b"\x00" in rest[:4] or rest[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return EventError("the value is not JSON: it begins like UTF-16 or UTF-32, and JSON is UTF-8")
    framed = value[:1] == b"\x00"
    after = f" (after the {FRAME_BYTES} bytes of a schema registry's frame)" if framed and rest is not value else ""
    return EventError(
        f"the value is not JSON{after}: {error}" if rest else f"the value is not JSON{after}: it is empty"
    )


def _not_utf8(original: bytes) -> str:
    try:
        original.decode()
    except UnicodeDecodeError as error:
        return f"byte 0x{original[error.start]:02x} at {error.start} of the event is not UTF-8"
    return ""
