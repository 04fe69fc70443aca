"""Keeps the original of a dead letter so that the letter fits its topic, however large the original is.

An original up to KEPT_BYTES, the most that an emitter's record may have, is part of the letter. A larger one can arrive
all the same, since a broker bounds records as they are compressed. It stays in its own topic: the letter says where it
came from and holds an excerpt, by which it is known again.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from typing import Any

from headrace.contract.events import Optional200, Record

KEPT_BYTES = 4 * 1024 * 1024
END_BYTES = 1024


class Excerpt(Record):
    """Describes an original that is too large for a letter.

    length: in bytes; digest: SHA-256, hexadecimal
    head, tail: its first and its last END_BYTES, base64
    """

    length: int
    digest: Optional200
    head: str
    tail: str

    @classmethod
    def of(cls, original: bytes) -> Excerpt:
        """The excerpt of these bytes: equal excerpts mean equal bytes."""
        return cls(
            length=len(original),
            digest=hashlib.sha256(original).hexdigest(),
            head=b64encode(original[:END_BYTES]).decode(),
            tail=b64encode(original[-END_BYTES:]).decode(),
        )


def kept(original: bytes) -> dict[str, Any]:
    """The fields of a DeadLetter that keep its original: all of it, or an excerpt."""
    if len(original) > KEPT_BYTES:
        return {"excerpt": Excerpt.of(original)}
    return {"original": b64encode(original).decode()}


def digest_of(original: str, excerpt: Excerpt | None) -> int:
    """A number of 64 bits that tells a letter's bytes from others, by what the letter keeps of them."""
    told = excerpt.digest if excerpt else original
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:8], "big")


def shortened(original: str) -> dict[str, Any]:
    """The fields of a DeadLetter that describe its original, from the base64 that it kept."""
    return {"original": "", "excerpt": Excerpt.of(b64decode(original))}
