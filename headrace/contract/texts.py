"""Texts and names that are too long, or hold characters that cannot be carried: no event is refused for either.

a text beyond MAX_TEXT    keeps its head and its tail, and says between them how much is left out and the digest of
                          the whole; an event that holds one is marked in `extra.truncated`
a name beyond MAX_NAME    is its head and the digest of the whole: the same long name is always the same short one
half of a surrogate pair, NUL
                          U+FFFD, the replacement character: UTF-8 has no form for the one, and many programs end
                          a text at the other
"""

from __future__ import annotations

import hashlib
import re

MAX_TEXT = 65_536
MAX_NAME = 200
HEAD, TAIL = 48_000, 16_000
NAME_HEAD = 120

_UNCARRIED = re.compile("[\x00\ud800-\udfff]")
_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u([dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)
"""Escapes in JSON, one by one, so that an escaped backslash begins none: a pair, half of one, any other."""


def carried(text: str) -> str:
    """The text with U+FFFD where it has a NUL or half of a surrogate pair."""
    if text.isascii():
        return text.replace("\x00", "\ufffd") if "\x00" in text else text
    return _UNCARRIED.sub("\ufffd", text)


def whole_characters(body: bytes) -> bytes:
    """JSON with the escape of U+FFFD for each of half a surrogate pair, which strict parsers refuse.

    JavaScript writes one where a program cut an emoji in two.
    """
    return _ESCAPES.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)


def digest(text: str) -> str:
    """SHA-256 of the text's UTF-8, 64 hexadecimal digits. The text is `carried`."""
    return hashlib.sha256(text.encode()).hexdigest()


def shortened(text: str) -> str:
    """A `carried` text of at most MAX_TEXT characters; see the module."""
    if len(text) <= MAX_TEXT:
        return text
    left_out = len(text) - HEAD - TAIL
    note = f"[… {left_out} of {len(text)} characters are left out; SHA-256 of the whole: {digest(text)} …]"
    return f"{text[:HEAD]}\n{note}\n{text[-TAIL:]}"


def name_of(text: str) -> str:
    """A `carried` name of at most MAX_NAME characters; two that are longer stay the same or different."""
    return text if len(text) <= MAX_NAME else f"{text[:NAME_HEAD]}~{digest(text)}"


def mark(text: str) -> dict[str, int | str]:
    """What `extra.truncated` says of a text or name that was shortened."""
    return {"characters": len(text), "sha256": digest(text)}
