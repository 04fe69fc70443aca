"""The text of a chat: of the last message of a user in an input, of an assistant in an output.

Of several choices it is the first one, which the user saw; thoughts are no text. Requests and responses of any provider
and framework are read as over OTLP (headrace/conversations), as objects, as JSON and as Python's repr. A text that is
none of them is what was said.
"""

from __future__ import annotations

from typing import Any

from headrace.contract.elements import element
from headrace.contract.literals import literal
from headrace.conversations.messages import choice_of, messages_of, question_of
from headrace.conversations.own_json import is_told
from headrace.conversations.roles import ASSISTANT, USER


def said_in(name: str, cell: Any) -> str:
    """The text that a field called input or output means; "" where the cell is no chat."""
    if name not in ("input", "output"):
        return ""
    if isinstance(cell, str):
        text = cell.strip()
        if not (text.startswith(("[", "{")) and text.endswith(("]", "}"))):
            return ""
        cell = _decoded(text)
    if isinstance(cell, list) and all(isinstance(one, str) for one in cell):
        # Somebody's own: labels of a ticket, choices of a form.
        return ""
    if not isinstance(cell, list | dict):
        return ""
    if name == "input":
        return question_of(messages_of(cell, USER)).text
    return choice_of(messages_of(cell, ASSISTANT)).text if is_told(cell) else ""


def _decoded(text: str) -> Any:
    found = element(text.encode(errors="replace"))
    if not found.fault:
        return found.value
    try:
        return literal(text)
    except ValueError:
        return None
