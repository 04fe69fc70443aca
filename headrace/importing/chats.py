"""The text of a chat: of the last message of a user in an input, of an assistant in an output.

Of several choices it is the first one, which the user saw; thoughts and calls of tools are no text (as over OTLP,
serving/otlp/messages.py).

    OpenAI      [{role, content}], {messages: [...]}, {choices: [{message}]}, {input: [...]}, {output: [...]}
    Anthropic   {role, content: [{type: text, text}]}
    LangChain   {messages: [[{id: [..., HumanMessage], kwargs: {content}}]]}, {generations: [[{message}]]}
    Gemini      {contents: [{role, parts: [{text}]}]}, {candidates: [{content: {role, parts}}]}

Each may be text that holds it as JSON, as a CSV cell or a column of BigQuery does, or as Python's repr, as pandas does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headrace.contract.elements import element
from headrace.contract.literals import literal

_LISTS = ("messages", "choices", "generations", "contents", "candidates", "input", "output", "outputs")
_CHOICES = frozenset({"choices", "generations", "candidates"})
_TEXT_TYPES = frozenset({"", "text", "input_text", "output_text", "refusal"})
_ASKED = frozenset({"user", "human", "humanmessage", "humanmessagechunk"})
_ANSWERED = frozenset({"assistant", "ai", "model", "aimessage", "aimessagechunk"})
_DEPTH = 4


def said_in(name: str, cell: Any) -> str:
    """The text that a field called input or output means; "" where the cell is no chat."""
    if name not in ("input", "output"):
        return ""
    if isinstance(cell, str):
        text = cell.strip()
        if not (text.startswith(("[", "{")) and text.endswith(("]", "}"))):
            return ""
        cell = _decoded(text)
    roles = _ASKED if name == "input" else _ANSWERED
    said = [content for role, content in _messages(cell, 0) if role in roles]
    return said[-1] if said else ""


def _decoded(text: str) -> Any:
    found = element(text.encode(errors="replace"))
    if not found.fault:
        return found.value
    try:
        return literal(text)
    except ValueError:
        return None


def _messages(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    """The role and the text of each message."""
    if depth > _DEPTH:
        return
    if isinstance(value, list):
        for one in value:
            if isinstance(one, list | Mapping):
                yield from _messages(one, depth + 1)
        return
    if not isinstance(value, Mapping):
        return
    if role := _role(value):
        yield role, _text(value)
        return
    for inner in ("message", "content"):
        if isinstance(value.get(inner), Mapping):
            yield from _messages(value[inner], depth + 1)
            return
    for name in _LISTS:
        if isinstance(value.get(name), list) and value[name]:
            yield from _messages(_first(value[name]) if name in _CHOICES else value[name], depth + 1)
            return


def _first(choices: Any) -> Any:
    """The choice of index 0, or the first; LangChain has a list of them for each prompt."""
    while isinstance(choices, list) and choices:
        choices = next((one for one in choices if isinstance(one, Mapping) and one.get("index") == 0), choices[0])
    return choices


def _role(message: Mapping[str, Any]) -> str:
    if isinstance(message.get("role"), str):
        return str(message["role"]).casefold()
    kwargs, kind = message.get("kwargs"), message.get("id")
    if isinstance(kwargs, Mapping) and isinstance(kind, list) and kind:
        # LangChain's classes by their path.
        return str(kind[-1]).casefold()
    return str(message.get("type", "")).casefold() if "content" in message else ""


def _text(message: Mapping[str, Any]) -> str:
    kwargs = message.get("kwargs")
    inner = kwargs if isinstance(kwargs, Mapping) else message
    content = inner.get("content", inner.get("parts"))
    if isinstance(content, list):
        parts = [_part(one) if isinstance(one, Mapping) else one for one in content]
        content = "\n".join(part for part in parts if isinstance(part, str))
    content = content or inner.get("refusal")
    return content if isinstance(content, str) else ""


def _part(part: Mapping[str, Any]) -> Any:
    kind = part.get("type") or ""
    if part.get("thought") is True or not isinstance(kind, str) or kind.casefold() not in _TEXT_TYPES:
        return None
    return part.get("text") or part.get("refusal")
