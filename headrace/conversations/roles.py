"""The four roles of a conversation, and how they are spelled."""

from __future__ import annotations

import re
from typing import Any

USER, ASSISTANT, SYSTEM, TOOL = "user", "assistant", "system", "tool"

_ROLES = {
    USER: "user human customer enduser chatmessageuser",
    ASSISTANT: "assistant ai aimessagechunk model bot chatbot agent choice",
    SYSTEM: "system developer instruction instructions",
    TOOL: "tool function toolresult tooloutput functioncalloutput ipython",
}
_ROLE_OF = {word: role for role, words in _ROLES.items() for word in words.split()}
_NOT_A_LETTER = re.compile(r"[^a-z]")


def role_of(said: Any) -> str:
    """One of the four roles, from any spelling: Assistant, ai, HumanMessage, role.USER; empty for another name."""
    if isinstance(said, str) and said in _ROLES:
        return said
    word = _NOT_A_LETTER.sub("", str(said).rsplit(".", 1)[-1].casefold())
    return _ROLE_OF.get(word) or _ROLE_OF.get(word.removesuffix("message"), "")
