"""The texts of a conversation, in whatever shape an instrumentation writes it.

Messages come as lists of objects, as the JSON of such lists, as a provider's whole request or response, as LangChain's
serialised objects, or as plain text; a message's content is text, parts, or the JSON of parts. Reading is total: what
is no message gives none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from headrace.conversations.leniently import nearly, value_of
from headrace.conversations.own_json import is_told
from headrace.conversations.providers import (
    CALL_TYPES,
    CHOICES,
    HOLDERS,
    TEXT_TYPES,
    is_aside,
    is_envelope,
    is_part,
    is_result,
)
from headrace.conversations.roles import ASSISTANT, SYSTEM, TOOL, USER, role_of

MAX_DEPTH = 24

# LangChain's models of text are given a chat with its roles in capitals.
_SAID = re.compile(r"^(system|user|human|assistant|ai|developer|tool|System|Human|AI): ", re.MULTILINE)
_CALLED = '[{"name": '


class _Text(msgspec.Struct, tag="text", forbid_unknown_fields=True, gc=False):
    content: str


class _Conventional(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: str
    parts: list[_Text] = []
    content: str = ""
    finish_reason: str | None = None


_CONVENTIONAL = msgspec.json.Decoder(list[_Conventional])


class Message(NamedTuple):
    """One message.

    role: one of the four above, or "" for one that is none of them
    text: may be empty
    cut: an exporter's limit cut the text that the message is from
    calls: its text is calls of tools
    """

    role: str
    text: str
    cut: bool = False
    calls: bool = False


NO_MESSAGE = Message("", "")


def messages_of(value: Any, default: str, depth: int = 0) -> list[Message]:
    """The messages of a value in any of these shapes; what names no role has `default`."""
    if depth > MAX_DEPTH:
        return []
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return _of_text(value, default, depth)
    if isinstance(value, list):
        if value and all(isinstance(one, dict) and "role" not in one and _is_text(one) for one in value):
            return [Message(default, content_text(value))]
        return [message for one in value for message in messages_of(one, default, depth + 1)]
    return _of_object(value, default, depth) if isinstance(value, dict) else []


def question_of(messages: Iterable[Message]) -> Message:
    """The last thing that the user said; where users said nothing, the last instruction, unless something is cut."""
    said = list(messages)
    if found := last_of(said, USER):
        return found
    found = last_of(said, SYSTEM)
    return found if found and not any(message.cut for message in said) else NO_MESSAGE


def answer_of(messages: Iterable[Message]) -> Message:
    """The last thing that the assistant, or one by another name, said."""
    said = list(messages)
    return last_of(said, ASSISTANT) or last_of(said, "") or NO_MESSAGE


def choice_of(messages: list[Message]) -> Message:
    """The first thing that the assistant said after anybody else: of several choices it is what the user saw.

    Calls of tools only where nothing else is said.
    """
    if len(messages) == 1 and messages[0].role == ASSISTANT:  # most of them
        return messages[0]
    said: list[Message] = []
    after = True
    for message in messages:
        if message.role in (USER, TOOL, SYSTEM):
            after = True
        elif message.text:
            if after:
                said = []
            said.append(message)
            after = False
    said = [message for message in said if message.role == ASSISTANT] or said
    return next((message for message in said if not message.calls), said[0] if said else NO_MESSAGE)


def content_text(content: Any, depth: int = 0) -> str:
    """The text of a message's content; parts that are none (images, thoughts) are passed over, calls of tools only
    where there is no text."""
    if isinstance(content, str):
        return _text_of_parts(content)[0]
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list) or depth > MAX_DEPTH:
        return ""
    texts = [one if isinstance(one, str) else _part_text(one, depth) for one in content]
    return "\n".join(text for text in texts if text) or _calls(content)


def last_of(messages: Sequence[Message], role: str) -> Message | None:
    """The last one of that role that says something."""
    return next((message for message in reversed(messages) if message.role == role and message.text), None)


def _of_text(text: str, default: str, depth: int) -> list[Message]:
    stripped = text.strip()
    if stripped[:1] in ("[", "{", '"'):
        if depth == 0 and (conventional := _conventional(stripped)):
            return conventional
        cut = False
        try:
            value = json.loads(stripped)
        except (ValueError, RecursionError):
            value, cut = nearly(stripped)
        own = default == ASSISTANT and not cut and isinstance(value, list | dict) and not is_told(value)
        found = [] if own else messages_of(value, default, depth + 1)
        if cut:
            return [message._replace(cut=True) for message in found]
        # JSON that holds no message is what was said: an answer may be an object of the application's own.
        if found:
            return found
    if _SAID.match(stripped):
        pieces = _SAID.split(stripped)[1:]
        roles = [role_of(role) for role in pieces[::2]]
        # One role alone may be how somebody begins a sentence.
        if default in roles and len(set(roles)) > 1:
            return [Message(role, said.strip()) for role, said in zip(roles, pieces[1::2], strict=True)]
    return [Message(default, text)] if stripped else []


def _conventional(stripped: str) -> list[Message]:
    """Messages of texts alone, as the conventions and OpenAI write them; none where anything needs a closer look."""
    if not stripped.startswith('[{"role"'):
        return []
    try:
        found = _CONVENTIONAL.decode(stripped)
    except (ValueError, msgspec.MsgspecError):
        return []
    messages = []
    for one in found:
        texts = [part.content for part in one.parts]
        text = "\n".join(texts) if texts else one.content
        # Calls of tools, and the JSON of parts as content, begin so.
        if not one.role or "" in texts or not text or (texts and one.content) or text.lstrip()[:1] == "[":
            return []
        messages.append(Message(role_of(one.role), text))
    return messages


def _of_object(value: Mapping[str, Any], default: str, depth: int) -> list[Message]:
    role, kind = value.get("role"), value.get("id")
    if isinstance(role, str) and role and ("parts" in value or "content" in value):  # most of them
        return [message_of(value, role_of(role))]
    if not role and "Role" in value:  # .NET's serialisers
        value = _in_lower_case(value)
    if isinstance(kind, list) and kind and isinstance(value.get("kwargs"), dict):  # LangChain's constructors
        inner = value["kwargs"]
        role = role_of(kind[-1]) or role_of(inner.get("type", ""))
        return [message_of(inner, role)] if role else messages_of(inner, default, depth + 1)
    named = value.get("role") or value.get("author")
    data = value.get("data")
    body: Mapping[str, Any] = data if isinstance(data, dict) else value
    if not named and isinstance(value.get("type"), str) and ("content" in body or "data" in value):
        named = role_of(value["type"])
    if isinstance(named, dict):
        named = named.get("label") or named.get("role") or ""
    if isinstance(named, str | int) and named and not isinstance(value.get("message"), dict):
        return [message_of(body, role_of(named))]
    if isinstance(item := value.get("type"), str):  # of OpenAI's Responses API, without a role
        if item in CALL_TYPES:
            return [Message(ASSISTANT, _calls([value]), calls=True)]
        if is_result(item):
            return [Message(TOOL, content_text(value.get("output") or value.get("content") or value.get("result")))]
        if is_aside(item):
            return []
    if _is_text(value):
        return [Message(default, content_text(value))]
    if isinstance(value.get("parts"), list) and (text := content_text(value["parts"])):  # Google's, of one message
        return [Message(default, text)]
    if "system" in value and value.keys() <= {"system", "prompt", "messages"}:
        told = messages_of(value["system"], SYSTEM, depth + 1)
        return told + messages_of(value.get("messages") or value.get("prompt"), default, depth + 1)
    for name in HOLDERS:
        inner = value.get(name)
        if inner and is_envelope(value, name):
            found = messages_of(_first(inner) if name in CHOICES else inner, default, depth + 1)
            if any(message.text for message in found):
                # The items of one response are one answer.
                return [answer_of(found)] if name == "output" and isinstance(inner, list) else found
    calls = value.get("tool_calls")
    return [Message(default, _calls(calls), calls=True)] if isinstance(calls, list) else []


def _first(choices: Any) -> Any:
    """The choice of index 0, or the first; LangChain has a list of them for each prompt."""
    while isinstance(choices, list) and choices:
        choices = next((one for one in choices if isinstance(one, dict) and one.get("index") == 0), choices[0])
    return choices


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


def message_of(fields: Mapping[str, Any], role: str) -> Message:
    """The message that these fields are of, in whichever of them its content is."""
    content = fields.get("parts") or fields.get("content")
    if type(content) is list:  # most of them
        text = content_text(content)
        if text and not text.startswith(_CALLED):
            return Message(role, text)
    cut = False
    for name in ("parts", "content", "contents", "items", "text", "value", "message", "refusal"):
        content = fields.get(name)
        if not content:
            continue
        text, torn = _text_of_parts(content) if isinstance(content, str) else (content_text(content), False)
        cut = cut or torn
        if text:
            calls = text.startswith(_CALLED) and not isinstance(content, str) and text == _calls(_listed(content))
            return Message(role, text, cut, calls)
    said = fields.get("tool_calls") or fields.get("toolCalls") or fields.get("function_call")
    return Message(role, _calls(_listed(said)) if said else "", cut, calls=bool(said))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_call(value: Mapping[str, Any]) -> bool:
    kind = value.get("type")
    return isinstance(kind, str) and kind in CALL_TYPES


def _is_text(value: Mapping[str, Any]) -> bool:
    kind = value.get("type")
    if "role" in value or not isinstance(kind, str | None):
        return False
    if kind is None:
        return isinstance(value.get("text"), str) and is_part(value)
    return kind in TEXT_TYPES and ("text" in value or "content" in value) and not isinstance(value.get("content"), list)


def _part_text(part: Any, depth: int) -> str:
    if not isinstance(part, dict) or part.get("thought") is True:
        return ""
    kind = part.get("type", part.get("kind"))
    if kind == "text" and isinstance(text := part.get("content") or part.get("text"), str):
        return text
    if kind is not None and (not isinstance(kind, str) or kind.casefold() not in TEXT_TYPES):
        return ""
    # The content of Google's events is an object with parts of its own.
    for name in ("text", "content", "value", "refusal", "parts"):
        inner = part.get(name)
        if isinstance(inner, str) and inner:
            return inner
        if isinstance(inner, list | dict):
            return content_text(inner, depth + 1)
    return ""


def _text_of_parts(text: str) -> tuple[str, bool]:
    """Content that is the JSON of a list of parts, as Bedrock's instrumentation writes it, and whether it is cut.

    Any other text is as it is: also a list that somebody sent as a question.
    """
    stripped = text.strip()
    if not stripped.startswith("["):
        return text, False
    parts, cut = value_of(stripped)
    if cut and parts is None:
        return "", True
    if isinstance(parts, list) and parts and all(is_part(one) for one in parts):
        return content_text(parts), cut
    return text, False


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
    try:
        return json.dumps(calls, ensure_ascii=False, default=str) if calls else ""
    except (RecursionError, ValueError):  # arguments that are nested too deep, or within themselves
        return json.dumps([{"name": call["name"], "arguments": None} for call in calls], ensure_ascii=False)


def _decoded(arguments: Any) -> Any:
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError):
        return arguments
