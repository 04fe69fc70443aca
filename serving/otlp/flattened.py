"""Messages that are flattened into attributes, one for each message and field: gen_ai.prompt.0.content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.conversations.messages import Message, messages_of

MAX_STEPS = 12
# OpenInference puts each thing under its own name once more: llm.input_messages.0.message.contents.0.message_content.
_WRAPPERS = frozenset({"message", "message_content", "tool_call", "prompt", "completion"})


def flat_messages(said: Mapping[str, Any], prefixes: tuple[str, ...], default: str) -> list[Message]:
    """The messages under the first of these prefixes that has any, in order of their numbers."""
    for prefix in prefixes:
        tree = _tree(said, f"{prefix}.")
        found = []
        for _, message in _numbered(tree):
            fields = _plain(message)
            if isinstance(fields, dict):
                # OpenLLMetry's prompts of models of text: gen_ai.prompt.0.user.
                content = {"content": fields["user"]} if isinstance(fields.get("user"), str) else {}
                found += messages_of([{"role": default, **content, **fields}], default)
        if any(message.text for message in found):
            return found
    return []


def _tree(said: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in said.items():
        if not name.startswith(prefix):
            continue
        *steps, last = name[len(prefix) :].split(".", MAX_STEPS)
        node = tree
        for step in steps:
            inner = node.setdefault(step, {})
            if not isinstance(inner, dict):
                break
            node = inner
        else:
            node.setdefault(last, value)
    return tree


def _plain(node: Any) -> Any:
    """Numbered fields as lists, wrappers left out."""
    if not isinstance(node, dict):
        return node
    if node and all(name.isascii() and name.isdigit() for name in node):
        return [_plain(value) for _, value in _numbered(node)]
    if len(node) == 1:
        (name, inner), *_ = node.items()
        if name in _WRAPPERS and isinstance(inner, dict):
            return _plain(inner)
    return {name: _plain(value) for name, value in node.items()}


def _numbered(tree: Mapping[str, Any]) -> list[tuple[int, Any]]:
    return sorted(
        ((int(name), value) for name, value in tree.items() if name.isascii() and name.isdigit() and len(name) < 10),
        key=lambda one: one[0],
    )
