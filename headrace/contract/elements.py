"""Takes a record's value or a request's body apart: one JSON object is one event, an array is one event an element.

Both doors of events, the collector and the workers, take apart with this, and give the reasons that it gives:

    before the JSON     a byte order mark and the frame of a schema registry are read past, and so are NULs behind it
                        (headrace/contract/framing.py)
    an envelope         of CloudEvents, Kafka Connect or Debezium, or a text that holds JSON, is the event in it
                        (headrace/contract/envelopes.py)
    a deletion          of a change stream is no event and no fault: readers pass over it
    several in a row    objects or arrays, as lines or one behind the other: each holds an event, or as many as it has
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

from headrace.contract.envelopes import NOTHING, unwrapped
from headrace.contract.fields import TOO_DEEP
from headrace.contract.framing import PADDING, not_json, payload
from headrace.contract.texts import carried
from headrace.errors import EventError

_PADDING = re.compile(r"[ \t\r\n]*")
# What raw_decode calls, without its own cost an element.
_scan_once = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
# A string, closed or not, or a bracket.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_SCALAR = re.compile(r"[^ \t\r\n,\]}]*")
_LONGEST_NULL = 64
_BRACKETS = frozenset("[{")


class Element(NamedTuple):
    """What should be an event.

    value: decoded, out of its envelope; None where it could not be
    original: its own bytes, with the envelope
    fault: why it is no event, whatever `value` is; empty where it can be decoded
    bare: whether `original` is the JSON of `value`
    """

    value: Any
    original: bytes
    fault: str = ""
    bare: bool = True

    @property
    def is_nothing(self) -> bool:
        """Whether it is no event and need be none: a change stream's word that a row was deleted."""
        return self.value is NOTHING


def holds_nothing(value: bytes | None) -> bool:
    """Whether a record is a tombstone: it has no value, or null as programs write it that encode everything."""
    return value is None or (len(value) <= _LONGEST_NULL and payload(value).strip(PADDING) == b"null")


def elements(value: bytes) -> Iterator[Element]:
    """The events of a value, in order. Raises EventError from where on it is not JSON."""
    try:
        scan = _Scan(value)
        first = scan.next()
        if first == '"' and (inner := scan.inner()) is not None:
            yield from elements(inner)
        elif first not in _BRACKETS:
            yield scan.element()
        while first in _BRACKETS:
            if first == "[":
                yield from scan.array()
            else:
                yield scan.element()
            first = scan.next()
        scan.end()
    except ValueError as error:
        raise EventError(not_json(value, error)) from None


def element(value: bytes, enveloped: bool = False) -> Element:
    """The one element that a value is, with a fault where it is not JSON; an array is no event.

    enveloped: an event's envelope is taken off
    """
    try:
        scan = _Scan(value, enveloped)
        scan.next()
        found = scan.element()
        scan.end()
    except ValueError as error:
        return Element(None, value, not_json(value, error))
    return found


def decoded(value: bytes | str) -> Any:
    """What the JSON of one event says. Raises EventError."""
    found = element(value.encode(errors="surrogatepass") if isinstance(value, str) else value, enveloped=True)
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
                shown = carried(name[:80])
                raise EventError(f"{shown}: there is no such field", shown)
            if name in seen:
                raise EventError(f"{name}: the field stands twice; put its events into one list", name)
            if scan.next() != "[":
                raise EventError(f"{name}: it takes a list of events", name)
            seen.add(name)
            for found in scan.array():
                yield name, found
        scan.end()
    except ValueError as error:
        raise EventError(not_json(value, error)) from None


class _Scan:
    """A place in a text. What it cannot go past raises ValueError."""

    def __init__(self, value: bytes, enveloped: bool = True) -> None:
        value = payload(value)
        self._enveloped = enveloped
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
        inside = unwrapped(value) if self._enveloped else value
        if self._exact:
            return Element(inside, text.encode(), fault, inside is value)
        original = text.encode(errors="surrogateescape")
        return Element(inside, original, fault or _not_utf8(original), inside is value)

    def inner(self) -> bytes | None:
        """The array in a text that is the whole value, encoded twice; None where it is none."""
        begin = self._at
        try:
            found, self._at = _scan_once(self._text, begin)
            self.end()
        except (ValueError, StopIteration):
            found = ""
        text = str(found)
        if text.lstrip().startswith("["):
            return text.encode(errors="surrogatepass")
        self._at = begin
        return None

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


def _not_utf8(original: bytes) -> str:
    try:
        original.decode()
    except UnicodeDecodeError as error:
        return f"byte 0x{original[error.start]:02x} at {error.start} of the event is not UTF-8"
    return ""
