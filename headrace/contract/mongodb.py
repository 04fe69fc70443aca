"""MongoDB's Extended JSON in an event's fields: numbers and ids that it writes as objects.

https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/; times, `$date`, are read by moments.py.
"""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Callable
from typing import Any
from uuid import UUID

DEPTH = 3
"""Objects and arrays within each other that are looked into."""
_NESTED = frozenset({dict, list})


def plain(event: dict[str, Any]) -> dict[str, Any]:
    """The event with plain values, and its document's own `_id` in `extra`; itself where it has none of these."""
    found = values(event)
    if "_id" not in found or not ("inference_id" in found or "feedback_id" in found):
        return found
    extra = found.get("extra") or {}
    if not isinstance(extra, dict):
        return found
    return {name: value for name, value in found.items() if name != "_id"} | {"extra": {**extra, "_id": found["_id"]}}


def values(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with plain values; themselves where they have none of MongoDB's."""
    changed = {
        name: now
        for name, value in fields.items()
        # What `extra` has is the emitter's own.
        if type(value) in _NESTED and name != "extra" and (now := _plain(value, DEPTH)) is not value
    }
    return {**fields, **changed} if changed else fields


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        if len(value) == 1:
            ((name, said),) = value.items()
            read = _READERS.get(name)
            if read is not None:
                return read(said, value)
        items: Any = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return value
    changed = {}
    for name, inner in items if depth else ():
        if type(inner) in _NESTED and (now := _plain(inner, depth - 1)) is not inner:
            changed[name] = now
    if not changed:
        return value
    if isinstance(value, dict):
        return {**value, **changed}
    return [changed.get(place, inner) for place, inner in enumerate(value)]


def _text(said: Any, whole: Any) -> Any:
    return said if isinstance(said, str) else whole


def _whole_number(said: Any, whole: Any) -> Any:
    try:
        return int(said) if isinstance(said, str) and len(said) <= 20 else whole
    except ValueError:
        return whole


def _number(said: Any, whole: Any) -> Any:
    try:
        found = float(said) if isinstance(said, str) else math.nan
    except ValueError:
        return whole
    # What is none is for its field to judge.
    return found if math.isfinite(found) else _text(said, whole)


def _uuid(said: Any, whole: Any) -> Any:
    """A UUID's sixteen bytes."""
    if not isinstance(said, dict) or said.get("subType") not in ("04", "4", 4):
        return whole
    try:
        return str(UUID(bytes=b64decode(said["base64"], validate=True)))
    except (KeyError, TypeError, ValueError):
        return whole


_READERS: dict[str, Callable[[Any, Any], Any]] = {
    "$oid": _text,
    "$uuid": _text,
    "$binary": _uuid,
    "$numberInt": _whole_number,
    "$numberLong": _whole_number,
    "$numberDouble": _number,
    "$numberDecimal": _number,
}
