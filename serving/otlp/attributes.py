"""What the attributes of a span or log record say: text, numbers, messages, ids and times, each read totally."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from headrace.contract import ids
from headrace.errors import EventError

OWN_RESPONSE = "chatcmpl-"
"""What the gateway's own response ids begin with; the rest is the inference's id."""


def text_of(said: Mapping[str, Any], *names: str) -> str:
    """The first of these attributes that there is, as text."""
    return next((str(said[name]) for name in names if said.get(name) not in (None, "")), "")


def number_of(said: Mapping[str, Any], name: str) -> float:
    """A number, 0 where there is none or where it is negative. Raises EventError where it is no number."""
    value = said.get(name, 0)
    try:
        return max(0.0, float(value))
    except (TypeError, ValueError):
        raise EventError(f"{name} is not a number: {str(value)[:80]!r}") from None


def count_of(said: Mapping[str, Any], name: str) -> int:
    """A whole number; see number_of."""
    try:
        return int(number_of(said, name))
    except (OverflowError, ValueError):
        raise EventError(f"{name} is not a whole number: {said[name]!r}") from None


def models_of(said: Mapping[str, Any]) -> list[str]:
    """The model that was asked for, and the one that answered."""
    return [name for key in ("gen_ai.request.model", "gen_ai.response.model") if (name := text_of(said, key))]


def own_answer(said: Mapping[str, Any]) -> UUID | None:
    """The inference that a gateway recorded itself, where the span is of a call to it."""
    response = text_of(said, "gen_ai.response.id")
    return _id7(response.removeprefix(OWN_RESPONSE)) if response.startswith(OWN_RESPONSE) else None


def given_answer(said: Mapping[str, Any]) -> UUID | None:
    """The id that the emitter chose for the answer. Raises EventError where it cannot be one."""
    text = text_of(said, "headrace.inference_id")
    if text and not _id7(text):
        raise EventError(f"headrace.inference_id is not a UUID of version 7: {text[:80]!r}")
    return _id7(text)


def last_message(said: Mapping[str, Any], name: str, role: str) -> str:
    """The text of the last message of that role; messages may be structured or their JSON."""
    messages = said.get(name)
    if isinstance(messages, str):
        try:
            messages = json.loads(messages)
        except (ValueError, RecursionError):
            return str(messages)
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role", role) == role:
            text = _content(message)
            if text:
                return text
    return ""


def moment_of(nanoseconds: int) -> datetime:
    """A time, UTC, from nanoseconds since 1970."""
    return ids.EPOCH + timedelta(microseconds=nanoseconds // 1000)


def _content(message: Mapping[str, Any]) -> str:
    parts = message.get("parts", message.get("content"))
    if isinstance(parts, str):
        return parts
    texts = [
        str(part.get("content") or part.get("text") or "")
        for part in (parts if isinstance(parts, list) else [])
        if isinstance(part, dict) and part.get("type", "text") == "text"
    ]
    return "\n".join(text for text in texts if text)


def _id7(text: str) -> UUID | None:
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if found.version == 7 else None
