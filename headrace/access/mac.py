"""HMAC-SHA256 (RFC 2104) of short texts, thousands a second under one key.

`hmac.digest` prepares the key anew, and gives the interpreter's lock away for each text: beside a busy thread it takes
ten times as long to get it back.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

_BLOCK = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


class Mac:
    """A key, prepared once."""

    def __init__(self, key: bytes) -> None:
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\x00")
        self._inner = hashlib.sha256(block.translate(_INNER))
        self._outer = hashlib.sha256(block.translate(_OUTER))

    def digest(self, text: bytes) -> bytes:
        """32 bytes, as `hmac.digest(key, text, "sha256")`."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.digest()


@lru_cache(maxsize=8)
def mac_of(key: str) -> Mac:
    """That of a secret of this deployment, of which there are one or two."""
    return Mac(key.encode())
