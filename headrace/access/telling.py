"""The detail of an action in words, for the command line and the console."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

MAX_CHANGES = 8
# What only a program asks for, and what has words of its own.
UNSAID = frozenset({"plan", "digest", "changes", "from", "to", "reason", "result"}) | {"request_id"}


def words(detail: str) -> str:
    """Of a row of `actions`: its column detail, a JSON object, as one line of text."""
    try:
        found = json.loads(detail or "{}")
    except ValueError:
        return detail
    if not isinstance(found, dict):
        return detail
    parts = [str(found["result"])] if found.get("result") else []
    if found.get("to"):
        parts.append(f"{found['from']} → {found['to']}" if found.get("from") else str(found["to"]))
    parts += [f"{name.replace('_', ' ')} {_value(value)}" for name, value in found.items() if name not in UNSAID]
    if changes := found.get("changes"):
        parts.append(_changes(changes))
    if found.get("reason"):
        parts.append(str(found["reason"]))
    return ", ".join(parts)


def _changes(changes: Sequence[Mapping[str, Any]]) -> str:
    told = [f"{one.get('key')}: {_value(one.get('old'))} → {_value(one.get('new'))}" for one in changes[:MAX_CHANGES]]
    if len(changes) > MAX_CHANGES:
        told.append(f"and {len(changes) - MAX_CHANGES} more")
    return "; ".join(told)


def _value(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)
