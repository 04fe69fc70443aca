"""Messages that stand in a span's events, or in log records that are written in a span, instead of its attributes.

1.26 has one event for all messages of a question (gen_ai.content.prompt) and one for the answer; 1.28 to 1.36 an event
for each message; since then gen_ai.client.inference.operation.details has the attributes that spans have. Azure writes
content as JSON in gen_ai.event.content, Strands in `content` and `message`, Semantic Kernel as JSON in a record's body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.conversations.leniently import value_of
from headrace.conversations.messages import Message, choice_of, message_of, messages_of
from headrace.conversations.roles import ASSISTANT, SYSTEM, TOOL, USER, role_of

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
        return [], [choice_of(messages_of(said.get("gen_ai.completion") or body, ASSISTANT))]
    if name not in ROLES:
        return [], []
    fields, cut = _object(body or said.get("gen_ai.event.content"))
    found = _one(fields or said, ROLES[name], cut)
    # Of several choices the first is what the user saw.
    if name != CHOICE:
        return [found], []
    return [], [found] if str((fields or said).get("index", said.get("index", 0))) in ("0", "0.0") else []


def _one(fields: Mapping[str, Any], role: str, cut: bool) -> Message:
    inner = fields.get("message")
    if isinstance(inner, str):
        inner, torn = _object(inner)
        cut = cut or torn
    if isinstance(inner, dict) and inner:
        fields = inner
    found = message_of(fields, role_of(fields.get("role", "")) or role)
    return found._replace(cut=True) if cut else found


def _object(value: Any) -> tuple[Mapping[str, Any], bool]:
    """An object, the one that a text is the JSON of, or the text as an object's content; and whether it is cut."""
    if isinstance(value, dict):
        return value, False
    if not isinstance(value, str) or not value:
        return {}, False
    found, cut = value_of(value.strip())
    if isinstance(found, dict) and found.keys() & {"content", "message", "parts", "tool_calls"}:
        return found, cut
    return {} if cut and not isinstance(found, list) else {"content": value}, cut
