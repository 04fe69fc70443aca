"""Takes a record's value apart: one JSON object is one event, an array is one event an element.

The value is read once, from its beginning to its end, whatever it holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

PADDING = b" \t\r\n"

_PADDING = re.compile(r"[ \t\r\n]*")
_SCANNER = json.JSONDecoder()


def elements(value: bytes) -> Iterator[tuple[Any, bytes]]:
    """The events of a record's value, each decoded and as its original bytes. Raises ValueError or RecursionError."""
    text = value.decode()
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        parsed, end = _SCANNER.raw_decode(text, at)
        if _skip(text, end) != len(text):
            raise ValueError(f"something follows the object at character {end}")
        yield parsed, text[at:end].encode()
        return
    at = _skip(text, at + 1)
    closed = text[at : at + 1] == "]"
    while not closed:
        parsed, end = _SCANNER.raw_decode(text, at)
        yield parsed, text[at:end].encode()
        at = _skip(text, end)
        if text[at : at + 1] not in (",", "]"):
            raise ValueError(f"an array goes on with a comma or ends, but not so at character {at}")
        closed = text[at] == "]"
        at = _skip(text, at + 1) if not closed else at
    if _skip(text, at + 1) != len(text):
        raise ValueError(f"something follows the array at character {at + 1}")


def _skip(text: str, at: int) -> int:
    found = _PADDING.match(text, at)
    assert found is not None
    return found.end()
