"""Messages that stand in a span's events, or in log records that are written in a span, instead of its attributes.

1.26 has one event for all messages of a question (gen_ai.content.prompt) and one for the answer; 1.28 to 1.36 an event
for each message; since then gen_ai.client.inference.operation.details has the attributes that spans have. Azure writes
content as JSON in gen_ai.event.content, Strands in `content` and `message`, Semantic Kernel as JSON in a record's body.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from serving.otlp.messages import ASSISTANT, SYSTEM, TOOL, USER, Message, content_text, messages_of, role_of

PROMPTS, COMPLETION = frozenset({"gen_ai.content.prompt", "gen_ai.prompt"}), "gen_ai.content.completion"
CHOICE, DETAILS = "gen_ai.choice", "gen_ai.client.inference.operation.details"
ROLES = {
    "gen_ai.system.message": SYSTEM,
    "gen_ai.user.message": USER,
    "gen_ai.assistant.message": ASSISTANT,
    "gen_ai.tool.message": TOOL,
    CHOICE: ASSISTANT,
}
NAMES = frozenset({*PROMPTS, COMPLETION, DETAILS, *ROLES})


def messages_in(name: str, said: Mapping[str, Any], body: Any = None) -> tuple[list[Message], list[Message]]:
    """What one event, or log record of that name, adds to the question and to the answer; DETAILS is read as a span."""
    if name in PROMPTS:
        return messages_of(said.get("gen_ai.prompt") or body, USER), []
    if name == COMPLETION:
        return [], messages_of(said.get("gen_ai.completion") or body, ASSISTANT)
    if name not in ROLES:
        return [], []
    found = _one(_object(body or said.get("gen_ai.event.content")) or said, ROLES[name])
    # Of several choices the first is what the user saw.
    if name != CHOICE:
        return [found], []
    return [], [found] if str(_object(body or said).get("index", said.get("index", 0))) in ("0", "0.0") else []


def _one(fields: Mapping[str, Any], role: str) -> Message:
    inner = fields.get("message")
    if isinstance(inner, str):
        inner = _object(inner) or {"content": inner}
    if isinstance(inner, dict):
        fields = inner
    text = content_text(fields.get("content") or fields.get("parts") or fields.get("text"))
    if not text and fields.get("tool_calls"):
        text = next((one.text for one in messages_of([{"role": role, "tool_calls": fields["tool_calls"]}], role)), "")
    return Message(role_of(fields.get("role", "")) or role, text)


def _object(value: Any) -> Mapping[str, Any]:
    """An object, the one that a text is the JSON of, or the text as an object's content."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, str) or not value:
        return {}
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return {"content": value}
    return (
        found
        if isinstance(found, dict) and found.keys() & {"content", "message", "parts", "tool_calls"}
        else {"content": value}
    )
