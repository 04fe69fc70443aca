"""What programs write where there is no id or name: str(None), String(undefined), a template without its value.

All events of all who do so would be one: one answer, one conversation, one person.
"""

from __future__ import annotations

WORDS = frozenset({"null", "none", "undefined", "nan", "nil", "[object object]"})
SPELLED = frozenset(
    {spelled for word in WORDS for spelled in (word, word.upper(), word.capitalize())} | {"NaN", "[object Object]"}
)
"""As programs spell them: looking for these among the names of many events costs next to nothing."""
_LONGEST = 20


def is_none(text: str) -> bool:
    """Whether it is one of these words, in any case and with blanks around it."""
    # Longer ones are not looked at, for most texts are.
    return len(text) <= _LONGEST and text.strip().casefold() in WORDS


def named(text: str) -> str:
    """The name of a session, a person or a response; "" for what is SPELLED as none."""
    return "" if text in SPELLED else text
