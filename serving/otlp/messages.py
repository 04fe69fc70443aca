"""The texts of a conversation, in whatever shape an instrumentation writes it.

Messages come as lists of objects, as the JSON of such lists, as a provider's whole request or response, as LangChain's
serialised objects, or as plain text; a message's content is text, parts, or the JSON of parts. Reading is total: what
is no message gives none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

USER, ASSISTANT, SYSTEM, TOOL = "user", "assistant", "system", "tool"
MAX_DEPTH = 24

_ROLES = {
    USER: "user human customer enduser chatmessageuser",
    ASSISTANT: "assistant ai aimessagechunk model bot chatbot agent choice",
    SYSTEM: "system developer instruction instructions",
    TOOL: "tool function toolresult tooloutput functioncalloutput ipython",
}
_ROLE_OF = {word: role for role, words in _ROLES.items() for word in words.split()}
_TEXT_TYPES = frozenset({None, "", "text", "input_text", "output_text", "refusal"})
_CALL_TYPES = frozenset({"tool_call", "tool_use", "function_call", "tool-call", "function", "toolcall"})
# Where a request or response of a provider, or of LangChain, has its messages: the first of these that gives any.
_HOLDERS = (
    "messages", "contents", "choices", "candidates", "generations", "message", "kwargs", "data", "output", "outputs",
    "input", "inputs", "prompt", "content", "completion", "generated_text", "text",
)  # fmt: skip
_SAID = re.compile(r"^(system|user|human|assistant|ai|developer|tool): ", re.MULTILINE)
_NOT_A_LETTER = re.compile(r"[^a-z]")


@dataclass(frozen=True, slots=True)
class Message:
    """One message. role: one of the four above, or "" for one that is none of them; text: may be empty"""

    role: str
    text: str


def role_of(said: Any) -> str:
    """One of the four roles, from any spelling: Assistant, ai, HumanMessage, role.USER; empty for another name."""
    if isinstance(said, str) and said in _ROLES:
        return said
    word = _NOT_A_LETTER.sub("", str(said).rsplit(".", 1)[-1].casefold())
    return _ROLE_OF.get(word) or _ROLE_OF.get(word.removesuffix("message"), "")


def messages_of(value: Any, default: str, depth: int = 0) -> list[Message]:
    """The messages of a value in any of these shapes; what names no role has `default`."""
    if depth > MAX_DEPTH:
        return []
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return _of_text(value, default, depth)
    if isinstance(value, list):
        if value and all(isinstance(one, dict) and "role" not in one and _is_part(one) for one in value):
            return [Message(default, content_text(value))]
        return [message for one in value for message in messages_of(one, default, depth + 1)]
    return _of_object(value, default, depth) if isinstance(value, dict) else []


def question_of(messages: Iterable[Message]) -> str:
    """The last thing that the user said; where users said nothing, the last instruction."""
    said = list(messages)
    return _last(said, USER) or _last(said, SYSTEM)


def answer_of(messages: Iterable[Message]) -> str:
    """The last thing that the assistant, or one by another name, said."""
    said = list(messages)
    return _last(said, ASSISTANT) or _last(said, "")


def content_text(content: Any, depth: int = 0) -> str:
    """The text of a message's content; parts that are none (images, thoughts) are passed over, calls of tools only
    where there is no text."""
    if isinstance(content, str):
        return _text_of_parts(content)
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list) or depth > MAX_DEPTH:
        return ""
    texts = [one if isinstance(one, str) else _part_text(one, depth) for one in content]
    return "\n".join(text for text in texts if text) or _calls(content)


def _last(messages: list[Message], role: str) -> str:
    return next((message.text for message in reversed(messages) if message.role == role and message.text), "")


def _of_text(text: str, default: str, depth: int) -> list[Message]:
    stripped = text.strip()
    if stripped[:1] in ("[", "{", '"'):
        try:
            found = messages_of(json.loads(stripped), default, depth + 1)
        except (ValueError, RecursionError):
            found = []
        # JSON that holds no message is what was said: an answer may be an object of the application's own.
        if found:
            return found
    if _SAID.match(stripped):
        pieces = _SAID.split(stripped)[1:]
        return [Message(role_of(role), said.strip()) for role, said in zip(pieces[::2], pieces[1::2], strict=True)]
    return [Message(default, text)] if stripped else []


def _of_object(value: Mapping[str, Any], default: str, depth: int) -> list[Message]:
    role, kind = value.get("role"), value.get("id")
    if isinstance(role, str) and role and ("parts" in value or "content" in value):  # most of them
        return [_message(value, role_of(role))]
    if not role and "Role" in value:  # .NET's serialisers
        value = _in_lower_case(value)
    if isinstance(kind, list) and kind and isinstance(value.get("kwargs"), dict):  # LangChain's constructors
        inner = value["kwargs"]
        role = role_of(kind[-1]) or role_of(inner.get("type", ""))
        return [_message(inner, role)] if role else messages_of(inner, default, depth + 1)
    named = value.get("role") or value.get("author")
    data = value.get("data")
    body: Mapping[str, Any] = data if isinstance(data, dict) else value
    if not named and isinstance(value.get("type"), str) and ("content" in body or "data" in value):
        named = role_of(value["type"])
    if isinstance(named, dict):
        named = named.get("label") or named.get("role") or ""
    if isinstance(named, str | int) and named and not isinstance(value.get("message"), dict):
        return [_message(body, role_of(named))]
    if _is_call(value):
        return [Message(default, _calls([value]))]
    if _is_part(value):
        return [Message(default, content_text(value))]
    if "system" in value and value.keys() <= {"system", "prompt", "messages"}:
        told = messages_of(value["system"], SYSTEM, depth + 1)
        return told + messages_of(value.get("messages") or value.get("prompt"), default, depth + 1)
    for name in _HOLDERS:
        if value.get(name):
            found = messages_of(value[name], default, depth + 1)
            if any(message.text for message in found):
                return found
    return [Message(default, _calls(value["tool_calls"]))] if isinstance(value.get("tool_calls"), list) else []


def _in_lower_case(value: Any, depth: int = 0) -> Any:
    if isinstance(value, list):
        return [_in_lower_case(one, depth + 1) for one in value] if depth < MAX_DEPTH else []
    if isinstance(value, dict):
        return (
            {str(name).lower(): _in_lower_case(one, depth + 1) for name, one in value.items()}
            if depth < MAX_DEPTH
            else {}
        )
    return value


def _message(fields: Mapping[str, Any], role: str) -> Message:
    for name in ("parts", "content", "contents", "items", "text", "value", "message"):
        if fields.get(name):
            text = content_text(fields[name])
            if text:
                return Message(role, text)
    calls = fields.get("tool_calls") or fields.get("toolCalls") or fields.get("function_call")
    return Message(role, _calls(calls if isinstance(calls, list) else [calls]) if calls else "")


def _is_call(value: Mapping[str, Any]) -> bool:
    kind = value.get("type")
    return isinstance(kind, str) and kind in _CALL_TYPES


def _is_part(value: Mapping[str, Any]) -> bool:
    kind = value.get("type")
    if "role" in value or not isinstance(kind, str | None):
        return False
    if kind is None:
        return "text" in value and isinstance(value["text"], str) and len(value) <= 2
    return (
        kind in _TEXT_TYPES and ("text" in value or "content" in value) and not isinstance(value.get("content"), list)
    )


def _part_text(part: Any, depth: int) -> str:
    if not isinstance(part, dict) or part.get("thought") is True:
        return ""
    kind = part.get("type", part.get("kind"))
    if kind == "text" and isinstance(text := part.get("content") or part.get("text"), str):
        return text
    if kind is not None and (not isinstance(kind, str) or kind.casefold() not in _TEXT_TYPES):
        return ""
    for name in ("text", "content", "value", "refusal"):
        inner = part.get(name)
        if isinstance(inner, str) and inner:
            return inner
        if isinstance(inner, list | dict):
            return content_text(inner, depth + 1)
    return ""


def _text_of_parts(text: str) -> str:
    """Content that is the JSON of a list of parts, as Bedrock's instrumentation writes it; any other text as it is."""
    stripped = text.strip()
    if stripped.startswith("[") and stripped.endswith("]"):
        try:
            parts = json.loads(stripped)
        except (ValueError, RecursionError):
            return text
        if isinstance(parts, list) and parts and all(isinstance(one, dict) for one in parts):
            return content_text(parts) or text
    return text


def _calls(parts: Iterable[Any]) -> str:
    """Calls of tools as JSON: what an answer says that says nothing else."""
    calls = []
    for part in parts:
        if not isinstance(part, dict):
            continue
        inner = next(
            (part[name] for name in ("function", "functionCall", "toolUse") if isinstance(part.get(name), dict)),
            part,
        )
        name = inner.get("name") or inner.get("toolName") or inner.get("tool_name")
        given = next((inner[key] for key in ("arguments", "input", "args") if key in inner), None)
        if name and (inner is not part or _is_call(part) or given is not None):
            calls.append({"name": str(name), "arguments": _decoded(given)})
    return json.dumps(calls, ensure_ascii=False, default=str) if calls else ""


def _decoded(arguments: Any) -> Any:
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError):
        return arguments
